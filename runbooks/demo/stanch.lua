-- The demo's configuration; town.py fills in what stands between two at signs.

stanch {
  state_dir  = "@RUN@/state",
  socket     = "@RUN@/control.sock",
  listen     = "127.0.0.1:@STANCH_PORT@",
  plugin_dir = "@BUILD@/plugins",
  runbooks   = { url = "@RUN@/runbooks.git", branch = "main", poll = "2s" },
  policy     = "policy.lua",
  incidents  = { correlate = { "alertname", "server" } },

  instances = {
    alertmanager "alertmanager" { token = secret.file "@RUN@/alertmanager.token" },
    prometheus "main" { url = "http://127.0.0.1:@PROMETHEUS_PORT@", environment = "prod" },
    haproxy "edge-eu" { socket = "unix:@RUN@/haproxy.sock", backends = { "checkout" }, environment = "prod" },
  },
}
