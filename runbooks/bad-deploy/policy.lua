-- What may run without asking: holding the size of checkout. A rollback asks, one that may lose data the more.

policy {
  auto = "low",
  approve = { medium = { role = "ic", expires = "15m" }, high = { role = "ic", expires = "15m", quorum = 1 } },

  rule { "checkout's autoscaler may be held", action = "kubernetes.freeze_hpa", effect = "mitigate",
         target = "kubernetes:prod/*/hpa/checkout", risk = "low" },
}
