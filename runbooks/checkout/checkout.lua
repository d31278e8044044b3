-- The checkout service answers with errors: take the server they come from out of the traffic.

local edge, prom = haproxy "edge-eu", prometheus "main"

runbook "checkout-errors" {
  summary = "Stop the bleeding when one server makes checkout fail",
  owner   = "team-checkout",
  on      = alert { alertname = "CheckoutErrorRateHigh", env = "prod", max_age = "10m" },
  uses    = { edge.drain, prom.query },
  params  = { server = label "server" { one_of = { "eu1", "eu2", "eu3" } } },
  limits  = { at_most = "20/1h", holds = "service:checkout" },

  symptom = symptom {
    ask = prom.query { expr = "job:checkout_errors:ratio" },
    bad = "> 0.05", good = "< 0.01", settle = "2s", hold = "3s", within = "1m",
  },

  run = function(incident, p)
    ladder {
      rung { function()
        return edge.drain { backend = "checkout", server = p.server, lease = "1h",
                            because = "the errors come from " .. p.server }
      end },
      otherwise = function() page("ic", "draining " .. p.server .. " did not help") end,
    }
  end,
}
