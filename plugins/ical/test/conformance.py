"""The ical plugin passes the conformance suite."""
from conformance_suite import Conformance, tls_files  # noqa: F401
from ics_kit import event, feed

FEED = feed(event("DTSTART:20260102T090000Z", "DURATION:PT1H", "SUMMARY:Primary"))


class TestIcal(Conformance):
    plugin = "ical"
    secrets = {"secret_path": "/private/a-t0ken-of-the-feed/feed/P1", "token": "t0ken-of-the-server"}
    ca_setting = "ca_file"
    bad_settings = [({}, "neither url nor file"), ({"url": "ftp://x"}, "no URL"),
                    ({"url": "http://127.0.0.1:1", "file": "/tmp/x.ics"}, "one feed was expected"),
                    ({"file": "/tmp/x.ics"}, "belong to url"), ({"url": "http://127.0.0.1:1", "user": "me"}, "password"),
                    ({"url": "http://127.0.0.1:1", "timezone": "Mars/Base"}, "no time zone"),
                    ({"url": "http://127.0.0.1:1", "max_bytes": 5}, "settings.max_bytes")]
    bad_args = [("read", "windows", {"from": "yesterday", "to": 5}), ("read", "windows", {"from": 5, "to": 5}),
                ("read", "now", {"at": -1})]
    read = ("windows", {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"})

    def answer(self, server, request):
        if request.headers.get("authorization") != "Bearer t0ken-of-the-server":
            return 401, {}, {}
        if request.path != "/private/a-t0ken-of-the-feed/feed/P1":
            return 404, {}, f"there is no {request.path}".encode()
        return 200, {"Content-Type": "text/calendar"}, FEED
