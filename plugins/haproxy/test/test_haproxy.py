"""The haproxy plugin against a real HAProxy, with requests that really go elsewhere."""
import shlex
import subprocess
import threading
import time

import pytest
from edge_kit import Fake, client
from harness import wait_for
from plugin_host import Host, Refused
from servers import Haproxy, Origin, closed_port


# ---- the way of one mitigation ----


def test_drain_takes_requests_elsewhere_and_undo_brings_them_back(proxy, edge):
    assert proxy.who_answers() == {"a", "b", "c"}
    plan, done = edge.apply("drain", "shop", "s2")
    assert done == {"was": {"state": "ready", "weight": 100}, "note": "holds until HAProxy is reloaded or restarted"}
    assert plan["targets"] == ["haproxy:edge-eu/shop/s2"]
    assert plan["from"] == {"state": "ready", "weight": 100}
    assert plan["to"] == {"state": "drain", "weight": 100}
    assert plan["undo"] == {"state": "ready", "only_if": {"state": "drain"}}
    assert plan["impact"] == ("s2 takes no new requests: serving capacity of shop goes from 250 (3 of 3 servers) "
                              "to 150 (2 of 3 servers)")
    assert plan["reach"] == 0.4 and plan["no_change"] is False
    assert plan["observed"]["before"] == {"weight": 250, "servers": 3, "of": 3, "backup": False}
    assert plan["observed"]["after"]["weight"] == 150
    assert abs(plan["observed"]["as_of_ms"] / 1000 - time.time()) < 60
    assert proxy.state("shop", "s2") == (8, 100)
    assert proxy.who_answers() == {"a", "c"}
    seen = edge.then("verify", "drain", "shop", "s2", plan)
    assert seen["holds"] is True and seen["seen"]["state"] == "drain" and seen["seen"]["serving"] is False
    edge.then("undo", "drain", "shop", "s2", plan)
    assert proxy.state("shop", "s2") == (0, 100)
    assert proxy.who_answers() == {"a", "b", "c"}
    assert edge.then("verify", "drain", "shop", "s2", plan)["holds"] is False


def test_maintenance_and_ready(proxy, edge):
    plan, _ = edge.apply("maintenance", "shop", "s1")
    assert proxy.state("shop", "s1")[0] == 1 and proxy.who_answers() == {"b", "c"}
    assert edge.then("verify", "maintenance", "shop", "s1", plan)["holds"]
    back = edge.plan("ready", "shop", "s1")
    assert back["impact"] == ("s1 comes back: serving capacity of shop goes from 150 (2 of 3 servers) to 250 (3 of 3 "
                              "servers)")
    edge.apply("ready", "shop", "s1", back)
    assert proxy.who_answers() == {"a", "b", "c"}
    edge.then("undo", "ready", "shop", "s1", back)
    assert proxy.state("shop", "s1")[0] == 1


def test_weight_is_absolute_and_comes_back_exactly(proxy, edge):
    proxy.ask("set server shop/s1 weight 70")
    plan, _ = edge.apply("weight", "shop", "s1", weight=0)
    assert plan["from"]["weight"] == 70 and plan["undo"] == {"weight": 70, "only_if": {"weight": 0}}
    assert plan["impact"].startswith("Weight of s1 from 70 to 0: serving capacity of shop goes from 220 ")
    assert proxy.who_answers() == {"b", "c"}
    assert edge.then("verify", "weight", "shop", "s1", plan)["holds"]
    edge.then("undo", "weight", "shop", "s1", plan)
    assert proxy.state("shop", "s1") == (0, 70)


def test_ready_keeps_the_runtime_weight(proxy, edge):
    edge.apply("weight", "shop", "s1", weight=40)
    edge.apply("drain", "shop", "s1")
    plan, _ = edge.apply("ready", "shop", "s1")
    assert plan["to"] == {"state": "ready", "weight": 40} and proxy.state("shop", "s1") == (0, 40)


def test_two_mitigations_of_one_server_are_taken_back_in_any_order(proxy, edge):
    heavy, _ = edge.apply("weight", "shop", "s1", weight=10)
    drained, _ = edge.apply("drain", "shop", "s1")
    edge.then("undo", "weight", "shop", "s1", heavy)
    assert proxy.state("shop", "s1") == (8, 100)
    edge.then("undo", "drain", "shop", "s1", drained)
    assert proxy.state("shop", "s1") == (0, 100)


def test_no_change(proxy, edge):
    edge.apply("drain", "shop", "s1")
    plan, done = edge.apply("drain", "shop", "s1")
    assert plan["no_change"] is True and plan["reach"] == 0 and done["no_change"] is True
    edge.then("undo", "drain", "shop", "s1", plan)
    assert proxy.state("shop", "s1")[0] == 8  # it was drained before: so it stays


def test_states(proxy, edge):
    proxy.ask("set server shop/s2 state maint")
    value = edge.ask("read", "states", {"backend": "shop"})
    assert value["serving"] == {"weight": 150, "servers": 2, "backup": False}
    assert [(s["name"], s["state"], s["serving"], s["weight"]) for s in value["servers"]] == [
        ("s1", "ready", True, 100), ("s2", "maint", False, 100), ("s3", "ready", True, 50)]
    assert edge.ask("read", "states", {"backend": "void"})["servers"] == []


def test_over_tcp(proxy):
    with client(f"tcp:127.0.0.1:{proxy.tcp_port}") as edge:
        plan, _ = edge.apply("drain", "shop", "s3")
        assert proxy.state("shop", "s3")[0] == 8
        assert plan["by_hand"].endswith(f"| socat - tcp-connect:127.0.0.1:{proxy.tcp_port}")


@pytest.mark.parametrize("action,more", [("drain", {}), ("maintenance", {}), ("weight", {"weight": 7})])
def test_by_hand_does_what_the_plan_says(proxy, edge, action, more):
    plan = edge.plan(action, "shop", "s1", **more)
    assert plan["by_hand"].startswith("printf 'set server shop/s1 ")
    subprocess.run(["/bin/sh", "-c", plan["by_hand"]], check=True)
    assert edge.then("verify", action, "shop", "s1", plan)["holds"]
    subprocess.run(["/bin/sh", "-c", plan["undo_by_hand"]], check=True)
    assert proxy.state("shop", "s1") == (0, 100)


# ---- what is refused ----


def test_the_last_server_is_not_taken(proxy, edge):
    for action, more in (("drain", {}), ("maintenance", {}), ("weight", {"weight": 0})):
        error = edge.plan(action, "lone", "only", expect="failed", **more)
        assert error["kind"] == "refused" and "without a serving server" in error["text"], error
    assert proxy.state("lone", "only") == (0, 1)


def test_a_server_that_is_down_does_not_count(origins):
    with closed_port() as dead, Haproxy(
            {"shop": {"s1": origins["a"].port, "s2": f"127.0.0.1:{dead} check inter 50ms fall 1"}}) as proxy:
        wait_for(lambda: not proxy.is_up("shop", "s2"), "s2 to be down")
        with client(proxy.socket) as edge:
            error = edge.plan("drain", "shop", "s1", expect="failed")
            assert error["kind"] == "refused" and "1 (1 of 2 servers)" in error["text"]
            # the one that is down may be drained, for what it is worth
            assert edge.plan("drain", "shop", "s2")["reach"] == 0
            proxy.ask("set server shop/s2 state drain")
            plan = edge.plan("ready", "shop", "s2")
            assert plan["impact"].endswith("; it will not serve yet: HAProxy says DOWN of it"), plan["impact"]
            assert plan["reach"] == 0


def test_sessions_and_weight_zero_are_told(proxy, edge):
    proxy.ask("set server shop/s1 state drain; set server shop/s1 weight 0")
    plan = edge.plan("ready", "shop", "s1")
    assert plan["impact"].endswith("; its weight is 0: it takes no requests yet") and plan["reach"] == 0


def test_a_reload_forgets_and_verify_sees_it(origins):
    with Haproxy({"shop": {"s1": origins["a"].port, "s2": origins["b"].port}}) as proxy:
        with client(proxy.socket) as edge:
            plan, _ = edge.apply("drain", "shop", "s1")
            proxy.kill()
            assert edge.plan("drain", "shop", "s1", expect="failed")["kind"] == "unreachable"
            proxy.start()
            assert edge.then("verify", "drain", "shop", "s1", plan)["holds"] is False
            assert edge.then("undo", "drain", "shop", "s1", plan)["already"] is True
            assert proxy.who_answers() == {"a", "b"}


def test_running_sessions_are_counted():
    """A request that hangs on the server is told of in the plan, and goes on after the drain."""
    go = threading.Event()
    with Origin(lambda handler, body: go.wait(10) and "slow") as slow, Origin("other") as other:
        with Haproxy({"shop": {"s1": f"127.0.0.1:{slow.port} weight 256", "s2": f"127.0.0.1:{other.port} weight 1"}}) \
                as proxy, client(proxy.socket) as edge:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(proxy.get()))
            thread.start()
            wait_for(lambda: slow.requests, "the request to arrive")
            plan, _ = edge.apply("drain", "shop", "s1")
            assert plan["impact"].endswith("; 1 sessions on it now")
            assert proxy.who_answers() == {"other"}
            go.set()
            thread.join()
            assert answers == ["slow"]


def test_a_backup_steps_in(proxy, edge):
    plan, _ = edge.apply("drain", "spare", "m1")
    assert plan["impact"].endswith("goes from 1 (1 of 2 servers) to 1 (1 of 2 servers, a backup)")
    assert plan["reach"] == 1
    assert edge.plan("drain", "spare", "m2", expect="failed")["kind"] == "refused"


def test_apply_counts_the_capacity_again(proxy, edge):
    plan = edge.plan("drain", "shop", "s1")
    proxy.ask("set server shop/s2 state maint; set server shop/s3 state maint")
    _, error = edge.apply("drain", "shop", "s1", plan, expect="failed")
    assert error["kind"] == "refused" and proxy.state("shop", "s1")[0] == 0


def test_an_undo_that_would_take_the_last_server_is_refused(proxy, edge):
    proxy.ask("set server shop/s1 state drain")
    plan, _ = edge.apply("ready", "shop", "s1")
    proxy.ask("set server shop/s2 state maint; set server shop/s3 state maint")
    error = edge.then("undo", "ready", "shop", "s1", plan, expect="failed")
    assert error["kind"] == "refused" and proxy.state("shop", "s1")[0] == 0


def test_stale_plan(proxy, edge):
    plan = edge.plan("drain", "shop", "s1")
    proxy.ask("set server shop/s1 weight 99")
    _, error = edge.apply("drain", "shop", "s1", plan, expect="failed")
    assert error["kind"] == "stale" and "ready with weight 99" in error["text"]
    assert proxy.state("shop", "s1")[0] == 0


def test_undo_leaves_what_somebody_changed_by_hand(proxy, edge):
    plan, _ = edge.apply("drain", "shop", "s1")
    proxy.ask("set server shop/s1 state maint")
    error = edge.then("undo", "drain", "shop", "s1", plan, expect="failed")
    assert error["kind"] == "stale" and "maint" in error["text"] and "set server shop/s1 state ready" in error["text"]
    assert proxy.state("shop", "s1")[0] == 1


def test_undo_after_a_reload_is_done_already(proxy, edge):
    plan, _ = edge.apply("drain", "shop", "s1")
    proxy.ask("set server shop/s1 state ready")
    assert edge.then("undo", "drain", "shop", "s1", plan)["already"] is True


def test_no_such_thing(proxy, edge):
    assert edge.plan("drain", "nope", "s1", expect="failed")["kind"] == "not-found"
    error = edge.plan("drain", "shop", "s9", expect="failed")
    assert error["kind"] == "not-found" and 'no server "s9"' in error["text"]
    assert edge.plan("drain", "void", "s1", expect="failed")["kind"] == "not-found"
    plan = edge.plan("drain", "shop", "s1")
    assert edge.then("apply", "drain", "shop", "gone", plan, expect="failed")["kind"] == "not-found"


def test_a_frontend_of_the_same_name(proxy, edge):
    value = edge.ask("read", "states", {"backend": "front"})
    assert [s["name"] for s in value["servers"]] == ["f1", "f2"] and value["serving"]["servers"] == 2


def test_allow_list(proxy):
    with client(proxy.socket, backends=["shop"]) as edge:
        edge.plan("drain", "shop", "s1")
        for op, action in (("plan", "drain"), ("read", "states")):
            error = edge.ask(op, action, {"backend": "lone", "server": "only"}, expect="failed")
            assert error["kind"] == "refused" and "backends" in error["text"]
        # a plan of elsewhere does not open the door
        plan = edge.plan("drain", "shop", "s1")
        assert edge.then("apply", "drain", "lone", "only", plan, expect="failed")["kind"] == "refused"


def test_settings_that_make_no_sense():
    for settings in ({}, {"socket": "/run/x"}, {"socket": "unix:/run/x", "backends": ["a b"]},
                     {"socket": "unix:/run/x", "backends": []}, {"socket": "unix:/run/x", "other": 1}):
        with pytest.raises(Refused):
            Host("haproxy", settings)


HOSTILE = ["", " ", "s1;", "s1; set server shop/s2 state maint", "s1\nset server shop/s2 state maint", "s1\r\n",
           "s1 state maint", "../s1", "s1/s2", "shop/s1", "#1", "s1\\", "s1'", 's1"', "$(id)", "`id`", "s1|cat",
           "s1>x", "s1\t", "sé1", "s1\u2028", "%73", "a" * 201, "<<", "s1 #", "*", "s1,s2", "@1", "-1 4 -1;show env"]


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(n)[:24] for n in HOSTILE])
def test_hostile_names_never_reach_the_socket(name):
    with Fake(lambda line: "1\n# be_id\n\n") as fake, client(fake.socket) as edge:
        for args in ({"backend": "shop", "server": name}, {"backend": name, "server": "s1"}):
            for op, action in (("plan", "drain"), ("plan", "weight"), ("verify", "drain"), ("apply", "drain")):
                plan = {"from": {"state": "ready", "weight": 1}, "to": {"state": "drain", "weight": 1}}
                error = edge.ask(op, action, {**args, "weight": 1}, plan, expect="failed")
                assert error["kind"] == "invalid", error
        assert fake.lines == []


def test_arguments_and_plans_of_a_wrong_type(proxy, edge):
    for bad in (None, 1, [], {}, True):
        assert edge.plan("drain", bad, "s1", expect="failed")["kind"] == "invalid"
    for bad in (-1, 257, None, "7", 1 << 40):
        assert edge.plan("weight", "shop", "s1", weight=bad, expect="failed")["kind"] == "invalid"
    good = {"state": "drain", "weight": 1}
    for bad in ({}, {"state": "x;show env", "weight": 1}, {"state": "drain", "weight": 999}, {"state": "drain"}, None):
        for op in ("apply", "undo", "reconcile"):
            error = edge.then(op, "drain", "shop", "s1", {"from": bad, "to": good}, expect="failed", op=op)
            assert error["kind"] == "invalid", error
    assert proxy.state("shop", "s1") == (0, 100)


def test_by_hand_is_quoted_for_a_shell(proxy):
    folder = proxy.dir / "it's a dir"
    folder.mkdir(exist_ok=True)
    link = folder / "admin.sock"
    if not link.exists():
        link.symlink_to(proxy.path)
    with client(f"unix:{link}") as edge:
        plan = edge.plan("drain", "shop", "s1")
        assert shlex.split(plan["by_hand"])[-1] == f"unix-connect:{link}"


def test_check(proxy):
    def check(address, **settings):
        with client(address, **settings) as edge:
            found = edge.host.call("check", "check")["value"]
        return found["ok"], {row["name"]: (row["ok"], row["text"]) for row in found["checks"]}

    def servers():
        """Without the seconds since a server's last change, which pass by themselves (the tenth column)."""
        rows = [row.split() for row in proxy.ask("show servers state").splitlines()]
        return [row[:9] + row[10:] for row in rows]

    before = servers()
    ok, rows = check(proxy.socket, backends=["shop", "lone"])
    assert ok and set(rows) == {"socket", "level", "backend shop", "backend lone"}, rows
    assert servers() == before
    ok, rows = check(proxy.socket, backends=["shop", "sho", "hop"])
    assert not ok and [rows["backend " + name][0] for name in ("shop", "sho", "hop")] == [True, False, False]
    ok, rows = check(f"unix:{proxy.path.parent}/reader.sock")
    assert not ok and rows["socket"][0] and not rows["level"][0] and "level admin" in rows["level"][1], rows
    with closed_port() as port:
        ok, rows = check(f"tcp:127.0.0.1:{port}")
    assert not ok and "nothing was sent" in rows["socket"][1], rows
