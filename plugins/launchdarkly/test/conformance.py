"""The launchdarkly plugin passes the conformance suite."""
import json

from conformance_suite import Conformance, tls_files  # noqa: F401

TOKEN = "api-a-launchdarkly-secret"


class TestLaunchDarkly(Conformance):
    plugin = "launchdarkly"
    secrets = {"token": TOKEN}
    bad_settings = [({"projects": ["shop"], "environments": ["production"]}, "settings.url: missing"),
                    ({"url": "http://127.0.0.1:1", "environments": ["production"]}, "settings.projects: missing"),
                    ({"url": "ftp://x", "projects": ["shop"], "environments": ["production"]}, "no URL")]
    bad_args = [("plan", "kill", {"flag": "pay", "environment": "test"}), ("read", "state", {"flag": "pay", "project": "x"}),
                ("plan", "enable", {"flag": "search"})]
    read = ("state", {"flag": "pay"})
    change = ("kill", {"flag": "pay"})

    def settings(self, url):
        return {"url": url, "projects": ["shop"], "environments": ["production"], "flags": ["pay*"]}

    def is_change(self, request):
        return request.method == "PATCH" and "dryRun" not in request.path

    def answer(self, server, request):
        if request.headers.get("authorization") != TOKEN:
            return 401, {}, {}
        on = server.state.get("pay", True)
        if request.method == "PATCH":
            on = json.loads(request.body)["instructions"][0]["kind"] == "turnFlagOn"
            if self.is_change(request):
                server.state["pay"] = on
                server.effects.append(("pay", on))
        return 200, {}, {"key": "pay", "archived": False, "variations": [{"value": True}, {"value": False}], "environments": {
            "production": {"on": on, "version": 1, "offVariation": 1, "fallthrough": {"variation": 0}}}}
