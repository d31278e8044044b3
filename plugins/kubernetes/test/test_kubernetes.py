"""Rollbacks, scale and check on a real API server with its controllers (tests/flow/kube.py)."""
import json
import shlex

import pytest
from conftest import ALL, connect
from harness import wait_for
from kube import JSON_PATCH
from plugin_host import Host, Refused
from servers import Origin, closed_port

ONE, TWO, THREE = "registry.example/web:1", "registry.example/web:2", "registry.example/web:3"


def versions(cluster, space, *images, name="web", **more):
    for image in images:
        cluster.deploy(space, name, image, **more)
    return cluster.replicasets(space, name)


# ---- rollback ----


def test_rollback_and_forward_again(cluster, space, prod):
    sets = versions(cluster, space, ONE, TWO)
    before = cluster.deployment(space, "web")
    plan = prod.plan("rollback", deployment="web")
    assert plan["targets"] == [f"kubernetes:prod/{space}/deployment/web"]
    assert plan["from"] == {"replicaset": sets[2], "images": {"app": TWO}}
    assert plan["to"] == {"replicaset": sets[1], "images": {"app": ONE}, "changes": ["/spec/containers/0/image"]}
    assert plan["undo"] == plan["from"] and plan["no_change"] is False and plan["reach"] == 1
    assert plan["impact"].startswith(f"web: app {TWO} -> {ONE} (revision 2 -> 1); all 2 Pods are replaced; whether data")
    assert plan["risk"] == "high" and plan["observed"]["data_loss"] == "unknown"
    assert plan["observed"]["dry_run"] == "succeeded"
    assert shlex.split(plan["by_hand"])[3:] == ["rollout", "undo", "deployment/web", "--to-revision=1"]
    assert cluster.deployment(space, "web")["metadata"] == before["metadata"], "a plan changed something"

    prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    seen = prod.ask("verify", "rollback", {"deployment": "web"}, plan, deadline_ms=30000)
    assert seen["holds"] is True and seen["seen"]["rollout"] == "complete", seen
    assert cluster.is_rolled_out(space, "web") and cluster.images_that_run(space, "web") == {ONE}
    template = cluster.deployment(space, "web")["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": "web"}, "without pod-template-hash"
    assert cluster.replicasets(space, "web") == {2: sets[2], 3: sets[1]}, "the revision was numbered anew"
    assert prod.ask("reconcile", "rollback", {"deployment": "web"}, plan, op="apply") == {"state": "done"}
    assert prod.ask("apply", "rollback", {"deployment": "web"}, plan)["already"] is True

    prod.ask("undo", "rollback", {"deployment": "web"}, plan)
    wait_for(lambda: cluster.is_rolled_out(space, "web"), "the rollout of the undo")
    assert cluster.deployment(space, "web")["spec"] == before["spec"]
    assert cluster.images_that_run(space, "web") == {TWO}
    assert prod.ask("reconcile", "rollback", {"deployment": "web"}, plan, op="undo") == {"state": "done"}
    assert prod.ask("reconcile", "rollback", {"deployment": "web"}, plan, op="apply") == {"state": "not-done"}


@pytest.mark.parametrize("which", ["revision", "name", "hash"])
def test_to_which_revision(cluster, space, prod, which):
    sets = versions(cluster, space, ONE, TWO, THREE)
    how = {"revision": {"revision": 1}, "name": {"replicaset": sets[1]},
           "hash": {"replicaset": sets[1].removeprefix("web-")}}[which]
    plan = prod.plan("rollback", deployment="web", **how)
    assert plan["to"]["replicaset"] == sets[1] and plan["to"]["images"] == {"app": ONE}
    assert prod.plan("rollback", deployment="web")["to"]["replicaset"] == sets[2]
    prod.ask("apply", "rollback", {"deployment": "web", **how}, plan)
    wait_for(lambda: cluster.is_rolled_out(space, "web"), "the rollout")
    error = prod.plan("rollback", deployment="web", revision=1, expect="failed")
    assert error["kind"] == "not-found" and f"revision 4 now (ReplicaSet {sets[1]})" in error["text"], error
    assert prod.plan("rollback", deployment="web", revision=9, expect="failed")["kind"] == "not-found"
    assert prod.plan("rollback", deployment="web", replicaset="web-x", expect="failed")["kind"] == "not-found"
    both = prod.plan("rollback", deployment="web", revision=1, replicaset="x", expect="failed")
    assert both["kind"] == "invalid"
    same = prod.plan("rollback", deployment="web", replicaset=sets[1])
    assert same["no_change"] is True and same["observed"]["dry_run"] == "nothing to change"


def test_nothing_to_roll_back_to(cluster, space, prod):
    versions(cluster, space, ONE)
    error = prod.plan("rollback", deployment="web", expect="failed")
    assert error["kind"] == "refused" and "no earlier revision" in error["text"]
    assert prod.plan("rollback", deployment="nowhere", expect="failed")["kind"] == "not-found"


def test_a_deploy_in_between_is_left_alone(cluster, space, prod):
    versions(cluster, space, ONE, TWO)
    plan = prod.plan("rollback", deployment="web")
    cluster.deploy(space, "web", THREE)
    assert prod.ask("apply", "rollback", {"deployment": "web"}, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("undo", "rollback", {"deployment": "web"}, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("reconcile", "rollback", {"deployment": "web"}, plan, op="apply") == {"state": "cannot-tell"}
    seen = prod.ask("verify", "rollback", {"deployment": "web"}, plan)
    assert seen["holds"] is False and seen["seen"]["now"]["images"] == {"app": THREE}
    assert cluster.image(space, "web") == THREE


def test_a_status_that_changes_is_no_conflict(cluster, space, prod):
    """The version moves all the time while Pods come and go; what was approved is still so."""
    versions(cluster, space, ONE, TWO)
    plan = prod.plan("rollback", deployment="web")
    cluster.merge(f"/apis/apps/v1/namespaces/{space}/deployments/web", {"metadata": {"annotations": {"note": "later"}}})
    prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    assert cluster.image(space, "web") == ONE


def test_a_failed_test_is_a_conflict_for_the_server(cluster, space):
    """What the plugin relies on: the API server calls it 422, as if the object were not valid, and does nothing."""
    versions(cluster, space, ONE)
    status, said = cluster.request("PATCH", f"/apis/apps/v1/namespaces/{space}/deployments/web", [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "replace", "path": "/spec/replicas", "value": 7}], JSON_PATCH)
    assert status == 422 and not said.get("details", {}).get("causes"), said
    status, said = cluster.request("PATCH", f"/apis/apps/v1/namespaces/{space}/deployments/web", [
        {"op": "replace", "path": "/spec/replicas", "value": -1}], JSON_PATCH)
    assert status == 422 and said["details"]["causes"], said


@pytest.mark.parametrize("times,outcome", [(2, "done"), (99, "failed")])
def test_what_moves_between_reading_and_patching(cluster, space, times, outcome):
    """The server refuses the patch for a version that is no more. It is read and decided again; not for ever. (The real
    controllers may move the object once more than this test does.)"""
    left, refused = [times], []

    def answer(handler, body):
        place = handler.path.partition("?")[0]
        is_change = handler.command == "PATCH" and "dryRun" not in handler.path
        if is_change and left[0]:
            left[0] -= 1
            cluster.merge(place, {"metadata": {"annotations": {"moved": str(left[0])}}})
        status, value = cluster.request(handler.command, handler.path, json.loads(body) if body else None,
                                        handler.headers["Content-Type"] or "application/json", cluster.stanch)
        refused.extend([status] if is_change and status != 200 else [])
        return status, {"Content-Type": "application/json"}, json.dumps(value)

    versions(cluster, space, ONE, TWO)
    with Origin(answer) as proxy, connect(cluster, space, url=proxy.url) as prod:
        plan = prod.plan("rollback", deployment="web")
        said = prod.ask("apply", "rollback", {"deployment": "web"}, plan, expect=outcome)
    assert set(refused) == {422} and (2 <= len(refused) < 4 if outcome == "done" else len(refused) == 4), refused
    assert cluster.image(space, "web") == (ONE if outcome == "done" else TWO)
    assert outcome == "done" or said["kind"] == "stale", said


def test_paused(cluster, space, prod):
    versions(cluster, space, ONE, TWO)
    plan = prod.plan("rollback", deployment="web")
    cluster.merge(f"/apis/apps/v1/namespaces/{space}/deployments/web", {"spec": {"paused": True}})
    wait_for(lambda: cluster.is_rolled_out(space, "web"), "the controller to see it")
    for error in (prod.plan("rollback", deployment="web", expect="failed"),
                  prod.ask("apply", "rollback", {"deployment": "web"}, plan, expect="failed")):
        assert error["kind"] == "refused" and "rollout resume deployment/web" in error["text"], error
    assert cluster.image(space, "web") == TWO


def test_a_rollout_that_fails_is_said(cluster, space, prod):
    versions(cluster, space, "registry.example/broken:1", wait=False, progressDeadlineSeconds=2)
    wait_for(lambda: cluster.replicasets(space, "web"), "the first ReplicaSet")
    cluster.deploy(space, "web", TWO)
    plan = prod.plan("rollback", deployment="web")
    prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    seen = prod.ask("verify", "rollback", {"deployment": "web"}, plan, deadline_ms=60000)
    assert seen["holds"] is False and seen["never"] and "the rollout failed" in seen["seen"]["rollout"], seen
    assert prod.ask("read", "deployment", {"deployment": "web"})["rollout"] == "failed"


def test_a_rollout_that_goes_on_is_not_yet_true(cluster, space, prod):
    versions(cluster, space, "registry.example/broken:1", wait=False)
    wait_for(lambda: cluster.replicasets(space, "web"), "the first ReplicaSet")
    cluster.deploy(space, "web", TWO)
    plan = prod.plan("rollback", deployment="web")
    prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    seen = prod.ask("verify", "rollback", {"deployment": "web"}, plan, deadline_ms=5000)
    assert seen["holds"] is False and "never" not in seen and "of 2 Pods" in seen["seen"]["rollout"], seen


def test_the_replaced_revision_is_gone(cluster, space, prod):
    sets = versions(cluster, space, ONE, TWO)
    plan = prod.plan("rollback", deployment="web")
    prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    wait_for(lambda: cluster.is_rolled_out(space, "web"), "the rollout")
    cluster.api("DELETE", f"/apis/apps/v1/namespaces/{space}/replicasets/{sets[2]}")
    error = prod.ask("undo", "rollback", {"deployment": "web"}, plan, expect="failed")
    assert error["kind"] == "stale" and sets[2] in error["text"] and "revisionHistoryLimit" in error["text"], error


def test_only_its_own_replicasets_count(cluster, space, prod):
    """Another Deployment's Pods may carry the same labels."""
    versions(cluster, space, ONE, TWO)
    cluster.api("POST", f"/apis/apps/v1/namespaces/{space}/deployments", {"metadata": {"name": "other"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"app": "web", "other": "yes"}},
        "template": {"metadata": {"labels": {"app": "web", "other": "yes"}},
                     "spec": {"containers": [{"name": "app", "image": THREE}]}}}})
    wait_for(lambda: cluster.is_rolled_out(space, "other"), "the other one")
    foreign = cluster.get(f"/apis/apps/v1/namespaces/{space}/replicasets?labelSelector=other%3Dyes")["items"]
    cluster.merge(f"/apis/apps/v1/namespaces/{space}/replicasets/{foreign[0]['metadata']['name']}", {
        "metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}})
    assert prod.plan("rollback", deployment="web")["to"]["images"] == {"app": ONE}
    error = prod.plan("rollback", deployment="web", replicaset=foreign[0]["metadata"]["name"], expect="failed")
    assert error["kind"] == "not-found"


def test_a_selector_with_expressions(cluster, space, prod):
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "app", "operator": "In", "values": ["web", "webb"]}, {"key": "app", "operator": "NotIn", "values": ["x"]},
        {"key": "app", "operator": "Exists"}, {"key": "canary", "operator": "DoesNotExist"}]}
    versions(cluster, space, ONE, selector=selector)
    versions(cluster, space, TWO)
    assert prod.plan("rollback", deployment="web")["to"]["images"] == {"app": ONE}


# ---- what is known about data ----


@pytest.mark.parametrize("said,loss,risk", [("none", "none", None), ("0042_orders", "possible", "high"), (None, "unknown", "high"),
                                            ("", "unknown", "high")])
def test_data_loss_is_what_the_annotation_tells(cluster, space, prod, said, loss, risk):
    cluster.deploy(space, "web", ONE)
    cluster.deploy(space, "web", TWO, annotations=None if said is None else {"stanch.dev/migration": said})
    plan = prod.plan("rollback", deployment="web")
    assert plan["observed"]["data_loss"] == loss and plan.get("risk") == risk, plan
    assert {"none": "no migration", "possible": "DATA WAS MIGRATED", "unknown": "NOT KNOWN"}[loss] in plan["impact"]


def test_every_revision_in_between_is_asked(cluster, space, prod):
    none = {"stanch.dev/migration": "none"}
    cluster.deploy(space, "web", ONE)
    cluster.deploy(space, "web", TWO, annotations={"stanch.dev/migration": "0042"})
    sets = versions(cluster, space, THREE, annotations=none)
    assert prod.plan("rollback", deployment="web")["observed"]["data_loss"] == "none"
    assert prod.plan("rollback", deployment="web", revision=1)["observed"]["data_loss"] == "possible"
    cluster.api("DELETE", f"/apis/apps/v1/namespaces/{space}/replicasets/{sets[2]}")
    plan = prod.plan("rollback", deployment="web")
    assert plan["to"]["replicaset"] == sets[1] and plan["observed"]["data_loss"] == "unknown", "one is no longer kept"


def test_another_annotation(cluster, space):
    cluster.deploy(space, "web", ONE)
    cluster.deploy(space, "web", TWO, annotations={"example.com/schema": "none"})
    with connect(cluster, space, migration_annotation="example.com/schema") as prod:
        assert prod.plan("rollback", deployment="web")["observed"]["data_loss"] == "none"


def test_who_would_take_it_back_is_told(cluster, space, prod):
    versions(cluster, space, ONE, TWO)
    cluster.merge(f"/apis/apps/v1/namespaces/{space}/deployments/web",
                  {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}})
    plan = prod.plan("rollback", deployment="web")
    assert plan["observed"]["kept_by"] == "Argo CD" and "Argo CD keeps this object" in plan["impact"]


def test_what_differs_is_named_and_no_value_shown(cluster, space, prod):
    cluster.deploy(space, "web", ONE)
    place = f"/apis/apps/v1/namespaces/{space}/deployments/web"
    cluster.merge(place, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5, "containers": [
        {"name": "app", "image": ONE, "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}}}})
    wait_for(lambda: cluster.is_rolled_out(space, "web"), "the rollout")
    plan = prod.plan("rollback", deployment="web")
    assert sorted(plan["to"]["changes"]) == ["/spec/containers/0/env", "/spec/terminationGracePeriodSeconds"]
    assert "the same images" in plan["impact"] and "hunter2" not in json.dumps(plan)


# ---- scale ----


def test_scale_and_back(cluster, space, prod):
    cluster.deploy(space, "web", ONE, replicas=2)
    args = {"name": "web", "replicas": 4}
    plan = prod.plan("scale", **args)
    assert plan["from"] == {"replicas": 2} and plan["to"] == {"replicas": 4} and plan["reach"] == 0
    assert plan["impact"] == "Deployment web: 2 -> 4 replicas, 2 ready now" and plan["observed"]["dry_run"] == "succeeded"
    assert cluster.deployment(space, "web")["spec"]["replicas"] == 2
    prod.ask("apply", "scale", args, plan)
    assert prod.ask("verify", "scale", args, plan, deadline_ms=30000)["holds"] is True
    assert cluster.deployment(space, "web")["status"]["availableReplicas"] == 4
    assert prod.ask("reconcile", "scale", args, plan, op="apply") == {"state": "done"}
    prod.ask("undo", "scale", args, plan)
    assert cluster.deployment(space, "web")["spec"]["replicas"] == 2
    cluster.scale(space, "web", 3)
    assert prod.ask("apply", "scale", args, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("undo", "scale", args, plan, expect="failed")["kind"] == "stale"
    assert cluster.deployment(space, "web")["spec"]["replicas"] == 3


def test_fewer_is_a_share_that_goes(cluster, space, prod):
    cluster.deploy(space, "web", ONE, replicas=4)
    assert prod.plan("scale", name="web", replicas=1)["reach"] == 0.75
    assert prod.plan("scale", name="web", replicas=4)["no_change"] is True


def test_a_stateful_set(cluster, space, prod):
    place = f"/apis/apps/v1/namespaces/{space}/statefulsets"
    cluster.api("POST", place, {"metadata": {"name": "db"}, "spec": {
        "replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {
            "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": ONE}]}}}})
    args = {"name": "db", "kind": "StatefulSet", "replicas": 3}
    plan = prod.plan("scale", **args)
    assert plan["targets"] == [f"kubernetes:prod/{space}/statefulset/db"]
    prod.ask("apply", "scale", args, plan)
    assert cluster.get(f"{place}/db")["spec"]["replicas"] == 3
    seen = prod.ask("verify", "scale", args, plan, deadline_ms=5000)  # its controller does not run here
    assert seen["holds"] is False and seen["seen"]["there"] == 0
    prod.ask("undo", "scale", args, plan)
    assert cluster.get(f"{place}/db")["spec"]["replicas"] == 2


def test_limits_of_scale(cluster, space):
    cluster.deploy(space, "web", ONE, replicas=4)
    with connect(cluster, space, min_replicas=2, max_replicas=6, max_change=0.5) as prod:
        assert prod.plan("scale", name="web", replicas=6)["to"] == {"replicas": 6}
        assert prod.plan("scale", name="web", replicas=2)["to"] == {"replicas": 2}
        for replicas, part in ((7, "max_change"), (1, "max_change"), (0, "max_change")):
            error = prod.plan("scale", name="web", replicas=replicas, expect="failed")
            assert error["kind"] == "refused" and part in error["text"], error
    with connect(cluster, space, max_replicas=6) as prod:
        for replicas in (7, 0):
            error = prod.plan("scale", name="web", replicas=replicas, expect="failed")
            assert error["kind"] == "refused" and "min_replicas and max_replicas allow 1 to 6" in error["text"], error
    cluster.scale(space, "web", 0)
    with connect(cluster, space, min_replicas=0) as prod:
        assert prod.plan("scale", name="web", replicas=4)["from"] == {"replicas": 0}


def test_what_an_hpa_scales_is_refused(cluster, space, prod):
    cluster.deploy(space, "web", ONE)
    cluster.autoscale(space, "web", 1, 5)
    error = prod.plan("scale", name="web", replicas=3, expect="failed")
    assert error["kind"] == "refused" and "the HPA web scales web" in error["text"] and "freeze_hpa" in error["text"]


# ---- reading ----


def test_deployment(cluster, space, prod):
    sets = versions(cluster, space, ONE, TWO, annotations={"stanch.dev/migration": "0042"})
    seen = prod.ask("read", "deployment", {"deployment": "web"})
    assert (seen["replicas"], seen["updated"], seen["available"], seen["rollout"]) == (2, 2, 2, "complete")
    assert seen["images"] == {"app": TWO} and seen["paused"] is False
    assert [(one["revision"], one["replicaset"], one["current"], one["migration"]) for one in seen["revisions"]] == [
        (2, sets[2], True, "0042"), (1, sets[1], False, "0042")]


# ---- who may what ----


def test_namespaces(cluster, space):
    cluster.deploy(space, "web", ONE)
    other = cluster.namespace(space[:40] + "-other")
    cluster.allow("stanch", other, ALL)
    cluster.deploy(other, "web", ONE)
    with connect(cluster, space) as prod:
        assert prod.ask("read", "deployment", {"deployment": "web", "namespace": space})
        for called, action in (("read", "deployment"), ("plan", "rollback"), ("apply", "rollback"), ("undo", "rollback")):
            args = {"deployment": "web", "namespace": other}
            plan = {"from": {"replicaset": "a"}, "to": {"replicaset": "b"}, "undo": {"replicaset": "a"}}
            error = prod.ask(called, action, args, plan, expect="failed")
            assert error["kind"] == "refused" and "namespaces" in error["text"], error
    with connect(cluster, space, other) as prod:
        assert prod.ask("read", "deployment", {"deployment": "web", "namespace": other})
        assert prod.ask("read", "deployment", {"deployment": "web"}, expect="failed")["kind"] == "invalid"
    with connect(cluster, space[:40] + "*") as prod:
        assert prod.ask("read", "deployment", {"deployment": "web", "namespace": other})


def test_actions_that_are_not_listed(cluster, space):
    versions(cluster, space, ONE, TWO)
    with connect(cluster, space) as prod:
        plan = prod.plan("rollback", deployment="web")
        prod.ask("apply", "rollback", {"deployment": "web"}, plan)
    with connect(cluster, space, actions=["scale"]) as prod:
        assert prod.plan("rollback", deployment="web", expect="failed")["kind"] == "refused"
        assert prod.ask("apply", "rollback", {"deployment": "web"}, plan, expect="failed")["kind"] == "refused"
        assert prod.ask("undo", "rollback", {"deployment": "web"}, plan), "what is in force can be taken back"


def test_no_right_to_write(cluster, space):
    """The dry run finds out before anybody is asked."""
    versions(cluster, space, ONE, TWO)
    place = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}"
    rules = [{"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]}]
    cluster.api("POST", place + "/roles", {"metadata": {"name": "viewer"}, "rules": rules})
    cluster.api("POST", place + "/rolebindings", {
        "metadata": {"name": "viewer"}, "roleRef": {"kind": "Role", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"}]})
    with connect(cluster, space, token="token-of-viewer") as prod:
        error = prod.plan("rollback", deployment="web", expect="failed")
        assert error["kind"] == "forbidden" and 'cannot patch resource "deployments"' in error["text"], error
        ok, rows = prod.check()
        assert not ok and rows["server"][0] and "v1.20.2" in rows["server"][1]
        assert rows[f"get deployments.apps in {space}"] == (True, "allowed")
        missing = rows[f"patch deployments.apps in {space}"]
        assert missing == (False, "rollback needs it: add it to the role")
    with connect(cluster, space, token="token-of-rotated") as prod:
        error = prod.ask("read", "deployment", {"deployment": "web"}, expect="failed")
        assert error["kind"] == "forbidden" and 'User "rotated" cannot get resource' in error["text"], error


def test_bad_tokens(cluster, space):
    with connect(cluster, space, token="no-such-token") as prod:
        assert prod.ask("read", "deployment", {"deployment": "web"}, expect="failed")["kind"] == "unauthorized"
        ok, rows = prod.check()
        assert not ok and "credentials" in rows["server"][1], rows


def test_check(cluster, space, prod):
    ok, rows = prod.check()
    assert ok and len(rows) == 18, rows
    with connect(cluster, space, actions=["rollback"]) as one:
        ok, rows = one.check()
        assert ok and set(rows) == {"server", *(f"{what}.apps in {space}" for what in (
            "get deployments", "patch deployments", "list replicasets"))}
    with connect(cluster, space[:10] + "*", actions=["rollback"]) as one:
        ok, rows = one.check()
        assert not ok and "patch deployments.apps in all namespaces" in rows, "a pattern wants the right everywhere"


def test_a_token_file_that_is_rotated(cluster, space, tmp_path):
    cluster.deploy(space, "web", ONE)
    path = tmp_path / "token"
    path.write_text("")
    with connect(cluster, space, secrets={}, token_file=str(path)) as prod:
        error = prod.ask("read", "deployment", {"deployment": "web"}, expect="failed")
        assert error["kind"] == "unauthorized" and "token_file" in error["text"], error
        ok, rows = prod.check()
        assert not ok and "token_file" in rows["credential"][1]
        path.write_text("no-such-token")
        error = prod.ask("read", "deployment", {"deployment": "web"}, expect="failed")
        assert error["kind"] == "unauthorized" and "401" in error["text"], error
        path.write_text(cluster.stanch + "\n")
        assert prod.ask("read", "deployment", {"deployment": "web"})["replicas"] == 2


def test_a_client_certificate(cluster, space):
    versions(cluster, space, ONE, TWO)
    cluster.allow("stanch-by-cert", space, ["rollback"])
    with connect(cluster, space, secrets={"client_key": cluster.key.read_text()}, client_cert=str(cluster.certificate)) as prod:
        plan = prod.plan("rollback", deployment="web")
        prod.ask("apply", "rollback", {"deployment": "web"}, plan)
        assert cluster.image(space, "web") == ONE


# ---- settings, and nobody there ----

GOOD = {"url": "https://127.0.0.1:1", "namespaces": ["shop"]}


@pytest.mark.parametrize("settings,secrets,part", [
    ({"url": None}, {"token": "t"}, "url"), ({"namespaces": None}, {"token": "t"}, "namespaces"),
    ({"namespaces": []}, {"token": "t"}, "namespaces"), ({"namespaces": ["a/b"]}, {"token": "t"}, "namespaces"),
    ({}, {}, "one credential"), ({"token_file": "/etc/hostname"}, {"token": "t"}, "one credential"),
    ({}, {"token": "t", "client_key": "k"}, "client_key"),
    ({"actions": ["delete"]}, {"token": "t"}, "actions"), ({"min_replicas": 51}, {"token": "t"}, "min_replicas")])
def test_bad_settings(settings, secrets, part):
    given = {name: value for name, value in {**GOOD, **settings}.items() if value is not None}
    with pytest.raises(Refused, match=part):
        Host("kubernetes", given, secrets)


def test_nobody_there():
    with closed_port() as port, Host("kubernetes", {**GOOD, "url": f"https://127.0.0.1:{port}"}, {"token": "t0k3n"}) as host:
        call = host.start("read", "deployment", {"args": {"deployment": "web"}}, is_given_up=True)
        assert host.wait(call)["error"]["kind"] == "unreachable"
