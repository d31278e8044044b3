"""The github source: what its posts become, and that only genuine bytes are taken (PROMISES campaign D7)."""
import copy
import hashlib
import hmac
import json
from datetime import datetime

import pytest
from harness import find_fixtures
from plugin_host import Host, Refused

SECRET, NEXT = "It's a Secret to Everybody", "the one that follows it"


FIXTURES = find_fixtures("payloads")
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the folder shared/fixtures is not beside this tree")


def sign(raw, secret=SECRET):
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def post(host, kind, body, expect="done", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"x-github-event": kind, "x-hub-signature-256": sign(raw), **headers}
    answer = host.call("receive", "webhook", {"source": "webhook", "query": "", "remote": "127.0.0.1:9",
                                              "headers": {k: v for k, v in sent.items() if v is not None}}, raw)
    assert answer["outcome"] == expect, answer
    return answer["value"]["events"] if expect == "done" else answer["error"]


@pytest.fixture(scope="module")
def gh():
    with Host("github", {}, {"secret": SECRET, "next_secret": NEXT}) as host:
        yield host


def ms(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


# ---- samples of our own, from the documented fields ----

REPOSITORY = {"name": "shop", "full_name": "acme/shop", "default_branch": "main", "pushed_at": 1795245856}
DEPLOYMENT = {"id": 7, "sha": "a" * 40, "ref": "main", "task": "deploy", "environment": "production",
              "description": "Release 42\nwith details", "creator": {"login": "ada"},
              "created_at": "2026-11-21T08:00:00Z"}
STATUS = {"action": "created", "deployment": DEPLOYMENT, "repository": REPOSITORY,
          "deployment_status": {"id": 9, "state": "success", "description": "", "environment": "production",
                                "log_url": "https://ci.example/9", "creator": {"login": "bot"},
                                "created_at": "2026-11-21T08:01:00Z"}}
PUSH = {"ref": "refs/heads/main", "before": "b" * 40, "after": "c" * 40, "repository": REPOSITORY,
        "compare": "https://github.example/acme/shop/compare/b...c", "pusher": {"name": "ada"},
        "head_commit": {"message": "Take the new tax into the total\n\nlong text", "timestamp": "2026-11-21T07:59:00Z"}}
RUN = {"action": "completed", "repository": REPOSITORY,
       "workflow_run": {"id": 11, "name": "deploy", "status": "completed", "conclusion": "failure", "run_attempt": 2,
                        "head_sha": "c" * 40, "head_commit": {"message": "Take the new tax"},
                        "actor": {"login": "ada"}, "html_url": "https://github.example/run/11",
                        "updated_at": "2026-11-21T08:05:00Z"}}


def test_a_deployment_begins(gh):
    [event] = post(gh, "deployment", {"action": "created", "deployment": DEPLOYMENT, "repository": REPOSITORY})
    assert event["kind"] == "change" and event["state"] == "happened"
    assert event["fingerprint"] == "deployment/7" and event["starts_at_ms"] == ms("2026-11-21T08:00:00Z")
    assert event["labels"] == {"service": "shop", "repository": "acme/shop", "env": "production"}
    assert event["change"] == {"kind": "deploy", "service": "shop", "name": "main", "text": "Release 42", "by": "ada",
                               "state": "started", "environment": "production", "commit": "a" * 40}


def test_a_deployment_ends(gh):
    [event] = post(gh, "deployment_status", STATUS)
    assert event["fingerprint"] == "deployment_status/9" and event["name"] == "deploy of shop to production succeeded"
    assert event["change"]["state"] == "succeeded" and event["change"]["text"] == "Release 42"
    assert event["change"]["link"] == "https://ci.example/9" and event["change"]["by"] == "bot"


@pytest.mark.parametrize("said, state", [("failure", "failed"), ("error", "failed"), ("in_progress", "started"),
                                         ("queued", "started"), ("pending", "started"), ("inactive", "inactive")])
def test_states_of_a_deployment(gh, said, state):
    body = copy.deepcopy(STATUS)
    body["deployment_status"]["state"] = said
    [event] = post(gh, "deployment_status", body)
    assert event["change"]["state"] == state


def test_a_push_to_the_default_branch(gh):
    [event] = post(gh, "push", PUSH)
    assert event["fingerprint"] == "push/acme/shop/main/" + "c" * 40
    assert event["starts_at_ms"] == 1795245856000  # the push, not the commit
    assert event["change"] == {"kind": "push", "service": "shop", "name": "main", "by": "ada", "state": "succeeded",
                               "text": "Take the new tax into the total", "commit": "c" * 40, "previous": "b" * 40,
                               "link": PUSH["compare"]}


@pytest.mark.parametrize("change", [{"ref": "refs/heads/topic"}, {"ref": "refs/tags/v1"}, {"after": "0" * 40}])
def test_pushes_that_change_nothing_here(gh, change):
    assert post(gh, "push", {**PUSH, **change}) == []


def test_a_new_branch_has_no_commit_before(gh):
    [event] = post(gh, "push", {**PUSH, "before": "0" * 40})
    assert "previous" not in event["change"]


def test_a_workflow_run(gh):
    [event] = post(gh, "workflow_run", RUN)
    assert event["fingerprint"] == "workflow_run/11/2/failed"
    assert event["change"]["kind"] == "workflow" and event["change"]["name"] == "deploy"
    assert event["change"]["state"] == "failed" and event["link"] == "https://github.example/run/11"


@pytest.mark.parametrize("kind", ["ping", "release", "star", "something_new"])
def test_other_posts_are_taken_and_nothing_follows(gh, kind):
    assert post(gh, kind, {"zen": "x"}) == []


def test_services_branches_and_environments():
    settings = {"services": {"acme/shop": "checkout"}, "branches": ["release"], "environments": ["production"]}
    with Host("github", settings, {"secret": SECRET}) as host:
        [event] = post(host, "deployment_status", STATUS)
        assert event["change"]["service"] == "checkout" and event["labels"]["service"] == "checkout"
        staging = copy.deepcopy(STATUS)
        staging["deployment_status"]["environment"] = "staging"
        assert post(host, "deployment_status", staging) == []
        assert post(host, "push", PUSH) == []
        assert len(post(host, "push", {**PUSH, "ref": "refs/heads/release"})) == 1


@pytest.mark.parametrize("settings, text", [
    ({"services": {"acme/shop": 7}}, 'services["acme/shop"]: the name of a service was expected'),
    ({"services": {"shop": "checkout"}}, 'services["shop"]: a repository is named "owner/name"')])
def test_settings_that_make_no_sense(settings, text):
    with pytest.raises(Refused, match="services"):
        with Host("github", settings, {"secret": SECRET}):
            pass


# ---- what is wrong ----

@pytest.mark.parametrize("kind, body, where", [
    ("push", [], "an object"), ("push", {}, "repository.full_name"),
    ("push", {**PUSH, "ref": 7}, "ref: a text"), ("push", {**PUSH, "after": None}, "after: a text"),
    ("deployment", {"repository": REPOSITORY}, "deployment.environment"),
    ("deployment", {"repository": REPOSITORY, "deployment": {**DEPLOYMENT, "id": "7"}}, "deployment.id: a number"),
    ("deployment", {"repository": REPOSITORY, "deployment": {**DEPLOYMENT, "created_at": "soon"}},
     "deployment.created_at: not a time"),
    ("workflow_run", {**RUN, "workflow_run": {**RUN["workflow_run"], "head_sha": 1}}, "workflow_run.head_sha")])
def test_a_body_that_is_wrong_is_refused_with_its_place(gh, kind, body, where):
    error = post(gh, kind, body, expect="failed")
    assert error["kind"] == "invalid" and where in error["text"]


def test_a_post_without_its_kind(gh):
    error = post(gh, None, PUSH, expect="failed")
    assert error["kind"] == "invalid" and "X-GitHub-Event" in error["text"]


# ---- signatures: D7 ----

@needs_fixtures
def test_the_known_answer():
    vector = json.loads((FIXTURES / "signatures/vectors.json").read_text())["github"]
    assert sign(vector["body"].encode(), vector["secret"]) == vector["signature"]
    with Host("github", {}, {"secret": vector["secret"]}) as host:
        error = post(host, "ping", vector["body"].encode(), expect="failed",
                     **{"x-hub-signature-256": vector["signature"]})
        assert error["kind"] == "invalid" and "JSON" in error["text"]  # the signature was good, the body is no JSON


def test_every_flipped_bit_is_refused(gh):
    raw = json.dumps({"zen": "x", "hook_id": 1}).encode()
    good = sign(raw)
    assert post(gh, "ping", raw) == []
    for i in range(len(raw) * 8):
        bad = bytearray(raw)
        bad[i // 8] ^= 1 << i % 8
        assert post(gh, "ping", bytes(bad), expect="failed", **{"x-hub-signature-256": good})["kind"] == "unauthorized"
    for i in range(len(good)):
        bad = good[:i] + chr(ord(good[i]) ^ 1) + good[i + 1:]
        assert post(gh, "ping", raw, expect="failed", **{"x-hub-signature-256": bad})["kind"] == "unauthorized"


@pytest.mark.parametrize("make", [
    lambda raw: None, lambda raw: "", lambda raw: "sha256=", lambda raw: sign(raw)[7:], lambda raw: sign(raw).upper(),
    lambda raw: sign(raw) * 100,
    lambda raw: "sha1=" + hmac.new(SECRET.encode(), raw, hashlib.sha1).hexdigest(), lambda raw: sign(raw, "other"),
    lambda raw: sign(raw, "")])
def test_signatures_that_are_none(gh, make):
    raw = json.dumps(PUSH).encode()
    assert post(gh, "push", raw, expect="failed", **{"x-hub-signature-256": make(raw)})["kind"] == "unauthorized"


def test_both_secrets_are_good_while_they_change(gh):
    raw = json.dumps(PUSH).encode()
    assert len(post(gh, "push", raw, **{"x-hub-signature-256": sign(raw, NEXT)})) == 1
    with Host("github", {}, {"secret": SECRET}) as host:
        assert post(host, "push", raw, expect="failed",
                    **{"x-hub-signature-256": sign(raw, NEXT)})["kind"] == "unauthorized"


def test_a_person_may_try_a_sample_without_a_signature(gh):
    answer = gh.call("receive", "webhook", {"source": "webhook", "query": "", "remote": "", "test": True,
                                            "headers": {"x-github-event": "push"}}, json.dumps(PUSH).encode())
    assert answer["outcome"] == "done" and len(answer["value"]["events"]) == 1


# ---- recorded by others ----

@needs_fixtures
def test_every_fixture_is_understood(gh):
    seen = {}
    for path in sorted((FIXTURES / "github").glob("*.json")):
        events = post(gh, path.name.rsplit("-", 1)[0].split("-")[0], path.read_bytes())
        seen[path.name] = [(e["change"]["kind"], e["change"]["service"], e["change"]["state"], e["starts_at_ms"])
                           for e in events]
    def deploy(state, at):
        return [("deploy", "Hello-World", state, ms(at))]

    assert seen == {
        "deployment-created-0.json": deploy("started", "2019-05-15T15:20:53Z"),
        "deployment-created-1.json": deploy("started", "2022-01-03T01:28:30Z"),
        "deployment_status-created-0.json": deploy("succeeded", "2019-05-15T15:20:55Z"),
        "deployment_status-created-1.json": deploy("started", "2022-01-03T01:28:40Z"),
        "ping-x-0.json": [], "push-argocd.json": [("push", "test-repo", "succeeded", 1525473610000)],
        "push-x-0.json": [], "push-x-1.json": [], "release-published-0.json": [],
        "repository_dispatch-on-demand-test-0.json": [],
        "workflow_run-completed-0.json": [("workflow", "Hello-World", "started", ms("2021-12-16T19:37:22Z"))],
    }
