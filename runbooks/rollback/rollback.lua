-- A deploy made things worse: take it back in the deploy repository, and let nobody deploy over it meanwhile.

local deploy, prom = gitops "deploy", prometheus "main"

runbook "rollback" {
  summary = "Take the last deploy of checkout back when errors began with it",
  owner   = "team-checkout",
  on      = alert { alertname = "CheckoutErrorsSinceDeploy", env = "prod", max_age = "10m" },
  uses    = { deploy.head, deploy.freeze, deploy.revert, prom.query },
  limits  = { at_most = "2/1h", holds = "service:checkout" },

  symptom = symptom {
    ask = prom.query { expr = "job:checkout_errors:ratio" },
    bad = "> 0.05", good = "< 0.01", settle = "30s", hold = "1m", within = "10m",
  },

  run = function()
    local head = deploy.head {}
    note("the newest commit is " .. head.commit:sub(1, 12) .. ": " .. head.subject)
    deploy.freeze { because = "errors since the last deploy: no more of them until this is understood" }
    ladder {
      rung { function()
        return deploy.revert { path = "checkout", because = "errors began with this deploy" }
      end },
      otherwise = function() page("ic", "taking the deploy back did not help") end,
    }
  end,
}
