"""The gitops plugin against real repositories: a bare one on this machine, and one behind a real sshd; git itself judges."""
import json
import subprocess

import pytest
from gitops_client import both, settings_of
from gitrepo import ENV, git, make_key
from harness import wait_for
from plugin_host import Host, Refused


# ---- the way of one rollback ----


@both
def test_revert_verify_undo(deploy, connect, remote, request):
    one = connect(remote)
    plan = one.plan()
    settings, _ = settings_of(deploy, remote, request)
    assert plan["targets"] == [f"git:{settings.get('url', deploy.bare)}#main"]
    assert plan["from"]["commit"] == deploy.bad and plan["from"]["subject"] == "Deploy 3"
    assert plan["from"]["author"] == "Ada" and plan["from"]["tree"] == deploy.tree()
    assert plan["to"]["reverts"] == deploy.bad and plan["to"]["tree"] == deploy.tree(deploy.good)
    assert plan["to"]["files"] == [{"path": "app/new/file", "is": "removed"}, {"path": "app/old", "is": "added"},
                                   {"path": "app/version", "is": "changed"}]
    assert plan["impact"].startswith(f'main: {deploy.bad[:8]} "Deploy 3" is taken back: 3 files (+2 -2 lines). Data: ')
    assert deploy.head() == deploy.bad, "a plan changes nothing"
    assert one.holds(plan) is False
    done = one.apply(plan)
    assert done == {"commit": deploy.head(), "pushed": True}
    assert deploy.tree() == plan["to"]["tree"] and git(deploy.bare, "rev-parse", "main^") == deploy.bad
    assert deploy.message() == (f'Revert "Deploy 3"\n\nThis reverts commit {deploy.bad}.\n\nStanch-Reverts: {deploy.bad}\n'
                                "Stanch-Key: k1")
    assert git(deploy.bare, "log", "-1", "--format=%an <%ae> %cn", "main") == "Stanch <stanch@localhost> Stanch"
    assert one.holds(plan) is True
    one.undo(plan)
    assert deploy.tree() == plan["from"]["tree"] and deploy.count() == 5
    assert "Stanch-Key: u1" in deploy.message() and f"Stanch-Undoes: {done['commit']}" in deploy.message()
    assert one.holds(plan) is False


@both
def test_apply_and_undo_twice_make_one_commit_each(deploy, connect, remote):
    one = connect(remote)
    plan = one.plan()
    first = one.apply(plan)
    assert one.apply(plan) == {"commit": first["commit"], "already": True} and deploy.count() == 4
    deploy.pull()
    deploy.commit({"other/y": "somebody else\n"})
    assert one.apply(plan)["already"], "found behind somebody's commit, too"
    back = one.undo(plan)
    assert one.undo(plan) == {"commit": back["commit"], "already": True} and deploy.count() == 6
    assert one.undo(plan, key="u2")["already"], "it is as it was before"
    assert deploy.count() == 6


def test_two_plans_are_one_text(deploy, connect):
    """Core plans again just before apply, and another plan voids the approval."""
    one = connect()
    bound = ("targets", "from", "to", "undo", "by_hand", "undo_by_hand")
    first, second = one.plan(), one.plan()
    assert [first[name] for name in bound] == [second[name] for name in bound]


def test_the_newest_commit_that_is_not_ours_is_meant(deploy, connect):
    one = connect()
    frozen = one.plan("freeze")
    one.apply(frozen, "freeze", key="f1")
    plan = one.plan()
    assert plan["to"]["reverts"] == deploy.bad
    one.apply(plan)
    assert deploy.show("ops/FREEZE") == "no deploys" and deploy.show("app/version") == "2"
    again = one.plan()
    assert again["no_change"] is True and again["to"]["reverts"] == deploy.bad
    head = deploy.head()
    assert one.apply(again, key="k2") == {"no_change": True, "head": head} and deploy.head() == head
    assert one.holds(again) is True
    one.undo(frozen, "freeze")
    assert "ops/FREEZE" not in deploy.files() and deploy.show("app/version") == "2"


def test_a_named_commit_and_a_merge(deploy, connect):
    one = connect()
    named = one.plan(commit=deploy.bad[:10])
    assert named["to"]["reverts"] == deploy.bad
    git(deploy.work, "checkout", "-q", "-b", "topic", deploy.good)
    deploy.commit({"topic/a": "a\n"}, "one", push=False)
    deploy.commit({"topic/b": "b\n"}, "two", push=False)
    git(deploy.work, "checkout", "-q", "main")
    git(deploy.work, "merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    before = git(deploy.work, "rev-parse", "HEAD^1^{tree}")
    deploy.push()
    plan = one.plan()
    assert plan["from"]["subject"] == "Merge topic" and plan["to"]["tree"] == before
    assert " -m 1 " in plan["by_hand"]
    one.apply(plan)
    assert deploy.tree() == before and "topic/a" not in deploy.files()


def test_only_beneath_a_path(deploy, connect):
    both_changed = deploy.commit({"app/version": "4\n", "other/x": "changed\n"}, "Deploy 4 of both")
    deploy.commit({"third": "3\n"}, "of neither")
    one = connect()
    plan = one.plan(path="app")
    assert plan["to"]["reverts"] == both_changed and [f["path"] for f in plan["to"]["files"]] == ["app/version"]
    one.apply(plan, path="app")
    assert deploy.show("app/version") == "3" and deploy.show("other/x") == "changed" and deploy.show("third") == "3"
    assert "in app" in deploy.message()
    assert one.plan(path="ap", expect="failed")["kind"] == "not-found", "a folder, not the beginning of a name"


def test_only_what_the_settings_allow(deploy, connect):
    deploy.commit({"app/version": "4\n", "other/x": "changed\n"}, "Deploy 4 of both")
    one = connect(paths=["app", "third"])
    error = one.plan(expect="failed")
    assert error["kind"] == "refused" and "other/x" in error["text"] and "paths" in error["text"]
    assert one.plan(path="app")["to"]["count"] == 1


# ---- what is refused ----


def test_a_conflict_names_the_files(deploy, connect):
    deploy.commit({"app/version": "4\n", "other/x": "y\n"}, "Deploy 4")
    one = connect()
    error = one.plan(commit=deploy.bad, expect="failed")
    assert error["kind"] == "conflict" and "app/version" in error["text"] and "other/x" not in error["text"]
    deploy.commit({"other/x": "z\n"}, "later")
    mixed = deploy.commit({"other/x": "zz\n", "third": "3\n"}, "two things")
    deploy.commit({"other/x": "zzz\n"}, "later still")
    assert "other/x" in one.plan(commit=mixed, expect="failed")["text"]
    assert one.plan(commit=mixed, path="third")["to"]["files"] == [{"path": "third", "is": "removed"}]
    head = deploy.head()
    assert deploy.count() == 7 and deploy.head() == head


@both
def test_a_branch_that_moved_is_stale(deploy, connect, remote):
    one = connect(remote)
    plan = one.plan()
    moved = deploy.commit({"other/x": "a fix\n"}, "somebody's fix")
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "stale" and moved[:12] in error["text"] and deploy.head() == moved
    assert one.reconcile(plan) == "not-done"


def test_commits_that_cannot_be_meant(deploy, connect, tmp_path):
    one = connect()
    first = git(deploy.bare, "rev-list", "--max-parents=0", "main")
    assert "first commit" in one.plan(commit=first, expect="failed")["text"]
    assert one.plan(commit="0123456", expect="failed")["kind"] == "not-found"
    git(deploy.work, "checkout", "-q", "-b", "aside", deploy.good)
    aside = deploy.commit({"aside": "1\n"}, "elsewhere", push=False)
    git(deploy.work, "push", "-q", "origin", "aside")
    assert one.plan(commit=aside, expect="failed")["kind"] == "not-found"
    blob = git(deploy.bare, "rev-parse", "main:app/version")
    assert one.plan(commit=blob, expect="failed")["kind"] == "not-found"


def test_a_change_of_very_many_files_is_refused(deploy, connect):
    deploy.commit({f"many/{i}": f"{i}\n" for i in range(501)}, "a big one")
    one = connect()
    error = one.plan(expect="failed")
    assert error["kind"] == "too-large" and "501 files" in error["text"]
    assert one.plan(path="many/17")["to"]["count"] == 1


def test_remotes_that_are_not_as_expected(deploy, connect, tmp_path):
    assert connect(branch="release").plan(expect="failed")["kind"] == "not-found"
    assert connect(directory=str(tmp_path / "none.git")).plan(expect="failed")["kind"] == "unreachable"
    git(tmp_path, "init", "-q", "--bare", tmp_path / "empty.git")
    assert connect(directory=str(tmp_path / "empty.git")).plan(expect="failed")["kind"] == "not-found"
    error = connect(directory=str(deploy.work)).plan(expect="failed")
    assert error["kind"] == "refused" and "bare" in error["text"], error


@pytest.mark.parametrize("settings, part", [
    ({}, "either url or directory"),
    ({"url": "ssh://h/x", "directory": "/x"}, "either url or directory"),
    ({"url": "http://example.org/x.git"}, "url"),
    ({"url": "ssh://git:secret@example.org/x.git"}, "password"),
    ({"url": "ssh://git@example.org"}, "ssh://USER@HOST/PATH"),
    ({"url": "ssh://git@example.org/x.git"}, "ssh_key"),
    ({"directory": "relative"}, "directory"),
    ({"directory": "/x", "branch": "a..b"}, "name of a branch"),
    ({"directory": "/x", "freeze_file": "../x"}, "freeze_file"),
    ({"directory": "/x", "freeze_file": "a/.git/x"}, "freeze_file"),
    ({"directory": "/x", "freeze_file": "a/"}, "freeze_file"),
    ({"directory": "/x", "paths": ["a", "b/../c"]}, "paths[2]"),
    ({"directory": "/x", "author_name": "two\nlines"}, "author_name"),
])
def test_bad_settings_are_refused(settings, part):
    with pytest.raises(Refused) as refused:
        Host("gitops", {"branch": "main", **settings})
    assert part in str(refused.value)


def test_a_key_without_known_hosts_is_refused():
    with pytest.raises(Refused, match="known_hosts"):
        Host("gitops", {"branch": "main", "url": "ssh://git@127.0.0.1/x"}, {"ssh_key": "x"})


# ---- data ----


def test_what_is_known_of_migrations(deploy, connect):
    assert connect().plan()["risk"] == "high", "not known"
    one = connect(migrations=["db/migrations/*", "*.ddl"])
    clean = one.plan()
    assert "risk" not in clean and "no migration among the 1 commit since" in clean["impact"]
    assert clean["observed"]["data"]["known"] is True
    moved = deploy.commit({"db/migrations/7.sql": "drop table x;\n"}, "a migration")
    deploy.commit({"db/migrations/7.sql": None}, "and gone again")
    later = one.plan(commit=deploy.bad)
    assert later["risk"] == "high" and "db/migrations/7.sql" in later["impact"], later["impact"]
    assert {"commit": moved, "what": "db/migrations/7.sql"} in later["observed"]["data"]["migrations"]
    assert "the old version may not work with the data" in later["impact"]


def test_what_commits_say_of_migrations(deploy, connect):
    one = connect()
    deploy.commit({"app/version": "4\n"}, "Deploy 4\n\nStanch-Migration: none")
    told = one.plan()
    assert "risk" not in told and "no migration" in told["impact"]
    deploy.commit({"app/version": "5\n"}, "Deploy 5\n\nStanch-Migration: column users.name dropped")
    told = one.plan()
    assert told["risk"] == "high" and "column users.name dropped" in told["impact"]


# ---- freeze ----


@both
def test_freeze_and_back_exactly(deploy, connect, remote):
    before = deploy.tree()
    one = connect(remote)
    assert one.ask("read", "head")["frozen"] is False
    plan = one.plan("freeze")
    assert "risk" not in plan and plan["to"]["files"] == [{"path": "ops/FREEZE", "is": "added"}]
    one.apply(plan, "freeze")
    assert deploy.show("ops/FREEZE") == "no deploys" and one.holds(plan, "freeze")
    assert one.ask("read", "head")["frozen"] is True
    assert one.plan("freeze")["no_change"] is True
    one.undo(plan, "freeze")
    assert deploy.tree() == before


def test_freeze_puts_a_former_content_back(deploy, connect):
    deploy.commit({"ops/FREEZE": "an old word\n"}, "was frozen")
    before = deploy.tree()
    one = connect()
    plan = one.plan("freeze")
    one.apply(plan, "freeze")
    deploy.pull()
    deploy.commit({"app/version": "9\n"}, "somebody deploys all the same")
    assert one.holds(plan, "freeze")
    one.undo(plan, "freeze")
    assert deploy.show("ops/FREEZE") == "an old word" and deploy.show("app/version") == "9"
    git(deploy.bare, "diff", "--exit-code", before, "main", "--", "ops")


def test_undo_leaves_what_somebody_else_changed(deploy, connect):
    one = connect()
    plan = one.plan()
    one.apply(plan)
    deploy.pull()
    theirs = deploy.commit({"app/version": "2.1\n"}, "a hot fix")
    error = one.undo(plan, expect="failed")
    assert error["kind"] == "stale" and "app/version" in error["text"] and deploy.head() == theirs
    assert one.holds(plan) is False
    assert one.reconcile(plan) == "done" and one.reconcile(plan, then="undo", key="u1") == "not-done"


def test_without_a_freeze_file(deploy, connect):
    assert "freeze_file" in connect(freeze_file=None).plan("freeze", expect="failed")["text"]


# ---- a person's commands ----


def by_hand(command, folder):
    folder.mkdir()
    done = subprocess.run(["sh", "-c", command], cwd=folder, env={**ENV, "HOME": str(folder)}, capture_output=True,
                          text=True)
    assert done.returncode == 0, (command, done.stderr)


def test_the_commands_by_hand_do_the_same(deploy, connect, tmp_path):
    deploy.commit({"app/version": "4\n", "it's/x": "1\n"}, "Deploy 4")
    one = connect(freeze_file="it's/a FREEZE", freeze_content="it's\nfrozen\n")
    for number, (action, args) in enumerate([("revert", {}), ("revert", {"path": "it's"}), ("freeze", {})]):
        plan = one.plan(action, **args)
        by_hand(plan["by_hand"], tmp_path / f"hand{number}")
        assert deploy.tree() == plan["to"]["tree"]
        git(deploy.bare, "update-ref", "refs/heads/main", plan["from"]["commit"])


def test_the_undo_by_hand_does_the_same(deploy, connect, tmp_path):
    one = connect()
    for action in ("revert", "freeze"):
        plan = one.plan(action)
        one.apply(plan, action, key=action)
        by_hand(plan["undo_by_hand"], tmp_path / action)
        assert deploy.tree() == plan["from"]["tree"]


# ---- reads and the check ----


def test_head_and_log(deploy, connect):
    git(deploy.work, "-c", "i18n.commitEncoding=latin1", "commit", "-q", "--allow-empty", "--author",
        "J\udcf6rg <j@example.org>", "-m", "caf\udce9\ttab")
    deploy.push()
    one = connect()
    head = one.ask("read", "head")
    assert head["commit"] == deploy.head() and head["branch"] == "main" and head["author"] == "J?rg", head
    assert head["subject"] == "caf? tab"
    one.apply(one.plan("freeze"), "freeze")
    log = one.ask("read", "log", count=3)["commits"]
    assert [c["by_stanch"] for c in log] == [True, False, False] and log[2]["commit"] == deploy.bad
    assert len(one.ask("read", "log")["commits"]) == 5


@both
def test_the_check_says_what_works(deploy, connect, remote):
    one = connect(remote)
    checks = one.checks()
    assert checks["read"] == (True, f"main is at {deploy.bad[:12]}") and checks["push"][0] is True
    assert deploy.count() == 3


def test_a_directory_with_hooks_is_refused(deploy, connect):
    """libgit2 runs none: what they guard would be passed by, what they deploy would not be."""
    deploy.hook("post-receive", "true\n")
    one = connect()
    error = one.plan(expect="failed")
    assert error["kind"] == "refused" and "post-receive" in error["text"] and "ssh" in error["text"]
    ok, text = one.checks()["push"]
    assert not ok and "post-receive" in text


# ---- ssh: who may, and whom we trust ----


def test_a_hook_that_refuses_is_told(deploy, connect):
    deploy.hook("pre-receive", "echo 'the release manager sleeps' >&2; exit 1\n")
    one = connect("ssh")
    plan = one.plan()
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "refused" and "the release manager sleeps" in error["text"], error
    assert deploy.head() == deploy.bad and one.reconcile(plan) == "not-done"


def test_the_remote_checks_the_lease_itself(deploy, connect):
    """Somebody pushes between our look at the branch and the remote's update of it."""
    theirs = git(deploy.bare, "commit-tree", deploy.tree(), "-p", deploy.bad, "-m", "in between")
    deploy.hook("pre-receive", f"echo {theirs} > refs/heads/main\n")
    one = connect("ssh")
    plan = one.plan()
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "stale" and theirs[:12] in error["text"], error
    assert deploy.head() == theirs


def test_the_lease_in_a_directory_holds_under_the_lock(deploy, connect):
    """Somebody has the branch's lock when we come to it, and moves the branch before letting go."""
    theirs = git(deploy.bare, "commit-tree", deploy.tree(), "-p", deploy.bad, "-m", "in between")
    branch, lock, packs = (deploy.bare / name for name in ("refs/heads/main", "refs/heads/main.lock", "objects/pack"))
    one = connect()
    plan = one.plan()
    before = set(packs.iterdir())
    lock.touch()
    call = one.host.start("apply", "revert", {"args": {}, "plan": plan, "key": "k1", "epoch": 1}, deadline_ms=30000)
    wait_for(lambda: {p for p in packs.iterdir() if p.suffix == ".idx"} - before, "the objects to be there")
    branch.write_text(theirs + "\n")
    lock.unlink()
    answer = one.host.wait(call, 60)
    assert answer["outcome"] == "failed" and answer["error"]["kind"] == "stale", answer
    assert deploy.head() == theirs


def test_a_lock_that_stays_is_told(deploy, connect):
    one = connect()
    plan = one.plan()
    (deploy.bare / "refs/heads/main.lock").touch()
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "busy" and error["retry"] and deploy.head() == deploy.bad


def test_a_host_key_that_is_not_known(deploy, connect, tmp_path, sshd):
    for name, line in (("none", ""), ("another", make_known(tmp_path, sshd))):
        known = tmp_path / f"known-{name}"
        known.write_text(line)
        one = connect("ssh", known_hosts=str(known))
        error = one.plan(expect="failed")
        assert error["kind"] == "unauthorized" and "known_hosts" in error["text"], error
        ok, text = one.checks()["read"]
        assert not ok and "host key" in text


def make_known(folder, sshd):
    make_key(folder / "another")
    return f"[127.0.0.1]:{sshd.port} " + " ".join((folder / "another.pub").read_text().split()[:2]) + "\n"


def test_a_key_that_the_remote_does_not_take(deploy, connect, tmp_path):
    for key in (make_key(tmp_path / "stranger"), "no key at all"):
        error = connect("ssh", secrets={"ssh_key": key}).plan(expect="failed")
        assert error["kind"] == "unauthorized" and "ssh_key" in error["text"], error
        assert key.splitlines()[-2 if "\n" in key else 0] not in error["text"]


def test_an_ecdsa_key_works(deploy, connect, tmp_path, sshd):
    key = make_key(tmp_path / "ec", "ecdsa")
    before = sshd.authorized.read_text()
    sshd.authorized.write_text(before + (tmp_path / "ec.pub").read_text())
    try:
        assert connect("ssh", secrets={"ssh_key": key}).ask("read", "head")["commit"] == deploy.bad
    finally:
        sshd.authorized.write_text(before)


def test_a_key_that_may_only_read(deploy, connect, tmp_path, sshd):
    key = make_key(tmp_path / "reader")
    before = sshd.authorized.read_text()
    rule = ('command="case \\"$SSH_ORIGINAL_COMMAND\\" in git-upload-pack*) eval \\"$SSH_ORIGINAL_COMMAND\\";; '
            '*) echo this key may only read >&2; exit 1;; esac" ')
    sshd.authorized.write_text(before + rule + (tmp_path / "reader.pub").read_text())
    try:
        one = connect("ssh", secrets={"ssh_key": key})
        checks = one.checks()
        assert checks["read"][0] is True and checks["push"][0] is False, checks
        assert "may only read" in checks["push"][1]
        error = one.apply(one.plan(), expect="failed")
        assert "may only read" in error["text"] and deploy.head() == deploy.bad
    finally:
        sshd.authorized.write_text(before)


def test_the_key_is_told_to_nobody(deploy, connect, sshd):
    one = connect("ssh")
    one.apply(one.plan())
    one.checks()
    body = sshd.key.splitlines()[1]
    assert body.encode() not in one.host.raw and body not in one.host.printed()


# ---- large, and odd ----


def test_a_thousand_commits(tmp_path, connect, deploy):
    lines = []
    for number in range(1000):
        text = f"line {number}\n"
        lines.append(f"commit refs/heads/main\ncommitter Ada <ada@example.org> {1700000000 + number} +0000\n"
                     f"data {len(f'Deploy n{number}')}\nDeploy n{number}\n"
                     + (f"from {deploy.bad}\n" if number == 0 else "")
                     + f"M 644 inline many/{number % 100}\ndata {len(text)}\n{text}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=deploy.bare, input="".join(lines).encode(), check=True)
    assert deploy.count() == 1003
    one = connect()
    plan = one.plan(path="app")
    assert plan["to"]["reverts"] == deploy.bad
    assert plan["observed"]["data"]["commits"] == 1001
    one.apply(plan, path="app")
    assert deploy.show("app/version") == "2" and one.holds(plan, path="app")
    assert len(one.ask("read", "log", count=100)["commits"]) == 100
    one.undo(plan, path="app")
    assert deploy.show("app/version") == "3"


def test_plans_are_json_for_people(deploy, connect):
    deploy.commit({"app/version": "4\n"}, 'a "quoted" \\ subject <b>')
    assert json.dumps(connect().plan())
