-- The instances that rollback.lua uses; the runbook repository holds rollback.lua and its tests, the policy stays with the operator.

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
    gitops "deploy" {
      url = "https://git.example/checkout/deploy.git",
      branch = "main",
      token = secret.file "/etc/stanch/deploy.token",
      environment = "prod",
    },
  },
}
