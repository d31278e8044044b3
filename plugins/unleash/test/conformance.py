"""The unleash plugin passes the conformance suite."""
from conformance_suite import Conformance, tls_files  # noqa: F401

ADMIN, CLIENT = "*:*.an-admin-secret", "default:production.a-client-secret"


class TestUnleash(Conformance):
    plugin = "unleash"
    secrets = {"token": ADMIN, "client_token": CLIENT}
    ca_setting = "ca"
    bad_settings = [({"environments": ["production"]}, "settings.url: missing"),
                    ({"url": "http://127.0.0.1:1"}, "settings.environments: missing"),
                    ({"url": "ftp://x", "environments": ["production"]}, "no URL"),
                    ({"url": "http://127.0.0.1:1", "environments": ["a/b"]}, "environments")]
    bad_args = [("plan", "kill", {"flag": "pay", "environment": "development"}),
                ("read", "state", {"flag": "pay", "project": "other"}), ("plan", "enable", {"flag": "search"})]
    read = ("state", {"flag": "pay"})
    change = ("kill", {"flag": "pay"})

    def settings(self, url):
        return {"url": url, "environments": ["production"], "flags": ["pay*"]}

    def answer(self, server, request):
        enabled = server.state.get("pay", True)
        is_client = request.path.startswith("/api/client/")
        if request.headers.get("authorization") != (CLIENT if is_client else ADMIN):
            return 401, {}, {}
        if is_client:
            return 200, {}, {"query": {"environment": "production"}, "features": [{"name": "pay", "enabled": enabled}]}
        if request.method == "POST":
            server.state["pay"] = request.path.endswith("/on")
            server.effects.append(("pay", server.state["pay"]))
            return 200, {}, {}
        return 200, {}, {"children": [], "environments": [
            {"name": "production", "enabled": enabled,
             "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "100"}}]}]}
