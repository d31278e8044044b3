-- A feature whose flag is on makes checkout fail, in production.

local function flags(facts)
  return function()
    local errors = 0.2
    return {
      ["main.query"] = function() return errors end,
      ["prod.kill"]  = {
        plan  = function(call) return { targets = { "unleash:prod/default/production/" .. call.args.flag } } end,
        apply = function(call) if call.args.flag == facts.cause then errors = 0.001 end end,
        undo  = function() errors = 0.2 end,
      },
    }
  end
end

local function fires(flag) return { alertname = "CheckoutFeatureFails", env = "prod", flag = flag, lasts = "30m" } end

test "the flag is turned off, and nobody is asked" {
  alerts = { fires "checkout-fast-pay" },
  world  = flags { cause = "checkout-fast-pay" },
  expect = { outcome = "succeeded", checks = { "bad", "good" }, actions = { { "prod.kill", flag = "checkout-fast-pay" } }, asks = 0, in_force = { "prod.kill" } },
}

test "a flag that was not the cause is on again when the incident commander says so, who is paged" {
  alerts = { fires "checkout-new-cart" },
  people = { ada = { roles = { "ic" }, answers = "approve", after = "2m" } },
  world  = flags { cause = "checkout-fast-pay" },
  expect = { actions = { "prod.kill", "undo prod.kill" }, in_force = {}, notes = { "rung 1 had no effect: the symptom is bad" },
             pages = { "ic: turning checkout-new-cart off did not help" } },
}

test "a flag that is not of checkout starts nothing" {
  alerts = { fires "billing-new-tax" },
  world  = flags { cause = "billing-new-tax" },
  expect = { outcome = "held", actions = {} },
}

test "errors that are over already are left alone" {
  alerts = { fires "checkout-fast-pay" },
  world  = { ["main.query"] = 0.002 },
  expect = { outcome = "succeeded", actions = {}, notes = { "nothing to do" } },
}

test "another environment starts nothing" {
  alerts = { { alertname = "CheckoutFeatureFails", env = "staging", flag = "checkout-fast-pay" } },
  world  = {},
  expect = { outcome = "none", actions = {} },
}
