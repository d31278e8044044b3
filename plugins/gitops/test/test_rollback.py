"""From an alert to a deploy repository that is as it was, by the real daemon; git judges."""
import shutil

from gitrepo import Deploy, free_port
from harness import SOURCE, alert, default_config, lua, wait_for, world  # noqa: F401

BOOK = '''local deploy, fx = gitops "deploy", effects "fx"
runbook "rollback" {
  summary = "Take the last deploy back", owner = "team-test",
  on = alert { alertname = "TestAlert" },
  uses = { deploy.head, deploy.freeze, deploy.revert, fx.get },
  symptom = symptom { ask = fx.get { target = "errors" }, bad = "> 5", good = "< 1",
                      settle = "0s", hold = "0s", within = "2s", every = "100ms" },
  run = function()
    note("at " .. deploy.head({}).subject)
    deploy.freeze { because = "no more deploys until this is understood" }
    deploy.revert { because = "errors began with this deploy" }
  end,
}
'''
POLICY = '''policy { auto = "medium", approve = { high = { role = "ic" } } }
'''


def start(world, deploy, policy=POLICY, **more):
    world.repo.commit({"rollback.lua": BOOK})
    settings = {"directory": deploy.bare, "branch": "main", "environment": "test", "freeze_file": "FREEZE", **more}
    return world.daemon(default_config(world, policy=policy, instances=[f'gitops "deploy" {lua(settings)}'])).start()


def pending(daemon):
    return wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]


def approve(daemon, question):
    answer = daemon.api("POST", f"/v1/approvals/{question['id']}",
                        {"decision": "approve", "plan": question["plan_digest"]})
    assert answer.status == 200, answer


def ended(daemon):
    return wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"]
                             if r["state"] in ("succeeded", "failed", "cancelled")], "the run's end")[0]


def test_alert_plan_approval_effect_undo(world):  # noqa: F811
    deploy = Deploy(world.dir)
    deploy.commit({"version": "2\n"}, "Deploy 2")
    bad = deploy.commit({"version": "3\n", "new": "x\n"}, "Deploy 3")
    daemon = start(world, deploy)
    daemon.post_alert(alert())

    question = pending(daemon)
    assert question["action"] == "revert" and question["risk"] == "high", "it cannot know of migrations"
    assert deploy.show("FREEZE") == "frozen by stanch", "low risk: it ran without asking"
    plan = question["plan"]
    assert plan["to"]["reverts"] == bad and "not known" in plan["impact"]
    assert "git revert --no-edit " + bad in plan["by_hand"]
    assert deploy.show("version") == "3"

    deploy.pull()
    theirs = deploy.commit({"other": "y\n"}, "somebody else")
    approve(daemon, question)  # for a head that is not there any more: asked anew
    again = wait_for(lambda: [a for a in daemon.get("/v1/approvals")["items"] if a["id"] != question["id"]],
                     "a new question")[0]
    assert again["plan"]["from"]["commit"] == theirs and again["plan"]["to"]["reverts"] == theirs
    assert deploy.head() == theirs
    approve(daemon, again)
    assert ended(daemon)["state"] == "succeeded"
    assert "other" not in deploy.files() and deploy.message().startswith('Revert "somebody else"')
    assert deploy.tree() == deploy.tree(f"{theirs}~1"), "as before that commit"
    assert "Stanch-Key: " in deploy.message()

    for mitigation in daemon.get("/v1/mitigations")["items"]:
        answer = daemon.api("POST", f"/v1/mitigations/{mitigation['id']}/undo", {"reason": "it was not that"})
        assert answer.status == 200 and answer.json["state"] == "undone", answer
    assert deploy.show("version") == "3" and deploy.show("other") == "y" and "FREEZE" not in deploy.files()
    deploy.check()


def test_a_plan_that_knows_runs_without_asking(world):  # noqa: F811
    deploy = Deploy(world.dir)
    deploy.commit({"version": "1\n"}, "Deploy 1")
    deploy.commit({"version": "2\n"}, "Deploy 2")
    daemon = start(world, deploy, migrations=["db/*"])
    daemon.post_alert(alert())
    assert ended(daemon)["state"] == "succeeded"
    assert deploy.show("version") == "1" and daemon.get("/v1/approvals")["items"] == []


def test_a_migration_in_between_asks(world):  # noqa: F811
    deploy = Deploy(world.dir)
    deploy.commit({"version": "1\n"}, "Deploy 1")
    deploy.commit({"version": "2\n", "db/7.sql": "drop table x;\n"}, "Deploy 2")
    daemon = start(world, deploy, migrations=["db/*"])
    daemon.post_alert(alert())
    question = pending(daemon)
    assert question["risk"] == "high" and "db/7.sql" in question["plan"]["impact"], question
    assert deploy.show("version") == "2"


def test_the_example_runbook_fits_the_plugin(world, tmp_path):  # noqa: F811
    deploy = Deploy(world.dir)
    deploy.commit({"checkout/version": "1\n"}, "Deploy 1")
    world.repo.commit({"rollback.lua": BOOK})
    settings = lua({"directory": deploy.bare, "branch": "main", "freeze_file": "FREEZE"})
    prometheus = f'prometheus "main" {{ url = "http://127.0.0.1:{free_port()}" }}'
    daemon = world.daemon(default_config(world, policy=POLICY, instances=[f'gitops "deploy" {settings}', prometheus]))
    daemon.start()
    shutil.copy(SOURCE / "runbooks/rollback/rollback.lua", tmp_path)
    daemon.cli("runbook", "lint", tmp_path)


def test_the_check_is_there_for_the_command_line(world):  # noqa: F811
    deploy = Deploy(world.dir)
    deploy.commit({"version": "1\n"}, "Deploy 1")
    daemon = start(world, deploy)
    said = daemon.cli("plugin", "check", "deploy").stdout
    assert "read" in said and "push" in said and "main is at " in said
    deploy.hook("pre-receive", "exit 1\n")
    done = daemon.cli("plugin", "check", "deploy", check=False)
    assert done.returncode != 0 and "pre-receive" in done.stdout + done.stderr
