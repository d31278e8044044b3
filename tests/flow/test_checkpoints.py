"""Signed checkpoints go to places outside of the store on a schedule, and verify goes by them; and the full check."""
import json
import sqlite3
import subprocess
import threading

from books import AUTO, book, set_to
from harness import Lua, alert, wait_for
from servers import Origin
from test_runs import ended
from test_store import damage, offline


def keep(world, **places):
    world.repo.commit({"heal.lua": book(set_to(7))})
    return world.daemon(policy=AUTO, checkpoints={"every": "1s", **places})


def place(daemon, index=0):
    return daemon.get("/v1/status")["checkpoints"]["places"][index]


def is_kept(daemon, index=0):
    """The place has all that is committed."""
    entries = daemon.get("/v1/status")["journal"]["entries"]
    return place(daemon, index) if place(daemon, index).get("entries") == entries else None


def cut_tail(store, keep):
    """As somebody who can write the database: the entries behind `keep` are gone, and the store's own heads agree."""
    with sqlite3.connect(f"{store}/stanch.db") as db:
        db.executescript(f"""DROP TRIGGER entry_is_never_deleted; DELETE FROM entry WHERE seq > {keep}; DELETE FROM head;
            INSERT INTO head SELECT chain, n, hash FROM entry e
              WHERE n = (SELECT max(n) FROM entry WHERE chain = e.chain);
            INSERT INTO head SELECT '*', seq, link FROM entry ORDER BY seq DESC LIMIT 1; DELETE FROM doc""")


def test_a_cut_tail_is_found_against_the_file(world):
    path = world.dir / "kept" / "checkpoints.jsonl"
    path.parent.mkdir()
    daemon = keep(world, file=path).start()
    daemon.post_alert(alert())
    ended(daemon)
    wait_for(lambda: is_kept(daemon), "a checkpoint of all")
    said = daemon.cli("timeline", "verify").stdout
    assert said.startswith("ok") and "held against the checkpoint of file:" in said, said
    before = len(path.read_text().splitlines())
    daemon.stop()
    lines = path.read_text().splitlines()
    assert len(lines) == before + 1  # one at the end, of all
    last = json.loads(lines[-1])["checkpoint"]
    state = world.dir / "state"
    assert json.loads(offline("timeline", "verify", "--store", state, "--checkpoint", path, "--json").stdout)["entries"] == \
        last["entries"]
    cut_tail(state, last["entries"] - 3)
    assert offline("timeline", "verify", "--store", state).returncode == 0  # in itself it is consistent
    found = offline("timeline", "verify", "--store", state, "--checkpoint", path, check=False)
    assert found.returncode == 9 and "tail cut" in found.stderr, found


def test_an_export_is_held_against_the_file_too(world):
    path = world.dir / "checkpoints.jsonl"
    daemon = keep(world, file=path).start()
    daemon.post_alert(alert())
    ended(daemon)
    exported = world.write("export.jsonl", daemon.cli("timeline", "export").stdout)
    wait_for(lambda: is_kept(daemon), "a checkpoint of all")
    daemon.stop()
    found = offline("timeline", "verify", "--store", exported, "--checkpoint", path, check=False)
    assert found.returncode == 9 and "tail cut" in found.stderr, found  # the last checkpoint is of a later time
    first = world.write("first.jsonl", path.read_text().splitlines()[0] + "\n")
    assert offline("timeline", "verify", "--store", exported, "--checkpoint", first).stdout.startswith("ok")


def test_a_commit_in_a_repository_elsewhere(world):
    remote = world.dir / "kept.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    daemon = keep(world, git=str(remote)).start()
    daemon.post_alert(alert())
    ended(daemon)
    wait_for(lambda: is_kept(daemon), "a checkpoint of all")
    assert "git:" in daemon.cli("timeline", "verify").stdout
    daemon.stop()
    git = lambda *args: subprocess.run(["git", "--git-dir", remote, *args], check=True, capture_output=True, text=True).stdout
    assert len(git("rev-list", "refs/stanch/checkpoints").split()) >= 2
    [name] = git("ls-tree", "--name-only", "refs/stanch/checkpoints").split()
    last = json.loads(git("show", f"refs/stanch/checkpoints:{name}"))["checkpoint"]
    state = world.dir / "state"
    assert name == last["store"] + ".jsonl"
    assert offline("timeline", "verify", "--store", state, "--checkpoint", f"git:{remote}").returncode == 0
    cut_tail(state, last["entries"] - 3)
    found = offline("timeline", "verify", "--store", state, "--checkpoint", f"git:{remote}", check=False)
    assert found.returncode == 9 and "tail cut" in found.stderr, found
    git("update-ref", "-d", "refs/stanch/checkpoints")  # and who removes the witness is seen
    refused = offline("offline", "checkpoint", "--store", state, "--to", f"git:{remote}", check=False)
    assert refused.returncode == 3 and "rewritten or removed" in refused.stderr, refused


def test_an_outage_of_a_place_delays_nothing_and_is_said(world):
    answers = [500]
    with Origin(lambda handler, body: (answers[0], {}, "")) as origin:
        token = Lua(f'secret.file "{world.write("secrets/hook", "hook-secret", 0o600)}"')
        daemon = keep(world, webhook=origin.url + "/in", token=token, file=world.dir / "missing" / "x.jsonl").start()
        wait_for(lambda: daemon.get("/v1/status")["checkpoints"]["failing"] == 2, "both to fail")
        daemon.post_alert(alert())
        assert ended(daemon)["state"] == "succeeded"
        assert daemon.api("GET", "/readyz").status == 200
        assert "status 500" in place(daemon, 1)["why"] and "No such file" in place(daemon, 0)["why"]
        assert "stanch_checkpoints_failing 2" in daemon.api("GET", "/metrics").text
        assert "failing" in daemon.cli("status").stdout
        (world.dir / "missing").mkdir()
        answers[0] = 202
        wait_for(lambda: daemon.get("/v1/status")["checkpoints"]["failing"] == 0, "both to work again")
        wait_for(lambda: is_kept(daemon, 0) and is_kept(daemon, 1), "a checkpoint of all")
        method, path, headers, body = origin.requests[-1]
        assert (method, path, headers["Authorization"]) == ("POST", "/in", "Bearer hook-secret")
        kept = world.write("posted.jsonl", body.decode())
        assert offline("timeline", "verify", "--store", world.dir / "state", "--checkpoint", kept).stdout.startswith("ok")
        assert "could not be kept" in daemon.log() and "kept again" in daemon.log() and "hook-secret" not in daemon.log()
        daemon.stop()


def test_what_is_asked_at_the_very_end_is_answered(world):
    """The plugins are gone while the last checkpoint is still on its way: the doors know that."""
    stopping, reached, go_on = threading.Event(), threading.Event(), threading.Event()

    def answer(handler, body):
        if stopping.is_set():
            reached.set()
            go_on.wait(30)
        return 202, {}, ""

    with Origin(answer) as origin:
        daemon = keep(world, webhook=origin.url + "/in").start()
        wait_for(lambda: is_kept(daemon), "a checkpoint of all")
        stopping.set()
        daemon.process.terminate()
        assert reached.wait(30)
        try:
            assert daemon.api("GET", "/readyz").status == 503
            assert daemon.api("GET", "/v1/status").status == 200
            assert daemon.api("GET", "/v1/plugins").json["items"] == []
            assert daemon.api("GET", "/v1/plugins/fx").status == 404
            assert daemon.api("POST", "/v1/plugins/fx/enable", {}).status == 503
            assert daemon.api("POST", "/v1/sources/am/test", b"{}").status == 503
        finally:
            go_on.set()
        daemon.stop()


def test_the_configuration_says_what_is_wrong(world):
    for places, says in [({}, "say where they are kept"), ({"webhook": "ftp://x"}, "begins with https://"),
                         ({"git": "https://u:pass@example.org/x"}, "no password in an address"),
                         ({"file": "/x", "every": "10ms"}, "every"), ({"file": "/x", "token": "abc"}, "secret.file")]:
        daemon = keep(world, **places) if "every" not in places else world.daemon(checkpoints=places)
        done = offline("serve", "--check", "--config", daemon.config_path, check=False)
        assert done.returncode == 2 and says in done.stderr, (places, done)
        assert "pass@" not in done.stderr


def test_the_full_check_on_request(world):
    daemon = keep(world, file=world.dir / "x.jsonl").start()
    daemon.post_alert(alert())
    ended(daemon)
    assert daemon.cli("store", "check").stdout.startswith("ok")
    check = daemon.get("/v1/status")["check"]
    assert check["state"] == "good" and check["at"] and check["verdict"]["entries"] > 5, check
    assert "stanch_store_damaged 0" in daemon.api("GET", "/metrics").text


def test_the_full_check_after_an_error_of_the_store(world):
    daemon = keep(world, file=world.dir / "x.jsonl").start()
    daemon.post_alert(alert())
    ended(daemon)
    daemon.kill9()
    (world.dir / "state" / "stanch.suspect").touch()  # as a commit that failed leaves it
    daemon.start()
    wait_for(lambda: daemon.get("/v1/status")["check"]["state"] == "good", "the check")
    assert not (world.dir / "state" / "stanch.suspect").exists()
    daemon.kill9()
    with sqlite3.connect(world.dir / "state" / "stanch.db") as db:  # pages are whole, an entry is not
        db.execute("DROP TRIGGER entry_is_never_changed")
        db.execute("UPDATE entry SET data = replace(data, 's1', 's2') WHERE kind = 'action.sent'")
    (world.dir / "state" / "stanch.suspect").touch()
    try:
        daemon.start()
    except (AssertionError, OSError):
        pass  # it may have ended before it was asked
    assert daemon.wait_end() == 74, daemon.log()[-3000:]
    assert "the store is damaged" in daemon.log() and "its content does not have its hash" in daemon.log()
    daemon.start(ready=False)  # from now on it only reads
    assert any("its content does not have its hash" in why for why in daemon.api("GET", "/readyz").json["why"])
    assert daemon.api("POST", "/v1/incidents", {"title": "x"}).status == 503
    assert daemon.get("/v1/mitigations")["items"][0]["id"] == "M-1"
    found = daemon.cli("store", "check", check=False)
    assert found.returncode == 9 and "its content does not have its hash" in found.stderr, found
    assert daemon.cli("timeline", "export").stdout.count("\n") > 5
    daemon.stop()
