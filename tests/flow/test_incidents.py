"""An incident's states: what stanch says of them by itself, and when one is open again."""
from books import AUTO, book, set_to
from harness import alert, wait_for


def start(world, **incidents):
    world.repo.commit({"heal.lua": book(set_to(7))})
    return world.daemon(policy=AUTO, incidents=incidents or None).start()


def fire(daemon):
    event = daemon.post_alert(alert())["events"][0]
    wait_for(lambda: daemon.get(f"/v1/runs/{event['runs'][0]}")["state"] == "succeeded", "the run")
    return event["incident"]


def test_the_first_mitigation_says_so_of_the_incident(world):
    daemon = start(world)
    assert fire(daemon) == "INC-1"
    assert daemon.get("/v1/incidents/INC-1")["state"] == "mitigating"
    said = [e for e in daemon.timeline("INC-1") if e["kind"] == "incident.changed"]
    assert [(e["by"], e["run"], e["data"]["state"]) for e in said] == [("stanch", "R-1", "mitigating")]
    daemon.cli("incident", "set", "INC-1", "--state", "monitoring")
    daemon.post("/v1/runs", {"runbook": "heal", "incident": "INC-1"})
    wait_for(lambda: daemon.get("/v1/runs/R-2")["state"] == "succeeded", "the second run")
    assert daemon.get("/v1/incidents/INC-1")["state"] == "monitoring"  # what a person said stays


def test_an_alert_that_fires_again_opens_its_incident_again(world):
    daemon = start(world)
    fire(daemon)
    daemon.cli("incident", "resolve", "INC-1", "--reason", "over")
    daemon.kill9().start()
    assert fire(daemon) == "INC-1"
    reopened = [e for e in daemon.timeline("INC-1") if e["kind"] == "incident.reopened"]
    assert [e["text"] for e in reopened] == ["INC-1 is open again: TestAlert fires again"]
    assert daemon.get("/v1/incidents/INC-1")["state"] == "investigating"  # there was nothing left to change
    assert len(daemon.get("/v1/incidents")["items"]) == 1


def test_it_is_a_new_incident_when_that_is_configured(world):
    daemon = start(world, reopen_within="0s")
    fire(daemon)
    daemon.cli("incident", "resolve", "INC-1", "--reason", "over")
    assert fire(daemon) == "INC-2"
