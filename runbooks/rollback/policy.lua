-- What may run without asking: freezing deploys. Taking one back is a decision.

policy {
  auto = "low",
  approve = { medium = { role = "ic", expires = "15m" }, high = { role = "ic", expires = "15m" } },

  rule { "deploys may be frozen", action = "gitops.freeze", effect = "mitigate", risk = "low" },
  rule { "a deploy that is taken back is a decision", action = "gitops.revert", effect = "mitigate", risk = "high" },
}
