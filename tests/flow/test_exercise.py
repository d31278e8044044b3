"""Drills with people: the daemon plays a scenario in a world that is made up, at up to sixty times the speed of a clock, and real people
answer real questions, over its own socket. A scripted person is one who uses the command line."""
import json

from books import ASK, book, set_to
from harness import alert, wait_for

OUTAGE = '''drill "outage" {
  summary = "s1 fails, and somebody has to say yes", owner = "team-test", kind = "exercise", within = "2h",
  objectives = { "whoever is asked answers" },
  alerts = { { alertname = "TestAlert", at = "30s", lasts = "3m", annotations = { summary = "s1 is bad" } } },
  people = { ada = { answers = "approve", after = "1m", resolves = "1m" } },
  world = function()
    local errors = 9
    return {
      ["fx.get"] = function() return errors end,
      ["fx.set_convergent"] = { apply = function() errors = 0 end, undo = function() errors = 9 end },
    }
  end,
  right = { ["fx.set_convergent"] = "approve" },
  good = { detect = "1m", first_mitigation = "30m", resolve = "1h", approval = "30m", outcome = "succeeded", in_force = { "fx.set_convergent" },
           wrong_decisions = 0, late_decisions = 0, expired = 0, failed_steps = 0 },
}
'''


def house(world, drills=OUTAGE, **settings):
    world.repo.commit({"heal.lua": book(set_to(7) + "\n    verify()"), "drills/outage.lua": drills})
    return world.daemon(**{"policy": ASK, **settings}).start()


def in_drill(daemon, *args, **more):
    return daemon.cli("--drill", *args, **more)


def in_drill_json(daemon, *args):
    return json.loads(in_drill(daemon, *args, "--json").stdout)


def drill_of(daemon, drill):
    return daemon.get(f"/v1/drills/{drill}")


def begin(daemon, name="outage", speed=60, kind=None):
    return daemon.post("/v1/drills", {"name": name, "speed": speed, **({"kind": kind} if kind else {})})


def entries(daemon):
    """Of the daemon's own timeline."""
    return [json.loads(line) for line in daemon.cli("timeline", "export", "--all", check=False).stdout.splitlines()]


def test_a_scripted_person_takes_part(world):
    daemon = house(world)
    started = begin(daemon)
    assert (started["state"], started["kind"], started["speed"]) == ("running", "exercise", 60)
    said = in_drill(daemon, "status").stderr
    assert said == f"DRILL {started['id']} exercise: this is not real\n"
    question = wait_for(lambda: in_drill_json(daemon, "approvals"), "a question")[0]
    assert in_drill_json(daemon, "incident", "list")[0]["title"] == "DRILL: TestAlert: s1 is bad"
    in_drill(daemon, "approve", question["id"], "--yes", "--plan", question["plan_digest"])
    wait_for(lambda: in_drill_json(daemon, "run", "list")[0]["state"] == "succeeded", "the run's end")
    in_drill(daemon, "incident", "resolve", "INC-1", "--reason", "it is good again")
    ended = wait_for(lambda: (d := drill_of(daemon, started["id"]))["state"] == "ended" and d, "the end")
    assert ended["met"] == ended["of"] > 5, daemon.cli("drill", "report", started["id"]).stdout
    assert world.effects() == [] and daemon.get("/v1/incidents")["items"] == []
