"""Calendars, through the real ical plugin: change freezes in the policy, and what is said when a feed is away."""
import datetime
import http.server
import os
import threading

import pytest
from books import book, set_to
from harness import BUILD, alert, lua, wait_for

pytestmark = pytest.mark.skipif(not (BUILD / "plugins/ical.so").exists(), reason="built without the ical plugin")
FREEZE = 'policy { auto = "low", rule { "no changes now", during = "freezes", effect = "mitigate", risk = "high" } }'


def stamp(hours):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return at.strftime("%Y%m%dT%H%M%SZ")


def event(uid, begins, ends, summary, *more):
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}@example.org", "DTSTAMP:20261101T000000Z", f"DTSTART:{stamp(begins)}",
                        f"DTEND:{stamp(ends)}", f"SUMMARY:{summary}", *more, "END:VEVENT"])


def calendar(*events):
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//Tests//EN", *events, "END:VCALENDAR", ""])


def start(world, text, **more):
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    world.write("calendars/freezes.ics", text)
    freezes = lua({"file": world.dir / "calendars/freezes.ics", "timezone": "UTC"})
    return world.daemon(policy=FREEZE, instances=[f'ical "freezes" {freezes}'], **more).start()


def calendars(daemon):
    return {c["name"]: c for c in daemon.get("/v1/status").get("calendars", [])}


def read(daemon, name="freezes"):
    return wait_for(lambda: (c := calendars(daemon).get(name)) and c["state"] == "read" and c, f"{name} to be read")


def fire(daemon, nth="1"):
    return daemon.post_alert(alert("shift", nth=nth))["events"][0]["runs"][0]


def test_in_a_freeze_it_asks_and_says_why(world):
    daemon = start(world, calendar(event("a", -1, 5, "Year-end freeze")))
    assert read(daemon)["now"] == ["Year-end freeze"]
    fire(daemon)
    asked = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]
    assert asked["rules"][0]["name"] == "no changes now" and "no changes now" in asked["why"]
    assert not daemon.get("/v1/mitigations")["items"]
    told = daemon.cli("policy", "explain", "fx.set_convergent").stdout
    assert "asks" in told and "decides" in told
    assert "Year-end freeze" in daemon.cli("status").stdout


def test_outside_of_a_freeze_it_acts(world):
    daemon = start(world, calendar(event("a", 5, 9, "Later"), event("b", -9, -5, "Earlier")))
    assert read(daemon)["now"] == []
    run = fire(daemon)
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the run")
    assert "nothing is under way in the calendar" in daemon.cli("policy", "explain", "fx.set_convergent").stdout


def test_a_calendar_that_was_never_read_may_hold_a_freeze(world):
    daemon = start(world, "this is no calendar\n")
    wait_for(lambda: calendars(daemon).get("freezes", {}).get("state") == "away", "it to be said")
    fire(daemon)
    asked = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]
    assert asked["rules"][0]["name"] == "no changes now"
    away = [e for e in daemon.timeline("-") if e["kind"] == "calendar.away"]
    assert len(away) == 1 and away[0]["data"]["why"]


class Feed(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/calendar")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_the_last_good_copy_outlives_the_feed_and_the_daemon(world):
    feed = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Feed)
    feed.text = calendar(event("a", -1, 30, "Long freeze"))
    threading.Thread(target=feed.serve_forever, daemon=True).start()
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    instance = f'ical "freezes" {lua({"url": f"http://127.0.0.1:{feed.server_port}"})}'
    daemon = world.daemon(policy=FREEZE, instances=[instance]).start()
    assert read(daemon)["now"] == ["Long freeze"]
    daemon.kill9()
    feed.shutdown()
    feed.server_close()
    daemon.start()
    away = wait_for(lambda: (c := calendars(daemon).get("freezes")) and c["state"] == "away" and c, "it to be said")
    assert away["now"] == ["Long freeze"] and away["read_ms"]
    fire(daemon)
    wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")
    assert daemon.api("GET", "/readyz").status == 200  # an outage of a calendar is no outage of stanch


def test_who_may_look_sees_no_address_of_a_feed(world):
    """The address of a feed is its key."""
    world.write("secrets/path", "/private/CANARY1234/feed\n", 0o600)
    instance = f'ical "freezes" {{ url = "http://127.0.0.1:1", secret_path = secret.file {lua(world.dir / "secrets/path")} }}'
    world.repo.commit({"shift.lua": book(set_to(7))})
    daemon = world.daemon(policy=FREEZE, instances=[instance]).start()
    wait_for(lambda: calendars(daemon).get("freezes", {}).get("state") == "away", "it to be said")
    shown = daemon.log() + str(daemon.timeline("-")) + str(daemon.get("/v1/status")) + str(os.listdir(world.dir))
    assert "CANARY" not in shown


def test_the_calendar_of_a_role_says_who_is_ic(world):
    """As vendors name people: by attendee, by name, in the summary alone; and when it says nothing, the people file does."""
    others = [event("other", 30, 40, "Later", "ATTENDEE:mailto:grace@example.org")]
    seen = {}
    for name, shift in {
            "attendee": event("a", -1, 5, "Primary", "ATTENDEE;CN=Somebody:mailto:Barbara@example.org"),
            "summary": event("a", -1, 5, "Rotation L1: barbara@example.org"),
            "stranger": event("a", -1, 5, "Primary", "ATTENDEE:mailto:stranger@example.org"),
            "nobody": event("a", 5, 9, "Primary", "ATTENDEE:mailto:barbara@example.org")}.items():
        world.write("calendars/roster.ics", calendar(shift, *others))
        world.write("people.lua", """people {
            person "me" { uid = %d, may = "admin" }, person "ada" {}, person "barbara" { email = "barbara@example.org" },
            person "grace" { email = "grace@example.org" },
            roles = { ic = { calendar = "roster", people = { "ada" } } }, pool = { "ada" } }""" % os.getuid())
        world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }', more=f"-- {name}")})
        roster = lua({"file": world.dir / "calendars/roster.ics", "timezone": "UTC"})
        daemon = world.daemon(policy='policy { auto = "low" }', people="people.lua", instances=[f'ical "roster" {roster}']).start()
        read(daemon, "roster")
        incident = daemon.post("/v1/incidents", {"title": name})
        seen[name] = incident["roles"]["ic"]
        daemon.stop()
    assert seen == {"attendee": "person:barbara", "summary": "person:barbara", "stranger": "person:ada", "nobody": "person:ada"}
