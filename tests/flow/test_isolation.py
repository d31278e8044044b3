"""One stuck incident, run, target, worker or plugin delays no other: what is not stuck acts and ends, and only then is it
looked whether the stuck one is stuck still. Nothing here is a matter of time."""
import os
import signal
import threading
from pathlib import Path

from books import AUTO, book, set_to
from harness import Lua, alert, children_of, lua, wait_for

WELL = book(set_to(7, target="well"), name="well", on='alert { alertname = "Well" }')
OPEN = ("running", "parked")


def sick(body, **more):
    return book(body, name="sick", on='alert { alertname = "Sick" }', **more)


def start(world, body, text=None, **more):
    world.repo.commit({"well.lua": WELL, "sick.lua": text or sick(body)})
    return world.daemon(policy=AUTO, **more).start()


def fall_sick(daemon, *labels):
    """Alerts of one incident; returns the ids of their runs."""
    told = daemon.post_alert(*(alert("Sick", host=label) for label in labels or ("a",)))
    return [run for event in told["events"] for run in event["runs"]]


def well_acts(world, daemon):
    run = daemon.post_alert(alert("Well"))["events"][0]["runs"][0]
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the well one to end")
    assert [e for e in world.effects() if e["target"] == "well"]


def is_open(daemon, run):
    return daemon.get(f"/v1/runs/{run}")["state"] in OPEN


def sent(daemon, run):
    return any(step["state"] in ("sent", "unknown") for step in daemon.get(f"/v1/runs/{run}")["steps"])


def test_a_call_without_an_answer(world):
    world.behave("set_reconcilable.apply:silent", "set_reconcilable.reconcile:cannot-tell")
    daemon = start(world, set_to(7, action="set_reconcilable", target="sick"))
    run, = fall_sick(daemon)
    wait_for(lambda: sent(daemon, run), "the call to be out")
    well_acts(world, daemon)
    assert is_open(daemon, run)


def test_a_target_that_is_held(world):
    world.behave("set_reconcilable.apply:silent", "set_reconcilable.reconcile:cannot-tell")
    daemon = start(world, "", sick(set_to(7, action="set_reconcilable", target="sick"),
                                   more='limits = { group_within = "0s" },'))
    first, second = fall_sick(daemon, "a", "b")
    wait_for(lambda: sent(daemon, first) or sent(daemon, second), "the target to be held")
    well_acts(world, daemon)
    assert is_open(daemon, first) and is_open(daemon, second)


def test_a_host_that_hangs(world):
    settings = {"log": world.effects_path, "state": world.remote_path, "environment": "test",
                "behaviour": world.write("hangs", "apply:hang\n")}
    text = sick(set_to(7, target="sick")).replace('effects "fx"', 'effects "hung"')
    daemon = start(world, "", text, instances=[f'effects "hung" {lua(settings)}'])
    run, = fall_sick(daemon)
    wait_for(lambda: sent(daemon, run), "the call to be out")
    well_acts(world, daemon)
    assert is_open(daemon, run)


def test_a_source_that_hangs(world):
    settings = {"log": world.effects_path, "state": world.remote_path, "environment": "test",
                "behaviour": world.write("hangs", "receive:hang\n"),
                "token": Lua(f"secret.file {lua(world.token_file)}")}
    daemon = start(world, "note 'x'", instances=[f'effects "hung" {lua(settings)}'])
    answers = []
    headers = {"Authorization": f"Bearer {world.token}"}
    poster = threading.Thread(target=lambda: answers.append(
        daemon.api("POST", "/v1/events/hung", {"alerts": []}, headers, tcp=True)))
    poster.start()
    well_acts(world, daemon)
    poster.join()
    assert answers[0].status == 503, answers  # nothing is stored: send it again


def test_an_incident_that_waits_for_a_person(world):
    daemon = start(world, 'ask { role = "ic", text = "go on?" }')
    run, = fall_sick(daemon)
    wait_for(lambda: daemon.get("/v1/approvals")["items"], "the question")
    well_acts(world, daemon)
    assert daemon.get(f"/v1/runs/{run}")["state"] == "parked"


def test_a_worker_that_computes_for_ever(world):
    daemon = start(world, "while true do end")
    run, = fall_sick(daemon)
    well_acts(world, daemon)
    assert is_open(daemon, run)


def computing(runner):
    """The workers that compute; the one that stands ready sleeps."""
    return [pid for pid in children_of(runner)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "R"]


def test_a_worker_that_is_stopped(world):
    daemon = start(world, "while true do end")
    run, = fall_sick(daemon)
    runner = next(pid for pid, name in children_of(daemon.process.pid).items() if " runner" in name)
    for pid in wait_for(lambda: computing(runner), "the worker"):
        os.kill(pid, signal.SIGSTOP)
    well_acts(world, daemon)
    assert is_open(daemon, run)


def test_an_incident_with_hundreds_of_runs(world):
    """They sleep for an hour, as many of them as the caps allow; the rest waits."""
    daemon = start(world, "", sick('sleep "1h"', more='params = { host = label "host" {} },'),
                   limits={"max_runs": 8, "storm": {"enter": 1000}})
    runs = fall_sick(daemon, *(f"h{i}" for i in range(200)))
    assert len(runs) == 200
    well_acts(world, daemon)
    status = daemon.get("/v1/status")
    assert status["runs"]["going"] == 6 and status["queue"]["waiting"] == 194
