-- Golden history: branches side by side, errors that are caught, and a table whose order nobody may see.
local edge, prom = haproxy "edge-eu", prometheus "main"

local function drain(backend)
  return function() return edge.drain { backend = backend, because = "because of " .. backend } end
end

runbook "branches" {
  summary = "parallel, pcall, pairs", owner = "team-test", on = alert { alertname = "A" }, uses = { edge.drain, prom.query },
  symptom = symptom { ask = prom.query { expr = "e" }, bad = "> 5", good = "< 1" },
  run = function(incident, p)
    local seen = {}
    parallel {
      function() for i = 1, 3 do seen["at " .. now()] = i end end,
      function()
        local ok, e = pcall(drain "x")
        seen.x = ok and "done" or e.kind
        sleep "1s"
        pcall(drain "y")
      end,
      function() parallel { function() note "inner" end, function() seen.inner = now() end } end,
    }
    for k, v in pairs(seen) do note("%s = %s", k, tostring(v)) end
    local names = {}
    for i = 1, 20 do names["name" .. i * 7919 % 101] = i end
    for k, v in pairs(names) do note("%s %d", k, v) end
    note("%s %s", tostring({}), tostring(drain))
    return math.random(100)
  end,
}
