"""From an alert to its effect, against the real binary: what runs by itself, what asks, what is refused."""
import json
import threading
import time

import pytest

from books import ACTIONS, ASK, AUTO, book, set_to
from harness import alert, lua, wait_for


def ended(daemon, run="R-1"):
    def look():
        doc = daemon.get(f"/v1/runs/{run}")
        return doc if doc["state"] in ("succeeded", "failed", "cancelled", "held") else None
    return wait_for(look, f"{run} to end")


def pending(daemon):
    """The one open question."""
    return wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]


def approve(daemon, question):
    return daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})


def start(world, body, policy=AUTO, **more):
    world.repo.commit({"heal.lua": book(body, **more)})
    return world.daemon(policy=policy).start()


def test_an_alert_acts_and_tells_the_story(world):
    daemon = start(world, 'note "begins"; ' + set_to(7))
    told = daemon.post_alert(alert())
    assert [e["repeat"] for e in told["events"]] == [False]
    assert told["events"][0]["runs"] == ["R-1"]
    run = ended(daemon)
    assert run["state"] == "succeeded", run
    assert [(e["op"], e["target"], e["value"]) for e in world.effects()] == [("apply", "s1", 7)]
    kinds = daemon.kinds("INC-1")
    assert [k for k in kinds if k in ("run.started", "action.sent", "action.answered", "mitigation.applied",
                                      "action.verified", "run.succeeded")] == \
        ["run.started", "action.sent", "action.answered", "mitigation.applied", "action.verified", "run.succeeded"]
    in_force = daemon.get("/v1/mitigations")["items"]
    assert [(m["id"], m["state"], m["because"]) for m in in_force] == [("M-1", "in-force", "it is failing")]


def test_an_alert_that_is_light_opens_no_incident_unless_a_runbook_answers(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO, incidents={"declare_from": "sev2"}).start()
    light = daemon.post_alert(alert("Another"))["events"][0]  # without a severity it is sev3
    assert light["incident"] is None and light["runs"] == []
    assert daemon.get(f"/v1/events/{light['id']}")["name"] == "Another"
    assert daemon.post_alert(alert("Another", severity="sev1"))["events"][0]["incident"] == "INC-1"
    answered = daemon.post_alert(alert())["events"][0]
    assert answered["incident"] == "INC-2" and answered["runs"] == ["R-1"]


def test_two_posts_of_one_alert_at_once_give_one_incident_and_one_run(world):
    daemon = start(world, set_to(7))
    firing = alert()
    threads = [threading.Thread(target=daemon.post_alert, args=(firing,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended(daemon)
    assert len(daemon.get("/v1/incidents")["items"]) == 1
    assert len(daemon.get("/v1/runs")["items"]) == 1
    assert len(world.effects()) == 1


def test_without_a_policy_every_mitigation_asks_and_denied_is_denied(world):
    daemon = start(world, set_to(7), policy=None)
    daemon.post_alert(alert())
    question = pending(daemon)
    assert question["about"] == "action" and question["plan"]["to"] and question["because"] == "it is failing"
    assert daemon.get("/v1/runs/R-1")["state"] == "parked"
    answer = daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "deny", "note": "not tonight"})
    assert answer.status == 200, answer
    run = ended(daemon)
    assert run["state"] == "failed" and "not tonight" in json.dumps(run)
    assert world.effects() == []


def test_approved_is_what_runs(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    question = pending(daemon)
    wrong = daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": "0" * 64})
    assert wrong.status == 409 and wrong.json["status"] == 409, wrong
    none = daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "approve"})
    assert none.status == 400, none
    assert world.effects() == []
    assert approve(daemon, question).status == 200
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1
    again = approve(daemon, question)
    assert again.status == 409, again
    assert len(world.effects()) == 1


def test_a_plan_that_went_stale_is_asked_anew(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    first = pending(daemon)
    world.set_value("s1", 3)  # somebody changed it by hand: `from` is another now
    assert approve(daemon, first).status == 200
    second = wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a["id"] != first["id"]), None),
                      "the new question")
    assert second["plan_digest"] != first["plan_digest"]
    assert daemon.get(f"/v1/approvals/{first['id']}")["state"] == "voided"
    assert world.effects() == []
    assert approve(daemon, second).status == 200
    assert ended(daemon)["state"] == "succeeded"
    assert [e["value"] for e in world.effects()] == [7]


def test_only_declared_actions_exist(world):
    daemon = start(world, set_to(7), uses=("get",))
    daemon.post_alert(alert())
    run = ended(daemon)
    assert run["state"] == "failed" and "uses" in json.dumps(run), run
    assert world.effects() == []


def test_an_error_names_file_and_line(world):
    daemon = start(world, 'note "fine"\n    local x = nil\n    x.y = 1')
    daemon.post_alert(alert())
    run = ended(daemon)
    assert run["state"] == "failed"
    assert "heal.lua" in json.dumps(run["error"]) and run["error"].get("line"), run["error"]


def test_a_failed_action_can_be_caught_by_kind(world):
    daemon = start(world, f'''local ok, err = pcall(function() {set_to(7)} end)
    note("caught " .. err.kind)''')
    world.behave("apply:fail")
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    assert any("caught " in e["text"] for e in daemon.timeline("INC-1"))
    assert world.effects() == []


def test_the_switch_holds_everything_back_and_undo_still_works(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    daemon.post("/v1/stop", {"reason": "something is off"})
    told = daemon.post_alert(alert("TestAlert", host="b"))
    assert told["events"][0]["runs"] == []
    assert wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["state"] == "held"], "the held run")
    undone = daemon.api("POST", "/v1/mitigations/M-1/undo", {"reason": "by hand"})
    assert undone.status == 200 and undone.json["state"] == "undone", undone
    assert [e["op"] for e in world.effects()] == ["apply", "undo"]
    daemon.stop()
    daemon.start()
    assert daemon.get("/v1/status")["stopped"]["reason"] == "something is off"
    daemon.post("/v1/resume", {})
    assert daemon.get("/v1/status")["stopped"] is None
    assert len(world.effects()) == 2  # what came in while stopped does not start at resume


def test_the_switch_is_a_file(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    question = pending(daemon)
    (world.dir / "state" / "stop").write_text("")
    assert approve(daemon, question).status == 409
    assert world.effects() == []
    (world.dir / "state" / "stop").unlink()
    assert approve(daemon, question).status == 200
    assert ended(daemon)["state"] == "succeeded"


def test_resolved_in_the_middle_stops_asks_or_continues(world):
    books = {f"{rule}.lua": book('fx.get { target = "errors" }; wait_for { ask = fx.get, args = { target = "gate" }, becomes = "> 0", '
                                 'every = "50ms", within = "30s" }; ' + set_to(7, target=rule),
                                 name=rule, more=f'on_resolved = "{rule}",') for rule in ("stop", "ask", "continue")}
    world.repo.commit(books)
    daemon = world.daemon(policy=AUTO).start()
    firing = alert()
    daemon.post_alert(firing)
    wait_for(lambda: len([r for r in daemon.get("/v1/runs")["items"] if r["state"] == "running"]) == 3, "three runs")
    resolved = dict(firing, status="resolved", endsAt="2030-01-01T00:00:00Z")
    daemon.post_alert(resolved)
    by_book = lambda: {r["runbook"]: r for r in daemon.get("/v1/runs")["items"]}
    wait_for(lambda: by_book()["stop"]["state"] == "cancelled", "the stopped one")
    world.set_value("gate", 1)
    wait_for(lambda: by_book()["continue"]["state"] == "succeeded", "the one that goes on")
    question = pending(daemon)
    assert "resolved" in question["why"], question
    assert [e["target"] for e in world.effects()] == ["continue"]
    assert approve(daemon, question).status == 200
    wait_for(lambda: by_book()["ask"]["state"] == "succeeded", "the confirmed one")


def test_cancel_while_it_waits_for_a_person(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    question = pending(daemon)
    assert daemon.post("/v1/runs/R-1/cancel", {"reason": "never mind"})["state"] == "cancelled"
    assert daemon.get(f"/v1/approvals/{question['id']}")["state"] == "voided"
    assert approve(daemon, question).status == 409
    assert world.effects() == []


def test_cancel_while_an_effect_is_out_still_records_it(world):
    daemon = start(world, set_to(7))
    world.behave("apply:slow 1500")  # long enough for the cancel to come first on a loaded machine
    daemon.post_alert(alert())
    wait_for(lambda: "action.sent" in daemon.kinds("INC-1"), "the intent")
    daemon.post("/v1/runs/R-1/cancel", {})
    wait_for(lambda: "mitigation.applied" in daemon.kinds("INC-1"), "the outcome")
    assert [m["state"] for m in daemon.get("/v1/mitigations")["items"]] == ["in-force"]


def test_a_run_that_fails_lists_what_it_left_and_asks(world):
    daemon = start(world, set_to(7) + '; error("no idea")')
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "failed"
    question = pending(daemon)
    assert question["about"] == "keep" and question["choices"] == ["keep", "undo"]
    assert daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "undo"}).status == 200
    wait_for(lambda: daemon.get("/v1/mitigations/M-1")["state"] == "undone", "the undo")
    assert [e["op"] for e in world.effects()] == ["apply", "undo"]


def test_the_ladder_takes_back_what_did_not_help(world):
    body = f'''ladder {{
      rung {{ function() {set_to(1, target="a")} end }},
      rung {{ when = false, function() {set_to(1, target="never")} end }},
      rung {{ function() {set_to(0, target="errors")} end }},
      otherwise = function() page("ic", "nothing helped") end,
    }}'''
    daemon = start(world, body)
    world.set_value("errors", 9)
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    assert [(e["op"], e["target"]) for e in world.effects()] == [("apply", "a"), ("undo", "a"), ("apply", "errors")]


def test_unknown_asks_what_happened(world):
    daemon = start(world, set_to(7, action="set_unprotected"))
    world.behave("apply:crash-after once")
    daemon.post_alert(alert())
    question = pending(daemon)
    assert question["about"] == "unknown" and question["choices"] == ["happened", "did-not", "abandon"]
    assert len(world.effects()) == 1
    assert daemon.post("/v1/steps/R-1/1/resolve", {"happened": "happened"})
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1  # never sent twice
    assert [m["state"] for m in daemon.get("/v1/mitigations")["items"]] == ["in-force"]


def test_reconcile_finds_what_happened(world):
    for action in ("set_reconcilable", "set_idempotent"):
        assert action in ACTIONS
    daemon = start(world, set_to(7, action="set_reconcilable"))
    world.behave("apply:crash-after once")
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1


def test_reconcile_not_done_sends_again(world):
    daemon = start(world, set_to(7, action="set_reconcilable"))
    world.behave("apply:crash-before once")
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1


def test_a_restart_goes_on_where_it_was(world):
    daemon = start(world, 'note "one"; sleep "300ms"; ' + set_to(7), policy=ASK)
    daemon.post_alert(alert())
    daemon.kill9().start()
    question = pending(daemon)
    daemon.kill9().start()
    assert approve(daemon, question).status == 200
    daemon.kill9().start()
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1
    texts = [e["kind"] for e in daemon.timeline("INC-1") if e["kind"] == "step.noted"]
    assert len(texts) == 1  # replayed, not said twice


def test_waiting_events_are_matched_by_the_first_commit(world):
    daemon = world.daemon(policy=AUTO).start(ready=False)
    told = daemon.post_alert(alert())
    assert told["events"][0]["runs"] == []
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon.post("/v1/runbooks/sync")  # answered when the commit is taken; what waited is matched after it
    wait_for(lambda: daemon.get("/v1/runs")["items"], "the run")
    assert ended(daemon)["state"] == "succeeded"
    assert len(world.effects()) == 1


def test_an_old_alert_starts_nothing(world):
    daemon = start(world, set_to(7))
    told = daemon.post_alert(alert(starts_at=1_700_000_000))
    assert told["events"][0]["runs"] == []
    assert world.effects() == []


def test_limits_hold_a_run_back_and_say_why(world):
    daemon = start(world, set_to(7), more='limits = { cooldown = "1h", group_within = "0s" },')
    daemon.post_alert(alert(host="a"))
    ended(daemon)
    told = daemon.post_alert(alert(host="b"))
    assert told["events"][0]["runs"] == []
    held = wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["state"] == "held"], "the held run")[0]
    assert "cooldown" in held["why"]
    daemon.stop().start()
    assert daemon.post_alert(alert(host="c"))["events"][0]["runs"] == []


def test_a_limit_reaches_back_over_more_than_a_thousand_runs(world):
    limited = 'limits = { cooldown = "1h", group_within = "0s" },'
    world.repo.commit({"heal.lua": book(set_to(7), more=limited),
                       "noise.lua": book('note "noise"', name="noise", on='alert { alertname = "Noise" }', more=limited)})
    daemon = world.daemon(policy=AUTO).start()
    daemon.post_alert(alert())
    ended(daemon)
    for part in range(11):  # all but the first are held by the cooldown of theirs: rows, and no work
        daemon.post_alert(*[alert("Noise", number=str(part * 100 + i)) for i in range(100)])
    daemon.kill9().start()
    assert daemon.post_alert(alert(host="c"))["events"][0]["runs"] == []


def test_a_commit_is_taken_whole_or_refused_whole(world):
    daemon = start(world, set_to(7))
    good = daemon.get("/v1/status")["book"]["commit"]
    world.repo.commit({"heal.lua": book(set_to(8)), "broken.lua": 'runbook "x" { sumary = "typo" }'})
    refused = daemon.api("POST", "/v1/runbooks/sync", {})
    assert refused.status == 422 and "broken.lua" in refused.text and "summary" in refused.text, refused
    assert daemon.get("/v1/status")["book"]["commit"] == good
    daemon.post_alert(alert())
    ended(daemon)
    assert [e["value"] for e in world.effects()] == [7]
    fixed = world.repo.commit({"broken.lua": None})
    assert daemon.post("/v1/runbooks/sync")["commit"] == fixed


def test_a_lease_end_undoes_only_what_is_proven_good(world):
    daemon = start(world, set_to(7, extra=', lease = "300ms"') + "; " + set_to(3, target="s2", extra=', lease = "30s"'))
    daemon.post_alert(alert())
    ended(daemon)
    wait_for(lambda: daemon.get("/v1/mitigations/M-1")["state"] == "undone", "the undo")
    assert [(e["op"], e["target"]) for e in world.effects()] == [("apply", "s1"), ("apply", "s2"), ("undo", "s1")]
    assert daemon.get("/v1/mitigations/M-2")["state"] == "in-force"


def test_a_lease_end_with_a_bad_symptom_keeps_it_and_asks(world):
    daemon = start(world, set_to(7, extra=', lease = "4s"'))  # it turns bad before that, on a loaded machine too
    daemon.post_alert(alert())
    ended(daemon)
    world.set_value("errors", 9)
    question = pending(daemon)
    assert question["about"] == "keep" and "bad" in question["because"], question
    assert daemon.get("/v1/mitigations/M-1")["state"] == "in-force"
    assert [e["op"] for e in world.effects()] == ["apply"]


def test_one_run_at_a_time_holds_a_name(world):
    body = 'wait_for { ask = fx.get, args = { target = "gate" }, becomes = "> 0", every = "50ms", within = "30s" }'
    daemon = start(world, body, more='limits = { holds = "service:checkout", group_within = "0s" },')
    daemon.post_alert(alert(host="a"))
    assert daemon.post_alert(alert(host="b"))["events"][0]["runs"] == []
    held = wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["state"] == "held"], "the held run")[0]
    assert "service:checkout" in held["why"]
    world.set_value("gate", 1)
    assert ended(daemon)["state"] == "succeeded"
    assert len(daemon.post_alert(alert(host="c"))["events"][0]["runs"]) == 1


def test_an_approval_is_void_when_other_rules_match(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    first = pending(daemon)
    world.write("policy.lua", ASK.replace("} }\n", "}" + ', rule { "careful", action = "effects.*", risk = "high" } }\n'))
    daemon.stop().start()
    assert approve(daemon, first).status == 200
    second = wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a["id"] != first["id"]), None),
                      "the new question")
    assert second["risk"] == "high" and "careful" in second["why"]
    assert world.effects() == []
    assert approve(daemon, second).status == 200
    assert ended(daemon)["state"] == "succeeded"


def test_an_approval_is_void_when_the_plugin_is_another_build(world):
    daemon = start(world, set_to(7), policy=ASK)
    daemon.post_alert(alert())
    first = pending(daemon)
    daemon.stop()
    built = world.plugin_dir / "effects.so"
    other = built.read_bytes() + b"another build"
    built.unlink()
    built.write_bytes(other)
    daemon.start()
    assert approve(daemon, first).status == 200
    second = wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a["id"] != first["id"]), None),
                      "the new question")
    assert "another build" in second["why"] and second["plan_digest"] == first["plan_digest"], second
    assert daemon.get(f"/v1/approvals/{first['id']}")["state"] == "voided" and world.effects() == []
    assert approve(daemon, second).status == 200
    assert ended(daemon)["state"] == "succeeded"


def test_a_lease_that_ended_while_it_was_down_says_so(world):
    daemon = start(world, set_to(7, extra=', lease = "3s"'))
    daemon.post_alert(alert())
    mitigation = wait_for(lambda: daemon.get("/v1/mitigations")["items"], "the mitigation")[0]
    daemon.kill9()
    world.set_value("errors", 9)
    wait_for(lambda: time.time() > mitigation["lease_ends_ms"] / 1000, "the end of the lease")
    daemon.start()
    question = pending(daemon)
    assert question["about"] == "keep" and "while stanch was down" in question["because"], question


@pytest.mark.parametrize("where,body", [
    ("asleep", 'sleep "1h"'),
    ("verifying", 'verify { ask = { instance = "fx", action = "get", args = { target = "errors" } }, good = "< -1", '
                  'within_ms = 60000, every_ms = 100 }'),
    ("waiting", 'wait_for { ask = fx.get, args = { target = "gate" }, becomes = "> 0", every = "100ms", within = "1h" }'),
    ("asking", 'ask { role = "ic", text = "well?", choices = { "yes", "no" } }'),
    ("side by side", 'parallel { function() sleep "1h" end, function() sleep "2h" end }'),
    ("computing", 'while true do end'),
])
def test_cancel_in_every_state(world, where, body):
    daemon = start(world, 'note "begins"; ' + body + "; " + set_to(7))
    daemon.post_alert(alert())
    wait_for(lambda: "step.noted" in daemon.kinds("INC-1"), "the first step")
    cancelled = daemon.api("POST", "/v1/runs/R-1/cancel", {"reason": where})
    assert cancelled.status == 200 and cancelled.json["state"] == "cancelled", (cancelled, daemon.get("/v1/runs/R-1"))
    assert daemon.get("/v1/approvals")["items"] == []
    daemon.stop().start()
    assert daemon.get("/v1/runs/R-1")["state"] == "cancelled"
    assert world.effects() == []


def test_each_source_names_severities_in_its_own_way(world):
    """P1 is the worst in one tool and the second in another."""
    world.repo.commit({"heal.lua": book(set_to(7))})
    own = {"label": "priority", "map": {"P1": "sev2"}, "otherwise": "sev4"}
    second = f"alertmanager \"other\" {{ token = secret.file {lua(world.token_file)} }}"
    daemon = world.daemon(policy=AUTO, instances=[second], incidents={"correlate": ["nth"], "severity": {
        "label": "priority", "map": {"P1": "sev1"}, "sources": {"other": own}}}).start()
    seen = {}
    for source, priority in [("am", "P1"), ("other", "P1"), ("am", "P7"), ("other", "P7"), ("other", "sev1")]:
        told = daemon.post_alert(alert("Down", nth=f"{source}{priority}", priority=priority), source=source)["events"][0]
        seen[source, priority] = daemon.get(f"/v1/incidents/{told['incident']}")["severity"]
    assert seen == {("am", "P1"): "sev1", ("other", "P1"): "sev2", ("am", "P7"): "sev3", ("other", "P7"): "sev4",
                    ("other", "sev1"): "sev1"}
