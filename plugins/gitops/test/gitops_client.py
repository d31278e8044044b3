"""gitops_client.py: one instance of the plugin, as these tests talk to it."""
import pytest

FREEZE = {"freeze_file": "ops/FREEZE", "freeze_content": "no deploys\n"}

both = pytest.mark.parametrize("remote", ("directory", "ssh"))  # the ways to a remote


def settings_of(deploy, remote, request):
    if remote == "directory":
        return {"directory": str(deploy.bare), "branch": deploy.branch}, {}
    sshd = request.getfixturevalue("sshd")
    return sshd.settings(deploy), sshd.secrets()


class Client:
    """The operations of one instance, with their outcome checked."""

    def __init__(self, host):
        self.host = host

    def ask(self, op, action, expect="done", deadline_ms=30000, key="k1", plan=None, then=None, **args):
        given = {"args": args, "key": key, "epoch": 1}
        if plan is not None:
            given["plan"] = plan
        if then:
            given["op"] = then
        answer = self.host.wait(self.host.start(op, action, given, deadline_ms=deadline_ms), 60)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action="revert", **args):
        return self.ask("plan", action, **args)

    def apply(self, plan, action="revert", **args):
        return self.ask("apply", action, plan=plan, **args)

    def undo(self, plan, action="revert", key="u1", **args):
        return self.ask("undo", action, plan=plan, key=key, **args)

    def holds(self, plan, action="revert", **args):
        return self.ask("verify", action, plan=plan, **args)["holds"]

    def reconcile(self, plan, action="revert", then="apply", **args):
        return self.ask("reconcile", action, plan=plan, then=then, **args)["state"]

    def checks(self, deadline_ms=30000):
        answer = self.host.call("check", "check", {}, deadline_ms=deadline_ms)
        assert answer["outcome"] == "done", answer
        return {one["name"]: (one["ok"], one["text"]) for one in answer["value"]["checks"]}
