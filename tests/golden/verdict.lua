-- Golden history: what a verify says of what was done, to the runbook, and in the words of a ladder.
local edge, prom = haproxy "edge-eu", prometheus "main"

runbook "verdict" {
  summary = "Verdicts", owner = "team-test", on = alert { alertname = "A" }, uses = { edge.drain, prom.query },
  symptom = symptom { ask = prom.query { expr = "e" }, bad = "> 5", good = "< 1" },
  run = function(incident, p)
    local function drain(backend)
      return function() return edge.drain { backend = backend, because = "rung " .. backend } end
    end
    for i = 1, 3 do
      local told = table.pack(verify())
      note("%d: %s %s %s", told.n, told[1], told[2], told[3])
    end
    local climbed = ladder {
      rung { drain "a" },
      rung { name = "the other one", drain "b" },
      rung { function() return parallel { drain "c", drain "d" } end },
      rung { drain "e" },
    }
    note("%s after %s", climbed.verdict, climbed.result)
    return climbed
  end,
}
