-- Golden history: every word of a run that asks something of the world, one after the other.
local edge, prom = haproxy "edge-eu", prometheus "main"

runbook "words" {
  summary = "Every word once", owner = "team-test", on = alert { alertname = "A" }, uses = { edge.drain, edge.show, prom.query },
  symptom = symptom { ask = prom.query { expr = "e" }, bad = "> 5", good = "< 1" },
  run = function(incident, p)
    note("%s %s on %s", incident.id, incident.severity, p.server)
    decide("begin")
    local began = now()
    local how, value = check()
    local drained = edge.drain { backend = "b", server = p.server, because = "it fails", lease = "1h", retry = 2 }
    local settled = verify()
    local shown = edge.show {}
    local held = wait_for { ask = prom.query, args = { expr = "up" }, becomes = "< 1", every = "5s", within = "1m" }
    local said = ask { role = "ic", text = "go on?", choices = { "yes", "no" }, within = "5m" }
    local change = recent_changes { service = "s", within = "45m" }:newest()
    sleep "15s"
    undo(drained, "enough")
    page("ic", "done")
    note("%s %s %s %s %s", how, tostring(value), settled, tostring(said), tostring(held))
    return { took = now() - began, lucky = math.random(1000), change = change, shown = shown }
  end,
}
