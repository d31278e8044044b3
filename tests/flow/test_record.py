"""`stanch runbook record`: a run that happened becomes a test that plays green with the daemon's own configuration and folder, and that
notices when the runbook is another one."""
import json
import subprocess
import time

import pytest
from books import book, set_to
from harness import PATIENCE_S, STANCH, alert, default_config, lua, wait_for
from test_changes import SECRET, post, status

POLICY = 'policy { auto = "low", autonomy_changed = "auto", approve = { high = { role = "ic" }, medium = { role = "ic" } } }\n'


class Recorder:
    """A daemon with one runbook, and its folder to play tests in."""

    def __init__(self, world, body, config=None, policy=POLICY, **more):
        self.world, self.source = world, book(body, **more)
        world.repo.commit({"heal.lua": self.source})
        self.daemon = world.daemon(config, policy=policy).start()
        self.out = world.repo.path / "recorded_test.lua"

    def answer(self, decision="approve", note=None):
        question = wait_for(lambda: self.daemon.get("/v1/approvals")["items"], "a question")[0]
        body = {"decision": decision, **({"note": note} if note else {})}
        if "plan_digest" in question:
            body["plan"] = question["plan_digest"]
        self.daemon.post(f"/v1/approvals/{question['id']}", body)

    def ended(self, run="R-1"):
        return wait_for(lambda: (doc := self.daemon.get(f"/v1/runs/{run}"))["state"] in ("succeeded", "failed", "cancelled") and doc,
                        f"{run} to end")

    def record(self, run="R-1"):
        self.daemon.cli("runbook", "record", run, "--out", self.out)
        return self.out.read_text()

    def play(self, *args):
        done = subprocess.run([STANCH, "runbook", "test", self.world.repo.path, "--config", self.daemon.config_path, "--json", *args],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["tests"]

    def plays_green(self):
        (test,) = self.play()
        assert test["ok"], (test["failures"], self.out.read_text())

    def notices(self, old, new):
        """The runbook is changed: the test fails. Then it is as it was."""
        assert old in self.source
        (self.world.repo.path / "heal.lua").write_text(self.source.replace(old, new))
        (test,) = self.play()
        (self.world.repo.path / "heal.lua").write_text(self.source)
        assert not test["ok"], self.out.read_text()
        return " ".join(test["failures"])


LADDER = '''fx.get { target = "s1" }
    ladder {
      rung { function() fx.set_convergent { target = "s1", value = 7, because = "first" } end },
      rung { function() fx.set_idempotent { target = "s2", value = 8, because = "second" } end },
      rung { function() fx.set_reconcilable { target = "s3", value = 9, because = "third" } end },
      otherwise = function() page("ic", "nothing helped") end,
    }'''


def test_a_ladder_with_a_failed_step_an_undo_and_an_approval(world):
    world.set_value("errors", 50)
    world.set_value("s1", 3)
    world.behave("set_idempotent.apply:fail")
    r = Recorder(world, LADDER)
    r.daemon.post_alert(alert(**{"team-name": 'a "b"\\ \n\x1b[31m\u202e', "end": "ü"}))
    r.answer(note="go on")
    r.answer("deny")  # the undo of it, which has a risk too
    assert r.ended()["state"] == "succeeded"
    text = r.record()
    assert text.isprintable() or all(c == "\n" or c.isprintable() for c in text), "it may be shown on a terminal"
    assert '["team-name"]' in text and '["end"]' in text and "\\u{202E}" in text
    assert 'fails("remote"' in text and '"undo fx.set_convergent"' in text and 'note = "go on"' in text
    r.plays_green()
    assert text == r.daemon.cli("runbook", "record", "R-1").stdout, "the same run gives the same text"
    assert "value = 7 " in r.notices('target = "s1", value = 7', 'target = "s1", value = 70')
    r.notices('page("ic", "nothing helped")', 'page("ic", "all is lost")')
    r.notices('rung { function() fx.set_reconcilable', 'rung { when = false, function() fx.set_reconcilable')


def test_what_a_person_started_with_its_params(world):
    world.set_value("s9", 4)
    r = Recorder(world, 'local v = fx.get { target = p.server }; note("it was %d", v.value); local go, why = ask { role = "ic", text = "go?" }\n'
                        'note(go .. why); fx.set_convergent { target = p.server, value = v.value + 1, because = "b" }',
                 more='params = { server = label "host" {} },')
    r.daemon.cli("run", "start", "heal", "--param", "server=s9")
    r.answer("yes", note="sure")
    r.ended()
    text = r.record()
    assert 'starts = {' in text and 'params = { server = "s9" }' in text and "value = 5" in text
    r.plays_green()
    assert "actions" in r.notices("v.value + 1", "v.value + 2")


def test_a_failed_run_that_was_denied(world):
    r = Recorder(world, set_to(7, action="set_unprotected"))
    r.daemon.post_alert(alert())
    r.answer("deny", note="not tonight")
    assert r.ended()["state"] == "failed"
    assert 'outcome = "denied"' in r.record()
    r.plays_green()


def test_reads_in_order_and_no_data(world):
    """The same question twice with two answers, a read that fails, and a symptom without data."""
    r = Recorder(world, '''note("first %d", fx.get { target = "s1" }.value)
    fx.set_convergent { target = "s1", value = 7, because = "b" }
    note("then %d", fx.get { target = "s1" }.value)
    note("symptom %s", (verify()))
    note("again %s", (check()))
    local ok, why = pcall(fx.get, { target = "s1" })
    note(ok and "fine" or why.kind)
    note("waited: %s", (wait_for { ask = fx.get, args = { target = "s1" }, becomes = "> 5", every = "100ms", within = "1s" }))
    note("waited: %s", (wait_for { ask = fx.get, args = { target = "s1" }, becomes = "> 8", every = "100ms", within = "1s" }))''')
    world.set_value("s1", 3)
    world.set_value("errors", 50)
    r.daemon.post_alert(alert())
    wait_for(lambda: any(entry["kind"] == "step.verified" for entry in r.daemon.timeline("INC-1")), "the verify")
    r.ended()
    text = r.record()
    assert "again {" in text and "first 3" in text and "then 7" in text and "waited: held" in text and "waited: timeout" in text
    r.plays_green()


@pytest.mark.parametrize("action, word, decision", [
    ("set_reconcilable", "unknown", None), ("set_reconcilable", "unknown-before", None), ("set_unprotected", "unknown", "happened"),
    ("set_unprotected", "unknown-before", "did-not"), ("set_idempotent", "retry 10 once", None), ("set_convergent", "false", None),
    ("set_convergent", "plan", None)])
def test_what_went_wrong_goes_wrong_again(world, action, word, decision):
    world.behave(f"{action}.{'verify' if word == 'false' else 'plan' if word == 'plan' else 'apply'}:{'fail' if word == 'plan' else word}")
    r = Recorder(world, f'local ok, why = pcall(fx.{action}, {{ target = "s1", value = 7, because = "b", retry = 1 }}); note(ok and "done" or why.kind)',
                 policy=POLICY.replace('"low"', '"high"', 1))
    r.daemon.post_alert(alert())
    if decision:
        r.answer(decision)
    r.ended()
    r.record()
    r.plays_green()


def test_one_verify_after_the_other_with_another_value(world):
    """No effect is between them, and the second settles for as long as the first waits between two samples."""
    world.set_value("errors", 50)
    r = Recorder(world, '''note("first %s", (verify(slow)))
    note("second %s", (verify(other)))
    note("third %s", (check()))''')
    more = [f'local {name} = symptom {{ ask = fx.get {{ target = "errors" }}, bad = "> 5", good = "< 1", settle = "{settle}", hold = "300ms", '
            f'every = "200ms", within = "{within}" }}\n' for name, settle, within in (("slow", "0s", "1s"), ("other", "200ms", "30s"))]
    r.source = r.source.replace('runbook "heal"', "".join(more) + 'runbook "heal"')
    world.repo.commit({"heal.lua": r.source})
    r.daemon.cli("runbook", "sync")
    r.daemon.post_alert(alert())
    wait_for(lambda: "step.verified" in r.daemon.kinds("INC-1"), "the first verify")
    world.set_value("errors", 0)
    assert r.ended()["state"] == "succeeded"
    text = r.record()
    assert "first bad" in text and "second good" in text and "third good" in text
    r.plays_green()


def test_changes_that_it_saw(world):
    body = '''local change = recent_changes { within = "1h" }:newest()
    note("after a %s", change and change.kind or "nothing")
    fx.set_convergent { target = "s1", value = change and 1 or 2, because = "it followed " .. change.text }'''
    world.repo.commit({"heal.lua": book(body)})
    secret = world.write("github.secret", SECRET, 0o600)
    r = Recorder(world, body, default_config(world, policy=POLICY, instances=[f'github "gh" {{ secret = secret.file {lua(secret)} }}']))
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))
    assert post(r.daemon, status(1, at=at)).status == 202
    r.daemon.post_alert(alert())
    r.ended()
    text = r.record()
    assert 'kind = "deploy"' in text and 'changes = {' in text and ", at = " in text
    r.plays_green()
    r.notices('within = "1h"', 'within = "5m"')


def test_an_event_that_started_several_runs_starts_this_one_alone(world):
    world.repo.commit({"other.lua": book(set_to(1, target="s9"), name="other")})
    r = Recorder(world, set_to(7))
    r.daemon.post_alert(alert())
    for run in ("R-1", "R-2"):
        r.ended(run)
    run = next(doc["id"] for doc in r.daemon.get("/v1/runs")["items"] if doc["runbook"] == "heal")
    text = r.record(run)
    assert 'starts = {' in text and "alerts" not in text and '"s9"' not in text
    r.plays_green()


def test_what_only_the_state_outside_asked_is_left_out_and_said(world):
    r = Recorder(world, set_to(7))
    r.daemon.cli("hold", "effects:fx/s1", "--because", "by hand")
    r.daemon.post_alert(alert())
    r.answer()
    r.ended()
    text = r.record()
    assert "-- Not in it: A-1" in text and "by hand" in text and "in_turn" not in text
    r.plays_green()


def test_an_expired_question_and_a_quorum(world):
    policy = POLICY.replace('high = { role = "ic" }', 'high = { role = "ic", expires = "1s" }')
    r = Recorder(world, set_to(7, action="set_unprotected"), policy=policy)
    r.daemon.post_alert(alert())
    wait_for(lambda: "approval.expired" in r.daemon.kinds("INC-1"), "nobody to answer in time")
    wait_for(lambda: r.daemon.api("POST", f"/v1/approvals/{(q := r.daemon.get('/v1/approvals')['items'] or [{'id': 'A-0'}])[0]['id']}",
                                  {"decision": "approve", "plan": q[0].get("plan_digest", "")}).status == 200, "an answer in time")
    assert r.ended()["state"] == "succeeded"
    text = r.record()
    assert '"nothing"' in text and 'outcome = "expired"' in text and 'outcome = "approved"' in text
    r.plays_green()


def test_what_the_policy_lets_only_observe(world):
    r = Recorder(world, set_to(7), policy=POLICY.replace("policy {", 'policy { autonomy = "observe",'))
    r.daemon.post_alert(alert())
    assert r.ended()["state"] == "succeeded"
    assert "actions = {\n    }" in r.record()
    r.plays_green()


def test_what_cannot_be_recorded_is_said(world):
    r = Recorder(world, 'sleep "1h"')
    r.daemon.post_alert(alert())
    wait_for(lambda: r.daemon.get("/v1/runs/R-1")["state"] == "running", "it to run")
    done = r.daemon.cli("runbook", "record", "R-1", check=False)
    assert done.returncode == 6 and "only a run that is over" in done.stderr
    r.daemon.cli("run", "cancel", "R-1", "--reason", "enough")
    done = r.daemon.cli("runbook", "record", "R-1", check=False)
    assert done.returncode == 3 and "cancelled by hand" in done.stderr
    assert r.daemon.cli("runbook", "record", "R-9", check=False).returncode == 5
    assert r.daemon.cli("runbook", "record", "R-1", "--out", "x.lua", check=False).returncode == 2
    r.daemon.cli("runbook", "plan", "heal", check=False)
    assert "is a plan" in r.daemon.cli("runbook", "record", "R-2", check=False).stderr
