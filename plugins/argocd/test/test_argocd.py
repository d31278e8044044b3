"""The argocd plugin against a stateful server that was written from Argo CD's API description."""
import copy
import json

import pytest
from fake_argocd import REVISIONS, TOKEN, Argocd, application
from hostile import Hostile
from plugin_host import Host, Refused

AUTO = {"prune": True, "selfHeal": True, "enabled": None}


class World:
    def __init__(self, app, **settings):
        self.server = Hostile(lambda server, request: self.respond(request))
        self.argocd = Argocd({"shop": app}, self.server.effects)
        self.app, self.effects = app, self.server.effects
        self.host = Host("argocd", {"url": self.server.url, **settings}, {"token": TOKEN}, instance="prod")

    def respond(self, request):
        status, value = self.argocd.respond(*request)
        return status, {}, value

    def ask(self, called, action, plan=None, expect="done", deadline_ms=30000, is_given_up=False, **more):
        args = {"application": "shop", **more.pop("args", {})}
        given = {"args": args, "key": "k", "epoch": 1, **more, **({"plan": plan} if plan else {})}
        answer = self.host.wait(self.host.start(called, action, given, b"", deadline_ms, is_given_up), 60)
        assert answer["outcome"] == expect and TOKEN not in json.dumps(answer), answer
        return answer["value"] if expect == "done" else answer["error"]

    def automated(self):
        return self.app["spec"]["syncPolicy"].get("automated")

    def revision(self):
        return self.app["status"]["history"][-1]["revision"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.close()
        self.server.__exit__()


# ---- freeze ----


@pytest.mark.parametrize("automated", [AUTO, {}, {"enabled": True}])
def test_freeze_and_the_exact_former_object(automated):
    app = application(automated=copy.deepcopy(automated))
    before = copy.deepcopy(app)
    with World(app) as world:
        plan = world.ask("plan", "freeze")
        assert plan["from"] == {"automated": automated} and plan["to"] == {"automated": None} and not plan["no_change"]
        assert plan["targets"] == ["argocd:prod/shop"] and world.effects == []
        world.ask("apply", "freeze", plan)
        assert world.automated() is None and world.ask("verify", "freeze", plan)["holds"] is True
        assert world.ask("apply", "freeze", plan) == {"already": True}
        assert world.ask("reconcile", "freeze", plan, op="apply") == {"state": "done"}
        world.ask("undo", "freeze", plan)
        assert app == before and len(world.effects) == 2
        assert world.ask("reconcile", "freeze", plan, op="undo") == {"state": "done"}


@pytest.mark.parametrize("automated", [None, {"enabled": False, "prune": True}])
def test_what_is_off_is_left_alone(automated):
    with World(application(automated=automated)) as world:
        plan = world.ask("plan", "freeze")
        assert plan["no_change"] is True
        world.ask("apply", "freeze", plan)
        world.ask("undo", "freeze", plan)
        assert world.automated() == automated and world.effects == []


def test_a_freeze_that_somebody_changed_is_left_alone():
    with World(application(automated=dict(AUTO))) as world:
        plan = world.ask("plan", "freeze")
        world.app["spec"]["syncPolicy"]["automated"]["prune"] = False
        assert world.ask("apply", "freeze", plan, expect="failed")["kind"] == "stale"
        assert world.ask("undo", "freeze", plan, expect="failed")["kind"] == "stale"
        assert world.ask("reconcile", "freeze", plan, op="apply") == {"state": "cannot-tell"}
        assert world.effects == []


# ---- rollback ----


def test_rollback_and_forward_again():
    app = application(automated=dict(AUTO))
    with World(app) as world:
        plan = world.ask("plan", "rollback")
        assert plan["from"] == {"deployment": {"id": 2, "revision": REVISIONS[2]}, "automated": AUTO}
        assert plan["to"] == {"deployment": {"id": 1, "revision": REVISIONS[1]}, "automated": None}
        assert "auto-sync stays off" in plan["impact"] and "NOT KNOWN" in plan["impact"]
        assert plan["observed"]["data_loss"] == "unknown" and "not possible" in plan["observed"]["dry_run"]
        assert world.effects == []
        world.ask("apply", "rollback", plan)
        assert world.effects == [("automated", None), ("rollback", 1)]
        assert world.revision() == REVISIONS[1] and world.automated() is None
        assert world.ask("verify", "rollback", plan)["holds"] is True
        assert world.ask("reconcile", "rollback", plan, op="apply") == {"state": "done"}
        assert world.ask("apply", "rollback", plan)["already"] is True
        world.ask("undo", "rollback", plan)
        assert world.revision() == REVISIONS[2] and world.automated() == AUTO
        assert world.effects[2:] == [("rollback", 2), ("automated", AUTO)]
        assert world.ask("reconcile", "rollback", plan, op="undo") == {"state": "done"}


def test_a_chosen_entry_is_tried_dry():
    with World(application()) as world:
        plan = world.ask("plan", "rollback", args={"to": 0})
        assert plan["to"]["deployment"]["id"] == 0 and plan["observed"]["dry_run"] == "succeeded"
        assert world.effects == []
        world.ask("apply", "rollback", plan, args={"to": 0})
        assert world.effects == [("rollback", 0)] and world.revision() == REVISIONS[0]
        assert world.ask("plan", "rollback", args={"to": 99}, expect="failed")["kind"] == "not-found"


def test_a_dry_run_that_fails():
    with World(application()) as world:
        world.argocd.phase = "Failed"
        error = world.ask("plan", "rollback", expect="failed")
        assert error["kind"] == "refused" and "as the test says" in error["text"] and world.effects == []


@pytest.mark.parametrize("said,loss", [("none", "none"), (REVISIONS[2][:10], "possible"), (REVISIONS[0], "none"),
                                       (f"{REVISIONS[0]}, {REVISIONS[2]}", "possible"), ("c3", "none")])
def test_data_loss_as_the_annotation_tells(said, loss):
    with World(application(annotations={"stanch.dev/migrations": said}, automated={})) as world:
        assert world.ask("plan", "rollback")["observed"]["data_loss"] == loss


def test_one_operation_at_a_time():
    with World(application()) as world:
        plan = world.ask("plan", "rollback")
        world.app["status"]["operationState"] = {"phase": "Running"}
        assert world.ask("plan", "rollback", expect="failed")["kind"] == "conflict"
        assert world.ask("apply", "rollback", plan, expect="failed")["kind"] == "conflict"
        assert world.effects == []


def test_a_rollback_that_is_refused_puts_auto_sync_back():
    with World(application(automated=dict(AUTO))) as world:
        plan = world.ask("plan", "rollback")
        world.argocd.refuse["POST"] = 403
        error = world.ask("apply", "rollback", plan, expect="failed")
        assert error["kind"] == "forbidden" and "as it was" in error["text"]
        assert world.automated() == AUTO and world.effects == [("automated", None), ("automated", AUTO)]


def test_a_rollback_that_fails_on_the_way_is_unknown():
    with World(application(automated=dict(AUTO))) as world:
        plan = world.ask("plan", "rollback")
        world.argocd.phase = "Failed"
        assert "as the test says" in world.ask("apply", "rollback", plan, expect="unknown")["text"]
        seen = world.ask("verify", "rollback", plan)
        assert (seen["holds"], seen["never"], seen["seen"]["phase"]) == (False, True, "Failed")
        assert world.ask("reconcile", "rollback", plan, op="apply") == {"state": "cannot-tell"}


@pytest.mark.parametrize("fault,effects", [("hangup", 1), ("lost", 2)])
def test_a_rollback_whose_answer_is_lost(fault, effects):
    with World(application(automated=dict(AUTO))) as world:
        plan = world.ask("plan", "rollback")
        world.server.fault, world.server.hits = fault, lambda request: request.method == "POST"
        world.ask("apply", "rollback", plan, expect="unknown")
        assert len(world.effects) == effects
        world.server.fault = None
        world.ask("read", "state")
        world.ask("read", "state")
        state = world.ask("reconcile", "rollback", plan, op="apply")["state"]
        assert state == ("done" if effects == 2 else "cannot-tell")
        world.ask("apply", "rollback", plan)  # goes on where it was lost
        assert world.effects == [("automated", None), ("rollback", 1)]


def test_reads_that_get_lost_before_anything_changed_are_failed():
    with World(application(automated=dict(AUTO))) as world:
        plan = world.ask("plan", "rollback")
        world.server.fault = "hangup"
        assert world.ask("apply", "rollback", plan, expect="failed", is_given_up=True)["kind"] == "unreachable"


def test_a_deployment_in_between_is_stale():
    with World(application()) as world:
        plan = world.ask("plan", "rollback")
        world.app["status"]["history"].append({"id": 9, "revision": "d4" * 20})
        for called in ("apply", "undo"):
            assert world.ask(called, "rollback", plan, expect="failed")["kind"] == "stale"
        assert world.effects == []


def test_health_is_waited_for():
    with World(application()) as world:
        plan = world.ask("plan", "rollback")
        world.ask("apply", "rollback", plan)
        world.app["status"]["health"]["status"] = "Degraded"
        seen = world.ask("verify", "rollback", plan, deadline_ms=5000)
        assert seen["holds"] is False and "never" not in seen
        assert world.host.declaration["actions"]["rollback"]["verify_ms"] == 900000


def test_what_somebody_else_deployed_since_is_not_waited_for():
    with World(application()) as world:
        plan = world.ask("plan", "rollback")
        world.ask("apply", "rollback", plan)
        before = world.app["status"]["history"].pop()  # as one of Argo CD's servers may still say
        assert "never" not in world.ask("verify", "rollback", plan, deadline_ms=5000)
        world.app["status"]["history"] += [before, {"id": 9, "revision": "d4" * 20}]
        seen = world.ask("verify", "rollback", plan)
        assert seen["holds"] is False and seen["never"] and seen["seen"]["deployment"]["id"] == 9


def test_the_oldest_entry_is_pushed_out_by_the_rollback_to_it():
    app = application(automated=dict(AUTO))
    app["spec"]["revisionHistoryLimit"] = 3
    with World(app) as world:
        plan = world.ask("plan", "rollback", args={"to": 0})
        world.ask("apply", "rollback", plan)
        assert [entry["id"] for entry in app["status"]["history"]] == [1, 2, 3]
        assert world.ask("verify", "rollback", plan)["holds"] is True
        assert world.ask("reconcile", "rollback", plan, op="apply") == {"state": "done"}
        assert world.ask("apply", "rollback", plan)["already"] is True
        world.ask("undo", "rollback", plan)
        assert world.revision() == REVISIONS[2] and world.automated() == AUTO


# ---- who may what ----


def test_allow_lists():
    for settings in ({"applications": ["other"]}, {"projects": ["other"]}):
        with World(application(automated={}), **settings) as world:
            plan = {"from": {"automated": {}}, "to": {"automated": None}}
            assert world.ask("plan", "freeze", expect="failed")["kind"] == "refused"
            assert world.ask("apply", "freeze", plan, expect="failed")["kind"] == "refused"
            assert world.ask("plan", "rollback", expect="failed")["kind"] == "refused"
            assert world.effects == []


def test_state_and_check():
    with World(application(automated={"enabled": None}), app_namespace="apps") as world:
        state = world.ask("read", "state")
        assert state["auto_sync"] is True and state["health"] == "Healthy" and len(state["history"]) == 3
        assert all("appNamespace=apps" in request.path for request in world.server.seen)
        assert world.host.call("check", "check", {})["value"]["ok"] is True
        world.server.fault = 403
        assert world.host.call("check", "check", {})["value"]["ok"] is False


def test_the_token_is_needed():
    with pytest.raises(Refused, match="token"):
        Host("argocd", {"url": "http://127.0.0.1:1"})
