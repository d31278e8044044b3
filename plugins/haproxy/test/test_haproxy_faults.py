"""The haproxy plugin when the other side misbehaves: gone, hanging, without rights, or saying something else."""
import pytest
from edge_kit import Fake, client
from servers import Haproxy


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
        assert fake.lines == ["show servers state b;show stat b 4 -1;show info"]
