"""The haproxy plugin against a real HAProxy, with requests that really go elsewhere."""
import contextlib
import os
import shlex
import socket
import subprocess
import threading
import time

import pytest
from harness import wait_for
from plugin_host import Host, Refused
from servers import Haproxy, Origin, closed_port


@pytest.fixture(scope="module")
def origins():
    with Origin("a") as a, Origin("b") as b, Origin("c") as c:
        yield {"a": a, "b": b, "c": c}


@pytest.fixture(scope="module")
def shared_proxy(origins):
    """One HAProxy for most tests: `shop` with three servers, put back as it was after each test."""
    ports = {name: origin.port for name, origin in origins.items()}
    with Haproxy({
        "shop": {"s1": f"127.0.0.1:{ports['a']} weight 100", "s2": f"127.0.0.1:{ports['b']} weight 100",
                 "s3": f"127.0.0.1:{ports['c']} weight 50"},
        "spare": {"m1": ports["a"], "m2": f"127.0.0.1:{ports['b']} backup"},
        "front": {"f1": ports["a"], "f2": ports["b"]},  # a frontend has this name too
        "fixed": {"x1": ports["a"], "x2": ports["b"]},
        "lone": {"only": ports["a"]},
        "void": {},
    }) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy):
    yield shared_proxy
    for backend, servers in {"shop": {"s1": 100, "s2": 100, "s3": 50}, "spare": {"m1": 1, "m2": 1},
                             "front": {"f1": 1, "f2": 1}, "lone": {"only": 1}}.items():
        for server, weight in servers.items():
            shared_proxy.ask(f"set server {backend}/{server} state ready")
            shared_proxy.ask(f"set server {backend}/{server} weight {weight}")


class Client:
    """The operations of one instance, with their outcome checked."""

    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", **more):
        given = {"args": args, "key": "k1", "epoch": 1, **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.call(called, action, given)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action, backend, server, expect="done", **args):
        return self.ask("plan", action, {"backend": backend, "server": server, **args}, expect=expect)

    def apply(self, action, backend, server, plan=None, expect="done", **args):
        plan = plan or self.plan(action, backend, server, **args)
        args = {"backend": backend, "server": server, **args}
        return plan, self.ask("apply", action, args, plan, expect=expect)

    def then(self, called, action, backend, server, plan, expect="done", **more):
        args = {"backend": backend, "server": server}
        if action == "weight":
            args["weight"] = plan["to"]["weight"]
        return self.ask(called, action, args, plan, expect=expect, **more)


@contextlib.contextmanager
def client(socket_address, **settings):
    with Host("haproxy", {"socket": socket_address, **settings}, instance="edge-eu") as host:
        yield Client(host)


@pytest.fixture
def edge(proxy):
    with client(proxy.socket) as one:
        yield one


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


# ---- when the other side misbehaves ----


class Fake:
    """Something on a Unix socket that answers each line as `answer(line)` says; None closes without an answer."""

    def __init__(self, answer):
        import tempfile
        self.dir = tempfile.TemporaryDirectory(prefix="stanch-")
        self.path = os.path.join(self.dir.name, "fake.sock")
        self.socket = "unix:" + self.path
        self.lines = []
        self.answer = answer
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(16)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                peer = self.server.accept()[0]
            except OSError:
                return
            with peer:
                line = b""
                while not line.endswith(b"\n"):
                    got = peer.recv(4096)
                    if not got:
                        break
                    line += got
                self.lines.append(line.decode().rstrip("\n"))
                said = self.answer(self.lines[-1])
                if said:
                    peer.sendall(said.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        self.dir.cleanup()


def test_socket_gone_is_a_failure_that_may_be_tried_again(proxy, edge):
    plan = edge.plan("drain", "shop", "s1")
    with client("unix:/nowhere/admin.sock") as lost:
        for op in ("plan", "apply", "verify", "undo", "reconcile"):
            error = lost.then(op, "drain", "shop", "s1", plan, expect="failed")
            assert error["kind"] == "unreachable" and error["retry"] is True, error


def test_a_lost_reply_is_unknown_and_reconcile_tells(proxy, edge):
    """The write arrives at the real HAProxy, its answer does not come back."""
    plan = edge.plan("drain", "shop", "s1")
    eats = {"before": False, "after": False}

    def answer(line):
        is_set = line.startswith("set ")
        if is_set and eats["before"]:
            return None
        said = proxy.ask(line)
        return None if is_set and eats["after"] else said

    with Fake(answer) as fake, client(fake.socket) as edge:
        eats["before"] = True
        _, error = edge.apply("drain", "shop", "s1", plan, expect="unknown")
        assert edge.then("reconcile", "drain", "shop", "s1", plan, op="apply")["state"] == "not-done"
        eats.update(before=False, after=True)
        _, error = edge.apply("drain", "shop", "s1", plan, expect="unknown")
        assert proxy.state("shop", "s1")[0] == 8
        assert edge.then("reconcile", "drain", "shop", "s1", plan, op="apply")["state"] == "done"
        edge.then("undo", "drain", "shop", "s1", plan, expect="unknown")
        assert edge.then("reconcile", "drain", "shop", "s1", plan, op="undo")["state"] == "done"
        proxy.ask("set server shop/s1 state maint")
        for op in ("apply", "undo"):
            assert edge.then("reconcile", "drain", "shop", "s1", plan, op=op)["state"] == "cannot-tell"


def test_a_proxy_that_hangs_is_unknown_at_the_deadline(proxy, edge):
    plan = edge.plan("drain", "shop", "s1")
    proxy.process.send_signal(19)
    try:
        call = edge.host.start("apply", "drain", {"args": {"backend": "shop", "server": "s1"}, "plan": plan,
                                                  "key": "k", "epoch": 1}, deadline_ms=300)
        assert edge.host.wait(call)["outcome"] == "unknown"
    finally:
        proxy.process.send_signal(18)


def test_a_socket_without_admin_rights(proxy, edge):
    plan = edge.plan("drain", "shop", "s1")
    with client(f"unix:{proxy.dir}/reader.sock") as reader:
        _, error = reader.apply("drain", "shop", "s1", plan, expect="failed")
        assert error["kind"] == "forbidden" and "level admin" in error["text"], error
    assert proxy.state("shop", "s1")[0] == 0


def test_what_haproxy_refuses_is_said(origins):
    """A static balancing algorithm takes no weight but 0% and 100%."""
    with Haproxy({"shop": {"s1": origins["a"].port, "s2": origins["b"].port}}, "    balance static-rr\n") as proxy:
        with client(proxy.socket) as edge:
            _, error = edge.apply("weight", "shop", "s1", weight=50, expect="failed")
            assert error["kind"] == "remote" and "static" in error["text"], error


NAMES = ("# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n")
STAT = "# pxname,svname,scur,status,weight,bck,last_chk\n"


@pytest.mark.parametrize("said,kind", [
    ("2\n# be_id\n\n", "protocol"),
    ("1\n", "protocol"),
    ("1\n" + NAMES, "unreachable"),
    ("1\n" + NAMES + "3 b 1 s1 127.0.0.1 2 0 1 1\n", "unreachable"),
    ("1\n" + NAMES + "3 b 1 s1 127.0.0.1 x 0 1 1\n\n" + STAT + "\n", "protocol"),
    ("1\n" + NAMES + "3 b 1 s1\n\n" + STAT + "\n", "protocol"),
    ("1\n" + NAMES + "3 b 1 s1 127.0.0.1 2 0 1 1\n\n" + STAT + "\n", "protocol"),
    ("1\n" + NAMES + "3 b 1 s1 127.0.0.1 2 0 1 1\n\nUnknown command.\n\n", "protocol"),
    ("1\n# be_id srv_name\n3 s1\n\n" + STAT + "\n", "protocol"),
    ("Unknown command: 'show servers'\n", "remote"),
    ("\x01\x02\x03", "remote"),
    ("\n\n\n", "protocol"),
    ("x" * 100000, "remote"),
    (None, "unreachable"),
], ids=range(14))
def test_garbage_is_a_failure_with_a_text(said, kind):
    with Fake(lambda line: said) as fake, client(fake.socket) as edge:
        error = edge.plan("drain", "b", "s1", expect="failed")
        assert error["kind"] == kind and len(error["text"]) > 10, error
        assert not [line for line in fake.lines if line.startswith("set")]


def test_columns_are_found_by_name_and_quotes_understood():
    """Another order, more columns, empty cells, and CSV with commas inside of quotes."""
    state = ("1\n# srv_iweight srv_name new srv_uweight srv_admin_state srv_addr srv_op_state\n"
             "9 s1  7 0  2\n9 s2 x 7 0  2\n\n")
    stat = ('# svname,last_chk,bck,pxname,status,scur\ns1,"a, ""b""",0,b,"UP",3\ns2,,0,b,UP,\n\n')
    with Fake(lambda line: state + stat) as fake, client(fake.socket) as edge:
        value = edge.ask("read", "states", {"backend": "b"})
        assert [(s["name"], s["weight"], s["initial_weight"], s["sessions"], s["check"]) for s in value["servers"]] == [
            ("s1", 7, 9, 3, "UP"), ("s2", 7, 9, 0, "UP")]
        assert fake.lines == ["show servers state b;show stat b 4 -1"]


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

    before = proxy.ask("show servers state")
    ok, rows = check(proxy.socket, backends=["shop", "lone"])
    assert ok and set(rows) == {"socket", "level", "backend shop", "backend lone"}, rows
    assert proxy.ask("show servers state") == before
    ok, rows = check(proxy.socket, backends=["shop", "sho", "hop"])
    assert not ok and [rows["backend " + name][0] for name in ("shop", "sho", "hop")] == [True, False, False]
    ok, rows = check(f"unix:{proxy.path.parent}/reader.sock")
    assert not ok and rows["socket"][0] and not rows["level"][0] and "level admin" in rows["level"][1], rows
    with closed_port() as port:
        ok, rows = check(f"tcp:127.0.0.1:{port}")
    assert not ok and "nothing was sent" in rows["socket"][1], rows
