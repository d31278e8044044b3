"""ical through the daemon: a runbook reads a freeze and a roster, and says what it found."""
import json
import os
import re
import time

from books import AUTO
from harness import alert, default_config, wait_for, world  # noqa: F401 - world is a fixture
from ics_kit import event, feed

README = os.path.join(os.path.dirname(__file__), "../README.md")
BOOK = '''
local freezes, roster = ical "freezes", ical "on-call"
runbook "ask-calendars" {
  summary = "who is on call, and may we deploy", owner = "team", uses = { freezes.now, roster.now, roster.windows },
  on = alert { alertname = "Ask" },
  run = function()
    note("freeze: " .. freezes.now {}.windows[1].summary)
    local shift = roster.now {}.windows[1]
    note("on call: " .. shift.people[1])
    note("same: " .. roster.windows { from = shift.from_ms, to = shift.to_ms }.windows[1].uid)
    local ok, err = pcall(roster.windows, { from = "soon", to = 5 })
    note("kind: " .. tostring(ok or err.kind))
  end,
}
'''


def end_of_run(daemon):
    run = wait_for(lambda: next((r for r in daemon.get("/v1/runs")["items"] if r["state"] in ("succeeded", "failed")), None),
                   "the run's end")
    notes = [e["data"]["text"] for e in daemon.timeline(run["incident"]) if e["kind"] == "step.noted"]
    return run["state"], notes


def test_a_runbook_asks_calendars(world, tmp_path):  # noqa: F811
    today = time.strftime("%Y%m%d", time.gmtime(time.time() - 86400))
    (tmp_path / "freeze.ics").write_bytes(feed(event(f"DTSTART;VALUE=DATE:{today}", "DURATION:P3D", "SUMMARY:year end")))
    (tmp_path / "roster.ics").write_bytes(feed(event(f"DTSTART:{today}T000000Z", "DURATION:P7D", "RRULE:FREQ=WEEKLY",
                                                     "ATTENDEE:mailto:jane@example.com")))
    instances = [f'ical "freezes" {{ environment = "test", file = "{tmp_path}/freeze.ics" }}',
                 f'ical "on-call" {{ environment = "test", file = "{tmp_path}/roster.ics" }}']
    world.repo.commit({"ask.lua": BOOK})
    daemon = world.daemon(default_config(world, policy=AUTO, instances=instances)).start()
    daemon.post_alert(alert("Ask"))
    assert end_of_run(daemon) == ("succeeded", ["freeze: year end", "on call: jane@example.com", "same: e1@example.com",
                                                "kind: invalid"])
    told = json.loads(daemon.cli("plugin", "check", "on-call", "--json").stdout)
    assert "1 under way" in str(told) and "False" not in str(told), told


def test_what_the_readme_shows_works(world, tmp_path):  # noqa: F811
    with open(README) as file:
        text = file.read()
    instances, runbook = re.findall(r"```lua\n(.*?)```", text, re.S)
    (tmp_path / "path").write_text("/private/a-t0ken/feed/P1\n")
    (tmp_path / "path").chmod(0o600)
    (tmp_path / "freezes.ics").write_bytes(feed(event("DTSTART:20200101T000000Z", "DURATION:P1D", "RRULE:FREQ=DAILY",
                                                      "SUMMARY:always")))
    instances = (instances.replace("/etc/stanch/roster.path", str(tmp_path / "path"))
                 .replace("/etc/stanch/calendars/freezes.ics", str(tmp_path / "freezes.ics")))
    body = runbook.split("-- inside of run:\n")
    book = (body[0].split("uses")[0] + 'runbook "shown" { summary = "s", owner = "t", on = alert { alertname = "Ask" }, ' +
            "uses = { freezes.now }, run = function()\n" + body[1] + "end }\n")
    world.repo.commit({"shown.lua": book})
    daemon = world.daemon(default_config(world, policy=AUTO, instances=[instances])).start()
    daemon.post_alert(alert("Ask"))
    assert end_of_run(daemon) == ("succeeded", ["there is a freeze: always"])
