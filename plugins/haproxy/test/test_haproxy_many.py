"""Several HAProxy processes behind one instance: one change is made on all of them, and a reload of one is seen."""
import contextlib
import subprocess

import pytest
from edge_kit import Fake, client
from plugin_host import Host, Refused
from servers import Haproxy


@pytest.fixture
def pair(origins):
    """Two processes with the same backends; the second one is reached over TCP."""
    backends = {"shop": {"s1": origins["a"].port, "s2": origins["b"].port}}
    with Haproxy(backends) as one, Haproxy(backends) as two:
        yield one, two


@contextlib.contextmanager
def both(pair, *more, **settings):
    with client([pair[0].socket, f"tcp:127.0.0.1:{pair[1].tcp_port}", *more], **settings) as edge:
        yield edge


def states(pair):
    return [proxy.state("shop", "s1") for proxy in pair]


def test_a_change_is_made_on_all_and_taken_back(pair):
    with both(pair) as edge:
        plan, done = edge.apply("drain", "shop", "s1")
        assert done["processes"] == 2 and states(pair) == [(8, 1), (8, 1)]
        assert [p.who_answers() for p in pair] == [{"b"}, {"b"}]
        assert plan["reach"] == 0.5 and len(plan["observed"]["processes"]) == 2
        assert "from 2 (2 of 2 servers) to 1 (1 of 2 servers), on the one of 2 processes that keeps least" in plan["impact"]
        assert edge.then("verify", "drain", "shop", "s1", plan)["holds"] is True
        assert len(edge.ask("read", "states", {"backend": "shop"})["processes"]) == 2
        edge.then("undo", "drain", "shop", "s1", plan)
        assert states(pair) == [(0, 1), (0, 1)]
        assert edge.then("undo", "drain", "shop", "s1", plan)["already"] is True


def test_by_hand_reaches_all(pair):
    with both(pair) as edge:
        plan = edge.plan("drain", "shop", "s1")
        subprocess.run(["/bin/sh", "-c", plan["by_hand"]], check=True)
        assert states(pair) == [(8, 1), (8, 1)]
        subprocess.run(["/bin/sh", "-c", plan["undo_by_hand"]], check=True)
        assert states(pair) == [(0, 1), (0, 1)]


def test_processes_that_disagree_are_refused_and_named(pair):
    pair[1].ask("set server shop/s1 weight 7")
    with both(pair) as edge:
        error = edge.plan("drain", "shop", "s1", expect="failed")
        assert error["kind"] == "refused" and pair[0].socket in error["text"] and '"weight": 7' in error["text"]


def test_the_process_with_least_left_counts(pair):
    pair[1].ask("set server shop/s2 state maint")
    with both(pair) as edge:
        error = edge.plan("drain", "shop", "s1", expect="failed")
        assert error["kind"] == "refused" and f"without a serving server on tcp:127.0.0.1:{pair[1].tcp_port}" in error["text"]
    assert states(pair) == [(0, 1), (0, 1)]


def test_one_process_that_is_gone_changes_nothing(pair):
    with both(pair) as edge:
        plan = edge.plan("drain", "shop", "s1")
        pair[1].kill()
        for op in ("plan", "apply", "verify", "undo", "reconcile"):
            error = edge.then(op, "drain", "shop", "s1", plan, expect="failed", op="apply")
            assert error["kind"] == "unreachable" and f"tcp:127.0.0.1:{pair[1].tcp_port}" in error["text"]
        assert pair[0].state("shop", "s1") == (0, 1)


@pytest.mark.parametrize("eaten", ["the command", "the answer", "the right"])
def test_half_of_a_change_is_unknown_and_undo_repairs(pair, eaten):
    """The second process is changed by hand through something that eats the command, its answer, or refuses it."""
    def answer(line):
        if not line.startswith("set "):
            return pair[1].ask(line)
        if eaten == "the answer":
            pair[1].ask(line)
        return "Permission denied\n" if eaten == "the right" else None

    with both(pair) as edge, Fake(answer) as fake:
        with client([pair[0].socket, fake.socket]) as half:
            plan, error = half.apply("drain", "shop", "s1", expect="unknown")
            assert f"{pair[0].socket}: changed; {fake.socket}: " in error["text"], error
            told = half.then("reconcile", "drain", "shop", "s1", plan, op="apply")["state"]
            assert told == ("done" if eaten == "the answer" else "cannot-tell")
            if eaten != "the answer":  # again, and it fails again: what the first one left is still there
                assert "was so already" in half.apply("drain", "shop", "s1", plan, expect="unknown")[1]["text"]
        assert half.host.process.returncode == 0
        assert pair[0].state("shop", "s1") == (8, 1)
        if eaten != "the answer":  # sent again, only what is missing is changed
            edge.then("apply", "drain", "shop", "s1", plan)
            assert states(pair) == [(8, 1), (8, 1)]
            pair[1].ask("set server shop/s1 state ready")
        edge.then("undo", "drain", "shop", "s1", plan)
        assert states(pair) == [(0, 1), (0, 1)]


def test_the_first_one_that_refuses_has_changed_nothing(pair):
    with client([f"unix:{pair[0].dir}/reader.sock", pair[1].socket]) as edge:
        _, error = edge.apply("drain", "shop", "s1", expect="failed")
        assert error["kind"] == "forbidden" and states(pair) == [(0, 1), (0, 1)]


def test_undo_leaves_all_when_one_was_changed_by_hand(pair):
    with both(pair) as edge:
        plan, _ = edge.apply("drain", "shop", "s1")
        pair[1].ask("set server shop/s1 state maint")
        error = edge.then("undo", "drain", "shop", "s1", plan, expect="failed")
        assert error["kind"] == "stale" and f"s1 on tcp:127.0.0.1:{pair[1].tcp_port} is now maint" in error["text"]
        assert states(pair) == [(8, 1), (1, 1)]


def test_a_reload_of_one_is_seen_and_said(pair):
    with both(pair) as edge:
        plan, _ = edge.apply("drain", "shop", "s1")
        pair[1].kill()
        pair[1].start()
        seen = edge.then("verify", "drain", "shop", "s1", plan)
        assert seen["holds"] is False and seen["seen"]["reloaded"] is True
        assert f"on tcp:127.0.0.1:{pair[1].tcp_port} was reloaded or restarted" in seen["seen"]["why"]
        subprocess.run(["/bin/sh", "-c", seen["seen"]["why"].partition("by hand: ")[2]], check=True)
        assert edge.then("verify", "drain", "shop", "s1", plan)["holds"] is True
        pair[0].ask("set server shop/s1 state maint")
        seen = edge.then("verify", "drain", "shop", "s1", plan)["seen"]
        assert seen["reloaded"] is False and "somebody changed it" in seen["why"]


def reload(proxy):
    proxy.kill()
    proxy.start()


def test_reapply_makes_anew_what_a_reload_of_one_has_lost(pair):
    with both(pair) as edge:
        edge.apply("weight", "shop", "s1", weight=7)
        plan, _ = edge.apply("drain", "shop", "s1")
        reload(pair[1])
        assert 'The action reapply (action = "drain"' in edge.then("verify", "drain", "shop", "s1", plan)["seen"]["why"]
        assert edge.plan("drain", "shop", "s1", expect="failed")["kind"] == "refused"  # it wants them alike
        anew, done = edge.apply("reapply", "shop", "s1", action="drain")
        assert (anew["from"]["state"], anew["to"]["state"], anew["undo"]["state"]) == ("ready", "drain", "ready")
        assert "; 1 of them has it still" in anew["impact"] and pair[0].socket[5:] not in anew["by_hand"]
        assert done["was"]["state"] == "ready" and done["processes"] == 1
        assert states(pair) == [(8, 7), (8, 1)]  # the weight is another change
        assert edge.ask("verify", "reapply", {"action": "drain", "backend": "shop", "server": "s1"}, anew)["holds"]
        assert edge.then("verify", "drain", "shop", "s1", plan)["holds"] is True
        edge.apply("reapply", "shop", "s1", action="weight", weight=7)
        assert states(pair) == [(8, 7), (8, 7)]
        assert edge.plan("reapply", "shop", "s1", action="drain")["no_change"] is True
        edge.ask("undo", "reapply", {"action": "drain", "backend": "shop", "server": "s1"}, anew)
        assert states(pair) == [(0, 7), (0, 7)]
        assert edge.then("undo", "drain", "shop", "s1", plan)["already"] is True


def test_reapply_when_all_have_lost_it_and_not_over_a_third_value(pair):
    with both(pair) as edge:
        for proxy in pair:
            reload(proxy)
        edge.apply("reapply", "shop", "s1", action="drain")
        assert states(pair) == [(8, 1), (8, 1)]
        plan = edge.plan("reapply", "shop", "s1", action="maintenance")
        pair[0].ask("set server shop/s1 state ready")
        error = edge.plan("reapply", "shop", "s1", action="maintenance", expect="failed")
        assert error["kind"] == "refused" and "disagree" in error["text"]
        args = {"action": "maintenance", "backend": "shop", "server": "s1"}
        assert edge.ask("apply", "reapply", args, plan, expect="failed")["kind"] == "stale"
        assert states(pair) == [(0, 1), (8, 1)]


def test_reapply_leaves_no_backend_without_a_server_and_wants_an_action(pair):
    with both(pair) as edge:
        edge.apply("drain", "shop", "s1")
        reload(pair[1])
        pair[1].ask("set server shop/s2 state maint")
        error = edge.plan("reapply", "shop", "s1", action="drain", expect="failed")
        assert error["kind"] == "refused" and "without a serving server" in error["text"]
        for action in ("reapply", "states", "drain; shutdown sessions server shop/s1", None):
            assert edge.plan("reapply", "shop", "s1", action=action, expect="failed")["kind"] == "invalid"
        assert edge.plan("reapply", "shop", "s1", action="weight", expect="failed")["kind"] == "invalid"


def test_check_looks_at_every_socket(pair):
    with client([pair[0].socket, f"unix:{pair[1].dir}/reader.sock", "unix:/nowhere/x.sock"], backends=["shop", "nope"]) as edge:
        found = edge.host.call("check", "check")["value"]
    rows = {row["name"]: row["ok"] for row in found["checks"]}
    assert not found["ok"] and rows == {
        f"socket {pair[0].socket}": True, f"level {pair[0].socket}": True, f"backend shop {pair[0].socket}": True,
        f"backend nope {pair[0].socket}": False, f"socket unix:{pair[1].dir}/reader.sock": True,
        f"level unix:{pair[1].dir}/reader.sock": False, f"backend shop unix:{pair[1].dir}/reader.sock": True,
        f"backend nope unix:{pair[1].dir}/reader.sock": False, "socket unix:/nowhere/x.sock": False}


def test_settings_that_make_no_sense():
    a, b = "unix:/run/a", "unix:/run/b"
    for settings in ({"socket": a, "sockets": [b]}, {"sockets": []}, {"sockets": [a, "/run/b"]}, {"sockets": [a, b, a]},
                     {"socket": a, "maps": []}, {"socket": a, "maps": ["a b"]}):
        with pytest.raises(Refused):
            Host("haproxy", settings)
