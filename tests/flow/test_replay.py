"""What becomes of a run that cannot just go on, at the doors: a replay that asks otherwise, a release that does not know its
language, a worker that is not there, one that dies, a step whose outcome is not known."""
import hashlib
import json
import sqlite3

import pytest
from books import ASK, AUTO, book, set_to
from harness import alert, children_of, wait_for
from test_runs import approve, ended, pending, start


def change_document(world, noun, ident, change):
    """With stanch dead: what the store holds of a noun."""
    store = sqlite3.connect(world.dir / "state/stanch.db")
    text, = store.execute("SELECT text FROM doc WHERE noun = ? AND id = ?", (noun, ident)).fetchone()
    doc = json.loads(text)
    change(doc)
    text = json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    store.execute("UPDATE doc SET text = ?, sum = ? WHERE noun = ? AND id = ?",
                  (text, hashlib.sha256(text.encode()).hexdigest(), noun, ident))
    store.commit()
    store.close()


def parked(daemon, run="R-1", timeout=None):
    def look():
        doc = daemon.get(f"/v1/runs/{run}")
        return doc if doc.get("stuck") else None
    return wait_for(look, f"{run} to be parked", timeout)


def test_a_replay_that_asks_another_question_is_parked_and_says_both(world):
    daemon = start(world, 'note "one"; sleep "2s"; ' + set_to(7))
    daemon.post_alert(alert())
    wait_for(lambda: "R-1/2" in json.dumps(daemon.get("/v1/runs/R-1")), "the sleep")
    daemon.kill9()
    change_document(world, "step", "R-1/1", lambda doc: doc["args"].update(text="another"))
    daemon.start()
    run = parked(daemon)
    held, asked = run["diverged"]["held"], run["diverged"]["asked"]
    assert held["op"] == asked["op"] == "note" and "another" in held["args"] and '"one"' in asked["args"]
    assert held["file"] == asked["file"] == "heal.lua" and held["line"] == asked["line"] > 0
    shown = daemon.cli("run", "show", "R-1").stdout
    told = [e["text"] for e in daemon.timeline("INC-1") if e["kind"] == "run.parked"][-1]
    for text in (shown, told):
        for part in ("another", "one", f"heal.lua:{asked['line']}", "stanch run cancel R-1", "stanch run start heal"):
            assert part in text, (part, text)
    assert world.effects() == []
    daemon.cli("run", "cancel", "R-1", "--reason", "diverged")
    assert daemon.get("/v1/runs/R-1")["state"] == "cancelled"
    daemon.cli("run", "start", "heal", "--incident", "INC-1")
    assert ended(daemon, "R-2")["state"] == "succeeded"
    assert len(world.effects()) == 1


def test_a_run_of_another_release_is_parked_at_start(world):
    daemon = start(world, 'sleep "1s"; ' + set_to(7))
    daemon.post_alert(alert())
    wait_for(lambda: "R-1/1" in json.dumps(daemon.get("/v1/runs/R-1")), "the sleep")
    assert daemon.get("/v1/runs/R-1")["language"] == 1
    daemon.kill9()
    change_document(world, "run", "R-1", lambda doc: doc.update(language=99))
    daemon.start()
    assert "version 99 of the runbook language" in parked(daemon)["why"]
    assert "version 99" in daemon.cli("run", "show", "R-1").stdout
    assert world.effects() == []
    daemon.cli("run", "cancel", "R-1", "--reason", "another release")


def workers_of(daemon):
    """All workers; one of them is the spare, which has not begun."""
    runner = next(pid for pid, command in children_of(daemon.process.pid).items() if "runner" in command)
    return set(children_of(runner))


def test_a_waiting_run_has_no_worker(world):
    daemon = start(world, 'note "begins"; ' + set_to(7) + '; note "ends"', policy=ASK)
    daemon.post_alert(alert())
    question = pending(daemon)
    wait_for(lambda: len(workers_of(daemon)) <= 1, "the worker to end")
    assert daemon.get("/v1/runs/R-1")["state"] == "parked"
    assert approve(daemon, question).status == 200
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1


def test_a_worker_that_dies_three_times_at_one_step_parks_its_run(world):
    daemon = start(world, 'note "begins"; while true do end')
    daemon.post_alert(alert())
    run = parked(daemon, timeout=120)
    assert "three times at the same step" in run["why"] and "stanch run cancel R-1" in run["next"]
    assert [s["op"] for s in run["steps"]] == ["note"]
    daemon.cli("run", "cancel", "R-1", "--reason", "it hangs")
    assert daemon.get("/v1/runs/R-1")["state"] == "cancelled"


def test_the_budget_of_steps_is_in_the_journal(world):
    world.repo.commit({"heal.lua": book('local ok, e = pcall(function() while true do note "again" end end); return e.kind')})
    daemon = world.daemon(policy=AUTO, limits={"max_steps": 5}).start()
    daemon.post_alert(alert())
    run = ended(daemon)
    assert run["state"] == "succeeded" and run["result"] == "limit", run
    assert "5 steps" in json.dumps(run["steps"][5]["answer"])


@pytest.mark.parametrize("said,state,mitigations", [("happened", "succeeded", ["in-force"]), ("did-not", "failed", []),
                                                    ("abandon", "cancelled", [])])
def test_a_person_resolves_a_step_whose_outcome_is_not_known(world, said, state, mitigations):
    daemon = start(world, set_to(7, action="set_unprotected"))
    world.behave("apply:crash-after once")
    daemon.post_alert(alert())
    assert pending(daemon)["about"] == "unknown"
    daemon.kill9().start()  # the question is still there
    assert pending(daemon)["about"] == "unknown"
    daemon.cli("step", "resolve", "R-1/1", said, "--note", "I looked")
    assert ended(daemon)["state"] == state
    assert [m["state"] for m in daemon.get("/v1/mitigations")["items"]] == mitigations
    again = daemon.cli("step", "resolve", "R-1/1", said, check=False)
    assert again.returncode == 6, again  # it is known now
    assert len(world.effects()) == 1


def test_only_a_step_of_unknown_outcome_can_be_resolved(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    pending(daemon)
    assert daemon.cli("step", "resolve", "R-1/1", "happened", check=False).returncode == 6  # it waits for an approval
    assert daemon.cli("step", "resolve", "R-1/9", "happened", check=False).returncode == 5
    assert daemon.cli("step", "resolve", "R-1/1", "perhaps", check=False).returncode in (2, 6)
    assert world.effects() == []


def test_a_cancelled_run_whose_outcome_is_not_known_still_asks(world):
    daemon = start(world, set_to(7, action="set_unprotected"))
    world.behave("apply:crash-after once")
    daemon.post_alert(alert())
    assert pending(daemon)["about"] == "unknown"
    daemon.cli("run", "cancel", "R-1", "--reason", "enough")
    daemon.kill9().start()
    assert pending(daemon)["about"] == "unknown"
    daemon.cli("step", "resolve", "R-1/1", "happened", "--note", "I looked")
    question = wait_for(lambda: [q for q in daemon.get("/v1/approvals")["items"] if q["about"] == "keep"], "keep or undo?")[0]
    daemon.cli("answer", question["id"], "undo")
    wait_for(lambda: [m["state"] for m in daemon.get("/v1/mitigations")["items"]] in ([], ["undone"]), "the undo")
    assert [e["op"] for e in world.effects()] == ["apply", "undo"]
