-- What may run without asking: taking less than half of the traffic's servers away. The rest asks the IC.

policy {
  auto = "low",
  approve = {
    medium = { role = "ic", expires = "15m" },
    high   = { role = "ic", expires = "15m" },
  },
  rules = {
    rule { name = "a server that carries less than 40% may be drained",
           when = { plugin = "haproxy", action = "drain", effect = "mitigate", max_reach = 0.4 }, risk = "low" },
    rule { name = "more than that is a decision",
           when = { plugin = "haproxy", effect = "mitigate" }, risk = "high" },
  },
}
