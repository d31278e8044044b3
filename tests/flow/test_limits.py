"""Limits, the breaker and autonomy, against a real HAProxy: what holds a runbook back makes it ask, also after kill -9."""
import json

import pytest

from harness import alert, wait_for
from servers import Haproxy, Origin

SERVERS = ("s1", "s2", "s3", "s4")
DRAINED = 8  # the bit of HAProxy's admin state


@pytest.fixture(scope="module")
def origins():
    with Origin("a") as a, Origin("b") as b:
        yield a, b


@pytest.fixture
def edge(origins):
    """`shop` with four servers: each is a quarter of it. `errors` is what the runbooks take for their symptom."""
    with Haproxy({"shop": {name: origins[i % 2].port for i, name in enumerate(SERVERS)}}) as proxy:
        yield proxy


BOOK = '''local edge, fx = haproxy "edge", effects "fx"
runbook "drain" {
  summary = "Drain the server that fails",
  owner   = "team-shop",
  on      = alert { alertname = "ServerFails" },
  uses    = { edge.drain, fx.get },
  limits  = { group_within = "0s" },
  params  = { server = label "server" { one_of = { "s1", "s2", "s3", "s4" } } },
  symptom = symptom { ask = fx.get { target = "errors" }, bad = "> 5", good = "< 1", settle = "0s", hold = "0s",
                      within = "200ms", every = "50ms" },
  run = function(incident, p)
    BODY
  end,
}
'''
DRAIN = 'edge.drain { backend = "shop", server = p.server, because = "its requests fail" }'


LADDER = "ladder { rung { function() " + DRAIN + ' end }, otherwise = function() note "that was all" end }'


def start(world, edge, body=DRAIN, more="", auto="high"):
    world.repo.commit({"drain.lua": BOOK.replace("BODY", body)})
    policy = f'policy {{ auto = "{auto}", {more} }}\n'
    daemon = world.daemon(policy=policy, incidents={"correlate": ["alertname", "server"]},
                          instances=[f'haproxy "edge" {{ sockets = {{ "{edge.socket}" }} }}'])
    return daemon.start()


def fire(daemon, server, **labels):
    """An alert for a server; returns its run."""
    told = daemon.post_alert(alert("ServerFails", server=server, **labels))
    return told["events"][0]["runs"][0]


def has_ended(daemon, run, state="succeeded"):
    doc = wait_for(lambda: next((r for r in [daemon.get(f"/v1/runs/{run}")] if not r["open"]), None), f"{run} to end")
    assert doc["state"] == state, doc
    return doc


def question(daemon, run):
    """The open question of a run."""
    return wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a.get("run") == run), None),
                    f"a question of {run}")


def answer(daemon, asked, decision="approve"):
    told = daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": decision, "plan": asked["plan_digest"]})
    assert told.status == 200, told


def drained(edge):
    return [name for name in SERVERS if edge.state("shop", name)[0] & DRAINED]


def test_the_actions_of_a_time_are_counted_also_through_a_kill(world, edge):
    daemon = start(world, edge, more='limits = { actions = "2/1h", per_target = "9/1h" }')
    for name in ("s1", "s2"):
        has_ended(daemon, fire(daemon, name))
    daemon.kill9()
    daemon.start()
    run = fire(daemon, "s3")
    asked = question(daemon, run)
    assert asked["why"].startswith("limits.actions (2/1h) is reached: 2 mitigations were sent; it frees in "), asked
    assert asked["guards"] == ["limits.actions"]
    assert drained(edge) == ["s1", "s2"]
    answer(daemon, asked)
    has_ended(daemon, run)
    assert drained(edge) == ["s1", "s2", "s3"]


def test_a_reach_over_the_limit_asks(world, edge):
    daemon = start(world, edge, more="limits = { reach = 0.3, reach_per_hour = 0.5 }")
    has_ended(daemon, fire(daemon, "s1"))  # a quarter
    run = fire(daemon, "s2")  # a third of what is left
    asked = question(daemon, run)
    assert "its reach of 0.333 is over limits.reach (0.3)" in asked["why"], asked
    assert "limits.reach_per_hour (0.5) would be passed: 0.25 was sent; it frees in" in asked["why"], asked
    assert drained(edge) == ["s1"]
    answer(daemon, asked)
    has_ended(daemon, run)
    assert drained(edge) == ["s1", "s2"]


TARGET = "haproxy:edge/shop/s1"


def test_explain_says_what_stands_against_it_now_as_the_question_does(world, edge):
    daemon = start(world, edge, more='limits = { per_target = "1/1h", reach_per_hour = 0.9 }')

    def explain(*more):
        return daemon.cli("policy", "explain", "edge.drain", "--target", TARGET, "--runbook", "drain", "--reach", "0.25", *more)

    told = json.loads(explain("--json").stdout)
    assert told["verdict"] == "runs" and told["now"]["against"] == [], told
    assert [(one["name"], one["used"], one["full"]) for one in told["now"]["limits"]] == [
        ("limits.per_target", 0, False), ("limits.reach_per_hour", 0, False)]
    has_ended(daemon, fire(daemon, "s1", number="1"))
    edge.ask("set server shop/s1 state ready")
    daemon.cli("hold", TARGET, "--for", "20m", "--because", "I look at it")
    daemon.cli("stop", "--runbook", "drain", "--because", "it hurts")
    told = json.loads(explain("--incident", "INC-1", "--json").stdout)
    now = told["now"]
    assert told["verdict"] == "asks" and len(now["against"]) == 4, told
    assert [(stop["level"], stop["name"], stop["reason"]) for stop in now["stops"]] == [("runbook", "drain", "it hurts")]
    assert [(hold["target"], hold["reason"]) for hold in now["holds"]] == [(TARGET, "I look at it")] and now["holds"][0]["until"]
    assert [one["id"] for one in now["conflicts"]] == ["M-1"]
    full = next(one for one in now["limits"] if one["name"] == "limits.per_target")
    assert (full["about"], full["used"], full["of"], full["full"]) == (TARGET, 1, "1/1h", True)
    assert 0 < full["frees_in_ms"] <= 3600000
    said = explain().stdout
    for part in ("asks", "I look at it", "it hurts", "M-1 (edge.drain)", "limits.per_target", "1/1h", "limits.reach_per_hour"):
        assert part in said, said
    daemon.cli("resume", "--runbook", "drain")
    asked = question(daemon, fire(daemon, "s1", number="2"))
    for reason in now["against"]:
        assert "is stopped" in reason or reason.split("; it frees in")[0] in asked["why"], (reason, asked["why"])
    missing = daemon.cli("policy", "explain", "edge.drain", "--incident", "INC-99", check=False)
    assert missing.returncode == 5 and "INC-99" in missing.stderr


def open_breakers(daemon):
    return [(b["runbook"], b["target"], b["count"]) for b in daemon.cli_json("breakers")]


def test_a_breaker_opens_when_nothing_helps_and_a_person_closes_it(world, edge):
    daemon = start(world, edge, LADDER, more='breaker = { after = 2 }')
    world.set_value("errors", 9)
    has_ended(daemon, fire(daemon, "s1", number="1"))
    assert open_breakers(daemon) == []
    has_ended(daemon, fire(daemon, "s1", number="2"))
    assert open_breakers(daemon) == [("drain", TARGET, 2)]
    assert drained(edge) == []  # the ladder took back what did not help
    daemon.kill9()
    daemon.start()
    run = fire(daemon, "s1", number="3")
    asked = question(daemon, run)
    assert f"the breaker of drain on {TARGET} is open: 2 mitigations did not help within 1h, the last" in asked["why"], asked
    answer(daemon, asked, "deny")
    has_ended(daemon, run)
    assert [e["text"] for e in daemon.timeline("INC-1") if e["kind"] == "breaker.noted"][0].startswith(
        f"The breaker of drain on {TARGET} is open: 2 mitigations did not help within 1h, the last")
    assert daemon.cli("breaker", "close", "drain", "nowhere", check=False).returncode == 5
    said = daemon.cli("breaker", "close", "drain", TARGET, "--because", "the server was mended")
    assert "closed" in said.stdout and "the server was mended" in said.stdout, said.stdout
    assert daemon.cli("breaker", "close", "drain", TARGET, check=False).returncode == 6
    assert open_breakers(daemon) == []
    assert any(e["kind"] == "breaker.noted" and "is closed: the server was mended" in e["text"] for e in daemon.timeline("INC-1"))
    world.set_value("errors", 9)
    has_ended(daemon, fire(daemon, "s2", number="4"))
    run = fire(daemon, "s1", number="5")
    has_ended(daemon, run)
    assert [e["kind"] for e in daemon.timeline("INC-1") if e.get("run") == run].count("action.sent") == 1
    assert daemon.post("/v1/store/check")["ok"]  # all of it is told by the entries


def test_an_approved_mitigation_that_helps_closes_the_breaker(world, edge):
    daemon = start(world, edge, LADDER, more='breaker = { after = 1 }')
    world.set_value("errors", 9)
    has_ended(daemon, fire(daemon, "s1", number="1"))
    run = fire(daemon, "s1", number="2")
    asked = question(daemon, run)
    world.set_value("errors", 0)  # the drain is what mends it
    answer(daemon, asked)
    has_ended(daemon, run)
    assert open_breakers(daemon) == []
    assert drained(edge) == ["s1"]
    closed = [e["text"] for e in daemon.timeline("INC-1") if e["kind"] == "breaker.noted" and "is closed" in e["text"]]
    assert len(closed) == 1 and "which was approved, helped: the symptom is good" in closed[0], closed


# ---- autonomy ----

def would(daemon, incident="INC-1"):
    return [e["text"] for e in daemon.timeline(incident) if e["kind"] in ("action.observed", "page.observed")]


def test_a_runbook_that_observes_changes_nothing_and_says_what_it_would_do(world, edge):
    body = 'ladder { rung { function() ' + DRAIN + ' end }, otherwise = function() page("ic", "nothing helped") end }'
    daemon = start(world, edge, body, more='''
      rule { "a person drains", action = "haproxy.drain", risk = "high" },
      runbook_rule { "we are only watching it", runbook = "dr*", autonomy = "observe" }''', auto="medium")
    world.set_value("errors", 9)
    has_ended(daemon, fire(daemon, "s1"))
    assert drained(edge) == [] and daemon.get("/v1/approvals")["items"] == []
    drain, page = would(daemon)
    assert drain.startswith('Would have: edge.drain {"backend":"shop","server":"s1"}: '), drain
    assert "because its requests fail. It would have asked: " in drain and "a person drains" in drain, drain
    assert page == "Would have paged ic: nothing helped"
    assert "rung 1 was only observed: nothing was changed" in str(daemon.timeline("INC-1"))
    told = daemon.cli("policy", "explain", "edge.drain", "--runbook", "drain").stdout
    assert "observed" in told and "we are only watching it" in told, told


def change(world, daemon, body):
    """Push another text of the runbook, and have it loaded."""
    world.repo.commit({"drain.lua": BOOK.replace("BODY", body)})
    return daemon.post("/v1/runbooks/sync")


def test_a_changed_runbook_asks_until_it_is_accepted(world, edge):
    daemon = start(world, edge)
    has_ended(daemon, fire(daemon, "s1"))  # of the first commit of a store: it acts
    first = daemon.get("/v1/runbooks/drain")
    assert first["autonomy"] == {"mode": "auto", "accepted": True, "asks": False,
                                 "why": "what it does passes the policy's rules"}
    change(world, daemon, 'note "another"; ' + DRAIN)
    second = daemon.get("/v1/runbooks/drain")
    assert second["digest"] != first["digest"] and not second["autonomy"]["accepted"]
    run = fire(daemon, "s2")
    asked = question(daemon, run)
    assert (f"drain changed since it was last accepted (digest {second['digest'][:12]}): it asks until a person accepts it"
            in asked["why"]), asked
    answer(daemon, asked, "deny")
    assert "asks" in daemon.cli("policy", "explain", "edge.drain", "--runbook", "drain").stdout

    wrong = daemon.cli("runbook", "accept", "drain", "--digest", first["digest"], check=False)
    assert wrong.returncode == 6 and "drain is another one by now" in wrong.stderr, wrong
    assert daemon.cli("runbook", "accept", "gone", "--digest", first["digest"], check=False).returncode == 5
    assert daemon.cli("runbook", "accept", "drain", check=False).returncode == 3  # nobody at a terminal has seen it
    assert not daemon.get("/v1/runbooks/drain")["autonomy"]["accepted"]

    shown = daemon.cli("runbook", "show", "drain").stdout
    assert second["digest"] in shown and "it asks until a person accepts it" in shown, shown
    daemon.cli("runbook", "accept", "drain", "--digest", second["digest"], "--because", "read it")
    daemon.kill9()
    daemon.start()
    has_ended(daemon, fire(daemon, "s3"))
    assert drained(edge) == ["s1", "s3"]

    change(world, daemon, DRAIN)  # back to what was accepted before
    assert daemon.get("/v1/runbooks/drain")["autonomy"]["accepted"]


def test_a_new_runbook_and_a_changed_module_ask_too(world, edge):
    how = 'return function(edge, p) edge.drain { backend = "shop", server = p.server, because = "WHY" } end\n'
    world.repo.commit({"lib/how.lua": how.replace("WHY", "its requests fail")})
    daemon = start(world, edge, 'require("lib.how")(edge, p)')
    assert daemon.get("/v1/runbooks/drain")["autonomy"]["accepted"]
    world.repo.commit({"lib/how.lua": how.replace("WHY", "its requests still fail")})
    daemon.post("/v1/runbooks/sync")
    asked = question(daemon, fire(daemon, "s1"))
    assert "drain changed since it was last accepted" in asked["why"], asked
    world.repo.commit({"other.lua": BOOK.replace("BODY", DRAIN).replace('runbook "drain"', 'runbook "other"')
                       .replace("ServerFails", "OtherFails")})
    daemon.post("/v1/runbooks/sync")
    run = daemon.post_alert(alert("OtherFails", server="s2"))["events"][0]["runs"][0]
    assert "other is new and was not accepted yet" in question(daemon, run)["why"]
    assert drained(edge) == []
