"""The unleash plugin against a real Unleash on a real PostgreSQL (tests/flow/unleash.py)."""
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time

import pytest
from harness import SOURCE, Lua, alert, lua, wait_for, world  # noqa: F401
from plugin_host import Host, Refused
from servers import Origin, Prometheus, closed_port, http_get
from unleash import Unleash, rollout


@pytest.fixture(scope="module")
def unleash():
    with Unleash() as one:
        one.api("POST", "/api/admin/strategies", {"name": "beta-testers", "parameters": []})
        yield one


class Client:
    """The operations of one instance on one flag, with their outcome checked."""

    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=15000, is_given_up=False, **more):
        given = {"args": args, "key": "k1", "epoch": 1, "because": "it burns", **more}
        if plan is not None:
            given["plan"] = plan
        call = self.host.start(called, action, given, b"", deadline_ms, is_given_up)
        answer = self.host.wait(call, 40)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action, flag, expect="done", **args):
        return self.ask("plan", action, {"flag": flag, **args}, expect=expect)

    def then(self, called, action, flag, plan, expect="done", **more):
        return self.ask(called, action, {"flag": flag}, plan, expect=expect, **more)


@contextlib.contextmanager
def client(url, token=Unleash.admin, client_token=Unleash.client, **settings):
    secrets = {"token": token, **({"client_token": client_token} if client_token else {})}
    with Host("unleash", {"url": url, "environments": ["production"], **settings}, secrets, instance="prod") as host:
        yield Client(host)


@pytest.fixture
def prod(unleash):
    with client(unleash.url) as one:
        yield one


# ---- the way of one mitigation ----


def test_a_kill_reaches_applications_and_undo_brings_the_flag_back(unleash, prod):
    name = unleash.flag("new-basket", on=True)
    before = unleash.there(name)
    plan = prod.plan("kill", name)
    assert plan["targets"] == ["unleash:prod/default/production/new-basket"]
    assert (plan["from"], plan["to"], plan["undo"]) == ({"enabled": True}, {"enabled": False}, {"enabled": True})
    assert plan["impact"] == "new-basket in production: on -> off for up to all users (1 of 1 strategy active)"
    assert plan["reach"] == 1 and plan["no_change"] is False
    assert plan["observed"]["strategies"] == {"all": 1, "active": 1}
    assert abs(plan["observed"]["as_of_ms"] / 1000 - time.time()) < 60
    assert unleash.there(name) == before
    assert prod.then("apply", "kill", name, plan) == {"was": True}
    assert unleash.is_on(name) is False and unleash.is_on(name, "development") is False
    seen = prod.then("verify", "kill", name, plan)
    assert seen == {"holds": True, "seen": {"enabled": False, "applications": False}}
    assert unleash.applications(name) is False
    assert prod.then("undo", "kill", name, plan) == {"was": False}
    assert unleash.there(name) == before
    wait_for(lambda: unleash.applications(name), "applications to get the flag again")
    assert unleash.deeds(name) == ["enabled", "disabled", "enabled"]


def test_enable(unleash, prod):
    name = unleash.flag("fallback", strategies=[rollout(25), rollout(50, disabled=True)])
    plan = prod.plan("enable", name)
    assert plan["impact"] == "fallback in production: off -> on for at most 25% of the users (1 of 2 strategies active)"
    assert plan["reach"] == 0.25
    prod.then("apply", "enable", name, plan)
    assert unleash.is_on(name)
    assert prod.then("verify", "enable", name, plan)["seen"] == {"enabled": True, "applications": True}
    prod.then("undo", "enable", name, plan)
    assert not unleash.is_on(name)


def test_enable_never_makes_a_strategy_up(unleash, prod):
    """Unleash itself adds one for everybody when a flag without an active one is turned on."""
    name = unleash.flag("empty", strategies=[rollout(5, disabled=True)])
    error = prod.plan("enable", name, expect="failed")
    assert error["kind"] == "refused" and "for all users" in error["text"], error
    assert len(unleash.there(name)["strategies"]) == 1
    killed = unleash.flag("emptied", on=True)
    plan = prod.plan("kill", killed)
    prod.then("apply", "kill", killed, plan)
    strategy = unleash.there(killed)["strategies"][0]["id"]
    path = f"/api/admin/projects/default/features/{killed}/environments/production"
    unleash.api("DELETE", f"{path}/strategies/{strategy}")
    error = prod.then("undo", "kill", killed, plan, expect="failed")
    assert error["kind"] == "stale" and path + "/on" in error["text"], error
    assert unleash.there(killed)["strategies"] == [] and not unleash.is_on(killed)


def test_verify_waits_for_what_applications_get(unleash, prod):
    """Applications are served from memory, which follows a change by about a second: not before it has is it verified."""
    name = unleash.flag("laggard", on=True)
    wait_for(lambda: unleash.applications(name), "the flag to be on for applications")
    for on in (False, True, False):  # the second time the list has not changed for the plugin
        unleash.turn(name, on)
        action = "enable" if on else "kill"
        plan = {"from": {"enabled": not on}, "to": {"enabled": on}}
        assert prod.then("verify", action, name, plan)["seen"] == {"enabled": on, "applications": on}
        assert unleash.applications(name) is on


def test_verify_without_time_says_what_applications_still_get(unleash):
    """An application's view that stays behind is no success."""
    name = unleash.flag("stuck", on=False)
    old = json.dumps({"version": 2, "query": {"environment": "production"}, "features": [{"name": name, "enabled": True}]})

    def answer(handler, body):
        return old if handler.path.startswith("/api/client") else forward(unleash, handler, body)

    with Origin(answer) as proxy, client(proxy.url) as prod:
        plan = {"from": {"enabled": True}, "to": {"enabled": False}}
        seen = prod.then("verify", "kill", name, plan, deadline_ms=4000)
        assert seen == {"holds": False, "seen": {"enabled": False, "applications": True}}


def test_a_flag_that_applications_do_not_get(unleash):
    """A client token of another project, or a flag so new that the list lags: it is asked again, and said at the end."""
    name = unleash.flag("not-theirs")
    lists = {"version": 2, "query": {"environment": "production"}, "features": [{"name": "other", "enabled": False}]}

    def answer(handler, body):
        if not handler.path.startswith("/api/client"):
            return forward(unleash, handler, body)
        return (304, {}, "") if handler.headers.get("If-None-Match") == "v1" else (200, {"ETag": "v1"}, json.dumps(lists))

    with Origin(answer) as proxy, client(proxy.url) as prod:
        seen = prod.then("verify", "kill", name, {"from": {"enabled": True}, "to": {"enabled": False}}, deadline_ms=4000)
        assert not seen["holds"] and seen["seen"]["applications"] is None and "project" in seen["seen"]["note"]
        assert [path for _, path, *_ in proxy.requests].count("/api/client/features") > 2


def test_verify_without_a_client_token_asks_the_admin_side(unleash):
    name = unleash.flag("unseen", on=True)
    with client(unleash.url, client_token=None) as prod:
        plan = prod.plan("kill", name)
        assert prod.then("verify", "kill", name, plan) == {"holds": False, "seen": {"enabled": True}}
        prod.then("apply", "kill", name, plan)
        assert prod.then("verify", "kill", name, plan) == {"holds": True, "seen": {"enabled": False}}


def test_a_client_token_of_another_environment_is_not_believed(unleash):
    name = unleash.flag("elsewhere", on=True, environment="development")
    with client(unleash.url, environments=["development"]) as prod:
        plan = prod.plan("kill", name)
        prod.then("apply", "kill", name, plan)
        seen = prod.then("verify", "kill", name, plan)
        assert seen["holds"] and "another environment" in seen["seen"]["note"]


def test_by_hand_does_the_same_and_shows_no_secret(unleash, prod):
    name = unleash.flag("by-hand", on=True)
    plan = prod.plan("kill", name)
    assert "secret" not in json.dumps(plan)
    for line, on in ((plan["by_hand"], False), (plan["undo_by_hand"], True)):
        words = shlex.split(line)
        assert words[:4] == ["curl", "-fX", "POST", "-H"] and words[4] == "Authorization: $UNLEASH_TOKEN"
        if shutil.which("curl"):
            done = subprocess.run(["/bin/sh", "-c", line], env={"UNLEASH_TOKEN": unleash.admin, "PATH": os.environ["PATH"]},
                                  capture_output=True, text=True)
            assert done.returncode == 0, done
        else:  # it is not among what the tests install
            unleash.api(words[2], words[-1].removeprefix(unleash.url))
        assert unleash.is_on(name) is on


# ---- what somebody else does meanwhile ----


def test_applied_again_changes_nothing_more(unleash, prod):
    name = unleash.flag("twice", on=True)
    plan = prod.plan("kill", name)
    prod.then("apply", "kill", name, plan)
    assert prod.then("apply", "kill", name, plan) == {"already": True, "was": False}
    prod.then("undo", "kill", name, plan)
    assert prod.then("undo", "kill", name, plan) == {"already": True, "was": True}
    assert unleash.deeds(name) == ["enabled", "disabled", "enabled"]


def test_what_is_so_already_is_no_change(unleash, prod):
    name = unleash.flag("off-already")
    plan = prod.plan("kill", name)
    assert plan["no_change"] is True and plan["reach"] == 0
    assert plan["impact"] == "off-already in production is off already"
    unleash.turn(name, True)
    assert prod.then("apply", "kill", name, plan, expect="failed")["kind"] == "stale"
    assert prod.then("undo", "kill", name, plan, expect="failed")["kind"] == "stale"
    assert unleash.is_on(name)


def test_reconcile(unleash, prod):
    name = unleash.flag("which", on=True)
    plan = prod.plan("kill", name)
    assert prod.then("reconcile", "kill", name, plan, op="apply") == {"state": "not-done"}
    assert prod.then("reconcile", "kill", name, plan, op="undo") == {"state": "done"}
    unleash.turn(name, False)
    assert prod.then("reconcile", "kill", name, plan, op="apply") == {"state": "done"}
    assert prod.then("reconcile", "kill", name, plan, op="undo") == {"state": "not-done"}


def test_archived_and_unknown_flags(unleash, prod):
    assert prod.plan("kill", "nobody-knows-it", expect="failed")["kind"] == "not-found"
    name = unleash.flag("archived", on=True)
    plan = prod.plan("kill", name)
    unleash.api("DELETE", f"/api/admin/projects/default/features/{name}")
    assert prod.then("apply", "kill", name, plan, expect="failed")["kind"] == "not-found"


# ---- for whom ----


@pytest.mark.parametrize("strategies,reach", [
    ([rollout(30)], 0.3), ([rollout(30), rollout(40)], 0.7), ([rollout(80), rollout(80)], 1), ([rollout(0)], 0),
    ([{"name": "default"}], 1), ([{"name": "beta-testers"}], None),
    ([{"name": "beta-testers"}, rollout(100)], 1),
    ([{"name": "beta-testers"}, rollout(10)], None),
    ([rollout(100, disabled=True), rollout(10)], 0.1)], ids=range(9))
def test_reach_is_what_the_strategies_let_in(unleash, prod, strategies, reach, request):
    name = unleash.flag(f"reach-{request.node.callspec.id}", on=True, strategies=strategies)
    plan = prod.plan("kill", name)
    assert plan["reach"] == (None if reach is None else pytest.approx(reach)), plan
    state = prod.ask("read", "state", {"flag": name})
    assert state["enabled"] and state["reach"] == plan["reach"] and state["strategies"]["all"] == len(strategies)


def test_flags_that_depend_on_it_are_told(unleash, prod):
    parent, child = unleash.flag("parent", on=True), unleash.flag("child", on=True)
    unleash.api("POST", f"/api/admin/projects/default/features/{child}/dependencies", {"feature": parent})
    plan = prod.plan("kill", parent)
    assert plan["impact"].endswith("; 1 flag that depends on it are off too") or "1 flag" in plan["impact"]
    assert plan["observed"]["children"] == ["child"]


# ---- what a runbook may not ----


def test_nothing_but_what_the_operator_lists(unleash):
    name = unleash.flag("checkout-pay", on=True)
    other = unleash.flag("search", on=True)
    with client(unleash.url, flags=["checkout-*"]) as prod:
        assert prod.plan("kill", name)["reach"] == 1
        for args in ({"flag": other}, {"flag": "x-checkout-pay"}, {"flag": name, "environment": "development"},
                     {"flag": name, "project": "other"}):
            error = prod.ask("plan", "kill", args, expect="failed")
            assert error["kind"] == "refused" and "not allowed by the setting" in error["text"], error
    with client(unleash.url, environments=["production", "development"], projects=["default"]) as prod:
        error = prod.plan("kill", name, expect="failed")
        assert error["kind"] == "invalid" and "environment" in error["text"]
        assert prod.plan("kill", name, environment="development")["from"] == {"enabled": False}


def test_names_that_would_lead_elsewhere_are_refused_by_their_schema(prod):
    params = prod.host.declaration["actions"]["kill"]["params"]
    for param in ("flag", "project", "environment"):
        for bad in ("..", ".", "a/b", "a?b", "a b", "", "a#b", "a%2fb", "ä"):
            assert not re.search(params[param]["pattern"], bad), (param, bad)


@pytest.mark.parametrize("settings,part", [
    ({"url": "ftp://x"}, "url"), ({"url": None}, "url"), ({"environments": []}, "environments"),
    ({"environments": None}, "environments"), ({"environments": ["../x"]}, "environments"), ({"flags": ["a b"]}, "flags")])
def test_bad_settings_are_refused(settings, part):
    given = {"url": "http://127.0.0.1:1", "environments": ["production"], **settings}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(Refused, match=part):
        Host("unleash", given, {"token": "x"})


# ---- failures ----


def forward(unleash, handler, body):
    status, text = http_get(unleash.port, handler.path, {"Authorization": handler.headers.get("Authorization") or "",
                                                         "Content-Type": "application/json"}, handler.command, body)
    return status, {"Content-Type": "application/json"}, text


def test_tokens_go_bare_to_unleash_and_never_into_an_answer(unleash):
    with Origin(lambda handler, body: forward(unleash, handler, body)) as proxy, client(proxy.url) as prod:
        name = unleash.flag("bare", on=True)
        plan = prod.plan("kill", name)
        prod.then("apply", "kill", name, plan)
        prod.then("verify", "kill", name, plan)
        sent = {(method, headers.get("Authorization")) for method, _, headers, _ in proxy.requests}
        assert sent == {("GET", unleash.admin), ("POST", unleash.admin), ("GET", unleash.client)}
        assert prod.host.call("check", "check")["value"]["ok"]
        assert b"stanch-admin-secret" not in prod.host.raw and b"stanch-client-secret" not in prod.host.raw


@pytest.mark.parametrize("token,kind", [("*:*.wrong", "unauthorized"), (Unleash.client, "forbidden")])
def test_a_bad_token(unleash, token, kind):
    with client(unleash.url, token=token) as prod:
        assert prod.plan("kill", "new-basket", expect="failed")["kind"] == kind


def test_a_token_that_may_only_look(unleash):
    name = unleash.flag("looked-at", on=True)
    with client(unleash.url, token=unleash.personal_token("viewer", 3)) as prod:
        plan = prod.plan("kill", name)
        error = prod.then("apply", "kill", name, plan, expect="failed")
        assert error["kind"] == "forbidden" and "UPDATE_FEATURE_ENVIRONMENT" in error["text"], error
    assert unleash.is_on(name)


def test_the_reply_to_a_change_is_lost(unleash):
    """Lost after it arrived: done. Lost before: not done. Either is unknown to apply, and reconcile finds out."""
    lose = {"before": False, "after": False}

    def answer(handler, body):
        is_change = handler.command == "POST"
        said = None if is_change and lose["before"] else forward(unleash, handler, body)
        if is_change and (lose["before"] or lose["after"]):
            handler.connection.shutdown(socket.SHUT_RDWR)
        return said or ""

    name = unleash.flag("lost", on=True)
    with Origin(answer) as proxy, client(proxy.url) as prod:
        proxy.server.handle_error = lambda *_: None
        plan = prod.plan("kill", name)
        lose["before"] = True
        prod.then("apply", "kill", name, plan, expect="unknown")
        assert prod.then("reconcile", "kill", name, plan, op="apply") == {"state": "not-done"}
        lose.update(before=False, after=True)
        prod.then("apply", "kill", name, plan, expect="unknown")
        assert prod.then("reconcile", "kill", name, plan, op="apply") == {"state": "done"}
        prod.then("undo", "kill", name, plan, expect="unknown")
        assert prod.then("reconcile", "kill", name, plan, op="undo") == {"state": "done"}
        assert [m for m, *_ in proxy.requests].count("POST") == 3
    assert unleash.is_on(name)


@pytest.mark.parametrize("when,status,outcome,kind", [
    ("GET", 500, "failed", "remote"), ("GET", 418, "failed", "remote"), ("GET", 200, "failed", "protocol"),
    ("GET", 302, "failed", "remote"), ("POST", 500, "unknown", "remote"), ("POST", 403, "failed", "forbidden"),
    ("POST", 409, "failed", "stale"), ("POST", 404, "failed", "not-found")])
def test_answers_that_are_no_good(unleash, when, status, outcome, kind):
    """What fails before the change is failed, also in an apply: nothing was sent that changes anything."""
    name = unleash.flag(f"bad-{when}-{status}".lower(), on=True)

    def answer(handler, body):
        if handler.command == when:
            return status, {"Location": "http://127.0.0.1:1/"}, "<html>"
        return forward(unleash, handler, body)

    with Origin(answer) as proxy, client(proxy.url) as prod:
        plan = {"from": {"enabled": True}, "to": {"enabled": False}}
        assert prod.then("apply", "kill", name, plan, expect=outcome, is_given_up=when == "GET")["kind"] == kind
    assert unleash.is_on(name)


def test_busy_is_asked_again(unleash):
    name = unleash.flag("busy", on=True)
    busy = {"GET": [429, 503], "POST": [503, 429]}

    def answer(handler, body):
        return (busy[handler.command].pop(), {}, "") if busy[handler.command] else forward(unleash, handler, body)

    with Origin(answer) as proxy, client(proxy.url) as prod:
        plan = {"from": {"enabled": True}, "to": {"enabled": False}}
        assert prod.then("apply", "kill", name, plan) == {"was": True}
    assert not unleash.is_on(name) and unleash.deeds(name) == ["enabled", "disabled"]


@pytest.mark.parametrize("body", ["{}", "[]", "null", '{"environments": 1}', '{"environments": [{"name": "production"}]}',
                                  '{"environments": [{"name": "production", "enabled": "yes"}]}', "x" * 100000, "",
                                  '{"environments": [{"name": "production", "enabled": true'])
def test_garbage_is_a_failure_with_a_text(body):
    with Origin(body) as fake, client(fake.url) as prod:
        error = prod.plan("kill", "f", expect="failed")
        assert error["kind"] in ("protocol", "not-found") and len(error["text"]) > 10, error


def test_strange_members_do_no_harm():
    strange = {"environments": [1, None, {"name": 7}, {"name": "production", "enabled": True, "strategies": [
        None, 7, {"name": 3}, {"name": "flexibleRollout"}, {"name": "flexibleRollout", "parameters": {"rollout": "1e9"}},
        {"name": "flexibleRollout", "parameters": {"rollout": "x"}}]}], "children": [1, None, "c"], "stale": "x"}
    with Origin(json.dumps(strange)) as fake, client(fake.url) as prod:
        plan = prod.plan("kill", "f")
        assert plan["reach"] is None and plan["observed"]["children"] == ["c"]


def test_nobody_there():
    with closed_port() as port, client(f"http://127.0.0.1:{port}") as prod:
        error = prod.ask("plan", "kill", {"flag": "f"}, expect="failed", is_given_up=True)
        assert error["kind"] == "unreachable" and "nothing was sent" in error["text"]


# ---- check ----


def check(url, **more):
    with client(url, **more) as prod:
        found = prod.host.call("check", "check", deadline_ms=15000)["value"]
    return found["ok"], {row["name"]: (row["ok"], row["text"]) for row in found["checks"]}


def test_check(unleash):
    ok, rows = check(unleash.url)
    assert ok and set(rows) == {"token", "update default/production", "environment production", "client token",
                                "client environment"}, rows
    ok, rows = check(unleash.url, environments=["development", "nowhere"])
    assert not ok and rows["environment development"][0] and not rows["environment nowhere"][0]
    assert not rows["client environment"][0] and "is of production" in rows["client environment"][1]
    ok, rows = check(unleash.url, token="*:*.wrong")
    assert not ok and "credentials" in rows["token"][1]
    ok, rows = check(unleash.url, client_token="default:production.wrong")
    assert not ok and not rows["client token"][0]


def test_check_says_which_permission_is_missing(unleash):
    ok, rows = check(unleash.url, token=unleash.personal_token("viewer2", 3), client_token=None)
    assert not ok and rows["token"][0]
    assert "UPDATE_FEATURE_ENVIRONMENT" in rows["update default/production"][1]
    ok, rows = check(unleash.url, token=unleash.personal_token("editor", 2), client_token=None)
    assert ok, rows


# ---- with the daemon ----

EXAMPLE = SOURCE / "runbooks/flag-kill"


@contextlib.contextmanager
def shop(unleash, flag):
    """A Prometheus that sees errors of a service as long as it gets the flag."""
    def metrics(handler, body):
        return f"job:checkout_errors:ratio {0.3 if unleash.applications(flag) else 0}\n"

    with Origin(metrics) as service:
        config = {"scrape_configs": [{"job_name": "checkout", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [
            {"targets": [f"127.0.0.1:{service.port}"]}]}]}
        with Prometheus(config) as prometheus:
            wait_for(lambda: [s["value"][1] for s in prometheus.query("job:checkout_errors:ratio")] == ["0.3"], "errors")
            yield prometheus


def test_from_the_alert_to_the_flag_and_back(world, unleash):  # noqa: F811
    name = unleash.flag("checkout-one-click", on=True)
    before = unleash.there(name)
    wait_for(lambda: unleash.applications(name), "the flag to be on for applications")
    with shop(unleash, name) as prometheus:
        see_it_through(world, unleash, name, before, prometheus)


def ended(daemon):
    run = daemon.get("/v1/runs/R-1")
    return run if run["state"] in ("succeeded", "failed", "cancelled", "held") else None


def see_it_through(world, unleash, name, before, prometheus):  # noqa: F811
    """The example of runbooks/flag-kill as it stands there, but for how long it waits."""
    instances = ['prometheus "main" ' + lua({"url": prometheus.url}), 'unleash "prod" ' + lua({
        "url": unleash.url, "environments": ["production"], "flags": ["checkout-*"], "environment": "prod",
        "token": Lua(f"secret.file {lua(world.write('secrets/unleash', unleash.admin, 0o600))}"),
        "client_token": Lua(f"secret.file {lua(world.write('secrets/client', unleash.client, 0o600))}")})]
    text = (EXAMPLE / "flag-kill.lua").read_text()
    quick = text.replace('settle = "20s", hold = "30s"', 'settle = "1s", hold = "1s", every = "200ms"')
    assert quick != text
    world.repo.commit({"flag-kill.lua": quick})
    daemon = world.daemon(policy=(EXAMPLE / "policy.lua").read_text(), instances=instances).start()
    daemon.post_alert(alert("CheckoutFeatureFails", env="prod", flag=name))
    run = wait_for(lambda: ended(daemon), "the run to end")
    assert run["state"] == "succeeded", (run, daemon.timeline("INC-1")[-5:])
    assert unleash.applications(name) is False  # an independent client; the run had waited for it
    kept = daemon.get("/v1/mitigations")["items"]
    assert [(m["id"], m["state"], m["because"]) for m in kept] == [
        ("M-1", "in-force", f"checkout fails where {name} is on")]
    verified = next(e for e in daemon.timeline("INC-1") if e["kind"] == "action.verified")
    assert verified["data"]["holds"] and verified["data"]["seen"] == {"enabled": False, "applications": False}
    daemon.cli("undo", "M-1", "--reason", "it was not the flag")
    wait_for(lambda: daemon.get("/v1/mitigations/M-1")["state"] == "undone", "the undo")
    assert unleash.there(name) == before
    wait_for(lambda: unleash.applications(name), "applications to get the flag again")
    assert unleash.deeds(name) == ["enabled", "disabled", "enabled"]
    assert "stanch-admin-secret" not in daemon.log() + json.dumps(daemon.timeline("INC-1"))
