"""gitops when something gets lost: answers, pushes, servers that say nothing, calls that are given up; and what others push
meanwhile, which never does."""
import os
import socket
import subprocess
import threading
import time

import pytest
from gitops_client import both
from gitrepo import free_port, git
from harness import wait_for


class Gate:
    """A hook that says that it was reached, and waits to be let go."""

    def __init__(self, deploy, name, then="exit 0"):
        self.reached, self.fifo = deploy.bare / "reached", deploy.bare / "fifo"
        os.mkfifo(self.fifo)
        deploy.hook(name, f"touch {self.reached}\nread word < {self.fifo}\n{then}\n")

    def wait(self):
        wait_for(self.reached.exists, "the hook")

    def open(self):
        with open(self.fifo, "w") as fifo:
            fifo.write("go\n")


def test_a_reply_that_is_lost_is_found_again(deploy, connect, tmp_path):
    gate = Gate(deploy, "post-receive")
    state = tmp_path / "state/plugins/deploy"
    state.parent.mkdir(parents=True)
    one = connect("ssh", state_dir=state)
    plan = one.plan()
    one.host.start("apply", "revert", {"args": {}, "plan": plan, "key": "k1", "epoch": 1}, deadline_ms=30000)
    gate.wait()
    one.host.process.kill()
    one.host.process.wait()
    one.host._end = lambda: 0  # killed, as we meant it to be
    gate.open()
    again = connect("ssh", state_dir=state)
    assert again.reconcile(plan) == "done" and again.reconcile(plan, key="another") == "not-done"
    assert again.apply(plan)["already"] and deploy.count() == 4
    assert again.holds(plan)


def test_a_push_that_did_not_come_through_is_not_done(deploy, connect):
    gate = Gate(deploy, "pre-receive", then="exit 1")
    one = connect("ssh")
    plan = one.plan()
    call = one.host.start("apply", "revert", {"args": {}, "plan": plan, "key": "k1", "epoch": 1}, deadline_ms=5000)
    gate.wait()
    answer = one.host.wait(call, 60)
    assert answer["outcome"] == "unknown", answer
    gate.open()
    assert one.reconcile(plan) == "not-done", "and the host lives"
    (deploy.bare / "hooks/pre-receive").unlink()
    assert one.apply(plan)["pushed"] and deploy.count() == 4


def test_an_answer_after_the_deadline_is_unknown_and_then_found(deploy, connect):
    gate = Gate(deploy, "post-receive")
    one = connect("ssh")
    plan = one.plan()
    call = one.host.start("apply", "revert", {"args": {}, "plan": plan, "key": "k1", "epoch": 1}, deadline_ms=5000)
    gate.wait()
    assert one.host.wait(call, 60)["outcome"] == "unknown"
    gate.open()
    assert one.reconcile(plan) == "done" and deploy.count() == 4


@pytest.fixture
def silent():
    """Takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield server.getsockname()[1]


def silent_client(connect, port, state):
    """Its clone is there already: what is asked now is only what is new."""
    (state / "plugins").mkdir(parents=True)
    first = connect(state_dir=state / "plugins/deploy")
    first.ask("read", "head")
    return connect("ssh", state_dir=state / "plugins/deploy", url=f"ssh://git@127.0.0.1:{port}/x.git")


def test_a_server_that_says_nothing_ends_by_the_deadline(connect, silent, tmp_path):
    one = silent_client(connect, silent, tmp_path / "state")
    for _ in range(2):
        error = one.plan(expect="failed", deadline_ms=1500)
        assert error["kind"] == "unreachable" and error["retry"] and "in time" in error["text"], error
    ok, text = one.checks(deadline_ms=1500)["read"]
    assert not ok and "in time" in text


def test_a_call_behind_others_is_told_so(connect, silent, tmp_path):
    one = silent_client(connect, silent, tmp_path / "state")
    long = one.host.start("plan", "revert", {"args": {}}, deadline_ms=600000)
    error = one.plan(expect="failed", deadline_ms=1500)
    assert error["kind"] == "unavailable" and error["retry"] and "busy" in error["text"]
    one.host.cancel(long)
    assert one.host.wait(long, 60)["outcome"] == "failed"


def test_a_call_that_is_given_up_ends_soon(connect, silent, tmp_path):
    one = silent_client(connect, silent, tmp_path / "state")
    calls = [one.host.start("plan", "revert", {"args": {}}, deadline_ms=600000) for _ in range(3)]
    for call in calls:
        one.host.cancel(call)
    for call in calls:
        assert one.host.wait(call, 60)["outcome"] == "failed"


def test_a_call_that_is_given_up_at_any_moment_ends_soon(connect, silent, tmp_path):
    """Also when that is just before it connects: there is nothing to cut yet."""
    one = silent_client(connect, silent, tmp_path / "state")
    for number in range(40):
        call = one.host.start("plan", "revert", {"args": {}}, deadline_ms=600000)
        time.sleep(number / 4000)  # the moments of the first 10 ms, one by one
        one.host.cancel(call)
        assert one.host.wait(call, 60)["outcome"] == "failed", number


def test_nobody_listens(connect):
    one = connect("ssh", url=f"ssh://git@127.0.0.1:{free_port()}/x.git")
    error = one.plan(expect="failed")
    assert error["kind"] == "unreachable" and error["retry"]


def test_history_that_was_rewritten_cannot_tell(deploy, connect):
    one = connect()
    plan = one.plan()
    one.apply(plan)
    git(deploy.work, "reset", "-q", "--hard", deploy.good)
    deploy.commit({"app/version": "9\n"}, "another history", push=False)
    deploy.push("--force")
    assert one.reconcile(plan) == "cannot-tell" and one.holds(plan) is False
    assert one.undo(plan, expect="failed")["kind"] == "stale"


@both
def test_nothing_that_somebody_pushes_is_ever_lost(deploy, connect, remote, tmp_path):
    """A pusher and the plugin at one branch: each push is there in the end, each revert went onto what it was for."""
    pushed, stop = [], threading.Event()

    def keep_pushing():
        while not stop.is_set() and len(pushed) < 200:
            pushed.append(deploy.commit({"theirs": f"{len(pushed)}\n"}, f"theirs {len(pushed)}", push=False))
            while subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=deploy.work,
                                 capture_output=True).returncode:
                git(deploy.work, "pull", "-q", "--rebase", "origin", "main")
                pushed[-1] = git(deploy.work, "rev-parse", "HEAD")

    one, done, stale = connect(remote), 0, 0
    thread = threading.Thread(target=keep_pushing)
    thread.start()
    try:
        enough = 2 if remote == "directory" else 1
        while (done < enough or stale < enough) and done + stale < 30 and len(pushed) < 200:
            plan = one.plan("freeze")
            given = {"args": {}, "plan": plan, "key": f"k{done + stale}", "epoch": 1}
            answer = one.host.wait(one.host.start("apply", "freeze", given, deadline_ms=30000), 60)
            if answer["outcome"] == "done":
                done += 1
                undo = {**given, "key": f"u{done}"}
                answer = one.host.wait(one.host.start("undo", "freeze", undo, deadline_ms=30000), 60)
            stale += answer["outcome"] == "failed" and answer["error"]["kind"] == "stale"
            assert answer["outcome"] == "done" or answer["error"]["kind"] == "stale", answer
    finally:
        stop.set()
        thread.join()
    for commit in pushed:
        git(deploy.bare, "merge-base", "--is-ancestor", commit, "main")
