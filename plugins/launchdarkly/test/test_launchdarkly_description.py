"""Every request of the launchdarkly plugin is one that LaunchDarkly's own API description knows.

Its schema of PATCH is that of a JSON patch; a semantic patch is described in words only ("Using semantic patches on a feature
flag"). Those words are the schema here, for the instructions that the plugin uses.
"""
import json

import pytest
from prism import Prism
from test_launchdarkly import SEMANTIC, TOKEN, LaunchDarkly, client

AUTHORIZED = {"Authorization": TOKEN, "Content-Type": SEMANTIC}
FLAG = "/api/v2/flags/{projectKey}/{featureFlagKey}"


def with_semantic_patch(description):
    patch = description["paths"][FLAG]["patch"]
    for word in ("domain-model=launchdarkly.semanticpatch", "turnFlagOn", "turnFlagOff", "environmentKey", "instructions",
                 "comment"):
        assert word in patch["description"], word
    instruction = {"type": "object", "required": ["kind"], "additionalProperties": False,
                   "properties": {"kind": {"type": "string", "enum": ["turnFlagOn", "turnFlagOff"]}}}
    patch["requestBody"] = {"required": True, "content": {"application/json": {"schema": {
        "type": "object", "required": ["environmentKey", "instructions"], "additionalProperties": False,
        "properties": {"environmentKey": {"type": "string"}, "comment": {"type": "string"},
                       "instructions": {"type": "array", "minItems": 1, "items": instruction}}}}}}


@pytest.fixture(scope="module")
def vendor():
    with Prism("launchdarkly.json", with_semantic_patch) as one:
        yield one


def test_every_request_is_in_the_description(vendor):
    with LaunchDarkly() as ld:
        ld.add("pay", on=True)
        ld.add("search", on=False)
        with client(ld.url) as prod:
            for action, flag in (("kill", "pay"), ("enable", "search")):
                prod.ask("read", "state", {"flag": flag})
                plan = prod.plan(action, flag)
                prod.then("apply", action, flag, plan)
                assert prod.then("verify", action, flag, plan)["holds"] is True
                prod.then("reconcile", action, flag, plan, op="apply")
                prod.then("undo", action, flag, plan)
            assert prod.ask("check", "check", {})["ok"] is True
        seen = list(ld.requests)
    patches = [request for request in seen if request[0] == "PATCH"]
    assert {request[2]["Content-Type"] for request in patches} == {SEMANTIC}
    assert len(patches) > len([1 for request in patches if "dryRun=true" in request[1]]) > 0
    wrong = [text for request in seen for text in vendor.refuses(*request)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("method,target,headers,body", [
    ("GET", "/api/v2/flag/shop/pay", AUTHORIZED, None),
    ("GET", "/api/v2/flags/shop/pay", {}, None),
    ("GET", "/api/v2/flags/shop/pay?environment=production", AUTHORIZED, None),
    ("PATCH", "/api/v2/flags/shop/pay?dryRun=maybe", AUTHORIZED,
     {"environmentKey": "production", "instructions": [{"kind": "turnFlagOn"}]}),
    ("PATCH", "/api/v2/flags/shop/pay", AUTHORIZED, {"environmentKey": "production", "instructions": [{"kind": "off"}]}),
    ("PATCH", "/api/v2/flags/shop/pay", AUTHORIZED, {"instructions": [{"kind": "turnFlagOn"}]}),
    ("PATCH", "/api/v2/flags/shop/pay", AUTHORIZED, None)])
def test_what_is_not_in_it_is_refused(vendor, method, target, headers, body):
    assert vendor.refuses(method, target, headers, body and json.dumps(body).encode())
