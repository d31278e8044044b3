"""shift_route on a real API server, with resources that have no schema: no gateway and no mesh serves them."""
import json
import shlex

import pytest
from kube import JSON_PATCH

HTTP = {"kind": "HTTPRoute", "route": "shop"}
ISTIO = {"kind": "VirtualService", "route": "shop"}


def http_route(cluster, space, *rules):
    place = f"/apis/gateway.networking.k8s.io/v1beta1/namespaces/{space}/httproutes"
    cluster.api("POST", place, {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute", "metadata": {
        "name": "shop"}, "spec": {"hostnames": ["shop.example"], "rules": [{"backendRefs": list(one)} for one in rules]}})
    return place + "/shop"


def backend(name, weight=None, **more):
    return {"name": name, "port": 8080, **({} if weight is None else {"weight": weight}), **more}


def virtual_service(cluster, space, *routes):
    place = f"/apis/networking.istio.io/v1beta1/namespaces/{space}/virtualservices"
    cluster.api("POST", place, {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "metadata": {
        "name": "shop"}, "spec": {"hosts": ["shop"], "http": [{"route": list(one)} for one in routes]}})
    return place + "/shop"


def destination(host, weight=None, subset=None):
    return {"destination": {"host": host, **({"subset": subset} if subset else {})},
            **({} if weight is None else {"weight": weight})}


def shift(prod, args, way=("apply", "verify", "undo")):
    plan = prod.plan("shift_route", **args)
    return plan, [prod.ask(one, "shift_route", args, plan) for one in way]


def test_an_http_route_and_back(cluster, space, prod):
    place = http_route(cluster, space, [backend("web-1", 1), backend("web-2", 3), backend("web-3", 0)])
    before = cluster.get(place)
    args = {**HTTP, "weights": {"web-1": 4, "web-2": 0}}
    plan = prod.plan("shift_route", **args)
    assert plan["targets"] == [f"kubernetes:prod/{space}/httproute/shop"]
    assert plan["from"] == {"rule": 0, "weights": {"web-1": 1, "web-2": 3, "web-3": 0}} == plan["undo"]
    assert plan["to"] == {"rule": 0, "weights": {"web-1": 4, "web-2": 0, "web-3": 0}}
    assert plan["reach"] == 0.75 and plan["observed"]["dry_run"] == "succeeded"
    assert plan["impact"] == ("shop: web-1 25% -> 100%, web-2 75% -> 0%, web-3 0% -> 0%; 75% of the rule's requests move")
    assert cluster.get(place) == before
    prod.ask("apply", "shift_route", args, plan)
    after = cluster.get(place)["spec"]
    assert after["rules"][0]["backendRefs"] == [backend("web-1", 4), backend("web-2", 0), backend("web-3", 0)]
    assert after["hostnames"] == before["spec"]["hostnames"]
    assert prod.ask("verify", "shift_route", args, plan)["holds"] is True
    assert prod.ask("reconcile", "shift_route", args, plan, op="apply") == {"state": "done"}
    prod.ask("undo", "shift_route", args, plan)
    assert cluster.get(place)["spec"] == before["spec"]


def test_a_virtual_service_and_back(cluster, space, prod):
    place = virtual_service(cluster, space, [destination("web", 90, "v1"), destination("web", 10, "v2")])
    before = cluster.get(place)
    args = {**ISTIO, "weights": {"web/v1": 100, "web/v2": 0}}
    plan, _ = shift(prod, args, ["apply"])
    assert plan["reach"] == pytest.approx(0.1)
    assert plan["targets"] == [f"kubernetes:prod/{space}/virtualservice/shop"]
    assert [one["weight"] for one in cluster.get(place)["spec"]["http"][0]["route"]] == [100, 0]
    prod.ask("undo", "shift_route", args, plan)
    assert cluster.get(place)["spec"] == before["spec"]


@pytest.mark.parametrize("args,make", [
    (HTTP, lambda cluster, space: http_route(cluster, space, [backend("a"), backend("b")])),
    (ISTIO, lambda cluster, space: virtual_service(cluster, space, [destination("a"), destination("b", 100)]))],
    ids=["http", "istio"])
def test_a_weight_that_is_not_there_is_not_there_again(cluster, space, prod, args, make):
    place = make(cluster, space)
    before = cluster.get(place)["spec"]
    weights = {"a": 100, "b": 0}
    plan, _ = shift(prod, {**args, "weights": weights}, ["apply", "verify"])
    assert plan["from"]["weights"]["a"] is None
    assert plan["reach"] == (0.5 if args is HTTP else 1)
    prod.ask("undo", "shift_route", {**args, "weights": weights}, plan)
    assert cluster.get(place)["spec"] == before


def test_which_rule(cluster, space, prod):
    place = http_route(cluster, space, [backend("api")], [backend("web-1", 1), backend("web-2", 1)], [])
    weights = {"web-1": 0}
    error = prod.plan("shift_route", **HTTP, weights=weights, expect="failed")
    assert error["kind"] == "invalid" and "has 3 of them" in error["text"], error
    for rule in (2, 3):
        assert prod.plan("shift_route", **HTTP, rule=rule, weights=weights, expect="failed")["kind"] == "invalid"
    plan, _ = shift(prod, {**HTTP, "rule": 1, "weights": weights}, ["apply"])
    assert plan["to"] == {"rule": 1, "weights": {"web-1": 0, "web-2": 1}} and plan["reach"] == 0.5
    assert [one.get("weight") for rule in cluster.get(place)["spec"]["rules"] for one in rule["backendRefs"]] == [None, 0, 1]
    seen = prod.ask("read", "route", HTTP)
    assert [one["share"] for one in seen["rules"][1]["backends"]] == [0, 1]


@pytest.mark.parametrize("args,weights,part", [
    (HTTP, {"nobody": 1}, "no backend"), (HTTP, {"a": 0, "b": 0}, "all would be 0"), (ISTIO, {"a": 90}, "make 140"),
    (ISTIO, {"a": 101}, "0 to 100"), (ISTIO, {"a": 0, "b": 0}, "must make 100")])
def test_weights_that_make_no_sense(cluster, space, prod, args, weights, part):
    http_route(cluster, space, [backend("a", 1), backend("b", 1)])
    virtual_service(cluster, space, [destination("a", 50), destination("b", 50)])
    error = prod.plan("shift_route", **args, weights=weights, expect="failed")
    assert error["kind"] == "invalid" and part in error["text"], error


def test_backends_of_one_name(cluster, space, prod):
    http_route(cluster, space, [backend("a", 1), backend("a", 1, namespace="other")])
    error = prod.plan("shift_route", **HTTP, weights={"a": 0}, expect="failed")
    assert error["kind"] == "refused" and "two backends" in error["text"], error
    assert [one["share"] for one in prod.ask("read", "route", HTTP)["rules"][0]["backends"]] == [None, None]


def test_so_already(cluster, space, prod):
    http_route(cluster, space, [backend("a", 1), backend("b", 0)])
    plan = prod.plan("shift_route", **HTTP, weights={"a": 1})
    assert plan["no_change"] is True and plan["reach"] == 0


@pytest.mark.parametrize("change", [
    [{"op": "add", "path": "/spec/rules/0/backendRefs/0", "value": backend("canary", 1)}],
    [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 7}],
    [{"op": "remove", "path": "/spec/rules/0"}]], ids=["a backend", "a weight", "the rule"])
def test_what_somebody_else_changed_is_left_alone(cluster, space, prod, change):
    """Places move in a list: a weight never goes to another backend than the one that was meant."""
    place = http_route(cluster, space, [backend("web-1", 1), backend("web-2", 1)])
    args = {**HTTP, "weights": {"web-1": 0}}
    plan = prod.plan("shift_route", **args)
    cluster.api("PATCH", place, change, JSON_PATCH)
    before = cluster.get(place)["spec"]
    for called in ("apply", "undo"):
        assert prod.ask(called, "shift_route", args, plan, expect="failed")["kind"] == "stale"
    assert prod.ask("reconcile", "shift_route", args, plan, op="apply") == {"state": "cannot-tell"}
    assert prod.ask("verify", "shift_route", args, plan)["holds"] is False
    assert cluster.get(place)["spec"] == before


def test_by_hand_is_a_patch_that_tests_first(cluster, space, prod):
    place = http_route(cluster, space, [backend("web-1", 1), backend("web-2", 1)])
    before = cluster.get(place)["spec"]
    plan = prod.plan("shift_route", **HTTP, weights={"web-1": 0})
    words, back = shlex.split(plan["by_hand"]), shlex.split(plan["undo_by_hand"])
    assert words[:8] == ["kubectl", "-n", space, "patch", "httproutes.gateway.networking.k8s.io", "shop", "--type", "json"]
    cluster.api("PATCH", place, json.loads(words[9]), JSON_PATCH)
    assert [one["weight"] for one in cluster.get(place)["spec"]["rules"][0]["backendRefs"]] == [0, 1]
    assert cluster.request("PATCH", place, json.loads(words[9]), JSON_PATCH)[0] == 422, "not twice"
    cluster.api("PATCH", place, json.loads(back[9]), JSON_PATCH)
    assert cluster.get(place)["spec"] == before


def say(cluster, place, generation, accepted="True", resolved="True"):
    conditions = [{"type": kind, "status": status, "observedGeneration": generation, "reason": "Said", "message": "by a test"}
                  for kind, status in (("Accepted", accepted), ("ResolvedRefs", resolved))]
    cluster.merge(place + "/status", {"status": {"parents": [{"parentRef": {"name": "edge"}, "conditions": conditions}]}})


def test_what_the_gateway_says_is_read_back(cluster, space, prod):
    place = http_route(cluster, space, [backend("web-1", 1), backend("web-2", 1)])
    args = {**HTTP, "weights": {"web-1": 0}}
    say(cluster, place, 1)
    plan, _ = shift(prod, args, ["apply"])
    generation = cluster.get(place)["metadata"]["generation"]
    assert generation == 2
    seen = prod.ask("verify", "shift_route", args, plan, deadline_ms=5000)
    assert seen["holds"] is False and seen["seen"]["gateways"] == "edge has not seen the change yet"
    call = prod.host.start("verify", "shift_route", {"args": args, "plan": plan}, deadline_ms=30000)
    say(cluster, place, 2)
    answer = prod.host.wait(call, 40)["value"]
    assert answer["holds"] is True and answer["seen"]["gateways"] == "accepted"
    say(cluster, place, 2, resolved="False")
    seen = prod.ask("verify", "shift_route", args, plan)
    assert seen["holds"] is False and "ResolvedRefs is False: by a test" in seen["seen"]["gateways"]


def test_no_gateway_says_anything(cluster, space, prod):
    http_route(cluster, space, [backend("web-1", 1), backend("web-2", 1)])
    _, (_, seen) = shift(prod, {**HTTP, "weights": {"web-1": 0}}, ["apply", "verify"])
    assert seen["holds"] is True and "no gateway says" in seen["seen"]["gateways"]
