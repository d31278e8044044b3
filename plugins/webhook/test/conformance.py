"""The webhook plugin passes the conformance suite."""
import json

from conformance_suite import Conformance, tls_files  # noqa: F401

SECRET = "a-secret-that-signs-webhooks"


class TestWebhook(Conformance):
    plugin = "webhook"
    secrets = {"secret": SECRET, "token": "t0ken-of-the-gateway"}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x"}, "no URL")]
    notice = ("send", {"event": "asked", "key": "A-1", "summary": "drain s1?"})
    ca_setting = "ca_file"

    def answer(self, server, request):
        if request.headers.get("authorization") != "Bearer t0ken-of-the-gateway":
            return 401, {}, {}
        server.effects.append(json.loads(request.body)["key"])
        return 204, {}, b""
