-- The instances that flag-kill.lua uses; the runbook repository holds flag-kill.lua, the policy stays with the operator.

stanch {
  state_dir  = "/var/lib/stanch",
  socket     = "/run/stanch/control.sock",
  listen     = "127.0.0.1:8080",
  plugin_dir = "/usr/lib/stanch",
  runbooks   = { url = "https://git.example/checkout/runbooks.git", branch = "main" },
  policy     = "policy.lua",

  instances = {
    alertmanager "am" { token = secret.file "/etc/stanch/alertmanager.token" },
    prometheus "main" { url = "https://prometheus.example", environment = "prod" },
    unleash "prod" {
      url = "https://unleash.example",
      token = secret.file "/etc/stanch/unleash.token",
      client_token = secret.file "/etc/stanch/unleash-client.token",
      environments = { "production" },
      flags = { "checkout-*" },
      environment = "prod",
    },
  },
}
