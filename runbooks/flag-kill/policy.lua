-- What may run without asking: turning off a flag of checkout in production. Turning one on is for people.

policy {
  auto = "low",
  approve = { medium = { role = "ic", expires = "15m" }, high = { role = "ic", expires = "15m", quorum = 1 } },

  rule { "flags of checkout may be killed", action = "unleash.kill", effect = "mitigate",
         target = "unleash:prod/default/production/checkout-*", risk = "low" },
  rule { "nothing is turned on by a run alone", action = "unleash.enable", effect = "mitigate", risk = "high" },
}
