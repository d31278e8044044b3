-- A Deployment whose newest revision makes checkout fail, and an autoscaler that would chase the load.

local function cluster(facts)
  return function()
    local errors = 0.2
    return {
      ["main.query"]      = function() return errors end,
      ["prod.deployment"] = { read = function()
        return { rollout = "complete", available = 6, replicas = 6, revisions = { { revision = 7, since = "10:02" }, { revision = 6, since = "08:11" } } }
      end },
      ["prod.freeze_hpa"] = { plan = function(call) return { targets = { "kubernetes:prod/shop/hpa/" .. call.args.hpa } } end },
      ["prod.rollback"]   = {
        plan  = function(call) return { targets = { "kubernetes:prod/shop/deployment/" .. call.args.deployment } } end,
        apply = function() if facts.cause then errors = 0.001 end end,
        undo  = function() errors = 0.2 end,
      },
    }
  end
end

local FIRES = { alertname = "CheckoutErrorsSinceDeploy", env = "prod", lasts = "50m" }

test "the size is held at once, and checkout is rolled back when the incident commander says so" {
  alerts = { FIRES },
  people = { ada = { roles = { "ic" }, answers = "approve", after = "4m" } },
  world  = cluster { cause = true },
  expect = { outcome = "succeeded", checks = { "bad", "good" }, actions = { { "prod.freeze_hpa", hpa = "checkout" }, { "prod.rollback", deployment = "checkout" } },
             asks = { { role = "ic", action = "rollback", outcome = "approved" } },
             notes = { "checkout runs revision 7 since 10:02, rollout complete, 6 of 6 Pods available", "rung 1 helped" },
             in_force = { "prod.freeze_hpa", "prod.rollback" } },
}

test "a revision that was not the cause comes back, and the incident commander is paged" {
  alerts = { FIRES },
  people = { ada = { roles = { "ic" }, answers = "approve", after = "4m" } },
  world  = cluster { cause = false },
  expect = { actions = { "prod.freeze_hpa", "prod.rollback", "undo prod.rollback" }, in_force = { "prod.freeze_hpa" },
             notes = { "rung 1 had no effect: the symptom is bad" }, pages = { "ic: rolling checkout back did not help" } },
}

test "nobody answers: nothing is rolled back" {
  alerts = { FIRES },
  within = "30m",
  world  = cluster { cause = true },
  expect = { actions = { "prod.freeze_hpa" }, asks = { { role = "ic", outcome = "expired" }, { role = "ic", outcome = "pending" } } },
}

test "errors that are over already: the size is held, nothing else" {
  alerts = { FIRES },
  world  = function()
    local made = cluster { cause = true }()
    made["main.query"] = 0.002
    return made
  end,
  expect = { outcome = "succeeded", actions = { "prod.freeze_hpa" }, notes = { "nothing to do" } },
}

test "another environment starts nothing" {
  alerts = { { alertname = "CheckoutErrorsSinceDeploy", env = "staging" } },
  world  = {},
  expect = { outcome = "none", actions = {} },
}
