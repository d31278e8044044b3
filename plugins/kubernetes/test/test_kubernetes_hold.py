"""freeze_hpa and pause_keda on a real API server; the HPA's controller runs, KEDA does not."""
import json
import shlex

import pytest
from conftest import connect
from harness import wait_for
from kube import JSON_PATCH

IMAGE = "registry.example/web:1"
HPA = {"hpa": "web"}
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min", "policies": [
    {"type": "Pods", "value": 1, "periodSeconds": 30}]}}


def autoscaled(cluster, space, replicas=3, low=2, high=10, annotations=None):
    cluster.deploy(space, "web", IMAGE, replicas=replicas)
    place = f"/apis/autoscaling/v2beta2/namespaces/{space}/horizontalpodautoscalers"
    return cluster.api("POST", place, {"metadata": {"name": "web", "annotations": annotations}, "spec": {
        "minReplicas": low, "maxReplicas": high, "behavior": BEHAVIOR,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {
            "type": "Utilization", "averageUtilization": 70}}}]}})


def replicas(cluster, space):
    return cluster.deployment(space, "web")["spec"]["replicas"]


def bounds(cluster, space):
    spec = cluster.hpa(space, "web")["spec"]
    return spec.get("minReplicas"), spec["maxReplicas"]


def whole(cluster, space):
    """All of the HPA that a person wrote."""
    found = cluster.hpa(space, "web", "v2beta2")
    return found["spec"], found["metadata"].get("annotations")


def settled(cluster, space):
    """The controller has looked at it: what it writes at first is not ours."""
    wait_for(lambda: "conditions" in cluster.hpa(space, "web", "v2beta2").get("status", {}), "the HPA's controller")


# ---- freeze ----


@pytest.mark.parametrize("annotations", [None, {"team": "shop"}], ids=["bare", "annotated"])
def test_freeze_and_the_exact_former_state(cluster, space, prod, annotations):
    autoscaled(cluster, space, annotations=annotations)
    settled(cluster, space)
    before = whole(cluster, space)
    plan = prod.plan("freeze_hpa", **HPA)
    assert plan["targets"] == [f"kubernetes:prod/{space}/hpa/web"]
    assert plan["from"] == {"min": 2, "max": 10, "held_from": None} == plan["undo"]
    assert plan["to"] == {"min": 3, "max": 3, "held_from": '{"maxReplicas":10,"minReplicas":2}'}
    assert plan["impact"].startswith("Deployment web is held at 3 replicas, 3 now") and not plan["no_change"]
    assert whole(cluster, space) == before
    prod.ask("apply", "freeze_hpa", HPA, plan)
    spec, notes = whole(cluster, space)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 3) and spec["behavior"] == before[0]["behavior"]
    assert json.loads(notes["stanch.dev/held-from"]) == {"minReplicas": 2, "maxReplicas": 10}
    assert prod.ask("verify", "freeze_hpa", HPA, plan)["holds"] is True
    assert prod.ask("reconcile", "freeze_hpa", HPA, plan, op="apply") == {"state": "done"}
    assert prod.ask("read", "hpa", HPA)["held_from"] == plan["to"]["held_from"]
    prod.ask("undo", "freeze_hpa", HPA, plan)
    assert whole(cluster, space) == before
    assert prod.ask("reconcile", "freeze_hpa", HPA, plan, op="undo") == {"state": "done"}


def test_a_frozen_autoscaler_holds_the_size(cluster, space, prod):
    """The controller itself: before, it leaves another size alone (it has no metrics); frozen, it scales back."""
    autoscaled(cluster, space)
    settled(cluster, space)
    cluster.scale(space, "web", 5)
    seen = [cluster.hpa(space, "web")["status"].get("currentReplicas")]
    wait_for(lambda: seen.append(cluster.hpa(space, "web")["status"].get("currentReplicas")) or seen[-1] == 5,
             "the HPA to have seen 5")
    assert replicas(cluster, space) == 5
    plan = prod.plan("freeze_hpa", **HPA)
    assert plan["to"]["max"] == 5
    prod.ask("apply", "freeze_hpa", HPA, plan)
    for other in (8, 1):
        cluster.scale(space, "web", other)
        wait_for(lambda: replicas(cluster, space) == 5, f"the controller to go back from {other}")
    prod.ask("undo", "freeze_hpa", HPA, plan)
    assert bounds(cluster, space) == (2, 10)
    cluster.scale(space, "web", 8)
    wait_for(lambda: cluster.hpa(space, "web")["status"].get("currentReplicas") == 8, "the HPA to have seen 8")
    assert replicas(cluster, space) == 8


def test_the_present_size_is_the_targets_own(cluster, space, prod):
    """The HPA's status lags: a size that it has not seen yet is not taken back."""
    autoscaled(cluster, space, replicas=2)
    cluster.scale(space, "web", 7)
    assert prod.plan("freeze_hpa", **HPA)["to"]["min"] == 7


def test_a_target_whose_path_is_not_known(cluster, space, prod):
    autoscaled(cluster, space)
    place = f"/apis/autoscaling/v2beta2/namespaces/{space}/horizontalpodautoscalers/web"
    cluster.merge(place, {"spec": {"scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}}})
    cluster.merge(place + "/status", {"status": {"currentReplicas": 4, "desiredReplicas": 6, "currentMetrics": None,
                                                 "conditions": []}})
    assert prod.plan("freeze_hpa", **HPA)["to"]["max"] == 6, "the larger one: never fewer than there may be"


def test_a_size(cluster, space, prod):
    autoscaled(cluster, space)
    assert prod.plan("freeze_hpa", replicas=6, **HPA)["to"]["min"] == 6
    error = prod.plan("freeze_hpa", replicas=11, **HPA, expect="failed")
    assert error["kind"] == "refused" and "2 to 10" in error["text"], error
    with connect(cluster, space, max_replicas=5) as other:
        assert other.plan("freeze_hpa", replicas=6, **HPA, expect="failed")["kind"] == "refused"
        assert other.plan("freeze_hpa", **HPA)["to"]["min"] == 3


def test_a_size_outside_of_its_bounds_is_where_the_hpa_takes_it(cluster, space, prod):
    autoscaled(cluster, space, replicas=1, low=1, high=4)
    for size, held in ((6, 4), (2, 2)):
        cluster.scale(space, "web", size)
        assert prod.plan("freeze_hpa", **HPA)["to"]["max"] == held
    cluster.merge(f"/apis/autoscaling/v1/namespaces/{space}/horizontalpodautoscalers/web", {"spec": {"minReplicas": 3}})
    cluster.scale(space, "web", 1)
    assert prod.plan("freeze_hpa", **HPA)["to"]["min"] == 3


def test_scaled_to_nothing(cluster, space, prod):
    """No replicas: the HPA is switched off by that, and a minimum of 0 is refused by the server."""
    autoscaled(cluster, space)
    cluster.scale(space, "web", 0)
    error = prod.plan("freeze_hpa", **HPA, expect="failed")
    assert error["kind"] == "refused" and "has no replicas now" in error["text"], error
    status, _ = cluster.request("PATCH", f"/apis/autoscaling/v1/namespaces/{space}/horizontalpodautoscalers/web",
                                [{"op": "add", "path": "/spec/minReplicas", "value": 0}], JSON_PATCH)
    assert status == 422


def test_what_is_held_already_is_left_alone(cluster, space, prod):
    autoscaled(cluster, space, low=3, high=3)
    plan = prod.plan("freeze_hpa", **HPA)
    assert plan["no_change"] is True and plan["from"] == plan["to"]
    prod.ask("apply", "freeze_hpa", HPA, plan)
    prod.ask("undo", "freeze_hpa", HPA, plan)
    assert bounds(cluster, space) == (3, 3)


def test_somebody_elses_bounds_are_left_alone(cluster, space, prod):
    autoscaled(cluster, space)
    plan = prod.plan("freeze_hpa", **HPA)
    cluster.merge(f"/apis/autoscaling/v1/namespaces/{space}/horizontalpodautoscalers/web", {"spec": {"maxReplicas": 20}})
    assert prod.ask("apply", "freeze_hpa", HPA, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("undo", "freeze_hpa", HPA, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("reconcile", "freeze_hpa", HPA, plan, op="apply") == {"state": "cannot-tell"}
    assert prod.ask("verify", "freeze_hpa", HPA, plan)["holds"] is False
    assert bounds(cluster, space) == (2, 20)


def test_by_hand(cluster, space, prod):
    """What the commands send is what the plan says; kubectl itself is not at hand here."""
    autoscaled(cluster, space)
    plan = prod.plan("freeze_hpa", **HPA)
    words, back = shlex.split(plan["by_hand"]), shlex.split(plan["undo_by_hand"])
    assert words[:8] == ["kubectl", "-n", space, "patch", "hpa", "web", "--type", "merge"] and back[:8] == words[:8]
    place = f"/apis/autoscaling/v1/namespaces/{space}/horizontalpodautoscalers/web"
    cluster.merge(place, json.loads(words[9]))
    assert bounds(cluster, space) == (3, 3)
    cluster.merge(place, json.loads(back[9]))
    assert bounds(cluster, space) == (2, 10)
    assert back[10:] == ["&&", "kubectl", "-n", space, "annotate", "hpa", "web", "stanch.dev/held-from-"]


def test_no_such_hpa(cluster, space, prod):
    assert prod.plan("freeze_hpa", hpa="nowhere", expect="failed")["kind"] == "not-found"


# ---- KEDA ----

KEDA = {"scaled_object": "jobs"}
PAUSED, SIZE = "autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"


def scaled_object(cluster, space, annotations=None):
    place = f"/apis/keda.sh/v1alpha1/namespaces/{space}/scaledobjects"
    cluster.api("POST", place, {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {
        "name": "jobs", "annotations": annotations}, "spec": {"scaleTargetRef": {"name": "worker"}, "triggers": [
            {"type": "cron", "metadata": {"start": "0 6 * * *"}}]}})
    return place + "/jobs"


def condition(cluster, place, status):
    cluster.merge(place + "/status", {"status": {"conditions": [{"type": "Paused", "status": status}]}})


@pytest.mark.parametrize("annotations", [None, {"team": "shop"}, {PAUSED: "false"}], ids=["bare", "annotated", "false"])
@pytest.mark.parametrize("size", [None, 4])
def test_pause_and_the_exact_former_state(cluster, space, prod, annotations, size):
    place = scaled_object(cluster, space, annotations)
    before = cluster.get(place)
    args = {**KEDA, **({} if size is None else {"replicas": size})}
    plan = prod.plan("pause_keda", **args)
    was = (annotations or {}).get(PAUSED)
    assert plan["from"] == {"paused": was, "paused_replicas": None} == plan["undo"]
    assert plan["to"] == ({"paused": "true", "paused_replicas": None} if size is None else
                          {"paused": was, "paused_replicas": "4"})
    prod.ask("apply", "pause_keda", args, plan)
    notes = cluster.get(place)["metadata"]["annotations"]
    assert (notes[PAUSED] if size is None else notes[SIZE]) == ("true" if size is None else "4"), "texts"
    assert {name: value for name, value in notes.items() if "keda" not in name} == {
        name: value for name, value in (annotations or {}).items() if "keda" not in name}
    seen = prod.ask("verify", "pause_keda", args, plan)
    assert seen["holds"] is True and seen["seen"]["keda"] == "has no condition Paused"
    prod.ask("undo", "pause_keda", args, plan)
    after = cluster.get(place)
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations") and after["spec"] == before["spec"]


def test_keda_says_when_it_has_paused(cluster, space, prod):
    place = scaled_object(cluster, space)
    condition(cluster, place, "False")
    plan = prod.plan("pause_keda", **KEDA)
    prod.ask("apply", "pause_keda", KEDA, plan)
    seen = prod.ask("verify", "pause_keda", KEDA, plan, deadline_ms=5000)
    assert seen["holds"] is False and seen["seen"]["keda"] == "False"
    call = prod.host.start("verify", "pause_keda", {"args": KEDA, "plan": plan}, deadline_ms=30000)
    condition(cluster, place, "True")
    assert prod.host.wait(call, 40)["value"]["holds"] is True


def test_paused_already(cluster, space, prod):
    scaled_object(cluster, space, {PAUSED: "true"})
    plan = prod.plan("pause_keda", **KEDA)
    assert plan["no_change"] is True and "it was paused already" in plan["impact"]


def test_a_pause_that_somebody_changed(cluster, space, prod):
    place = scaled_object(cluster, space)
    plan = prod.plan("pause_keda", **KEDA)
    prod.ask("apply", "pause_keda", KEDA, plan)
    cluster.merge(place, {"metadata": {"annotations": {SIZE: "9"}}})
    assert prod.ask("undo", "pause_keda", KEDA, plan, expect="failed")["kind"] == "stale"
    assert cluster.get(place)["metadata"]["annotations"] == {PAUSED: "true", SIZE: "9"}


def test_limits_of_a_pause(cluster, space, prod):
    scaled_object(cluster, space)
    for size in (0, 51):
        assert prod.plan("pause_keda", replicas=size, **KEDA, expect="failed")["kind"] == "refused"
    with connect(cluster, space, min_replicas=0) as other:
        assert other.plan("pause_keda", replicas=0, **KEDA)["to"]["paused_replicas"] == "0"
