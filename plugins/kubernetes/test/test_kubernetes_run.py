"""With the daemon: the example of runbooks/bad-deploy as it stands there, but for how long it waits."""
import contextlib
import json
import re

from harness import SOURCE, Lua, alert, lua, wait_for
from servers import Origin, Prometheus

EXAMPLE = SOURCE / "runbooks/bad-deploy"
ONE, TWO = "registry.example/checkout:1", "registry.example/checkout:2"


@contextlib.contextmanager
def errors_of(cluster, space):
    """A Prometheus that sees errors as long as a Pod of the second version runs."""
    def metrics(handler, body):
        return f"job:checkout_errors:ratio {0.3 if TWO in cluster.images_that_run(space, 'checkout') else 0}\n"

    with Origin(metrics) as service:
        config = {"scrape_configs": [{"job_name": "checkout", "scrape_interval": "1s", "scrape_timeout": "1s",
                                      "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}]}
        with Prometheus(config) as prometheus:
            wait_for(lambda: [s["value"][1] for s in prometheus.query("job:checkout_errors:ratio")] == ["0.3"], "errors")
            yield prometheus


def start(world, cluster, space, prometheus_url):
    token = Lua(f"secret.file {lua(world.write('secrets/kubernetes', cluster.stanch, 0o600))}")
    instances = ['prometheus "main" ' + lua({"url": prometheus_url}), 'kubernetes "prod" ' + lua({
        "url": cluster.url, "ca_file": cluster.ca, "token": token, "namespaces": [space],
        "actions": ["rollback", "freeze_hpa"], "environment": "prod"})]
    text = (EXAMPLE / "bad-deploy.lua").read_text()
    quick = text.replace('settle = "30s", hold = "1m"', 'settle = "1s", hold = "1s", every = "200ms"')
    assert quick != text
    world.repo.commit({"bad-deploy.lua": quick})
    return world.daemon(policy=(EXAMPLE / "policy.lua").read_text(), instances=instances).start()


def ended(daemon):
    run = daemon.get("/v1/runs/R-1")
    return run if run["state"] in ("succeeded", "failed", "cancelled", "held") else None


def test_from_the_alert_to_the_rollback_and_forward_again(world, cluster, space):
    none = {"stanch.dev/migration": "none"}
    for image in (ONE, TWO):
        cluster.deploy(space, "checkout", image, annotations=none)
    cluster.autoscale(space, "checkout", 1, 5)
    deployed, scaled = cluster.deployment(space, "checkout"), cluster.hpa(space, "checkout")
    with errors_of(cluster, space) as prometheus:
        daemon = start(world, cluster, space, prometheus.url)
        daemon.post_alert(alert("CheckoutErrorsSinceDeploy", env="prod"))
        question = wait_for(lambda: daemon.get("/v1/approvals")["items"], "the question")[0]
        assert question["action"] == "rollback" and question["risk"] == "medium", question
        plan = question["plan"]
        assert plan["to"]["images"] == {"app": ONE} and "no migration of data lies in between" in plan["impact"]
        assert cluster.image(space, "checkout") == TWO
        assert cluster.hpa(space, "checkout")["spec"]["maxReplicas"] == 2, "held without asking"

        answer = daemon.api("POST", f"/v1/approvals/{question['id']}",
                            {"decision": "approve", "plan": question["plan_digest"]})
        assert answer.status == 200, answer
        run = wait_for(lambda: ended(daemon), "the run to end", 120)
        assert run["state"] == "succeeded", (run, daemon.timeline("INC-1")[-5:])
    assert cluster.images_that_run(space, "checkout") == {ONE} and cluster.is_rolled_out(space, "checkout")
    verified = [e["data"] for e in daemon.timeline("INC-1") if e["kind"] == "action.verified"]
    assert [(one["action"], one["holds"]) for one in verified] == [("freeze_hpa", True), ("rollback", True)]
    assert verified[1]["seen"]["rollout"] == "complete"
    told = json.dumps(daemon.timeline("INC-1"))
    assert "checkout runs revision 2 since" in told and "rollout complete, 2 of 2 Pods available" in told

    for mitigation in daemon.get("/v1/mitigations")["items"]:
        daemon.cli("undo", mitigation["id"], "--reason", "it was not the deploy")
        wait_for(lambda: daemon.get(f"/v1/mitigations/{mitigation['id']}")["state"] == "undone", "the undo")
    wait_for(lambda: cluster.is_rolled_out(space, "checkout"), "the rollout of the undo")
    assert cluster.deployment(space, "checkout")["spec"] == deployed["spec"]
    assert cluster.hpa(space, "checkout")["spec"] == scaled["spec"]
    assert cluster.images_that_run(space, "checkout") == {TWO}
    assert cluster.stanch not in daemon.log() + json.dumps(daemon.timeline("INC-1"))


def test_the_runbook_of_the_readme_fits(world, cluster, space, tmp_path):
    text = (SOURCE / "plugins/kubernetes/README.md").read_text()
    (tmp_path / "canary.lua").write_text(re.search(r"```lua\n(.*?)```", text, re.S)[1])
    daemon = start(world, cluster, space, "http://127.0.0.1:1")
    daemon.cli("runbook", "lint", tmp_path)


def test_check_from_the_command_line(world, cluster, space):
    daemon = start(world, cluster, space, "http://127.0.0.1:1")
    said = daemon.cli("plugin", "check", "prod").stdout
    assert f"patch deployments.apps in {space}" in said, said
    cluster.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/rolebindings/stanch")
    wait_for(lambda: daemon.cli("plugin", "check", "prod", check=False).returncode != 0, "the right to be gone")
    done = daemon.cli("plugin", "check", "prod", check=False)
    assert "rollback needs it: add it to the role" in done.stdout + done.stderr
