"""Decisions of people on a real HAProxy: what is approved goes stale, moves to another holder, is pressed twice, is stopped, and
ends while nobody is there."""
import signal
import threading
import time

import pytest
from books import ASK, AUTO
from harness import lua, wait_for
from servers import Haproxy, Origin
from test_holds import DRAINED, approve, begin, drain, ended, question, run
from test_roles import House


@pytest.fixture(scope="session")
def origins():
    with Origin("a") as a, Origin("b") as b, Origin("c") as c:
        yield {name: f"127.0.0.1:{one.port} weight 100" for name, one in (("s1", a), ("s2", b), ("s3", c))}


@pytest.fixture
def proxy(origins):
    with Haproxy({"shop": origins}) as one:
        yield one


def house(world, proxy):
    """People with roles, and the HAProxy."""
    return House(world, files={"one.lua": drain("one")},
                 instances=[f'haproxy "edge" {lua({"socket": proxy.socket, "environment": "test"})}'])


def start_in(one, who="alan"):
    begun = one.by(who, "POST", "/v1/runs", {"runbook": "one"}).json["id"]
    return begun, one.question()


def test_an_approved_plan_that_went_stale_changes_nothing(world, proxy):
    daemon = begin(world, {"one": drain("one", action="weight")}, {"edge": proxy}, policy=ASK)
    begun = run(daemon, "one")
    first = question(daemon, run=begun)
    proxy.ask("set server shop/s1 weight 30%")  # somebody at the console
    assert approve(daemon, first).status == 200
    second = wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a["id"] != first["id"]), None), "the new question")
    assert second["plan_digest"] != first["plan_digest"] and daemon.get(f"/v1/approvals/{first['id']}")["state"] == "voided"
    assert proxy.state("shop", "s1")[1] == 30
    assert approve(daemon, second).status == 200
    assert ended(daemon, begun)["state"] == "succeeded" and proxy.state("shop", "s1")[1] == 50


def test_the_ic_hands_over_while_a_question_is_open(world, proxy):
    one = house(world, proxy)
    begun, asked = start_in(one)
    one.cli("ada", "incident", "handoff", asked["incident"], "--role", "ic", "--to", "grace")
    assert one.answer("ada", asked).status == 403 and proxy.state("shop", "s1")[0] == 0
    assert one.answer("grace", asked).status == 200
    one.wait_done(begun)
    assert proxy.state("shop", "s1")[0] == DRAINED


def test_two_people_press_at_once(world, proxy):
    one = house(world, proxy)
    begun, asked = start_in(one)
    results = []
    threads = [threading.Thread(target=lambda who=who: results.append(one.answer(who, asked).status)) for who in ("ada", "ada-tablet")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200, 409]
    one.wait_done(begun)
    assert len([e for e in one.told("action.sent", asked["incident"])]) == 1


def test_a_lone_on_call_approves_what_they_started(world, proxy):
    one = house(world, proxy)
    begun, asked = start_in(one, "ada")
    assert one.answer("ada", asked).status == 200
    one.wait_done(begun)
    assert proxy.state("shop", "s1")[0] == DRAINED


def test_a_lease_that_ends_while_nobody_is_there_keeps_it_when_the_symptom_is_bad(world, proxy):
    daemon = begin(world, {"one": drain("one", lease=', lease = "3s"')}, {"edge": proxy}, policy=AUTO)
    begun = run(daemon, "one")
    mitigation = wait_for(lambda: daemon.get("/v1/mitigations")["items"], "the mitigation")[0]
    ended(daemon, begun)
    daemon.kill9()
    world.set_value("errors", 9)
    wait_for(lambda: time.time() > mitigation["lease_ends_ms"] / 1000, "the end of the lease")
    daemon.start()
    asked = question(daemon, about="keep")
    assert "while stanch was down" in asked["because"] and proxy.state("shop", "s1")[0] == DRAINED
    assert daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": "undo"}).status == 200
    wait_for(lambda: proxy.state("shop", "s1")[0] == 0, "the server to serve again")


def test_a_stop_while_what_was_approved_is_on_its_way(world, proxy):
    """The proxy stands still, so that the stop comes before it was told anything."""
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy}, policy=ASK)
    begun = run(daemon, "one")
    asked = question(daemon, run=begun)
    proxy.process.send_signal(signal.SIGSTOP)
    try:
        assert approve(daemon, asked).status == 200
        daemon.cli("stop", "--because", "enough")
    finally:
        proxy.process.send_signal(signal.SIGCONT)
    assert ended(daemon, begun)["state"] == "failed"
    answers = [e["text"] for e in daemon.timeline(asked["incident"]) if e["kind"] == "action.answered"]
    assert answers == ["edge.drain: failed, the stop switch is set; nothing was sent"]
    assert proxy.state("shop", "s1")[0] == 0
    daemon.cli("resume", "--because", "go on")
    assert ended(daemon, begun)["state"] == "failed" and proxy.state("shop", "s1")[0] == 0  # nothing starts by itself
