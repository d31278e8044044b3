"""`stanch runbook plan`: the real world is read, and nothing is changed; a plan is of no incident and takes nothing from a run that acts."""
import json

from books import ASK, AUTO, book, set_to
from harness import alert, wait_for

LADDER = '''ladder {
      rung { function() fx.set_convergent { target = "s1", value = 7, because = "first" } end },
      rung { function() fx.set_unprotected { target = "s2", value = 8, because = "second" } end },
      otherwise = function() page("ic", "nothing helped") end,
    }'''


def start(world, body, policy=AUTO, **more):
    world.repo.commit({"heal.lua": book(body, **more)})
    return world.daemon(policy=policy).start()


def plan(daemon, *args, code=0):
    done = daemon.cli("runbook", "plan", "heal", *args, "--json", check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def what(told, kind):
    return [row for row in told["story"] if row["what"] == kind]


def test_it_reads_the_real_world_and_changes_nothing(world):
    world.set_value("errors", 50)
    world.set_value("s1", 3)
    daemon = start(world, LADDER)
    told = plan(daemon)
    assert told["state"] == "succeeded", told
    first, second = what(told, "would act")
    assert (first["instance"], first["action"], first["args"]) == ("fx", "set_convergent", {"target": "s1", "value": 7})
    assert first["because"] == "first" and not first["asks"] and "3" in json.dumps(first["from"]) and "7" in json.dumps(first["to"])
    assert second["args"]["target"] == "s2" and [row["text"] for row in what(told, "would page")] == ["nothing helped"]
    assert what(told, "looked")[0]["result"] == "bad" and what(told, "looked")[0]["value"] == 50
    assert [effect for effect in world.effects() if effect.get("op") == "apply"] == []
    run = daemon.get("/v1/runs/R-1")
    assert run["observe"] is True and "incident" not in run
    assert daemon.get("/v1/incidents")["items"] == [] and daemon.get("/v1/approvals")["items"] == []
    assert daemon.get("/v1/mitigations")["items"] == []
    kinds = [entry["kind"] for entry in daemon.get("/v1/incidents/-/timeline?run=R-1")["items"]]
    assert kinds.count("action.observed") == 2 and "page.observed" in kinds
    assert not {"action.sent", "approval.requested", "page.requested", "mitigation.applied"} & set(kinds)


def test_what_would_have_asked_is_said_with_its_role(world):
    daemon = start(world, set_to(7), policy=ASK)
    (act,) = what(plan(daemon), "would act")
    assert act["asks"] and act["role"] == "ic" and act["why"] and act["quorum"] == 1
    shown = daemon.cli("runbook", "plan", "heal").stdout
    assert "would act" in shown and "asks      the ic: " in shown and "fx.set_convergent" in shown
    assert "as if the earlier ones had not helped" in shown and "Nothing was changed" in shown
    assert daemon.get("/v1/approvals")["items"] == [] and world.effects() == []


def test_params_are_given_and_checked(world):
    daemon = start(world, 'fx.set_convergent { target = p.server, value = 1, because = "b" }',
                   more='params = { server = label "host" {} },')
    (act,) = what(plan(daemon, "--param", "server=s9"), "would act")
    assert act["args"]["target"] == "s9"
    assert daemon.cli("runbook", "plan", "heal", "--param", "srv=s9", check=False).returncode == 3
    assert daemon.cli("runbook", "plan", "other", check=False).returncode == 5


def test_nothing_is_waited_for(world):
    world.set_value("errors", 50)
    daemon = start(world, 'sleep "2h"; note "later"; note(verify()); note((wait_for { ask = fx.get, args = { target = "errors" }, becomes = "< 1",'
                          ' within = "3h" }))')
    told = plan(daemon)
    assert [row["ms"] for row in what(told, "would wait")] == [7200000]
    assert [row["text"] for row in what(told, "note")] == ["later", "bad", "timeout"]


def test_what_was_only_observed_is_taken_back_by_saying_so(world):
    daemon = start(world, 'local done = ' + set_to(7) + '; undo(done, "enough"); note "after"')
    told = plan(daemon)
    assert [row["text"] for row in what(told, "note")] == ["fx.set_convergent was only observed: there is nothing to take back", "after"]


def test_a_question_ends_it_without_a_failure(world):
    daemon = start(world, 'local go = ask { role = "ic", text = "go?" }; note(go)')
    told = plan(daemon)
    assert [(row["role"], row["text"]) for row in what(told, "would ask")] == [("ic", "go?")]
    assert "depends on the answer" in daemon.cli("runbook", "plan", "heal").stdout


def test_an_error_of_the_runbook_is_one(world):
    daemon = start(world, 'local x = nil; note(x.y)')
    assert "index" in plan(daemon, code=3)["why"]


def test_stopped_it_reads_and_says_so(world):
    daemon = start(world, set_to(7))
    daemon.cli("stop", "--reason", "hands off")
    told = plan(daemon)
    (act,) = what(told, "would act")
    assert "the stop switch is set" in told["would_not_start"] and act["asks"] and "the stop switch is set" in act["why"]
    assert world.effects() == []


def test_holds_and_limits_are_told_and_not_used_up(world):
    limits = 'limits = { cooldown = "1h", holds = "service:shop", at_once = 1 },'
    daemon = start(world, set_to(7), more=limits)
    target = what(plan(daemon), "would act")[0]["targets"][0]
    plan(daemon)
    daemon.cli("hold", target, "--because", "by hand")
    assert "by hand" in what(plan(daemon), "would act")[0]["why"]
    daemon.cli("release", target)
    daemon.post_alert(alert())  # three plans did not use up its cooldown, and hold nothing
    run = wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if not r.get("observe") and r["state"] != "running"], "its run")[0]
    assert run["state"] == "succeeded", run
    told = plan(daemon)
    assert "cooldown" in told["would_not_start"], told


def test_for_an_incident_its_severity_counts_and_its_story_does_not_grow(world):
    policy = AUTO.replace("policy {", 'policy { rule { "only when it is bad", severity = { "sev1" }, effect = "mitigate", risk = "low" },'
                          ).replace('auto = "high"', 'auto = "low"')
    daemon = start(world, set_to(7, action="set_unprotected"), policy=policy)
    incident = daemon.post("/v1/incidents", {"title": "it burns", "severity": "sev1"})["id"]
    before = daemon.kinds(incident)
    assert not what(plan(daemon, "--incident", incident), "would act")[0]["asks"]
    assert what(plan(daemon), "would act")[0]["asks"]
    assert daemon.kinds(incident) == before and "runs" not in daemon.get(f"/v1/incidents/{incident}")


def test_killed_in_the_middle_it_stays_a_plan(world):
    world.behave("get:slow 1500")
    daemon = start(world, 'fx.get { target = "s1" }; ' + set_to(7))
    daemon.post("/v1/runs", {"runbook": "heal", "observe": True})
    daemon.kill9()
    world.behave()
    daemon.start()
    run = wait_for(lambda: (doc := daemon.get("/v1/runs/R-1"))["state"] == "succeeded" and doc, "the plan to end")
    assert run["observe"] is True and [s["op"] for s in run["steps"]] == ["action", "action"]
    assert run["steps"][1]["would_args"] == {"target": "s1", "value": 7} and world.effects() == []


def test_limits_of_the_policy_are_told_and_not_used_up(world):
    daemon = start(world, set_to(7), policy=AUTO.replace("policy {", 'policy { limits = { actions = "1/1h" },'))
    assert not any(what(plan(daemon), "would act")[0]["asks"] for _ in range(3))
    daemon.post_alert(alert())
    wait_for(lambda: len(world.effects()) == 1, "the one that may act")
    world.set_value("s1", 0)
    (act,) = what(plan(daemon), "would act")
    assert act["asks"] and "limits.actions (1/1h) is reached" in act["why"], act
