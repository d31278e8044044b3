"""The http plugin against a server that writes down what it got: what may stand where, and what is made of the answers."""
import os
import shlex
import subprocess
import sys

import pytest
from hostile import Hostile
from plugin_host import Host, Refused

sys.path.insert(0, os.path.dirname(__file__))
from pools import ACTIONS, LOOK, PARAMS, PAUSE, PURGE, TOKEN, pools  # noqa: E402


@pytest.fixture
def server():
    with Hostile(pools) as one:
        yield one


class Client:
    """One instance, asked as core asks."""

    def __init__(self, server, actions=None, secrets=None, **settings):
        settings = {"url": server.url + "/v1", "actions": actions or ACTIONS, **settings}
        self.host = Host("http", settings, {"token": TOKEN} if secrets is None else secrets, instance="lb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.host.close() == 0, self.host.printed()

    def ask(self, called, action, args, plan=None, expect="done", key="k1", **more):
        given = {"args": args, "key": key, "epoch": 1, **({} if plan is None else {"plan": plan}), **more}
        answer = self.host.call(called, action, given, deadline_ms=20000)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]


EU = {"region": "eu"}


# ---- the way of one mitigation


def test_a_value_is_planned_changed_read_back_and_put_back(server):
    with Client(server) as lb:
        plan = lb.ask("plan", "pause", EU)
        assert plan["from"] == {"value": True}
        assert plan["to"] == {"value": False, "request": {"method": "PUT", "path": "/pools/eu", "json": {"enabled": False}}}
        assert plan["undo"] == {"request": {"method": "PUT", "path": "/pools/eu", "json": {"enabled": True}}}
        assert plan["targets"] == ["http:lb/pools/eu"] and plan["impact"] == "pause: true -> false"
        assert plan["no_change"] is False and plan["reach"] is None
        assert lb.ask("reconcile", "pause", EU, plan, op="apply") == {"state": "not-done"}
        assert lb.ask("apply", "pause", EU, plan) == {"status": 204}
        assert server.effects == [("eu", {"enabled": False})]
        assert server.seen[-1].headers["if-match"] == '"1"'
        assert lb.ask("verify", "pause", EU, plan) == {"holds": True, "seen": {"value": False}}
        assert lb.ask("reconcile", "pause", EU, plan, op="apply") == {"state": "done"}
        assert lb.ask("plan", "pause", EU)["no_change"] is True
        assert lb.ask("apply", "pause", EU, plan) == {"no_change": True}
        assert lb.ask("undo", "pause", EU, plan) == {"status": 204}
        assert server.state["eu"]["enabled"] is True and server.seen[-1].headers["if-match"] == '"2"'
        assert lb.ask("undo", "pause", EU, plan) == {"already": True}
        assert lb.ask("verify", "pause", EU, plan)["holds"] is False
        assert len(server.effects) == 2


def test_by_hand_does_the_same(server):
    region = "it's a $(pool) & more"
    with Client(server, headers={"X-Team": "a b"}) as lb:
        plan = lb.ask("plan", "pause", {"region": region})
        assert TOKEN not in str(plan)
        for line, enabled in ((plan["by_hand"], False), (plan["undo_by_hand"], True)):
            subprocess.run(["/bin/sh", "-c", line], check=True, capture_output=True, env={**os.environ, "TOKEN": TOKEN})
            assert server.state["it%27s%20a%20%24%28pool%29%20%26%20more"]["enabled"] is enabled
        assert server.seen[-1].headers["x-team"] == "a b"


def test_what_somebody_changed_meanwhile_is_theirs(server):
    weight = {**PAUSE, "to": "off", "apply": {**PAUSE["apply"], "json": {"enabled": "off"}}}
    with Client(server, {"pause": weight}) as lb:
        plan = lb.ask("plan", "pause", EU)
        server.state["eu"] = {"enabled": "half", "version": 5}
        error = lb.ask("apply", "pause", EU, plan, expect="failed")
        assert error["kind"] == "stale" and error["text"] == 'it is "half" now, and was true when it was planned'
        assert lb.ask("reconcile", "pause", EU, plan, op="apply") == {"state": "cannot-tell"}
        server.state["eu"] = {"enabled": True, "version": 6}
        lb.ask("apply", "pause", EU, plan)
        server.state["eu"] = {"enabled": "half", "version": 8}
        error = lb.ask("undo", "pause", EU, plan, expect="failed")
        assert error["kind"] == "stale" and plan["undo_by_hand"] in error["text"]
        assert len(server.effects) == 1


def test_a_change_between_read_and_write_is_seen(server):
    """The remote refuses by If-Match what was read a moment too early."""
    def racing(one, request):
        if request.method == "PUT":
            one.state["eu"]["version"] += 1
        return pools(one, request)

    server.happy = racing
    with Client(server) as lb:
        plan = lb.ask("plan", "pause", EU)
        assert lb.ask("apply", "pause", EU, plan, expect="failed")["kind"] == "stale"
        assert not server.effects
        server.happy = lambda one, request: (200, {}, {"pool": {"enabled": True}})
        error = lb.ask("apply", "pause", EU, plan, expect="failed")
        assert error["kind"] == "protocol" and "without an ETag" in error["text"]


def test_another_configuration_voids_the_plan(server):
    with Client(server) as lb:
        plan = lb.ask("plan", "pause", EU)
        lb.ask("apply", "pause", EU, plan)
    other = {**PAUSE, "apply": {**PAUSE["apply"], "json": {"enabled": 0}}, "undo": {**PAUSE["undo"], "json": {"enabled": 1}}}
    with Client(server, {"pause": other}) as lb:
        assert "the configuration" in lb.ask("undo", "pause", EU, plan, expect="failed")["text"]
        server.state["eu"]["enabled"] = True
        assert "the configuration" in lb.ask("apply", "pause", EU, plan, expect="failed")["text"]
    with Client(server, {"pause": {**PURGE, "params": PARAMS, "apply": PAUSE["apply"]}}) as lb:
        lb.ask("apply", "pause", EU, plan, expect="failed")
    assert len(server.effects) == 1


def test_a_lagging_read_is_asked_again(server):
    reads = []

    def lagging(one, request):
        if "/evaluated" in request.path:
            reads.append(request.path)
            return 200, {}, {"on": len(reads) < 4}
        return pools(one, request)

    server.happy = lagging
    action = {**PAUSE, "verify": {"path": "/evaluated", "query": {"pool": "{region}"}, "at": "/on", "within_ms": 15000,
                                  "every_ms": 50}}
    with Client(server, {"pause": action}) as lb:
        plan = lb.ask("plan", "pause", EU)
        lb.ask("apply", "pause", EU, plan)
        assert lb.ask("verify", "pause", EU, plan) == {"holds": True, "seen": {"value": False}}
        assert reads == ["/v1/evaluated?pool=eu"] * 4
        action["verify"]["within_ms"] = 200
        reads[:] = []
        server.happy = lambda one, request: (200, {}, {"on": True})
    with Client(server, {"pause": action}) as lb:
        assert lb.ask("verify", "pause", EU, plan) == {"holds": False, "seen": {"value": True}}


def test_an_idempotency_key_goes_with_each_intent(server):
    args = {"service": "web", "depth": 3}
    with Client(server) as lb:
        assert lb.host.declaration["actions"]["purge"]["ops"] == ["plan", "apply"]
        plan = lb.ask("plan", "purge", args)
        assert plan["from"] == {} and plan["impact"].startswith("sends POST /purge (nothing was read before: a cache has")
        for key in ("a", "a", "b"):
            lb.ask("apply", "purge", args, plan, key=key)
        assert server.effects == [{"service": "s-web", "depth": 3}] * 2
        for op in ("verify", "undo", "reconcile"):  # it has none of them
            assert lb.ask(op, "purge", args, plan, expect="failed")["kind"] == "invalid"


# ---- what is put in stays in its place


def echo(one, request):
    one.effects.append(request)
    return 200, {}, {"v": 1}


@pytest.mark.parametrize("text", ["a?b=c", "a#b", "a&b=1", "a%2Fb", "a b", "ü", "@other.example", "a;b", "a:80", "..a", "{from}"])
def test_a_value_cannot_change_the_path(server, text):
    server.happy = echo
    look = {**LOOK, "params": {"region": {}}, "read": {"path": "/a/{region}/b", "query": {"q": "x{region}"}, "at": ""}}
    with Client(server, {"look": look}) as lb:
        lb.ask("read", "look", {"region": text})
    path, _, query = server.effects[0].path.partition("?")
    from urllib.parse import parse_qsl, unquote
    assert path.count("/") == 4 and [unquote(p) for p in path.split("/")] == ["", "v1", "a", text, "b"]
    assert parse_qsl(query, strict_parsing=True) == [("q", "x" + text)]
    assert server.effects[0].headers["host"] == server.url.removeprefix("http://")


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../x", "a\\b", "a\nb", "\x7f"])
def test_what_could_change_it_is_not_sent(server, text):
    look = {**LOOK, "params": {"region": {}}, "read": {"path": "/a/{region}/b"}}
    with Client(server, {"look": look}) as lb:
        assert lb.ask("read", "look", {"region": text}, expect="failed")["kind"] == "invalid"
    assert not server.seen


def test_a_slash_only_where_it_is_allowed(server):
    server.happy = echo
    look = {**LOOK, "params": {"region": {"may_have_slash": True}}, "read": {"path": "/projects/{region}", "at": "/v"}}
    with Client(server, {"look": look}) as lb:
        assert lb.ask("read", "look", {"region": "group/app"}) == {"value": 1}
        assert server.effects[0].path == "/v1/projects/group%2Fapp"
        for bad in ("a/../b", "a//b", "/a", "a/", "./a", "a/.."):
            assert lb.ask("read", "look", {"region": bad}, expect="failed")["kind"] == "invalid"


def test_values_keep_their_type_in_json(server):
    server.happy = echo
    kinds = {"n": {"type": "integer"}, "r": {"type": "number"}, "b": {"type": "boolean"}, "s": {}}
    tell = {"summary": "s", "effect": "notify", "class": "unprotected", "params": kinds,
            "apply": {"method": "PATCH", "path": "/x", "content_type": "application/merge-patch+json",
                      "json": {"n": "{n}", "r": ["{r}"], "b": "{b}", "s": "{s}", "t": "n{n} {{n} {b}", "i": "{instance}"}}}
    with Client(server, {"tell": tell}) as lb:
        assert lb.ask("read", "tell", {"n": -7, "r": 0.25, "b": True, "s": '","x":"{n}'}) == {"status": 200}
    import json
    assert json.loads(server.effects[0].body) == {"n": -7, "r": [0.25], "b": True, "s": '","x":"{n}', "t": "n-7 {n} true",
                                                  "i": "lb"}
    assert server.effects[0].headers["content-type"] == "application/merge-patch+json"


# ---- answers


def test_what_is_not_expected(server):
    with Client(server) as lb:
        plan = lb.ask("plan", "pause", EU)
        server.hits = lambda request: request.method == "PUT"
        server.fault = 202
        assert "202, which is not what is expected" in lb.ask("apply", "pause", EU, plan, expect="unknown")["text"]
        server.hits, server.fault = (lambda request: True), 204
        lb.ask("read", "look", EU, expect="failed")
        server.fault = None
        server.happy = lambda one, request: (200, {}, {"other": 1})
        error = lb.ask("read", "look", EU, expect="failed")
        assert error["kind"] == "protocol" and "nothing at /pool/enabled" in error["text"]


def test_what_is_absent_is_null(server):
    def things(one, request):
        if request.method == "GET":
            return (200, {}, {"limit": one.state["limit"]}) if "limit" in one.state else (404, {}, {})
        if request.method == "DELETE":
            del one.state["limit"]
        else:
            one.state["limit"] = 5
        return 200, {}, {}

    server.happy = things
    action = {"summary": "s", "class": "convergent", "risk": "low", "to": 5.0,
              "read": {"path": "/limit", "at": "/limit", "absent": [404]},
              "apply": {"method": "PUT", "path": "/limit", "json": {"limit": 5}},
              "undo": {"method": "DELETE", "path": "/limit"}}
    with Client(server, {"limit": action}) as lb:
        plan = lb.ask("plan", "limit", {})
        assert plan["from"] == {"value": None} and plan["impact"] == "limit: null -> 5.0"
        lb.ask("apply", "limit", {}, plan)
        assert lb.ask("verify", "limit", {}, plan)["holds"] is True
        lb.ask("undo", "limit", {}, plan)
        assert server.state == {} and lb.ask("verify", "limit", {}, plan)["holds"] is False


def test_a_notice_that_got_lost_is_unknown(server):
    tell = {"summary": "s", "effect": "notify", "class": "unprotected",
            "apply": {"method": "POST", "path": "/pools/x", "json": {"enabled": True}}}
    with Client(server, {"tell": tell}) as lb:
        for fault, outcome in (("lost", "unknown"), (500, "unknown"), (422, "failed")):
            server.fault = fault
            lb.ask("read", "tell", {}, expect=outcome)
    assert len(server.effects) == 1, "what may have happened was sent again"


def test_headers_that_are_secret(server):
    server.happy = echo
    look = {**LOOK, "params": {}, "read": {"path": "/x"}}
    with Client(server, {"look": look}, {"secret1": "hunter2-hunter2"}, headers={"X-Team": "a"},
                secret_headers={"X-Key": {"secret": "secret1", "before": "Key "}}) as lb:
        lb.ask("read", "look", {})
        seen = server.effects[0].headers
        assert (seen["x-key"], seen["x-team"]) == ("Key hunter2-hunter2", "a") and "authorization" not in seen
    action = {**PURGE, "params": {}, "apply": {"method": "POST", "path": "/x", "json": {}}}
    with Client(server, {"act": action}, {"password": "hunter2-hunter2", "secret1": "k" * 9}, user="me",
                secret_headers={"X-Key": {"secret": "secret1"}}) as lb:
        line = lb.ask("plan", "act", {})["by_hand"]
        assert shlex.split(line)[:9] == ["curl", "-sS", "-f", "-X", "POST", "-H", "X-Key: $SECRET1", "-u", "me:$PASSWORD"]
        assert '"$PASSWORD"' in line and "hunter2" not in line


def test_check(server):
    with Client(server, check_path="/pools/eu") as lb:
        assert lb.host.call("check", "check")["value"]["ok"] is True
    with Client(server, check_path="/pools/eu", secrets={}) as lb:
        found = lb.host.call("check", "check")["value"]
        assert found["ok"] is False and "401" in found["checks"][0]["text"]
    with Client(server, {"look": LOOK}) as lb:
        server.fault = 404
        found = lb.host.call("check", "check")["value"]
        assert found["ok"] is True and "check_path" in found["checks"][0]["text"]


# ---- settings

NOTE = {"summary": "s", "effect": "notify", "class": "unprotected", "apply": {"method": "POST", "path": "/x"}}


def without(action, *keys, **more):
    return {k: v for k, v in {**action, **more}.items() if k not in keys}


BAD = [
    ({**PAUSE, "metod": 1}, "actions.a.metod: no such"),
    (without(PAUSE, "class"), "actions.a.class: missing"),
    (without(PAUSE, "risk"), "actions.a.risk: missing"),
    (without(PAUSE, "apply"), "actions.a.apply: missing"),
    (without(PAUSE, "read"), "actions.a.class: convergent"),
    (without(PAUSE, "read", "to", **{"class": "unprotected"}), "actions.a.read: a request that reads"),
    (without(PAUSE, "to"), "actions.a.to: read and to belong together"),
    (without(PAUSE, "undo"), "actions.a.undo: a request that takes it back"),
    ({**PAUSE, "no_undo_because": "x"}, "actions.a.undo: a request that takes it back"),
    ({**PAUSE, "class": "read-only"}, "actions.a.class: read-only is the class"),
    ({**PAUSE, "class": "idempotent"}, "actions.a.class: idempotent"),
    ({**PAUSE, "class": "reconcilable"}, "actions.a.class: reconcilable"),
    ({**PURGE, "if_match": True}, "actions.a.if_match: only with read"),
    ({**PURGE, "verify": {"path": "/x"}}, "actions.a.verify: without read"),
    ({**PURGE, "key_header": "Host"}, "key_header: this header is made by stanch"),
    ({**LOOK, "risk": "low"}, "actions.a.risk: for the effect mitigate only"),
    ({**LOOK, "apply": NOTE["apply"]}, "actions.a.read: the request was expected, and no apply"),
    (without(NOTE, "apply"), "actions.a.apply: the request was expected"),
    ({**PAUSE, "apply": {"method": "GET", "path": "/x"}}, "actions.a.apply.method: "),
    ({**PAUSE, "apply": {"path": "/x"}}, "actions.a.apply.method: missing"),
    ({**LOOK, "read": {"path": "/x", "json": {}}}, "actions.a.read.json: a GET has no body"),
    ({**LOOK, "read": {"path": "x"}}, "actions.a.read.path: "),
    ({**LOOK, "read": {"path": "/x?a={region}"}}, "actions.a.read.path: a path without"),
    ({**LOOK, "read": {"path": "/../x"}}, "actions.a.read.path: an empty segment"),
    ({**LOOK, "read": {"path": "//x"}}, "actions.a.read.path: an empty segment"),
    ({**LOOK, "read": {"path": "/{regoin}"}}, "actions.a.read.path: {regoin}: no such parameter"),
    ({**LOOK, "read": {"path": "/x", "query": {"q": "{x}"}}}, "actions.a.read.query.q: {x}: no such parameter"),
    ({**LOOK, "read": {"path": "/x", "query": {"q": ["x"]}}}, "actions.a.read.query.q: a text, a number"),
    ({**LOOK, "read": {"path": "/x", "at": "enabled"}}, "actions.a.read.at: "),
    ({**LOOK, "read": {"path": "/{key}"}}, "actions.a.read.path: {key} is not there"),
    ({**LOOK, "read": {"path": "/{from}"}}, "actions.a.read.path: {from} is not there"),
    ({**PAUSE, "to": {"a": ["{from}"]}}, "actions.a.to.a[1]: {from} is not there"),
    ({**PAUSE, "undo": {"method": "PUT", "path": "/x", "json": [{"a": "{b}"}]}}, "actions.a.undo.json[1].a: {b}: no such"),
    ({**PAUSE, "targets": ["{x}"]}, "actions.a.targets[1]: {x}: no such"),
    ({**LOOK, "params": {"key": {}}}, "actions.a.params.key: this name means something else"),
    ({**LOOK, "params": {"a b": {}}}, "actions.a.params: a b: a name is"),
    ({**LOOK, "params": {"region": {"pattern": "("}}}, "actions.a.params.region.pattern: "),
]


@pytest.mark.parametrize("action,text", BAD, ids=range(len(BAD)))
def test_settings_are_refused_with_their_place(server, action, text):
    with pytest.raises(Refused) as refused:
        Client(server, {"a": action})
    assert text in str(refused.value)


def test_headers_are_refused_with_their_place(server):
    for more, text in (({"headers": {"Host": "x"}}, "headers.Host: this header is made by stanch"),
                       ({"headers": {"A B": "x"}}, "headers.A B: no name of a header"),
                       ({"headers": {"Authorization": "x"}}, "headers.Authorization: what is secret"),
                       ({"headers": {"A": "x\r\nB: y"}}, "headers.A: a line break"),
                       ({"secret_headers": {"A": {"secret": "secret1"}}}, "secret_headers.A.secret: settings.secret1 is not"),
                       ({"actions": {"check": LOOK}}, "actions.check: this name is taken"),
                       ({"user": "me"}, "settings.user and settings.password")):
        with pytest.raises(Refused) as refused:
            Client(server, **more)
        assert text in str(refused.value), refused.value
