-- A feature makes checkout answer with errors, and the alert names its flag: turn it off, see that it helped.

local flags, prom = unleash "prod", prometheus "main"

runbook "flag-kill" {
  summary = "Turn off the flag that makes checkout fail",
  owner   = "team-checkout",
  on      = alert { alertname = "CheckoutFeatureFails", env = "prod", max_age = "10m" },
  uses    = { flags.kill, prom.query },
  params  = { flag = label "flag" { pattern = "^checkout-[a-z0-9-]+$" } },
  limits  = { at_most = "3/1h", holds = "service:checkout" },

  symptom = symptom {
    ask = prom.query { expr = "job:checkout_errors:ratio" },
    bad = "> 0.05", good = "< 0.01", settle = "20s", hold = "30s", within = "3m", -- applications ask every 15 s
  },

  run = function(incident, p)
    ladder {
      rung { function()
        return flags.kill { flag = p.flag, lease = "4h", because = "checkout fails where " .. p.flag .. " is on" }
      end },
      otherwise = function() page("ic", "turning " .. p.flag .. " off did not help") end,
    }
  end,
}
