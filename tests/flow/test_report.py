"""The report of an incident: a real one, with people, questions, a mitigation and its end."""
import re

from books import AUTO, book, set_to
from harness import alert, wait_for
from test_roles import House

HEAL = {"heal.lua": book(set_to(0).replace('"s1"', '"errors"') + "\n    verify()")}
HOSTILE = "# boo <img src=x> [l](http://evil.example) | a @team `x`"


def sections(markdown):
    """{heading: text} of a report's second level."""
    parts = re.split(r"^## (.*)$", markdown, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def respond(world):
    """Ada is the IC: she denies one run, approves the next one, takes back what it did and resolves the incident."""
    world.set_value("errors", 9)
    house = House(world, files=HEAL)
    first = house.daemon.post_alert(alert(annotations={"summary": HOSTILE}))["events"][0]["runs"][0]
    house.answer("ada", house.question(), "deny", note="look first")
    wait_for(lambda: house.daemon.get(f"/v1/runs/{first}")["state"] == "failed", "the run that was denied")
    house.by("ada", "POST", "/v1/incidents/INC-1/timeline", {"kind": "decide", "text": "try it after all"})
    second = house.by("ada", "POST", "/v1/runs", {"runbook": "heal", "incident": "INC-1"}).json["id"]
    house.answer("ada", house.question())
    house.wait_done(second)
    house.daemon.get("/v1/mitigations/M-1")
    assert house.by("ada", "POST", "/v1/mitigations/M-1/undo", {"reason": "a fix is out"}).status == 200
    assert house.by("ada", "PATCH", "/v1/incidents/INC-1", {"state": "resolved", "reason": "fixed"}).status == 200
    return house


def test_an_incident_is_told_back(world):
    house = respond(world)
    text = house.cli("ada", "incident", "report", "INC-1").stdout
    told = sections(text)
    assert text.startswith("# INC-1: TestAlert: \\# boo &lt;img src=x&gt; \\[l\\](http\\://evil.example) \\| a \\@team \\`x\\`\n")
    assert "sev3, resolved" in text and "<img" not in text
    assert "TestAlert fired at" in told["Summary"] and "IC ada resolved it" in told["Summary"] and "fixed" in told["Summary"]
    assert "2 questions were put to people: 1 denied, 1 approved." in told["Summary"]
    assert "| IC | ada |" in told["People and roles"] and "on call" in told["People and roles"]
    assert "IC ada decided: try it after all" in told["Timeline"] and "run.woken" not in told["Timeline"]
    assert "### M-1: fx.set\\_convergent" in told["Mitigations"]
    assert "- Approved by: IC ada (A-2)" in told["Mitigations"]
    assert re.search(r"- State: undone at .*, by IC ada: a fix is out", told["Mitigations"])
    assert "after: good (0)" in told["Mitigations"]
    assert re.search(r"\| A-1 \| fx.set\\_convergent \| .* \| IC \| .* \| denied: look first \| IC ada \|",
                     told["What waited on whom"])
    assert re.search(r"- R-1 of heal: failed at .*", told["Runs that did not go through"])
    assert "Run R-1 of heal failed: " in told["Action items"] and "heal.lua:" in told["Action items"]
    assert "| | | |" in told["Action items"] and "Users affected" in told["Impact"]


def test_the_same_as_json(world):
    house = respond(world)
    answer = house.by("ada", "GET", "/v1/incidents/INC-1/report")
    assert answer.headers["content-type"].startswith("application/json")
    report = answer.json
    times = {one["what"]: one for one in report["times"]}
    assert list(times) == ["detect", "acknowledge", "first mitigation", "mitigate", "resolve"]
    assert all(one["at_ms"] for one in times.values()), times
    assert times["first mitigation"]["at_ms"] <= times["mitigate"]["at_ms"] <= times["resolve"]["at_ms"]
    assert report["roles"][0]["holder"] == "person:ada" and report["title"].endswith(HOSTILE)
    assert [(w["approval"], w["outcome"], w["by"]) for w in report["waits"]] == [
        ("A-1", "denied", ["IC ada"]), ("A-2", "approved", ["IC ada"])]
    mitigation = report["mitigations"][0]
    assert mitigation["state"] == "undone" and mitigation["verified"] is True
    assert mitigation["after"]["result"] == "good"
    assert [e["seq"] for e in report["timeline"]] == [e["seq"] for e in house.daemon.timeline("INC-1")
                                                      if e["level"] == "headline"]
    markdown = house.daemon.api("GET", "/v1/incidents/INC-1/report", headers={"Accept": "text/markdown"})
    assert markdown.headers["content-type"].startswith("text/markdown") and markdown.text.startswith("# INC-1")
    assert house.by("ada", "GET", "/v1/incidents/INC-1/report?format=pdf").status == 400
    assert house.by("ada", "GET", "/v1/incidents/INC-9/report").status == 404
    assert house.cli("ada", "incident", "report", "INC-9", check=False).returncode == 5
    # what is shown is what the journal holds: it is the same after a crash
    house.daemon.kill9().start()
    again = house.by("ada", "GET", "/v1/incidents/INC-1/report").json
    assert {**again, "made_ms": 0, "made": 0} == {**report, "made_ms": 0, "made": 0}


def test_what_was_stopped_meanwhile_is_told(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    daemon.cli("incident", "declare", "users complain")
    daemon.cli("stop", "--because", "one thing at a time")
    daemon.cli("resume", "--because", "go on")
    daemon.cli("incident", "resolve", "INC-1", "--reason", "it was nothing")
    report = daemon.cli_json("incident", "report", "INC-1")
    assert [one["kind"] for one in report["around"]] == ["stop.engaged", "stop.released"]
    told = sections(daemon.cli("incident", "report", "INC-1").stdout)["Meanwhile, of stanch itself"]
    assert "All automation is stopped" in told and "one thing at a time" in told and "The stop is released" in told


def test_what_was_merged_into_it_is_told_with_it(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
    daemon.cli("incident", "declare", "users complain")
    daemon.cli("incident", "merge", "INC-1", "INC-2")
    report = daemon.cli_json("incident", "report", "INC-2")
    assert report["absorbed"] == ["INC-1"] and report["ended_ms"] is None
    assert [m["mitigation"] for m in report["mitigations"]] == ["M-1"]
    assert [e["seq"] for e in report["timeline"]] == sorted(e["seq"] for e in report["timeline"])
    assert {e.get("incident") for e in report["timeline"]} == {None, "INC-1"}
    assert "1 mitigation is still in force." in report["summary"]
    assert any("M-1 (fx.set_convergent) is still in force" in text for text in report["suggestions"])
    merged = daemon.cli("incident", "report", "INC-1").stdout
    assert "It was merged into INC-2" in merged and "goes on there" in merged
