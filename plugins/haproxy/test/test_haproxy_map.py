"""Entries of maps on a real HAProxy, read back by a request that goes where the map says."""
import subprocess

import pytest
from edge_kit import Fake, client
from servers import Haproxy, http_get


class Mapped:
    """A HAProxy that answers with what its map says of the path; and an instance that may touch that map."""

    def __init__(self, proxy, file):
        self.proxy, self.file = proxy, file

    def look(self, key):
        return http_get(self.proxy.port, key)[1]

    def entries(self):
        return [line.split(" ", 1)[1] for line in self.proxy.ask(f"show map {self.file}").splitlines() if line]

    def args(self, key, value):
        return {"map": str(self.file), "key": key, "value": value}


@pytest.fixture
def mapped(tmp_path):
    file = tmp_path / "where.map"
    file.write_text("/a old\n/b with blank\n")
    rule = f'    http-request return status 200 content-type text/plain lf-string "%[path,map({file},none)]"\n'
    with Haproxy({"shop": {}}, rule) as proxy:
        yield Mapped(proxy, file)


@pytest.fixture
def edge(mapped):
    with client(mapped.proxy.socket, maps=[str(mapped.file)]) as one:
        yield one


@pytest.mark.parametrize("key,before", [("/a", "old"), ("/new", None)])
def test_set_and_back_exactly(mapped, edge, key, before):
    args, at_first = mapped.args(key, "v2%d"), mapped.entries()
    plan = edge.ask("plan", "map_set", args)
    assert (plan["from"], plan["to"], plan["reach"]) == ({"value": before}, {"value": "v2%d"}, None)
    assert plan["targets"] == [f"haproxy:edge-eu/{mapped.file}/{key}"] and '-> "v2%d"' in plan["impact"]
    edge.ask("apply", "map_set", args, plan)
    assert mapped.look(key) == "v2%d" and edge.ask("verify", "map_set", args, plan)["holds"] is True
    assert edge.ask("plan", "map_set", args)["no_change"] is True
    assert edge.ask("apply", "map_set", args, plan, expect="failed")["kind"] == "stale"  # never a second entry
    edge.ask("undo", "map_set", args, plan)
    assert mapped.look(key) == (before or "none") and mapped.entries() == at_first
    assert edge.ask("undo", "map_set", args, plan)["already"] is True
    subprocess.run(["/bin/sh", "-c", plan["by_hand"]], check=True)
    assert mapped.look(key) == "v2%d"
    subprocess.run(["/bin/sh", "-c", plan["undo_by_hand"]], check=True)
    assert mapped.entries() == at_first


def test_what_could_not_be_put_back_is_refused(mapped, edge):
    error = edge.ask("plan", "map_set", mapped.args("/b", "x"), expect="failed")
    assert error["kind"] == "refused" and "put back" in error["text"]
    mapped.proxy.ask(f"add map {mapped.file} /a second")
    error = edge.ask("plan", "map_set", mapped.args("/a", "x"), expect="failed")
    assert error["kind"] == "refused" and "2 entries" in error["text"]


def test_stale_undo_and_reconcile(mapped, edge):
    args = mapped.args("/a", "new")
    plan = edge.ask("plan", "map_set", args)
    assert edge.ask("reconcile", "map_set", args, plan, op="apply")["state"] == "not-done"
    edge.ask("apply", "map_set", args, plan)
    assert edge.ask("reconcile", "map_set", args, plan, op="apply")["state"] == "done"
    mapped.proxy.ask(f"set map {mapped.file} /a theirs")
    assert edge.ask("reconcile", "map_set", args, plan, op="apply")["state"] == "cannot-tell"
    error = edge.ask("undo", "map_set", args, plan, expect="failed")
    assert error["kind"] == "stale" and '"theirs"' in error["text"] and mapped.look("/a") == "theirs"


def test_a_reload_forgets_the_entry(mapped, edge):
    args = mapped.args("/a", "new")
    plan = edge.ask("plan", "map_set", args)
    edge.ask("apply", "map_set", args, plan)
    mapped.proxy.kill()
    mapped.proxy.start()
    seen = edge.ask("verify", "map_set", args, plan)
    assert seen["holds"] is False and "was reloaded" in seen["seen"]["why"]
    assert edge.ask("undo", "map_set", args, plan)["already"] is True
    args = {"action": "map_set", **args}
    edge.ask("apply", "reapply", args, edge.ask("plan", "reapply", args))
    assert mapped.look("/a") == "new"


def test_reapply_adds_no_second_entry_where_a_reload_has_lost_none(mapped, tmp_path):
    rule = f'    http-request return status 200 content-type text/plain lf-string "%[path,map({mapped.file},none)]"\n'
    with Haproxy({"shop": {}}, rule) as second, client([mapped.proxy.socket, second.socket], maps=[str(mapped.file)]) as edge:
        args = mapped.args("/new", "v2")
        plan = edge.ask("plan", "map_set", args)
        edge.ask("apply", "map_set", args, plan)
        for by in ("stanch", "hand", "the hand of verify"):
            second.kill()
            second.start()
            why = edge.ask("verify", "map_set", args, plan)["seen"]["why"]
            again = edge.ask("plan", "reapply", {"action": "map_set", **args})
            assert "; 1 of them has it still" in again["impact"] and again["from"] == {"value": None}
            if by == "stanch":
                edge.ask("apply", "reapply", {"action": "map_set", **args}, again)
            else:
                command = again["by_hand"] if by == "hand" else why.partition("by hand: ")[2]
                subprocess.run(["/bin/sh", "-c", command], check=True)
            for proxy in (mapped.proxy, second):
                assert proxy.ask(f"show map {mapped.file}").count("/new v2") == 1
        edge.ask("undo", "reapply", {"action": "map_set", **args}, again)
        assert mapped.look("/new") == "none" and http_get(second.port, "/new")[1] == "none"


def test_only_maps_that_are_listed(mapped, edge):
    for maps in ({}, {"maps": ["/etc/other.map"]}):
        with client(mapped.proxy.socket, **maps) as other:
            error = other.ask("plan", "map_set", mapped.args("/a", "x"), expect="failed")
            assert error["kind"] == "refused" and '"maps"' in error["text"]
    with client(mapped.proxy.socket, maps=["/etc/other.map"]) as other:
        error = other.ask("plan", "map_set", {**mapped.args("/a", "x"), "map": "/etc/other.map"}, expect="failed")
        assert error["kind"] == "not-found"


HOSTILE = ["", " ", "a b", "a;b", "a\nset map", "a\\", "'", '"', "a#", "<<", "a\t", "é", "\x7f", "x" * 401, "`"]


@pytest.mark.parametrize("text", HOSTILE, ids=[ascii(h)[:16] for h in HOSTILE])
def test_hostile_words_never_reach_the_socket(text):
    good = {"map": "/m", "key": "k", "value": "v"}
    with Fake(lambda line: "\n") as fake, client(fake.socket, maps=["/m"]) as edge:
        for name in good:
            plan = {"from": {"value": None}, "to": {"value": "v"}}
            for op in ("plan", "apply", "verify", "undo", "reconcile"):
                assert edge.ask(op, "map_set", {**good, name: text}, plan, expect="failed", op="apply")["kind"] == "invalid"
        bad = {"from": {"value": None}, "to": {"value": text}}
        assert edge.ask("apply", "map_set", good, bad, expect="failed")["kind"] == "invalid"
        assert fake.lines == []


@pytest.mark.parametrize("said", ["", "0x1 k v", "0x1 k v\n", "k v\n\n", "0x1\n\n", None, "x" * 1000])
def test_garbage_is_a_failure(said):
    with Fake(lambda line: said) as fake, client(fake.socket, maps=["/m"]) as edge:
        error = edge.ask("plan", "map_set", {"map": "/m", "key": "k", "value": "v"}, expect="failed")
        assert error["kind"] in ("unreachable", "protocol") and len(fake.lines) == 1
