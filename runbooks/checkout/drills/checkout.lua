-- Two bad mornings of checkout, played in this folder's parent with
--   stanch drill run "checkout, and the server that was not it" --config stanch.lua
-- The alert names a server. The first time it is the right one. The second time draining it does not help: the runbook takes it
-- back and calls the IC, who finds the cause by hand. Try it with `good.approval` or an `away_until` of your own.

drill "checkout, and the server that was not it" {
  summary    = "One server fails; then one is blamed that is not it, and carries too much to be drained without asking",
  owner      = "team-checkout",
  objectives = { "what may run without asking does not wait for anybody",
                 "what does not help is taken back, and the IC hears of it" },
  begins     = "2026-03-03T09:00:00Z",
  within     = "3h",

  alerts = {
    { at = "0s", lasts = "6m", alertname = "CheckoutErrorRateHigh", env = "prod", server = "eu1" },
    { at = "1h", lasts = "40m", alertname = "CheckoutErrorRateHigh", env = "prod", server = "eu2" },
  },

  people = {
    ada = { answers = "approve", after = "2m", acknowledges = "3m", resolves = "5m", right = "approve" },
    bob = { answers = "approve", after = "10m", away_until = "30m" },
  },

  world = function()
    local errors, drained = { eu1 = 0.2, eu2 = 0 }, {}
    return {
      ["main.query"] = function(call)
        if call.at_ms > 55 * 60000 then return call.at_ms > 95 * 60000 and 0.001 or 0.3 end -- the second time: the database
        return drained.eu1 and 0.001 or errors.eu1
      end,
      ["edge-eu.drain"] = {
        plan  = function(call) return { reach = call.args.server == "eu2" and 0.6 or 0.3 } end,
        apply = function(call) drained[call.args.server] = true end,
        undo  = function(call) drained[call.args.server] = nil end,
      },
    }
  end,

  good = {
    detect = "1m", acknowledge = "5m", first_mitigation = "5m", resolve = "1h", approval = "5m",
    outcome = "succeeded", in_force = { "edge-eu.drain" },
    wrong_decisions = 0, late_decisions = 0, expired = 0, failed_steps = 0, unmatched = 0, pages = 1,
  },
}
