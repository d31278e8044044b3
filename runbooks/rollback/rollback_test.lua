-- A deploy repository whose newest commit makes checkout fail.

local function repository(facts)
  return function()
    local errors = 0.2
    return {
      ["main.query"]    = function() return errors end,
      ["deploy.head"]   = { read = function() return { commit = "4f2a91c07d3e8b6a5f10", subject = "checkout 2.14.0" } end },
      ["deploy.freeze"] = { plan = function() return { targets = { "gitops:deploy/main" } } end },
      ["deploy.revert"] = {
        plan  = function() return { targets = { "gitops:deploy/main" } } end,
        apply = function() if facts.cause then errors = 0.001 end end,
        undo  = function() errors = 0.2 end,
      },
    }
  end
end

local FIRES = { alertname = "CheckoutErrorsSinceDeploy", env = "prod", lasts = "40m" }
local ADA = { roles = { "ic" }, answers = "approve", after = "2m" }

test "deploys are frozen at once, and the newest one is taken back when the incident commander says so" {
  alerts = { FIRES },
  people = { ada = ADA },
  world  = repository { cause = true },
  expect = { outcome = "succeeded", checks = { "bad", "good" }, actions = { "deploy.freeze", { "deploy.revert", path = "checkout" } },
             asks = { { role = "ic", action = "revert", outcome = "approved" } },
             notes = { "the newest commit is 4f2a91c07d3e: checkout 2.14.0", "rung 1 helped" },
             in_force = { "deploy.freeze", "deploy.revert" } },
}

test "a deploy that was not the cause comes back, deploys stay frozen, and the incident commander is paged" {
  alerts = { FIRES },
  people = { ada = ADA },
  world  = repository { cause = false },
  expect = { actions = { "deploy.freeze", "deploy.revert", "undo deploy.revert" }, in_force = { "deploy.freeze" },
             notes = { "rung 1 had no effect: the symptom is bad" }, pages = { "ic: taking the deploy back did not help" } },
}

test "what is denied is not done, but nobody deploys over it" {
  alerts = { FIRES },
  people = { ada = { answers = "deny", after = "1m" } },
  world  = repository { cause = true },
  expect = { actions = { "deploy.freeze" }, in_force = { "deploy.freeze" }, pages = { "ic: taking the deploy back did not help" } },
}

test "errors that are over already: only the freeze" {
  alerts = { FIRES },
  world  = { ["main.query"] = 0.002, ["deploy.head"] = { read = function() return { commit = "4f2a91c07d3e8b6a5f10", subject = "x" } end } },
  expect = { outcome = "succeeded", actions = { "deploy.freeze" }, notes = { "nothing to do" } },
}

test "another environment starts nothing" {
  alerts = { { alertname = "CheckoutErrorsSinceDeploy", env = "staging" } },
  world  = {},
  expect = { outcome = "none", actions = {} },
}
