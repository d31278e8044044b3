-- Golden history: a ladder whose rungs fail, help nothing and are taken back, with a module and a clean-up.
local edge, prom = haproxy "edge-eu", prometheus "main"

runbook "ladder" {
  summary = "A ladder", owner = "team-test", on = alert { alertname = "A" }, uses = { edge.drain, prom.query },
  symptom = symptom { ask = prom.query { expr = "e" }, bad = "> 5", good = "< 1" },
  run = function(incident, p)
    local function drain(backend)
      return function() return edge.drain { backend = backend, because = "rung " .. backend } end
    end
    local climbed = ladder {
      rung { name = "no reason to", when = false, drain "never" },
      rung { drain "a" },
      rung { function() error "this rung breaks" end },
      rung { function() return parallel { drain "b", drain "c" } end },
      rung { drain "d" },
      otherwise = function() page("ic", "nothing helped") end,
    }
    return climbed
  end,
  on_failure = function(incident, e) note("failed: %s", tostring(e.kind)) end,
}
