"""Changes: what sources tell of deploys and pushes, kept apart from alerts, and what a runbook finds of them."""
import hashlib
import hmac
import json

import pytest

from books import AUTO, book, set_to
from harness import alert, default_config, lua, wait_for

SECRET = "a secret of the webhook"
REPOSITORY = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}


def status(number, state="success", at="2020-11-21T08:00:00Z"):
    return {"deployment": {"id": number, "sha": "a" * 40, "ref": "main", "task": "deploy", "environment": "production",
                           "description": f"Release {number}"}, "repository": REPOSITORY,
            "deployment_status": {"id": number, "state": state, "environment": "production", "created_at": at,
                                  "creator": {"login": "ada"}}}


@pytest.fixture
def daemon(world):
    world.repo.commit({"heal.lua": book("note 'nothing to do'")})
    secret = world.write("github.secret", SECRET)
    secret.chmod(0o600)
    config = default_config(world, policy=AUTO, instances=[f'github "gh" {{ secret = secret.file {lua(secret)} }}'])
    return world.daemon(config).start()


def post(daemon, body, kind="deployment_status", secret=SECRET):
    raw = json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return daemon.api("POST", "/v1/events/gh", raw, tcp=True,
                      headers={"X-GitHub-Event": kind, "X-Hub-Signature-256": signature})


def changes(daemon):
    return daemon.get("/v1/changes")["items"]


def test_a_change_is_kept_once_and_starts_nothing(daemon):
    body = status(1)
    answer = post(daemon, body)
    assert answer.status == 202, answer
    assert [(e["repeat"], e["incident"], e["runs"]) for e in answer.json["events"]] == [(False, None, [])]
    assert [e["repeat"] for e in post(daemon, body).json["events"]] == [True]
    [change] = changes(daemon)
    assert change["change"]["kind"] == "deploy" and change["change"]["by"] == "ada" and change["source"] == "gh"
    assert daemon.get(f"/v1/changes/{change['id']}")["change"] == change["change"]
    assert daemon.get("/v1/incidents")["items"] == [] and daemon.get("/v1/events")["items"] == []
    assert post(daemon, body, secret="another").status == 401
    daemon.stop()
    daemon.start()
    assert [e["repeat"] for e in post(daemon, body).json["events"]] == [True]
    assert len(changes(daemon)) == 1


def recent(world, daemon, ask):
    """What recent_changes gives a runbook: noted as text, so that it stands in the timeline."""
    world.repo.commit({"heal.lua": book(f'''
        local found = recent_changes {ask}
        local said = {{}}
        for i, c in ipairs(found) do
          said[i] = c.kind .. "/" .. c.name .. "/" .. c.state .. "/" .. (c.service or "") .. "/" .. c.text
        end
        note(#said .. ":" .. table.concat(said, " "))
        local newest = found:newest()
        note("newest " .. (newest and newest.id or "none"))
    ''')})
    daemon.api("POST", "/v1/runbooks/sync", {})
    run = daemon.api("POST", "/v1/runs", {"runbook": "heal", "title": "look"}).json["id"]
    doc = wait_for(lambda: (d := daemon.get(f"/v1/runs/{run}"))["state"] in ("succeeded", "failed") and d, "its end")
    assert doc["state"] == "succeeded", doc
    return [e["data"]["text"] for e in daemon.timeline(doc["incident"]) if e["kind"] == "step.noted"]


def test_a_runbook_finds_recent_changes_newest_first(world, daemon):
    assert post(daemon, status(1, at="2020-11-21T08:00:00Z")).status == 202
    assert recent(world, daemon, '{ service = "shop", within = "1h" }') == ["0:", "newest none"]  # too long ago
    found = recent(world, daemon, '{ service = "shop", within = "70000h" }')
    assert found[0] == "1:deploy/main/succeeded/shop/Release 1"
    assert post(daemon, status(2, "failure", at="2020-11-21T09:00:00Z")).status == 202
    found = recent(world, daemon, '{ service = "shop", within = "70000h" }')
    assert found[0] == "2:deploy/main/failed/shop/Release 2 deploy/main/succeeded/shop/Release 1"
    assert recent(world, daemon, '{ service = "other", within = "70000h" }')[0] == "0:"
    assert recent(world, daemon, '{ within = "70000h", kind = "push" }')[0] == "0:"


def test_its_own_mitigations_are_changes_too(world, daemon):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon.api("POST", "/v1/runbooks/sync", {})
    daemon.post_alert(alert(service="shop"))
    wait_for(lambda: [m for m in daemon.get("/v1/mitigations")["items"] if m["state"] == "in-force"], "its mitigation")
    found = recent(world, daemon, '{ service = "shop", within = "1h" }')
    assert found == ["1:mitigation/fx.set_convergent/in-force/shop/it is failing", "newest M-1"]


def test_a_sample_can_be_tried_before_the_sender_is(world, daemon):
    sample = world.write("sample.json", json.dumps(status(3)))
    done = daemon.cli("source", "test", "gh", sample, "--header", "X-GitHub-Event: deployment_status")
    assert "deploy of shop to production succeeded" in done.stdout and "nothing was recorded" in done.stdout
    assert changes(daemon) == []
    wrong = world.write("wrong.json", "{}")
    done = daemon.cli("source", "test", "gh", wrong, "--header", "X-GitHub-Event: push", check=False)
    assert done.returncode == 2 and "repository.full_name" in done.stderr
