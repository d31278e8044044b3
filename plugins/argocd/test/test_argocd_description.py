"""Every request of the argocd plugin is one that Argo CD's own API description knows."""
import copy
import json

import pytest
from fake_argocd import TOKEN, application
from prism import Prism
from test_argocd import AUTO, World

AUTHORIZED = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


@pytest.fixture(scope="module")
def vendor():
    with Prism("argocd.json") as one:
        yield one


def whole_way(world, action, **more):
    plan = world.ask("plan", action, **more)
    world.ask("apply", action, plan, **more)
    assert world.ask("verify", action, plan, **more)["holds"] is True
    world.ask("reconcile", action, plan, op="apply", **more)
    world.ask("undo", action, plan, **more)
    world.ask("reconcile", action, plan, op="undo", **more)


def test_every_request_is_in_the_description(vendor):
    seen = []
    with World(application(automated=copy.deepcopy(AUTO)), app_namespace="teams", projects=["web"]) as world:
        world.ask("read", "state")
        whole_way(world, "freeze")
        whole_way(world, "rollback")
        assert world.ask("check", "check")["ok"] is True
        seen += world.server.seen
    with World(application()) as world:
        plan = world.ask("plan", "rollback", args={"to": 0})  # tried dry
        world.ask("apply", "rollback", plan, args={"to": 0})
        seen += world.server.seen
    assert {request.method for request in seen} == {"GET", "PATCH", "POST"}
    assert any(json.loads(request.body).get("dryRun") for request in seen if request.method == "POST")
    wrong = [text for request in seen for text in vendor.refuses(*request)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("method,target,body", [
    ("GET", "/api/v1/application/shop", None),
    ("PUT", "/api/v1/applications/shop/rollback", {"name": "shop", "id": 1}),
    ("GET", "/api/v1/applications/shop?namespace=x", None),
    ("POST", "/api/v1/applications/shop/rollback", {"name": "shop", "id": []}),
    ("POST", "/api/v1/applications/shop/rollback", {"name": "shop", "id": 1, "dry_run": True}),
    ("PATCH", "/api/v1/applications/shop", None)])
def test_what_is_not_in_it_is_refused(vendor, method, target, body):
    assert vendor.refuses(method, target, AUTHORIZED, body and json.dumps(body).encode())
