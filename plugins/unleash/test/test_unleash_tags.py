"""Tags of a real Unleash become tags of plans, and rules of the policy go by them."""
import json

import pytest
from harness import Lua, alert, lua, wait_for, world  # noqa: F401
from servers import Origin
from test_unleash import client, forward, prod, unleash  # noqa: F401


def tags(unleash, flag, *pairs):  # noqa: F811
    for kind, value in pairs:
        unleash.api("POST", f"/api/admin/features/{flag}/tags", {"type": kind, "value": value})


def untag(unleash, flag, kind, value):  # noqa: F811
    unleash.api("DELETE", f"/api/admin/features/{flag}/tags/{kind}/{value}")


@pytest.fixture(scope="module", autouse=True)
def ops(unleash):  # noqa: F811
    unleash.api("POST", "/api/admin/tag-types", {"name": "ops", "description": "how it is run", "icon": None})


def test_a_plan_tells_the_tags_of_the_flag(unleash, prod):  # noqa: F811
    name = unleash.flag("tagged", on=True)
    assert prod.plan("kill", name)["tags"] == []
    tags(unleash, name, ("simple", "killswitch"), ("ops", "killswitch"), ("ops", "simple:sure"), ("simple", "größe 1"))
    plan = prod.plan("kill", name)
    assert plan["tags"] == ["größe 1", "killswitch", "ops:killswitch", "ops:simple:sure", "simple:größe 1", "simple:killswitch"]
    assert "tags_unknown" not in plan["observed"]
    untag(unleash, name, "simple", "killswitch")
    assert prod.plan("kill", name)["tags"] == ["größe 1", "killswitch", "ops:killswitch", "ops:simple:sure", "simple:größe 1"]
    assert "tags" not in prod.plan("enable", name)  # it is on: nothing is decided


@pytest.mark.parametrize("answer", [
    (404, {}, "{}"), (403, {}, "{}"), (500, {}, ""), (302, {"Location": "/x"}, ""), (200, {}, "<html>"), (200, {}, '{"tags": 1}'),
    (200, {}, '{"tags": ["killswitch"]}'), (200, {}, '{"tags": [{"type": "simple", "value": "killswitch"}, {"type": "simple"}]}'),
    (200, {}, '{"tags": [], "tags": [{"type": "simple", "value": "killswitch"}]}'), None])
def test_tags_that_unleash_does_not_say_are_not_known(unleash, answer, request):  # noqa: F811
    """A flag can be killed all the same: what is not known of its tags only permits nothing."""
    name = unleash.flag("untold-" + request.node.callspec.id, on=True)
    tags(unleash, name, ("simple", "killswitch"))

    def say(handler, body):
        if not handler.path.endswith("/tags"):
            return forward(unleash, handler, body)
        if answer is None:
            raise ConnectionResetError
        return answer

    with Origin(say) as proxy, client(proxy.url) as one:
        proxy.server.handle_error = lambda *_: None
        plan = one.plan("kill", name)
        assert "tags" not in plan and len(plan["observed"]["tags_unknown"]) > 20, plan
        one.then("apply", "kill", name, plan)
    assert not unleash.is_on(name)


# ---- with the daemon ----

BOOK = '''local flags = unleash "staging"
runbook "kill-the-flag" {
  summary = "Turn off the flag that the alert names",
  owner   = "team-checkout",
  on      = alert { alertname = "FeatureFails" },
  uses    = { flags.kill },
  limits  = { group_within = "0s" },
  params  = { flag = label "flag" {} },
  run = function(incident, p)
    flags.kill { flag = p.flag, because = "it fails where " .. p.flag .. " is on" }
  end,
}
'''
POLICY = '''policy { auto = "low",
  approve = { high = { quorum = 2 } },
  rule { "killswitches in staging", action = "unleash.kill", environment = "staging", tag = "killswitch",
         effect = "mitigate", risk = "low" },
  rule { "marked: one person", plugin = "unleash", tag = { "one-person", "ops:*" }, risk = "medium" },
  rule { "all else", risk = "high" },
}
'''


@pytest.fixture
def daemon(world, unleash):  # noqa: F811
    instance = 'unleash "staging" ' + lua({
        "url": unleash.url, "environments": ["development"], "environment": "staging",
        "token": Lua(f"secret.file {lua(world.write('secrets/unleash', unleash.admin, 0o600))}")})
    world.repo.commit({"kill.lua": BOOK})
    return world.daemon(policy=POLICY, incidents={"correlate": ["alertname", "flag"]}, instances=[instance]).start()


def fire(daemon, flag):
    return daemon.post_alert(alert("FeatureFails", flag=flag))["events"][0]["runs"][0]


def question(daemon, run, but=None):
    """The open question of a run."""
    return wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a.get("run") == run and a["id"] != but),
                                 None), f"a question of {run}")


def test_a_standing_approval_by_tag(daemon, unleash):  # noqa: F811
    flags = {name: unleash.flag(f"standing-{name}", on=True, environment="development") for name in ("yes", "no")}
    tags(unleash, flags["yes"], ("simple", "killswitch"))
    tags(unleash, flags["no"], ("simple", "killswitches"), ("ops", "x:killswitch"))
    run = fire(daemon, flags["yes"])
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "what is tagged to be killed")
    assert not unleash.is_on(flags["yes"], "development")
    asked = question(daemon, fire(daemon, flags["no"]))
    assert asked["risk"] == "medium" and asked["rules"][0]["tags"] == ["ops:x:killswitch"], asked
    assert "killswitches" in daemon.cli("approvals", "show", asked["id"]).stdout
    assert unleash.is_on(flags["no"], "development")
    for words, verdict, rule in (((), "asks", "all else"), (("--untagged",), "asks", "all else"),
                                 (("--tag", "killswitch", "--tag", "x"), "runs", "killswitches in staging"),
                                 (("--tag", "ops:1"), "asks", "marked: one person")):
        told = json.loads(daemon.cli("policy", "explain", "staging.kill", *words, "--json").stdout)
        assert told["verdict"] == verdict, (words, told)
        assert [one["name"] for one in told["rules"] if one["verdict"] == "decides"] == [rule], (words, told)
    assert "leave" in daemon.cli("policy", "explain", "staging.kill", "--effect", "undo", "--tag", "x", check=False).stderr
    assert "leave --tag out" in daemon.cli("policy", "explain", "staging.kill", "--tag", "x", "--untagged", check=False).stderr


def test_a_tag_that_is_taken_away_while_it_is_asked(daemon, unleash):  # noqa: F811
    name = unleash.flag("asked-about", on=True, environment="development")
    tags(unleash, name, ("simple", "one-person"), ("simple", "by-the-way"))
    run = fire(daemon, name)
    asked = question(daemon, run)
    assert (asked["quorum"], asked["rules"][0]["tags"]) == (1, ["one-person"])
    untag(unleash, name, "simple", "one-person")
    told = daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": "approve", "plan": asked["plan_digest"]})
    assert told.status == 200, told
    again = question(daemon, run, but=asked["id"])
    assert again["quorum"] == 2 and "the tags that the policy's rule goes by are others" in again["why"], again
    assert daemon.get(f"/v1/approvals/{asked['id']}")["state"] == "voided" and unleash.is_on(name, "development")


def test_a_tag_that_nobody_goes_by_may_go(daemon, unleash):  # noqa: F811
    name = unleash.flag("also-tagged", on=True, environment="development")
    tags(unleash, name, ("simple", "one-person"), ("simple", "by-the-way"))
    run = fire(daemon, name)
    asked = question(daemon, run)
    untag(unleash, name, "simple", "by-the-way")
    tags(unleash, name, ("simple", "another"))
    told = daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": "approve", "plan": asked["plan_digest"]})
    assert told.status == 200, told
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "it to be killed")
    assert not unleash.is_on(name, "development")
