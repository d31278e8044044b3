-- A shop of three servers: the one that is broken makes a fifth of checkout fail while it is in the traffic.

local function shop(facts)
  return function()
    local errors, drained = 0.2, false
    return {
      ["main.query"] = function() return errors end,
      ["edge-eu.drain"] = {
        plan  = function(call) return { targets = { "haproxy:edge-eu/checkout/" .. call.args.server }, reach = facts.reach or 0.33 } end,
        apply = function(call) if call.args.server == facts.broken then errors = 0.001 end end,
        undo  = function() errors = 0.2 end,
      },
    }
  end
end

local function fires(server) return { alertname = "CheckoutErrorRateHigh", env = "prod", server = server, lasts = "20m" } end

test "the server that is broken is drained, and nobody is asked" {
  alerts = { fires "eu2" },
  world  = shop { broken = "eu2" },
  expect = { outcome = "succeeded", checks = { "bad", "good" }, actions = { { "edge-eu.drain", backend = "checkout", server = "eu2" } }, asks = 0,
             notes = { "rung 1 helped" }, in_force = { "edge-eu.drain" } },
}

test "when half of the traffic would go, the incident commander decides" {
  alerts = { fires "eu2" },
  people = { ada = { roles = { "ic" }, answers = "approve", after = "3m" } },
  world  = shop { broken = "eu2", reach = 0.5 },
  expect = { outcome = "succeeded", asks = { { role = "ic", action = "drain", outcome = "approved" } },
             actions = { "edge-eu.drain" } },
}

test "what was denied does not happen, and the incident commander is paged" {
  alerts = { fires "eu2" },
  people = { ada = { answers = "deny", after = "1m" } },
  world  = shop { broken = "eu2", reach = 0.5 },
  expect = { actions = {}, pages = { "ic: draining eu2 did not help" }, in_force = {} },
}

test "a server that was not the cause comes back" {
  alerts = { fires "eu1" },
  world  = shop { broken = "eu2" },
  expect = { actions = { { "edge-eu.drain", server = "eu1" }, "undo edge-eu.drain" }, in_force = {},
             notes = { "rung 1 had no effect: the symptom is bad" },
             pages = { "ic: draining eu1 did not help" } },
}

test "errors that are over already are left alone" {
  alerts = { fires "eu2" },
  world  = { ["main.query"] = 0.002 },
  expect = { outcome = "succeeded", actions = {}, notes = { "nothing to do" } },
}

test "between good and bad it acts: the alert fires" {
  alerts = { fires "eu2" },
  world  = function()
    local errors = 0.03
    return { ["main.query"] = function() return errors end,
             ["edge-eu.drain"] = { plan = function() return { reach = 0.33 } end, apply = function() errors = 0.0095 end } }
  end,
  expect = { outcome = "succeeded", actions = { "edge-eu.drain" }, in_force = { "edge-eu.drain" } },
}

test "what is only less bad does not count as help" {
  alerts = { fires "eu2" },
  world  = function()
    local errors = 0.2
    return { ["main.query"] = function() return errors end,
             ["edge-eu.drain"] = { plan = function() return { reach = 0.33 } end, apply = function() errors = 0.03 end } }
  end,
  expect = { actions = { "edge-eu.drain", "undo edge-eu.drain" }, in_force = {} },
}

test "a server that is none of ours starts nothing" {
  alerts = { fires "us1" },
  world  = shop { broken = "us1" },
  expect = { outcome = "held", actions = {} },
}

test "another environment starts nothing" {
  alerts = { { alertname = "CheckoutErrorRateHigh", env = "staging", server = "eu2" } },
  world  = shop { broken = "eu2" },
  expect = { outcome = "none", actions = {} },
}

test "an old alert starts nothing" {
  alerts = { { alertname = "CheckoutErrorRateHigh", env = "prod", server = "eu2", age = "11m" } },
  world  = shop { broken = "eu2" },
  expect = { outcome = "none", actions = {} },
}
