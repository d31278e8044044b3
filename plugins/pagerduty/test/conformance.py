"""The pagerduty plugin passes the conformance suite."""
import json

from conformance_suite import Conformance, tls_files  # noqa: F401

KEY = "r0uting-key-of-the-on-call-0123"


class TestPagerDuty(Conformance):
    plugin = "pagerduty"
    secrets = {"routing_key": KEY}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x"}, "no URL"),
                    ({"url": "http://127.0.0.1:1", "client_url": "x"}, "settings.client_url")]
    notice = ("trigger", {"summary": "errors", "key": "A-1"})
    ca_setting = "ca_file"

    def answer(self, server, request):
        event = json.loads(request.body)
        if event["routing_key"] != KEY:
            return 400, {}, {"status": "invalid event", "message": "Event object is invalid", "errors": ["key"]}
        server.effects.append(event["dedup_key"])
        return 202, {}, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
