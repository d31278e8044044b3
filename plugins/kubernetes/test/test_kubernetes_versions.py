"""What the real API server here (1.20) is not: newer versions, webhooks, faults. On a server with its manners (fake_api.py)."""
import json
import re

import pytest
from fake_api import DEPLOYMENT, HPA, TOKEN, shop, status
from harness import find_fixtures
from hostile import Hostile
from plugin_host import Host

SPEC = find_fixtures("specs") / "kubernetes.json"
WEB = {"hpa": "web"}


class World:
    def __init__(self, versions=("v2", "v1"), **settings):
        self.versions, self.refusals = versions, {}
        self.server = Hostile(self.answer)
        self.objects, self.effects = self.server.state, self.server.effects
        shop(self.objects, self.effects, versions)
        self.host = Host("kubernetes", {"url": self.server.url, "namespaces": ["shop"], **settings}, {"token": TOKEN})

    def answer(self, server, request):
        for (method, part), answers in self.refusals.items():
            if request.method == method and part in request.path and answers:
                code, value = answers.pop(0)
                return code, {"Content-Type": "application/json"}, value
        code, value = shop(server.state, server.effects, self.versions).respond(*request)
        return code, {"Content-Type": "application/json"}, value

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=15000, is_given_up=False, **more):
        given = {"args": args, "key": "k", "epoch": 1, **more, **({"plan": plan} if plan else {})}
        answer = self.host.wait(self.host.start(called, action, given, b"", deadline_ms, is_given_up), 60)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def paths(self, method):
        return [request.path for request in self.server.seen if request.method == method]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.close()
        self.server.__exit__()


@pytest.mark.parametrize("versions,used", [(("v2", "v1"), "v2"), (("v1", "v2beta1", "v2beta2"), "v2beta2"), (("v1",), "v1")])
def test_the_newest_version_that_is_there(versions, used):
    """v2 is 1.23 and later; v1 has always been there. The size stands at the same place in each."""
    with World(versions) as world:
        world.objects[HPA.format(used)] = world.objects.pop(HPA.format(versions[0]))
        plan = world.ask("plan", "freeze_hpa", WEB)
        world.ask("apply", "freeze_hpa", WEB, plan)
        spec = world.objects[HPA.format(used)]["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 3)
        world.ask("undo", "freeze_hpa", WEB, plan)
        assert world.objects[HPA.format(used)]["spec"]["maxReplicas"] == 10
        assert "annotations" not in world.objects[HPA.format(used)]["metadata"]


def test_a_version_that_is_not_known():
    with World(("v3",)) as world:
        error = world.ask("plan", "freeze_hpa", WEB, expect="failed")
        assert error["kind"] == "protocol" and "autoscaling" in error["text"], error


@pytest.mark.parametrize("low", [0, None])
def test_a_minimum_of_nothing_is_put_back(low):
    """0 is allowed where HPAScaleToZero is on; a server may also leave it out."""
    with World() as world:
        spec = world.objects[HPA.format("v2")]["spec"]
        spec["minReplicas"] = low
        if low is None:
            del spec["minReplicas"]
        plan = world.ask("plan", "freeze_hpa", WEB)
        assert plan["from"]["min"] == low
        world.ask("apply", "freeze_hpa", WEB, plan)
        world.ask("undo", "freeze_hpa", WEB, plan)
        assert world.objects[HPA.format("v2")]["spec"].get("minReplicas", "none") == ("none" if low is None else 0)


def test_every_change_is_a_json_patch_behind_a_test_of_the_version():
    with World() as world:
        plan = world.ask("plan", "freeze_hpa", WEB)
        world.ask("apply", "freeze_hpa", WEB, plan)
        world.ask("undo", "freeze_hpa", WEB, plan)
        patches = [request for request in world.server.seen if request.method == "PATCH"]
        assert ["dryRun=All" in one.path for one in patches] == [True, False, False]
        for one in patches:
            assert one.headers["content-type"] == "application/json-patch+json"
            steps = json.loads(one.body)
            assert steps[0]["op"] == "test" and steps[0]["path"] == "/metadata/resourceVersion"
            changed = [step["path"] for step in steps if step["op"] == "add" and step["path"].startswith("/spec")]
            tested = [step["path"] for step in steps if step["op"] == "test"]
            assert changed == ["/spec/minReplicas", "/spec/maxReplicas"] and set(changed) <= set(tested)


CONFLICT = status(422, "Invalid", "the server rejected our request due to an error in our request")


@pytest.mark.parametrize("refusal", [CONFLICT, status(409, "Conflict", "the object has been modified")])
def test_a_conflict_is_read_and_decided_again(refusal):
    with World() as world:
        plan = world.ask("plan", "freeze_hpa", WEB)
        world.refusals[("PATCH", "/web")] = [refusal] * 2
        world.ask("apply", "freeze_hpa", WEB, plan)
        assert len(world.effects) == 1
        world.refusals[("PATCH", "/web")] = [refusal] * 9
        sent = len(world.paths("PATCH"))
        error = world.ask("undo", "freeze_hpa", WEB, plan, expect="failed")
        assert error["kind"] == "stale" and len(world.paths("PATCH")) == sent + 4 and len(world.effects) == 1


def test_an_object_that_is_not_valid_is_no_conflict():
    with World() as world:
        refusal = status(422, "Invalid", "HorizontalPodAutoscaler is invalid: spec.maxReplicas")
        refusal[1]["details"] = {"causes": [{"field": "spec.maxReplicas"}]}
        world.refusals[("PATCH", "dryRun")] = [refusal]
        error = world.ask("plan", "freeze_hpa", WEB, expect="failed")
        assert error["kind"] == "refused" and "spec.maxReplicas" in error["text"] and len(world.paths("PATCH")) == 1


def test_a_webhook_that_knows_no_dry_run():
    said = "admission webhook \"policy.example\" does not support dry run"
    with World() as world:
        world.refusals[("PATCH", "dryRun")] = [status(400, "BadRequest", said), status(400, "BadRequest", "other")]
        plan = world.ask("plan", "freeze_hpa", WEB)
        assert plan["observed"]["dry_run"] == "not possible: an admission webhook does not support it"
        error = world.ask("plan", "freeze_hpa", WEB, expect="failed")
        assert error["kind"] == "refused" and "other" in error["text"]
        world.ask("apply", "freeze_hpa", WEB, plan)
        assert len(world.effects) == 1


def test_a_webhook_that_refuses_is_heard_before_anybody_is_asked():
    with World() as world:
        world.refusals[("PATCH", "dryRun")] = [status(403, "Forbidden", "admission webhook denied: change freeze")]
        error = world.ask("plan", "freeze_hpa", WEB, expect="failed")
        assert error["kind"] == "forbidden" and "change freeze" in error["text"], error


def test_a_reply_that_is_lost_and_one_that_never_came():
    with World() as world:
        plan = world.ask("plan", "scale", {"name": "web", "replicas": 4}, expect="failed")  # an HPA scales it
        plan = {"from": {"replicas": 3}, "to": {"replicas": 4}, "undo": {"replicas": 3}}
        args = {"name": "web", "replicas": 4}
        for fault, state in (("hangup", "not-done"), ("lost", "done")):
            world.server.fault, world.server.hits = fault, lambda request: request.method == "PATCH"
            world.ask("apply", "scale", args, plan, expect="unknown")
            world.server.fault = None
            assert world.ask("reconcile", "scale", args, plan, op="apply") == {"state": state}
        assert world.objects[DEPLOYMENT]["spec"]["replicas"] == 4 and len(world.effects) == 1


def test_reads_that_get_lost_before_anything_changed_are_failed():
    with World() as world:
        plan = world.ask("plan", "freeze_hpa", WEB)
        world.server.fault = "hangup"
        assert world.ask("apply", "freeze_hpa", WEB, plan, expect="failed", is_given_up=True)["kind"] == "unreachable"


@pytest.mark.parametrize("plan", [{}, {"from": {}, "to": {}, "undo": {}}, {"from": 1, "to": 2, "undo": 3}])
def test_a_plan_of_somebody_elses(plan):
    with World() as world:
        for called in ("apply", "undo", "verify"):
            error = world.ask(called, "freeze_hpa", WEB, plan or {"x": 1}, expect="failed")
            assert error["kind"] == "invalid", error
        assert world.effects == []


@pytest.mark.parametrize("strange", [
    {"spec": 1}, {"spec": {"replicas": "3", "selector": [], "template": []}}, {"status": {"conditions": [1, None, {}]}},
    {"spec": {"template": {"spec": {"containers": [1, {"name": 7}]}}}}, {"metadata": {"annotations": 7, "labels": []}}],
    ids=range(5))
def test_strange_members_do_no_harm(strange):
    with World() as world:
        object_ = world.objects[DEPLOYMENT]
        for name, value in strange.items():
            object_[name] = {**object_[name], **value} if name == "metadata" else value
        seen = world.ask("read", "deployment", {"deployment": "web"})
        assert seen["revisions"] == []
        answer = world.host.call("plan", "rollback", {"args": {"deployment": "web"}})
        assert answer["outcome"] == "failed" and answer["error"]["kind"] in ("conflict", "refused"), answer


def test_a_long_text_is_cut_between_characters():
    with World() as world:
        world.objects[DEPLOYMENT]["status"]["conditions"] = [{
            "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "x" + "ä" * 500}]
        seen = world.ask("read", "deployment", {"deployment": "web"})
        assert seen["rollout"] == "failed" and seen["text"].startswith("the rollout failed: xää") and len(seen["text"]) < 300
        world.refusals[("GET", "web")] = [status(403, "Forbidden", "y" + "ö" * 500)]
        assert "yöö" in world.ask("read", "deployment", {"deployment": "web"}, expect="failed")["text"]


@pytest.mark.skipif(not SPEC.exists(), reason="shared/fixtures is not here")
def test_what_is_asked_is_in_the_api_description():
    """Paths and methods; a patch's media type."""
    paths = json.loads(SPEC.read_text())["paths"]
    known = {re.compile(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(path)) + "/?"): set(one) for path, one in paths.items()}
    with World() as world:
        plan = world.ask("plan", "freeze_hpa", WEB)
        world.ask("apply", "freeze_hpa", WEB, plan)
        world.ask("read", "deployment", {"deployment": "web"})
        world.objects[HPA.format("v2")]["spec"]["scaleTargetRef"]["name"] = "another"
        plan = world.ask("plan", "scale", {"name": "web", "replicas": 4})
        world.ask("apply", "scale", {"name": "web", "replicas": 4}, plan)
        world.host.call("check", "check", deadline_ms=60000)
        asked = {(request.method.lower(), request.path.partition("?")[0]) for request in world.server.seen}
        for method, path in sorted(asked):
            if path not in ("/apis/autoscaling", "/version"):  # the description was trimmed to what changes or lists
                assert any(method in methods for pattern, methods in known.items() if pattern.fullmatch(path)), (method, path)
        assert len(asked) >= 9
