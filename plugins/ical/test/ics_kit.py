"""ics_kit.py: feeds for tests, written as RFC 5545 and the documentation of those who publish rosters have them."""
from datetime import datetime, timezone

from plugin_host import Host


def event(*lines, uid="e1@example.com"):
    return ["BEGIN:VEVENT", *([f"UID:{uid}"] if uid else []), "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"]


def feed(*parts):
    """Each part is a line, or a list of lines."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//stanch tests//EN"]
    for part in parts:
        lines += [part] if isinstance(part, str) else part
    return ("\r\n".join([*lines, "END:VCALENDAR"]) + "\r\n").encode()


def ms(text):
    """2026-01-02T03:04[:05] in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


def text(at_ms):
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M")


class Feed:
    """A host whose feed is a file."""

    def __init__(self, tmp_path, content, **settings):
        self.path = tmp_path / "feed.ics"
        self.path.write_bytes(content)
        self.host = Host("ical", {"file": str(self.path), **settings})

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.host.__exit__(*rest)

    def ask(self, action, **args):
        return self.host.call("read", action, {"args": args}, deadline_ms=30000)

    def windows(self, start, end, **args):
        answer = self.ask("windows", **{"from": ms(start), "to": ms(end), **args})
        assert answer["outcome"] == "done", answer
        return answer["value"]

    def spans(self, start, end):
        """[(from, to)] of all windows, in UTC."""
        return [(text(one["from_ms"]), text(one["to_ms"])) for one in self.windows(start, end, limit=2000)["windows"]]

    def starts(self, start, end):
        return [one[0] for one in self.spans(start, end)]

    def error(self, start="2026-01-01", end="2027-01-01"):
        answer = self.ask("windows", **{"from": ms(start), "to": ms(end)})
        assert answer["outcome"] == "failed", answer
        return answer["error"]
