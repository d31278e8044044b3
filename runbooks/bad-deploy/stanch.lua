-- The instances that bad-deploy.lua uses; the runbook repository holds bad-deploy.lua, the policy stays with the operator.

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
    kubernetes "prod" {
      url = "https://kubernetes.default.svc",
      ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
      token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token",
      namespaces = { "shop" },
      actions = { "rollback", "freeze_hpa" },
      environment = "prod",
    },
  },
}
