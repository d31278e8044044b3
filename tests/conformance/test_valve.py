"""A plugin that was written from the SDK's README for an invented API passes the conformance suite; and its notice."""
import json

import pytest

from conformance_suite import Conformance, tls_files  # noqa: F401

KEY = "t0p-s3cret-of-the-works"


class TestValve(Conformance):
    plugin = "valve"
    secrets = {"key": KEY}
    bad_settings = [({}, "settings.url: missing"), ({"url": "http://x", "valves": list("abcdefghij")}, "nine at most")]
    bad_args = [("plan", "turn", {"valve": "other", "percent": 1})]
    read = ("list", {})
    change = ("turn", {"valve": "main", "percent": 10})

    def settings(self, url):
        return {"url": url, "valves": ["main"]}

    def answer(self, server, request):
        path, _, query = request.path.partition("?")
        if request.headers.get("x-key") != KEY:
            return 401, {}, {}
        if path == "/valves":
            return 200, {}, {"items": [{"id": "back"}]} if query else {"items": [{"id": "main"}], "next": "2"}
        if request.method in ("PUT", "POST"):
            server.effects.append((path, json.loads(request.body)))
        if request.method == "PUT":
            server.state[path] = json.loads(request.body)["percent"]
        return 200, {}, {"percent": server.state.get(path, 50)}

    def test_every_page_is_read(self, host, server):
        assert self.done(host, "read", "list", {}) == [{"id": "main"}, {"id": "back"}]

    def test_reconcile(self, host, server):
        plan = self.done(host, "plan", *self.change)
        for percent, state in ((50, "not-done"), (10, "done"), (33, "cannot-tell")):
            server.state["/valves/main"] = percent
            assert self.done(host, "reconcile", *self.change, plan, op="apply") == {"state": state}

    def test_a_notice_is_sent_once(self, host, server):
        self.done(host, "read", "horn", {"text": "up"}, key="key-1")
        assert server.effects == [("/horn", {"text": "up"})]

    @pytest.mark.parametrize("fault,outcome", [("lost", "unknown"), ("hangup", "unknown"), ("cut", "unknown"),
                                               (500, "unknown"), (503, "failed"), (403, "failed")])
    def test_a_notice_whose_answer_is_lost_is_unknown(self, host, server, fault, outcome):
        """It would be sounded twice otherwise."""
        server.fault = fault
        assert self.ask(host, "read", "horn", {"text": "up"}, key="key-1")["outcome"] == outcome
        assert len(server.seen) == 1
