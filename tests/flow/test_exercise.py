"""Drills with people: the daemon plays a scenario in a world that is made up, at up to sixty times the speed of a clock, and real people
answer real questions, over its own socket. A scripted person is one who uses the command line."""
import getpass
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from books import ASK, book, set_to
from harness import STANCH, Answer, UnixConnection, alert, children_of, wait_for
from test_paging import Pager, paging

OUTAGE = '''drill "outage" {
  summary = "s1 fails, and somebody has to say yes", owner = "team-test", kind = "exercise", within = "2h",
  objectives = { "whoever is asked answers" },
  alerts = { { alertname = "TestAlert", at = "30s", lasts = "10m", annotations = { summary = "s1 is bad" } } },
  people = { ada = { answers = "approve", after = "1m", resolves = "1m" } },
  world = function()
    local errors = 9
    return {
      ["fx.get"] = function() return errors end,
      ["fx.set_convergent"] = { apply = function() errors = 0 end, undo = function() errors = 9 end },
    }
  end,
  right = { ["fx.set_convergent"] = "%s" },
  good = { detect = "1m", first_mitigation = "30m", resolve = "1h", approval = "30m", outcome = "succeeded", in_force = { "fx.set_convergent" },
           wrong_decisions = 0, late_decisions = 0, expired = 0, failed_steps = 0 },
}
'''


def house(world, drill=OUTAGE % "approve", **settings):
    world.repo.commit({"heal.lua": book(set_to(7) + "\n    verify()"), "drills/outage.lua": drill})
    return world.daemon(**{"policy": ASK, **settings}).start()


def begin(daemon, name="outage", **more):
    return daemon.post("/v1/drills", {"name": name, "speed": 60, **more})


def in_drill(daemon, *args, **more):
    return daemon.cli("--drill", *args, **more)


def ask_drill(daemon, method, path, body=None):
    connection = UnixConnection(daemon.socket.with_name("drill.sock"), 30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def items(daemon, path):
    return ask_drill(daemon, "GET", path).json["items"]


def pending(daemon):
    return wait_for(lambda: items(daemon, "/v1/approvals"), "a question in the drill")[0]


def is_over(daemon, drill):
    return wait_for(lambda: (d := daemon.get(f"/v1/drills/{drill['id']}"))["state"] == "ended" and d, "the drill's end")


def process_of(daemon):
    """The drill's process."""
    found = [pid for pid, words in children_of(daemon.process.pid).items() if "rehearse live" in words]
    return found[0] if found else None


DIED, GONE = "its process ended (137) before", "the daemon that played it ended while it went on"


def kill(daemon, who):
    """SIGKILL. Afterwards there is a daemon."""
    pid = process_of(daemon)
    if who != "its process":
        os.kill(daemon.process.pid, signal.SIGSTOP)  # it cannot see what becomes of the other one
    if who != "the daemon":
        os.kill(pid, signal.SIGKILL)
    if who != "its process":
        daemon.kill9().start()


def report_of_killed(daemon, ended):
    """What came of it until then, kept once."""
    report = daemon.get("/v1/drills/D-1/report")
    assert (report["ended"], report["result"]) == (ended["why"], ended["result"])
    assert report["waits"][0]["outcome"] == "pending" and report["runs"][0]["state"] in ("asking", "parked")
    assert report["waits"][0]["waited_ms"] <= report["lasted_ms"] > 0
    assert ended["met"] < ended["of"] and len(list(Path(daemon.world.dir, "state/drills/kept").glob("outage-*.json"))) == 1
    return report


def below(pid):
    for child, words in children_of(pid).items():
        yield words
        yield from below(child)


def of_drills(daemon):
    return [e for e in daemon.get("/v1/drills?open=all")["items"]]


def play(daemon):
    """As somebody would who is asked, says yes, and resolves it."""
    question = pending(daemon)
    in_drill(daemon, "approve", question["id"], "--yes", "--plan", question["plan_digest"])
    wait_for(lambda: items(daemon, "/v1/runs")[0]["state"] == "succeeded", "the run's end")
    in_drill(daemon, "incident", "resolve", "INC-1", "--reason", "it is good again")


# ---- a drill, and that it is one

def test_a_scripted_person_takes_part(world):
    daemon = house(world)
    started = begin(daemon)
    assert (started["id"], started["state"], started["kind"], started["speed"]) == ("D-1", "running", "exercise", 60)
    assert in_drill(daemon, "status").stderr == "DRILL D-1 exercise: this is not real\n"
    assert pending(daemon)["instance"] == "fx"
    assert items(daemon, "/v1/incidents")[0]["title"] == "DRILL: TestAlert: s1 is bad"
    assert ask_drill(daemon, "GET", "/v1/nothing").headers["x-stanch-drill"] == "D-1 exercise", "refusals are marked too"
    assert daemon.get("/v1/status")["drill"]["drill"] == "D-1"
    assert "drill         D-1 (outage, exercise): `stanch --drill status`\n" in daemon.cli("status").stdout
    play(daemon)
    ended = is_over(daemon, started)
    report = daemon.get("/v1/drills/D-1/report")
    assert ended["met"] == ended["of"] > 5, report
    assert (report["kind"], report["speed"], report["runs"][0]["state"]) == ("exercise", 60, "succeeded")
    assert 1000 < report["waits"][0]["waited_ms"] and report["waits"][0]["by"] == [getpass.getuser()]
    assert "ended" not in report and daemon.get("/v1/status").get("drill") is None
    assert daemon.cli("drill", "report", "D-1").stdout.startswith("# Drill")
    daemon.cli("drill", "report", "D-1", "--markdown", world.dir / "r.md", "--html", world.dir / "r.html")
    assert (world.dir / "r.md").read_text().startswith("# Drill") and (world.dir / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert "D-1" in daemon.cli("drills").stdout


def test_nothing_of_it_is_real_or_counts(world):
    """No effect, no host, no secret, no incident, nothing in the live figures. The secret of a source is a FIFO once the daemon has read it:
    whoever opened it again would wait for ever."""
    daemon = house(world)
    world.token_file.unlink()
    os.mkfifo(world.token_file)
    before = {k: v for k, v in daemon.get("/v1/status")["counters"].items()}
    started = begin(daemon)
    pending(daemon)
    hosts = [words for words in below(process_of(daemon)) if "plugin-host" in words]
    assert hosts == []
    play(daemon)
    is_over(daemon, started)
    after = daemon.get("/v1/status")["counters"]
    assert {k: v for k, v in after.items() if before.get(k) != v} == {}
    assert world.effects() == []
    for noun in ("incidents", "runs", "approvals", "mitigations"):
        assert daemon.get(f"/v1/{noun}{'?open=all' if noun != 'runs' else ''}")["items"] == []
    own = subprocess.run([STANCH, "timeline", "show", "INC-1", "--store", world.dir / "state/drills/D-1"], capture_output=True, text=True)
    assert "DRILL: TestAlert" in own.stdout, "what happened is in the drill's own store"


def test_a_wrong_decision_is_told(world):
    daemon = house(world, OUTAGE % "deny")
    started = begin(daemon)
    play(daemon)
    is_over(daemon, started)
    report = daemon.get("/v1/drills/D-1/report")
    assert [d["verdict"] for d in report["decisions"]] == ["wrong"]
    assert [p["promise"] for p in report["promises"] if not p["met"]] == ["wrong_decisions"]


def test_pages_say_that_it_is_a_drill(world):
    with Pager() as pager:
        daemon = house(world, **paging(world, pager, "pd", "hook"))
        started = begin(daemon)
        pending(daemon)
        wait_for(lambda: pager.first("trigger", "D-1/A-1") and pager.first("asked", "D-1/A-1"), "both to be told")
        page, asked = pager.first("trigger", "D-1/A-1"), pager.first("asked", "D-1/A-1")
        assert page["payload"]["summary"].startswith("DRILL D-1: INC-1: A-1 asks the ic: ")
        assert asked["summary"] == page["payload"]["summary"]
        assert asked["details"]["answer"] == "stanch --drill approve A-1, or stanch --drill deny A-1"
        assert asked["details"]["title"] == "DRILL: TestAlert: s1 is bad"
        play(daemon)
        wait_for(lambda: pager.first("closed", "D-1/A-1"), "its end to be told")
        is_over(daemon, started)


# ---- its end

@pytest.mark.parametrize("how", ["a person", "what is real"])
def test_whom_it_paged_hears_that_it_is_over(world, how):
    """Nobody's telephone goes on ringing for a drill that has ended, whatever was asked in it."""
    with Pager() as pager:
        daemon = house(world, **paging(world, pager, "pd", "hook"))
        started = begin(daemon)
        pending(daemon)
        wait_for(lambda: pager.first("trigger", "D-1/A-1") and pager.first("asked", "D-1/A-1"), "both to be told")
        if how == "a person":
            daemon.cli("drill", "end", "D-1")
        else:
            daemon.post("/v1/incidents", {"title": "the real one", "severity": "sev1"})
        is_over(daemon, started)
        assert sorted(pager.told("D-1/A-1")) == ["asked", "closed", "resolve", "trigger"], "before it is said that it is over"
        assert daemon.get("/v1/drills/D-1/report")["waits"][0]["outcome"] == "pending"


@pytest.mark.parametrize("who", ["its process", "the daemon", "both"])
def test_whom_it_paged_hears_of_its_end_also_when_it_was_killed(world, who):
    with Pager() as pager:
        daemon = house(world, **paging(world, pager, "pd", "hook"))
        started = begin(daemon)
        pending(daemon)
        wait_for(lambda: pager.first("trigger", "D-1/A-1") and pager.first("asked", "D-1/A-1"), "both to be told")
        kill(daemon, who)
        ended = is_over(daemon, started)
        assert ended["why"] == (f"{DIED} it said how it was" if who == "its process" else GONE) and "left" not in ended
        assert {"resolve", "closed"} == set(pager.told("D-1/A-1")[2:]), "before it is said that it is over; twice is once"
        report = report_of_killed(daemon, ended)
        assert ("not_judged" in report) == (who != "the daemon"), "its own process could still look at its world"
        assert begin(daemon)["id"] == "D-2", "the next one begins"


def test_what_a_killed_one_left_comes_first(world):
    with Pager() as pager:
        daemon = house(world, **paging(world, pager, "pd"))
        started = begin(daemon)
        pending(daemon)
        wait_for(lambda: pager.first("trigger", "D-1/A-1"), "it to be told")
        pager.fault = 500
        kill(daemon, "its process")
        refused = wait_for(lambda: (a := daemon.api("POST", "/v1/drills", {"name": "outage"})).status == 503 and a, "it to be put away")
        assert refused.json["detail"] == "D-1 (outage) was killed: what it left is put away first"
        assert "drill" not in daemon.get("/v1/status"), "nobody can come in"
        pager.fault = None
        is_over(daemon, started)
        assert pager.told("D-1/A-1") == ["trigger", "resolve"] and begin(daemon)["id"] == "D-2"


def test_a_pager_that_is_away_does_not_keep_it_from_ending(world):
    with Pager() as pager:
        daemon = house(world, **paging(world, pager, "pd"))
        started = begin(daemon)
        pending(daemon)
        wait_for(lambda: pager.first("trigger", "D-1/A-1"), "it to be told")
        pager.fault = 500
        daemon.cli("drill", "end", "D-1")
        assert is_over(daemon, started)["of"] > 5
        assert pager.told("D-1/A-1") == ["trigger"]


@pytest.mark.parametrize("severity", ["sev1", "sev2"])
def test_what_is_real_and_bad_ends_it_at_once(world, severity):
    daemon = house(world)
    started = begin(daemon)
    pending(daemon)
    daemon.post_alert(alert("Elsewhere", severity="sev3"))
    daemon.post("/v1/incidents", {"title": "the other one", "severity": severity})
    ended = is_over(daemon, started)
    assert ended["why"] == f"a real {severity} is on: INC-2, the other one"
    report = daemon.get("/v1/drills/D-1/report")
    assert report["ended"] == ended["why"] and report["waits"][0]["outcome"] == "pending"
    refused = daemon.api("POST", "/v1/drills", {"name": "outage"})
    assert refused.status == 409 and f"a real {severity} is on: INC-2" in refused.json["detail"]
    daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})


def test_what_becomes_bad_ends_it_too(world):
    daemon = house(world)
    started = begin(daemon)
    daemon.post("/v1/incidents", {"title": "small at first", "severity": "sev3"})
    pending(daemon)
    assert daemon.api("PATCH", "/v1/incidents/INC-1", {"severity": "sev1"}).status == 200
    assert is_over(daemon, started)["why"] == "a real sev1 is on: INC-1, small at first"


def test_a_person_ends_it(world):
    daemon = house(world)
    begin(daemon)
    pending(daemon)
    said = daemon.cli("drill", "end", "D-1", "--because", "lunch").stdout
    assert said.startswith("D-1 (outage) is over: person:") and "ended it: lunch. Promises met: " in said
    assert "lunch" in daemon.get("/v1/drills/D-1/report")["ended"]
    assert daemon.api("POST", "/v1/drills/D-1/end", {}).status == 404
    assert in_drill(daemon, "status", check=False).returncode != 0


def test_its_process_dies(world):
    daemon = house(world)
    started = begin(daemon)
    pending(daemon)
    os.kill(process_of(daemon), signal.SIGKILL)
    ended = is_over(daemon, started)
    assert ended["why"] == f"{DIED} it said how it was"
    report = report_of_killed(daemon, ended)
    assert report["not_judged"] == "what `expect` says: its world died with its process"
    shown = daemon.cli("drill", "report", "D-1").stdout
    assert f"**It was ended before its time:** {ended['why']}\n\n**Not looked at:** what \\`expect\\` says: its world died" in shown
    assert begin(daemon)["id"] == "D-2", "the next one begins"


@pytest.mark.parametrize("how", ["kill9", "stop"])
def test_it_ends_with_the_daemon(world, how):
    daemon = house(world)
    started = begin(daemon)
    pending(daemon)
    pid = process_of(daemon)
    getattr(daemon, how)()
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), "its process to end")
    daemon.start()
    assert is_over(daemon, started)["why"] == GONE
    assert begin(daemon)["id"] == "D-2"


# ---- refused

def test_one_at_a_time(world):
    daemon = house(world)
    begin(daemon)
    refused = daemon.api("POST", "/v1/drills", {"name": "outage"})
    assert refused.status == 409 and refused.json["detail"] == "D-1 (outage) is under way; `stanch drill end D-1` ends it"


@pytest.mark.parametrize("body, status, said", [
    ({"name": "outrage"}, 404, 'there is no drill "outrage"; there is "outage"'),
    ({"name": ""}, 400, "name: which drill?"),
    ({"name": "--config"}, 400, "name: which drill?"),
    ({"name": "outage", "speed": 61}, 400, "speed: expected 1 to 60"),
    ({"name": "outage", "kind": "real"}, 400, "kind: expected virtual, exercise or staging"),
    ({"name": "outage", "kind": "staging", "speed": 2}, 400, "speed: expected 1 to 60 of an exercise, and 1 of what is real"),
])
def test_what_cannot_begin_is_said(world, body, status, said):
    daemon = house(world)
    refused = daemon.api("POST", "/v1/drills", body)
    assert refused.status == status and said in refused.json["detail"], refused
    assert of_drills(daemon) == []


def test_a_virtual_one_is_over_when_it_is_answered(world):
    daemon = house(world)
    ended = begin(daemon, kind="virtual")
    assert (ended["state"], ended["kind"]) == ("ended", "virtual") and ended["met"] == ended["of"]
    said = daemon.cli("drill", "begin", "outage", "--kind", "virtual").stdout
    assert said.startswith("D-2 (outage) is over. Promises met: ")
    report = daemon.get("/v1/drills/D-2/report")
    assert report["past"][0]["result"] == "outage-1", "held against the last one"


def test_a_report_has_three_forms(world):
    """And what is asked for first, or by name, is what comes."""
    daemon = house(world)
    begin(daemon, kind="virtual")
    ask = lambda query="", **headers: daemon.api("GET", f"/v1/drills/D-1/report{query}", headers=headers)
    kinds = {"json": "application/json", "markdown": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8"}
    for form, kind in kinds.items():
        for answer in (ask(f"?format={form}"), ask(Accept=f"{kind.partition(';')[0]}, */*"), ask(f"?format={form}", Accept="application/json")):
            assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert ask().json == ask("?format=json").json and ask(Accept="*/*").json["drill"] == "outage"
    assert ask("?format=html").text.startswith("<!DOCTYPE html>") and "<script" not in ask("?format=html").text
    assert ask("?format=pdf").status == 400 and "expected json, markdown or html" in ask("?format=pdf").text
    written = world.dir / "report.md"
    assert daemon.cli("drill", "report", "D-1", "--markdown", written).stdout == "" and written.read_text() == ask("?format=markdown").text
    assert daemon.cli_json("drill", "report", "D-1") == ask().json
    missing = daemon.cli("drill", "report", "D-9", check=False)
    assert missing.returncode == 5 and "no drill D-9" in missing.stderr


def test_no_event_and_no_plugin_comes_into_a_drill(world):
    daemon = house(world)
    begin(daemon)
    pending(daemon)
    assert ask_drill(daemon, "POST", "/v1/events/am", {}).status == 404
    assert ask_drill(daemon, "POST", "/v1/plugins/fx/check", {}).status == 422
    assert ask_drill(daemon, "POST", "/v1/drills", {"name": "outage"}).status == 422
