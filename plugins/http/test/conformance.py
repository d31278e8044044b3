"""The http plugin passes the conformance suite: a value that is read, changed with If-Match and put back; and a request
with an idempotency key."""
import os
import sys

from conformance_suite import Conformance, tls_files  # noqa: F401

sys.path.insert(0, os.path.dirname(__file__))
from pools import ACTIONS, TOKEN, pools  # noqa: E402


class TestPause(Conformance):
    plugin = "http"
    secrets = {"token": TOKEN}
    ca_setting = "ca_file"
    bad_settings = [({"url": None}, "settings.url"), ({"url": "ftp://x"}, "no URL"), ({"user": "me"}, "password"),
                    ({"actions": {"a": {}}}, "actions.a.summary: missing")]
    bad_args = [("read", "look", {"region": bad}) for bad in ("..", ".", "a/b", "a\\b", "a\nb")] + [
        ("plan", "pause", {"region": "../eu"})]
    read = ("look", {"region": "eu"})
    change = ("pause", {"region": "eu"})

    def settings(self, url):
        return {"url": url + "/v1", "actions": ACTIONS}

    def answer(self, server, request):
        return pools(server, request)

    def test_bad_settings(self, server):
        whole = [({**self.settings(server.url), **settings}, text) for settings, text in self.bad_settings]
        self.bad_settings = [({k: v for k, v in settings.items() if v is not None}, text) for settings, text in whole]
        super().test_bad_settings(server)


class TestPurge(TestPause):
    read = None
    change = ("purge", {"service": "web", "depth": 3})
    bad_args = [("plan", "purge", {"service": "web"})]

    def any_call(self):
        return ("read", *TestPause.read)  # a plan of it sends nothing
