"""SIGTERM at every stage of a run (PROMISES 1.7): what is out may come back, the rest goes on at the next start.

That a call is under way is seen by its line in the plugin's behaviour file, which is gone when the call took it (`once`)."""
import json
import threading

import pytest

from books import ASK, AUTO, book, set_to
from harness import PATIENCE_S, alert, wait_for, webhook
from test_runs import approve, ended, pending

SHORT = "200ms"  # calls that never answer are not waited for any longer


def begin(world, body, policy=AUTO, drain=SHORT):
    world.repo.commit({"heal.lua": book(body)})
    return world.daemon(policy=policy, drain=drain).start()


def wait_taken(world):
    wait_for(lambda: world.behaviour_path.read_text() == "", "the call to be under way")


def is_ending(daemon):
    try:
        return daemon.api("GET", "/readyz").status == 503
    except OSError:  # it has ended
        return True


def terminate(daemon):
    """SIGTERM, and again and again until it has ended: the first one is enough, the others must change nothing."""
    daemon.process.terminate()
    wait_for(lambda: is_ending(daemon), "the end to begin")
    wait_for(lambda: daemon.process.terminate() or daemon.process.poll() is not None, "the end", every=0.001)
    code = daemon.wait_end()
    assert code == 0, f"ended with {code}\n{daemon.log()[-3000:]}"


def kinds_on_disk(daemon, world):
    shown = daemon.cli("timeline", "show", "INC-1", "--store", world.dir / "state", "--json").stdout
    entries = json.loads(shown)
    return [entry["kind"] for entry in (entries["items"] if isinstance(entries, dict) else entries)]


def applied(world):
    return [e["target"] for e in world.effects() if e["op"] == "apply"]


def in_a_plan(world):
    world.behave("plan:silent once")
    daemon = begin(world, set_to(7))
    daemon.post_alert(alert())
    wait_taken(world)
    return daemon


def in_a_call(world):
    world.behave("apply:silent once")
    daemon = begin(world, set_to(7))
    daemon.post_alert(alert())
    wait_taken(world)
    return daemon


def in_a_verify(world):
    world.behave("verify:silent once")
    daemon = begin(world, set_to(7))
    daemon.post_alert(alert())
    wait_taken(world)
    return daemon


def in_a_sleep(world):
    daemon = begin(world, 'note "one"; sleep "1s"; ' + set_to(7))
    daemon.post_alert(alert())
    wait_for(lambda: "step.noted" in daemon.kinds("INC-1"), "the note before the sleep")
    return daemon


def waiting_for_a_person(world):
    daemon = begin(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    pending(daemon)
    return daemon


STAGES = [in_a_plan, in_a_call, in_a_verify, in_a_sleep, waiting_for_a_person]


@pytest.mark.parametrize("how", ["terminated", "killed right after"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_next_start_goes_on(world, stage, how):
    daemon = stage(world)
    if how == "terminated":
        terminate(daemon)
    else:
        daemon.process.terminate()
        daemon.kill9()
    kinds = kinds_on_disk(daemon, world)
    assert kinds.count("action.sent") == (1 if stage in (in_a_call, in_a_verify) else 0), kinds
    daemon.start()
    if stage is waiting_for_a_person:
        assert approve(daemon, pending(daemon)).status == 200
    assert ended(daemon)["state"] == "succeeded"
    assert applied(world) == ["s1"], world.effects()
    assert daemon.cli("timeline", "verify", "--store", world.dir / "state").returncode == 0


def test_what_did_not_come_back_is_unknown_and_asked_about(world):
    world.behave("apply:silent once")
    daemon = begin(world, set_to(7, action="set_unprotected"))
    daemon.post_alert(alert())
    wait_taken(world)
    terminate(daemon)
    kinds = kinds_on_disk(daemon, world)
    assert "action.answered" not in kinds and kinds.count("action.unanswered") == 1, kinds
    daemon.start()
    question = pending(daemon)
    assert question["about"] == "unknown", question
    assert applied(world) == []
    daemon.post("/v1/steps/R-1/1/resolve", {"happened": "abandon"})
    ended(daemon)
    assert applied(world) == []  # and it was never sent again


def test_an_undo_that_did_not_come_back_is_said_too(world):
    daemon = begin(world, set_to(7))
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    world.behave("undo:silent once")
    told = []
    undo = threading.Thread(target=lambda: told.append(daemon.api("POST", "/v1/mitigations/M-1/undo", {"reason": "over"})))
    undo.start()
    wait_taken(world)
    terminate(daemon)
    undo.join()
    assert told[0].status == 503 and "next start" in told[0].text, told
    assert kinds_on_disk(daemon, world).count("mitigation.unanswered") == 1
    daemon.start()  # convergent: it is looked after, and sent again
    wait_for(lambda: daemon.get("/v1/mitigations/M-1")["state"] == "undone", "the undo")


def test_what_comes_back_in_time_is_recorded(world):
    world.behave("apply:slow 500 once")
    daemon = begin(world, set_to(7, action="set_unprotected"), drain="25s")
    daemon.post_alert(alert())
    wait_taken(world)
    terminate(daemon)
    assert "action.answered" in kinds_on_disk(daemon, world)
    daemon.start()
    assert ended(daemon)["state"] == "succeeded"
    assert applied(world) == ["s1"]


def post_until_it_is_gone(daemon, answers, ending):
    """One alert after another, as from a source that never stops: (name, what it was told)."""
    number = 0
    while True:
        if number >= 100:  # what is listed below fits into one page
            ending.wait()
        name, number = f"Noise{number}", number + 1
        try:
            told = daemon.api("POST", "/v1/events/am", webhook(alert(name)), {"Authorization": f"Bearer {daemon.world.token}"},
                              tcp=True, timeout=PATIENCE_S)
        except OSError:
            if not daemon.running:
                return
            answers.append((name, None))  # no answer: unknown
            continue
        answers.append((name, told))


def test_events_get_503_while_it_ends_and_none_that_was_taken_is_lost(world):
    world.behave("apply:slow 1500 once")  # holds the end open
    daemon = begin(world, set_to(7), drain="25s")
    daemon.post_alert(alert())
    wait_taken(world)
    answers, ending = [], threading.Event()
    poster = threading.Thread(target=post_until_it_is_gone, args=(daemon, answers, ending))
    poster.start()
    wait_for(lambda: any(told and told.status == 202 for _, told in answers), "one that is taken")
    ending.set()
    terminate(daemon)
    poster.join()
    assert {told.status for _, told in answers if told} == {202, 503}
    for _, told in answers:
        assert told is None or told.status == 202 or told.headers.get("retry-after"), told
    daemon.start()
    stored = json.dumps(daemon.get("/v1/events?limit=1000")["items"])
    taken = [name for name, told in answers if told and told.status == 202]
    assert not [name for name in taken if f'"{name}"' not in stored and f"{name} " not in stored]
    refused = [name for name, told in answers if told and told.status == 503]
    assert not [name for name in refused if f'"{name}"' in stored]
    ended(daemon)
