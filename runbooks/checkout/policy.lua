-- What may run without asking: draining a server that carries less than 40% of the traffic. More is a decision.

policy {
  auto = "low",
  approve = { high = { role = "ic", expires = "15m" } },

  rule { "one of three servers may be drained", action = "haproxy.drain", effect = "mitigate", max_reach = 0.4,
         risk = "low" },
  rule { "more than that is a decision", plugin = "haproxy", effect = "mitigate", risk = "high" },
}
