"""The launchdarkly plugin against a server that holds requests to what LaunchDarkly's API description says of them, by hand:
its schema of PATCH knows no semantic patch, only its words do."""
import contextlib
import json
import re
import shlex
import threading
import time

import pytest
from harness import Lua, alert, lua, wait_for, world  # noqa: F401
from plugin_host import Host, Refused
from servers import Origin, closed_port

TOKEN = "api-0123-a-launchdarkly-token"
SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"


def environment(on=False, **more):
    """As FeatureFlagConfig: the members that it requires, and those that matter."""
    return {"on": on, "archived": False, "salt": "s", "sel": "x", "lastModified": 1, "version": 7, "_site": {}, "targets": [],
            "contextTargets": [], "rules": [], "fallthrough": {"variation": 0}, "offVariation": 1, "prerequisites": [],
            "_environmentName": "Production", "trackEvents": False, "trackEventsFallthrough": False, **more}


def feature(key, on=False, more=None, **there):
    """As FeatureFlag."""
    return {"key": key, "name": key, "kind": "boolean", "_version": 1, "creationDate": 1, "archived": False, "temporary": True,
            "tags": [], "_links": {}, "experiments": {}, "customProperties": {},
            "variations": [{"_id": "a", "value": True}, {"_id": "b", "value": False}],
            "environments": {"production": environment(on, **there), "test": environment(True)}, **(more or {})}


class LaunchDarkly(Origin):
    """Its flags are in .flags. What took effect stands in .effects; .queue has answers that come first, as
    (method, status, headers)."""

    def __init__(self):
        self.flags, self.effects, self.queue, self.dry_runs = {}, [], [], 0
        self.lock = threading.Lock()
        super().__init__(self.say)

    def add(self, key, on=False, **more):
        self.flags[key] = feature(key, on, **more)
        return key

    def on(self, key):
        return self.flags[key]["environments"]["production"]["on"]

    def turn(self, key, on):
        self.flags[key]["environments"]["production"]["on"] = on

    def say(self, handler, body):
        with self.lock:
            status, headers, text = self.answer(handler, body)
        return status, {"Content-Type": "application/json", **headers}, json.dumps(text)

    def answer(self, handler, body):
        if handler.headers.get("Authorization") != TOKEN:
            return 401, {}, {"code": "unauthorized", "message": "Invalid access token"}
        for one in self.queue:
            if one[0] == handler.command:
                self.queue.remove(one)
                if callable(one[-1]):
                    one[-1]()
                return one[1], one[2], {"code": "x", "message": "what LaunchDarkly says"}
        path, _, query = handler.path.partition("?")
        if re.fullmatch(r"/api/v2/projects/shop/environments", path):
            return 200, {}, {"_links": {}, "totalCount": 2, "items": [{"key": "production"}, {"key": "test"}]}
        match = re.fullmatch(r"/api/v2/flags/shop/([A-Za-z0-9._-]+)", path)
        if not match or match[1] not in self.flags:
            return 404, {}, {"code": "not_found", "message": "Unknown flag key"}
        flag = self.flags[match[1]]
        if handler.command == "GET":
            only = query.removeprefix("env=")
            assert query.startswith("env="), query
            return 200, {}, {**flag, "environments": {k: v for k, v in flag["environments"].items() if k == only}}
        assert handler.command == "PATCH", handler.command
        return self.patch(flag, query, handler.headers.get("Content-Type"), json.loads(body))

    def patch(self, flag, query, kind, patch):
        def invalid(why):
            return 400, {}, {"code": "invalid_request", "message": why}
        if kind != SEMANTIC:
            return invalid(f"not a semantic patch: {kind}")
        if set(patch) - {"environmentKey", "instructions", "comment"} or query not in ("", "dryRun=true"):
            return invalid(f"unknown members: {patch} {query}")
        if patch.get("environmentKey") not in flag["environments"]:
            return invalid("environmentKey")
        if not isinstance(patch.get("comment", ""), str):
            return invalid("comment")
        kinds = [set(one) == {"kind"} and one["kind"] for one in patch["instructions"]]
        if kinds not in (["turnFlagOn"], ["turnFlagOff"]):
            return invalid(f"instructions: {kinds}")
        result = json.loads(json.dumps(flag))
        there = result["environments"][patch["environmentKey"]]
        there["on"], there["version"] = kinds == ["turnFlagOn"], there["version"] + 1
        if query:
            self.dry_runs += 1
        else:
            self.flags[flag["key"]] = result
            self.effects.append((flag["key"], patch["environmentKey"], kinds[0], patch.get("comment")))
        return 200, {}, result


@pytest.fixture
def ld():
    with LaunchDarkly() as one:
        yield one


class Client:
    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=15000, is_given_up=False, **more):
        given = {"args": args, "key": "k1", "epoch": 1, "because": "it burns", **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.wait(self.host.start(called, action, given, b"", deadline_ms, is_given_up), 40)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action, flag, expect="done", **args):
        return self.ask("plan", action, {"flag": flag, **args}, expect=expect)

    def then(self, called, action, flag, plan, expect="done", **more):
        return self.ask(called, action, {"flag": flag}, plan, expect=expect, **more)


@contextlib.contextmanager
def client(url, token=TOKEN, **settings):
    given = {"url": url, "projects": ["shop"], "environments": ["production"], **settings}
    with Host("launchdarkly", given, {"token": token}, instance="ld") as host:
        yield Client(host)
        assert token.encode() not in host.raw


@pytest.fixture
def prod(ld):
    with client(ld.url) as one:
        yield one


def test_the_way_of_a_kill(ld, prod):
    key = ld.add("checkout-v2", on=True)
    plan = prod.plan("kill", key)
    assert ld.effects == [] and ld.dry_runs == 1, "LaunchDarkly was asked whether it would, and did not"
    assert plan["targets"] == ["launchdarkly:ld/shop/production/checkout-v2"]
    assert (plan["from"], plan["to"], plan["undo"]) == ({"on": True}, {"on": False}, {"on": True})
    assert plan["impact"] == "checkout-v2 in production: on -> off: everybody gets false, which is new for 100% of the evaluations"
    assert plan["reach"] == 1 and plan["observed"]["off_serves"] == "false" and plan["observed"]["version"] == 7
    assert prod.then("verify", "kill", key, plan)["holds"] is False
    assert prod.then("apply", "kill", key, plan) == {"was": True}
    assert prod.then("verify", "kill", key, plan) == {"holds": True, "seen": {"on": False, "version": 8}}
    assert prod.then("undo", "kill", key, plan, because="it was not the flag") == {"was": False}
    assert ld.effects == [(key, "production", "turnFlagOff", "stanch: it burns"),
                          (key, "production", "turnFlagOn", "stanch takes it back: it was not the flag")]
    assert ld.on(key) and ld.flags[key]["environments"]["test"] == environment(True)


def test_tags_are_those_of_the_flag(ld, prod):
    key = ld.add("tagged", on=True, more={"tags": ["ops", "killswitch", "ops"]})
    assert prod.plan("kill", key)["tags"] == ["killswitch", "ops"]
    assert prod.plan("kill", ld.add("untagged", on=True))["tags"] == []
    for strange in (None, "killswitch", {"killswitch": True}, ["killswitch", 7], [["killswitch"]]):
        assert "tags" not in prod.plan("kill", ld.add("strange", on=True, more={"tags": strange})), strange


def test_enable(ld, prod):
    key = ld.add("fallback", more={"variations": [{"value": 1, "name": "cached"}, {"value": 2, "name": "live"}]})
    plan = prod.plan("enable", key)
    assert plan["impact"] == ("fallback in production: off -> on: its rules apply again, for 100% of the evaluations it is no "
                              "longer \"live\"")
    prod.then("apply", "enable", key, plan)
    assert ld.on(key)
    prod.then("undo", "enable", key, plan)
    assert not ld.on(key)


def test_by_hand_is_the_same_request_without_the_token(ld, prod):
    plan = prod.plan("kill", ld.add("f", on=True))
    words = shlex.split(plan["by_hand"])
    assert words[:3] == ["curl", "-fX", "PATCH"] and words[-1] == f"{ld.url}/api/v2/flags/shop/f"
    assert words[4] == "Authorization: $LAUNCHDARKLY_TOKEN" and words[6] == "Content-Type: " + SEMANTIC
    status, _, _ = ld.patch(ld.flags["f"], "", SEMANTIC, json.loads(words[words.index("-d") + 1]))
    assert status == 200 and not ld.on("f")
    undo = shlex.split(plan["undo_by_hand"])
    assert ld.patch(ld.flags["f"], "", SEMANTIC, json.loads(undo[undo.index("-d") + 1]))[0] == 200 and ld.on("f")
    assert TOKEN not in json.dumps(plan)


def test_a_conflict_is_read_again_and_then_written(ld, prod):
    key = ld.add("busy", on=True)
    plan = prod.plan("kill", key)
    ld.queue += [("PATCH", 409, {})] * 2
    assert prod.then("apply", "kill", key, plan) == {"was": True}
    assert [effect[2] for effect in ld.effects] == ["turnFlagOff"]


def test_a_conflict_with_somebody_who_did_the_same(ld, prod):
    key = ld.add("same", on=True)
    plan = prod.plan("kill", key)
    ld.queue.append(("PATCH", 409, {}, lambda: ld.turn(key, False)))
    assert prod.then("apply", "kill", key, plan) == {"already": True, "was": False}
    assert ld.effects == []


def test_a_conflict_that_does_not_end(ld, prod):
    key = ld.add("fight", on=True)
    plan = prod.plan("kill", key)
    ld.queue += [("PATCH", 409, {})] * 50
    assert prod.then("apply", "kill", key, plan, expect="failed", deadline_ms=4000)["kind"] == "stale"
    assert ld.effects == []


def test_the_rate_limit_says_when_to_come_again(ld, prod):
    key = ld.add("limited", on=True)
    started = time.time()
    ld.queue.append(("GET", 429, {"X-Ratelimit-Reset": str(int((started + 2) * 1000)), "X-Ratelimit-Global-Remaining": "0"}))
    prod.plan("kill", key)
    assert time.time() >= started + 1.9
    ld.queue.append(("GET", 429, {"Retry-After": "3600"}))
    error = prod.plan("kill", key, expect="failed")
    assert error["kind"] == "rate" and error["retry"] and error["retry_after_ms"] == 3600000


def test_what_needs_an_approval_there_is_refused_before_anything(ld, prod):
    key = ld.add("guarded", on=True)
    ld.queue.append(("PATCH", 405, {}))
    error = prod.plan("kill", key, expect="failed")
    assert error["kind"] == "refused" and "approval" in error["text"] and "what LaunchDarkly says" in error["text"]
    plan = prod.plan("kill", key)
    ld.queue.append(("PATCH", 405, {}))
    assert prod.then("apply", "kill", key, plan, expect="failed")["kind"] == "refused"
    assert ld.effects == []


def test_a_dry_run_that_shows_no_effect(ld, prod):
    key = ld.add("odd", on=True)
    ld.patch = lambda flag, *_: (200, {}, flag)
    error = prod.plan("kill", key, expect="failed")
    assert error["kind"] == "remote" and "would still be on" in error["text"]


def test_what_is_so_already(ld, prod):
    key = ld.add("off", on=False)
    plan = prod.plan("kill", key)
    assert plan["no_change"] and plan["reach"] == 0 and ld.dry_runs == 0
    ld.turn(key, True)
    for op in ("apply", "undo"):
        assert prod.then(op, "kill", key, plan, expect="failed")["kind"] == "stale"


def test_archived_and_unknown(ld, prod):
    assert prod.plan("kill", "none", expect="failed")["kind"] == "not-found"
    error = prod.plan("kill", ld.add("old", on=True, more={"archived": True}), expect="failed")
    assert error["kind"] == "refused" and "archived" in error["text"]


@pytest.mark.parametrize("there,reach", [
    ({}, 1), ({"fallthrough": {"variation": 1}}, 0), ({"offVariation": None}, None), ({"fallthrough": {}}, None),
    ({"fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 25000}, {"variation": 1, "weight": 75000}]}}}, 0.25),
    ({"fallthrough": {"variation": 1}, "rules": [{"variation": 0}]}, None),
    ({"fallthrough": {"variation": 1}, "targets": [{"values": ["u"], "variation": 0}]}, None),
    ({"fallthrough": {"variation": 0}, "rules": [{"variation": 1}]}, 1)], ids=range(8))
def test_reach(ld, prod, there, reach):
    key = ld.add("whom", on=True, **there)
    assert prod.plan("kill", key)["reach"] == reach
    state = prod.ask("read", "state", {"flag": key})
    assert state["on"] and state["reach"] == reach


def test_nothing_but_what_the_operator_lists(ld):
    ld.add("pay-now", on=True)
    ld.add("search", on=True)
    with client(ld.url, flags=["pay-*"]) as prod:
        assert prod.plan("kill", "pay-now")["reach"] == 1
        seen = len(ld.requests)
        for args in ({"flag": "search"}, {"flag": "pay-now", "environment": "test"}, {"flag": "pay-now", "project": "other"}):
            assert prod.ask("plan", "kill", args, expect="failed")["kind"] == "refused"
        assert len(ld.requests) == seen
    with client(ld.url, environments=["production", "test"]) as prod:
        assert prod.plan("kill", "search", expect="failed")["kind"] == "invalid"
        assert prod.plan("kill", "search", environment="test")["targets"] == ["launchdarkly:ld/shop/test/search"]


@pytest.mark.parametrize("settings,part", [({"projects": []}, "projects"), ({"url": "ftp://x"}, "url"),
                                           ({"environments": ["../x"]}, "environments"), ({"flags": ["a/b"]}, "flags")])
def test_bad_settings(settings, part):
    given = {"url": "http://127.0.0.1:1", "projects": ["shop"], "environments": ["production"], **settings}
    with pytest.raises(Refused, match=part):
        Host("launchdarkly", given, {"token": "x"})


def test_a_bad_token(ld):
    with client(ld.url, token="api-wrong") as prod:
        assert prod.plan("kill", ld.add("f"), expect="failed")["kind"] == "unauthorized"


@pytest.mark.parametrize("body", ["{}", "[]", "null", '{"environments": 1}', '{"environments": {"production": {}}}', "x" * 9999, "",
                                  '{"environments": {"production": {"on": "yes"}}}', '{"environments": {"production": 7}}'])
def test_garbage(body):
    with Origin(body) as fake, client(fake.url) as prod:
        error = prod.plan("kill", "f", expect="failed")
        assert error["kind"] in ("protocol", "not-found") and len(error["text"]) > 10, error


def test_strange_members_do_no_harm():
    strange = {"environments": {"production": {"on": True, "offVariation": -3, "fallthrough": {"rollout": {"variations": [
        None, 7, {"variation": "x", "weight": "y"}, {"variation": 1, "weight": 1e300}]}}}}, "variations": 7}
    with Origin(json.dumps(strange)) as fake, client(fake.url) as prod:
        assert 0 <= prod.ask("read", "state", {"flag": "f"})["reach"] <= 1


def test_a_long_reason_is_cut_at_a_character(ld, prod):
    key = ld.add("long", on=True)
    prod.then("apply", "kill", key, prod.plan("kill", key), because="ä" * 5000)
    assert ld.effects[0][3] == "stanch: " + "ä" * 500


def test_nobody_there():
    with closed_port() as port, client(f"http://127.0.0.1:{port}") as prod:
        assert prod.ask("plan", "kill", {"flag": "f"}, expect="failed", is_given_up=True)["kind"] == "unreachable"


def test_check(ld):
    def check(**more):
        with client(ld.url, **more) as prod:
            found = prod.host.call("check", "check", deadline_ms=15000)["value"]
        return found["ok"], {row["name"]: row["ok"] for row in found["checks"]}

    assert check() == (True, {"project shop": True, "environment shop/production": True})
    assert check(environments=["production", "gone"]) == (
        False, {"project shop": True, "environment shop/production": True, "environment shop/gone": False})
    assert check(projects=["shop", "other"])[1]["project other"] is False
    assert check(token="api-wrong") == (False, {"project shop": False})


BOOK = '''local flags = launchdarkly "ld"
runbook "kill-the-flag" {
  summary = "Turn off the flag that the alert names", owner = "team-checkout",
  on = alert { alertname = "CheckoutFeatureFails" }, uses = { flags.kill, flags.state },
  params = { flag = label "flag" { pattern = "^checkout-[a-z0-9-]+$" } },
  run = function(incident, p)
    if flags.state { flag = p.flag }.on then flags.kill { flag = p.flag, because = "checkout fails where it is on" } end
  end,
}
'''


def test_from_the_alert_to_the_flag_and_back(world, ld):  # noqa: F811
    key = ld.add("checkout-v2", on=True)
    instance = 'launchdarkly "ld" ' + lua({
        "url": ld.url, "projects": ["shop"], "environments": ["production"], "flags": ["checkout-*"], "environment": "prod",
        "token": Lua(f"secret.file {lua(world.write('secrets/ld', TOKEN, 0o600))}")})
    world.repo.commit({"kill.lua": BOOK})
    daemon = world.daemon(policy='policy { auto = "medium" }\n', instances=[instance]).start()
    daemon.post_alert(alert("CheckoutFeatureFails", flag=key))
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run to end")
    assert not ld.on(key)
    daemon.cli("undo", "M-1", "--reason", "it was not the flag")
    wait_for(lambda: daemon.get("/v1/mitigations/M-1")["state"] == "undone", "the undo")
    assert ld.on(key)
    assert [(kind, said) for _, _, kind, said in ld.effects] == [
        ("turnFlagOff", "stanch: checkout fails where it is on"),
        ("turnFlagOn", "stanch takes it back: it was not the flag")]
    assert TOKEN not in daemon.log() + json.dumps(daemon.timeline("INC-1"))
