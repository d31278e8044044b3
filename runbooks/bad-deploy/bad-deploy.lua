-- Checkout answers with errors since its last deploy: hold its size, so that the autoscaler does not chase a load that the
-- errors make, and roll the Deployment back.

local k8s, prom = kubernetes "prod", prometheus "main"

runbook "bad-deploy" {
  summary = "Roll checkout back when errors began with its last deploy",
  owner   = "team-checkout",
  on      = alert { alertname = "CheckoutErrorsSinceDeploy", env = "prod", max_age = "10m" },
  uses    = { k8s.deployment, k8s.freeze_hpa, k8s.rollback, prom.query },
  limits  = { at_most = "2/1h", holds = "service:checkout" },

  symptom = symptom {
    ask = prom.query { expr = "job:checkout_errors:ratio" },
    bad = "> 0.05", good = "< 0.01", settle = "30s", hold = "1m", within = "10m",
  },

  run = function()
    local now = k8s.deployment { deployment = "checkout" }
    note("checkout runs revision " .. now.revisions[1].revision .. " since " .. now.revisions[1].since .. ", rollout " ..
         now.rollout .. ", " .. now.available .. " of " .. now.replicas .. " Pods available")
    k8s.freeze_hpa { hpa = "checkout", lease = "2h", because = "hold the size until it is known what is wrong" }
    ladder {
      rung { function()
        return k8s.rollback { deployment = "checkout", because = "errors began with this revision" }
      end },
      otherwise = function() page("ic", "rolling checkout back did not help") end,
    }
  end,
}
