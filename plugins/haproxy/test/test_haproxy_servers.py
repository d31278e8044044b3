"""Several servers of a backend in one mitigation."""
import subprocess

import pytest
from edge_kit import Fake, client

TWO = {"backend": "shop", "servers": ["s1", "s3"]}


def test_some_servers_are_drained_and_come_back_as_each_was(proxy, edge):
    proxy.ask("set server shop/s3 state maint")
    plan = edge.ask("plan", "drain", TWO)
    assert plan["targets"] == ["haproxy:edge-eu/shop/s1", "haproxy:edge-eu/shop/s3"]
    assert plan["from"] == {"s1": {"state": "ready", "weight": 100}, "s3": {"state": "maint", "weight": 50}}
    assert plan["impact"] == ("s1, s3 take no new requests: serving capacity of shop goes from 200 (2 of 3 servers) "
                              "to 100 (1 of 3 servers)")
    assert plan["reach"] == 0.5
    edge.ask("apply", "drain", TWO, plan)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s2", "s3")] == [8, 0, 8] and proxy.who_answers() == {"b"}
    assert edge.ask("verify", "drain", TWO, plan)["holds"] is True
    assert edge.ask("reconcile", "drain", TWO, plan, op="apply")["state"] == "done"
    edge.ask("undo", "drain", TWO, plan)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s2", "s3")] == [0, 0, 1]
    assert edge.ask("undo", "drain", TWO, plan)["already"] is True


def test_one_that_is_so_already_stays_so(proxy, edge):
    proxy.ask("set server shop/s3 state drain")
    plan = edge.ask("plan", "drain", TWO)
    assert plan["by_hand"].count("set server") == 1
    edge.ask("apply", "drain", TWO, plan)
    edge.ask("undo", "drain", TWO, plan)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s3")] == [0, 8]
    assert edge.ask("plan", "drain", {"backend": "shop", "servers": ["s3"]})["no_change"] is True


def test_by_hand(proxy, edge):
    plan = edge.ask("plan", "maintenance", TWO)
    subprocess.run(["/bin/sh", "-c", plan["by_hand"]], check=True)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s2", "s3")] == [1, 0, 1]
    back = edge.ask("plan", "ready", TWO)
    assert back["impact"].startswith("s1, s3 come back: serving capacity of shop goes from 100 ")
    subprocess.run(["/bin/sh", "-c", plan["undo_by_hand"]], check=True)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s2", "s3")] == [0, 0, 0]


def test_all_of_them_are_not_taken(proxy, edge):
    error = edge.ask("plan", "drain", {"backend": "shop", "servers": ["s1", "s2", "s3"]}, expect="failed")
    assert error["kind"] == "refused" and "draining s1, s2, s3 would leave backend shop without" in error["text"]


def test_half_of_it(proxy, edge):
    plan = edge.ask("plan", "drain", TWO)
    proxy.ask("set server shop/s1 state drain")
    assert edge.ask("reconcile", "drain", TWO, plan, op="apply")["state"] == "cannot-tell"
    assert edge.ask("verify", "drain", TWO, plan)["holds"] is False
    edge.ask("apply", "drain", TWO, plan)
    assert proxy.state("shop", "s3")[0] == 8
    proxy.ask("set server shop/s1 state ready")
    edge.ask("undo", "drain", TWO, plan)
    assert [proxy.state("shop", s)[0] for s in ("s1", "s3")] == [0, 0]
    edge.ask("apply", "drain", TWO, plan)
    proxy.ask("set server shop/s3 state maint")
    error = edge.ask("undo", "drain", TWO, plan, expect="failed")
    assert error["kind"] == "stale" and "s3 maint with weight 50" in error["text"]
    assert [proxy.state("shop", s)[0] for s in ("s1", "s3")] == [8, 1]


def test_one_that_refuses_makes_it_unknown(proxy, edge):
    """HAProxy does what it can of a line: a sentence for one server says nothing of the other."""
    plan = edge.ask("plan", "drain", TWO)
    with Fake(lambda line: "\nNo such server.\n\n" if line.startswith("set") else proxy.ask(line)) as fake, \
            client(fake.socket) as half:
        assert "No such server" in half.ask("apply", "drain", TWO, plan, expect="unknown")["text"]


@pytest.mark.parametrize("args", [{}, {"servers": []}, {"server": "s1", "servers": ["s2"]}, {"servers": ["s1", "s1"]},
                                  {"servers": ["s1;"]}, {"servers": [1]}, {"servers": ["s1", "s2\n"]}], ids=range(7))
def test_lists_that_make_no_sense(args):
    with Fake(lambda line: "1\n# be_id\n\n") as fake, client(fake.socket) as edge:
        for op in ("plan", "apply", "undo"):
            plan = {"from": {"state": "ready", "weight": 1}, "to": {"state": "drain", "weight": 1}}
            assert edge.ask(op, "drain", {"backend": "shop", **args}, plan, expect="failed")["kind"] == "invalid"
        assert fake.lines == []


def test_a_plan_that_lacks_a_server_is_refused(proxy, edge):
    plan = edge.ask("plan", "drain", TWO)
    del plan["to"]["s3"]
    for op in ("apply", "undo", "verify"):
        assert edge.ask(op, "drain", TWO, plan, expect="failed")["kind"] == "invalid"
