"""Faults of the store as people see them (PROMISES 1.8): full, locked, damaged; each with readiness, a metric and a
sentence, and the work goes on where and when it can."""
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from books import AUTO, book, set_to
from harness import alert, wait_for, webhook
from test_runs import ended, pending, start


def metric(daemon, name):
    for line in daemon.api("GET", "/metrics", tcp=True).text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def not_ready(daemon, says):
    def look():
        answer = daemon.api("GET", "/readyz", tcp=True)
        return answer.status == 503 and any(says in why for why in answer.json["why"])
    wait_for(look, f"readiness to say: {says}")


def shed(daemon, says, code=503):
    answer = daemon.api("POST", "/v1/events/am", {}, {"Authorization": f"Bearer {daemon.world.token}"}, tcp=True)
    assert answer.status == code and says in answer.json["detail"], answer
    assert int(answer.headers["retry-after"]) > 0, answer.headers


# ---- full ----

RESERVE = 16 << 20


@pytest.fixture
def small_disk(world):
    """The state directory on a file system of its own, with room for the reserve and a little more."""
    state = world.dir / "state"
    state.mkdir(mode=0o700)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "stanch-test", state],
                                           capture_output=True).returncode:
        pytest.skip("no file system can be mounted here: a full disk cannot be made")
    yield state
    for daemon in world.daemons:
        if daemon.running:
            daemon.process.terminate()
            daemon.process.wait(60)
    subprocess.run(["umount", "-l", state], check=True)


def fill(state):
    """Take all that is free, but for what is written while the reserve stands."""
    fd = os.open(state / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fd, b"x" * 4096):
            pass
    except OSError:
        os.close(fd)


def test_a_full_disk_sheds_records_outcomes_and_goes_on(world, small_disk):
    daemon = start(world, 'note "one"; ' + set_to(7) + '; note "two"; ' + set_to(8, target="s2"))
    world.behave("apply:slow 1500 once")
    daemon.post_alert(alert())
    wait_for(lambda: "action.sent" in daemon.kinds("INC-1"), "the intent")
    fill(small_disk)

    def until_full():  # what is not full yet is still taken
        daemon.api("POST", "/v1/incidents", {"title": "x" * 3000})
        return metric(daemon, "stanch_journal_disk_full") == 1
    wait_for(until_full, "the disk to be full")
    assert not (small_disk / "stanch.reserve").exists()
    not_ready(daemon, "disk is full")
    shed(daemon, "free some space")
    told = daemon.cli("incident", "declare", "more", check=False)
    assert told.returncode == 8 and "full" in told.stderr, told
    # the outcome of what was out is written from the reserve, and nothing new is sent
    wait_for(lambda: "action.answered" in daemon.kinds("INC-1"), "the outcome")
    assert daemon.get("/v1/mitigations")["items"][0]["state"] == "in-force"
    assert daemon.get("/v1/runs/R-1")["state"] == "running"
    assert [e["target"] for e in world.effects()] == ["s1"]
    # the switch works, and so does a restart
    daemon.cli("stop", "--reason", "a full disk")
    daemon.cli("resume")
    daemon.kill9()
    daemon.start(ready=False)
    not_ready(daemon, "no room")
    shed(daemon, "free some space")
    (small_disk / "filler").unlink()
    wait_for(lambda: daemon.api("GET", "/readyz").status == 200, "readiness")
    assert metric(daemon, "stanch_journal_disk_full") == 0
    assert (small_disk / "stanch.reserve").stat().st_size == RESERVE
    assert ended(daemon)["state"] == "succeeded"
    assert [e["target"] for e in world.effects()] == ["s1", "s2"]
    daemon.post_alert(alert(instance="another"))


# ---- locked ----

def test_locked_by_another_process_is_a_bounded_wait_then_503(world):
    daemon = start(world, set_to(7))
    with sqlite3.connect(world.dir / "state" / "stanch.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = daemon.api("POST", "/v1/events/am", webhook(alert()), {"Authorization": f"Bearer {world.token}"}, tcp=True)
        assert answer.status == 503 and "locked" in answer.json["detail"], answer
        not_ready(daemon, "locked")
        assert metric(daemon, "stanch_journal_locked") == 1
        shed(daemon, "locked")
        told = daemon.cli("incident", "declare", "more", check=False)
        assert told.returncode == 7 and "locked" in told.stderr, told
        assert world.effects() == []
        assert daemon.get("/v1/runs")["items"] == []  # views go on
        other.execute("ROLLBACK")
    wait_for(lambda: daemon.api("GET", "/readyz").status == 200, "readiness")
    assert ended(daemon)["state"] == "succeeded"  # what waited is committed; the sender tries again and is told
    assert daemon.post_alert(alert())["events"]


def test_a_store_that_stays_locked_does_not_keep_it_from_ending(world):
    daemon = start(world, set_to(7))
    with sqlite3.connect(world.dir / "state" / "stanch.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        daemon.stop(expect=74)
        second = subprocess.run([daemon.process.args[0], "serve", "--config", daemon.config_path], capture_output=True,
                                text=True, timeout=60)
        assert second.returncode == 7 and "locked" in second.stderr, second  # waited, and said
        other.execute("ROLLBACK")
    daemon.start().stop()


# ---- damaged ----

def test_a_damaged_store_is_shown_exported_and_not_written(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    daemon.stop()
    state = world.dir / "state"
    with sqlite3.connect(state / "stanch.db") as db:  # the newest entry is gone
        db.execute("DROP TRIGGER entry_is_never_deleted")
        db.execute("DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)")
    db.close()
    before = (state / "stanch.db").read_bytes()
    daemon.start(ready=False)
    not_ready(daemon, "damaged")
    assert metric(daemon, "stanch_journal_read_only") == 1 and metric(daemon, "stanch_ready") == 0
    shed(daemon, "damaged")
    assert [m["state"] for m in daemon.get("/v1/mitigations")["items"]] == ["in-force"]
    assert "run.succeeded" in daemon.kinds("INC-1")
    for command in (("undo", "M-1"), ("incident", "declare", "more")):
        told = daemon.cli(*command, check=False)
        assert told.returncode == 8 and "damaged" in told.stderr, told
    daemon.cli("stop", "--reason", "damaged")  # the switch works whatever the store can do
    daemon.cli("resume")
    exported = daemon.cli("timeline", "export", check=False).stdout.splitlines()
    assert len(exported) > 10 and '"checkpoint"' in exported[-1]
    assert "not good" in daemon.cli("timeline", "verify", check=False).stdout or \
        daemon.cli("timeline", "verify", check=False).returncode == 9
    daemon.stop()
    assert (state / "stanch.db").read_bytes() == before
    assert len(world.effects()) == 1


def test_what_is_no_database_is_said(world):
    daemon = start(world, set_to(7))
    daemon.stop()
    for name in ("stanch.db-wal", "stanch.db-shm"):
        Path(world.dir / "state" / name).unlink(missing_ok=True)
    Path(world.dir / "state" / "stanch.db").write_bytes(b"this is no database " * 4096)
    refused = subprocess.run([daemon.process.args[0], "serve", "--config", daemon.config_path], capture_output=True,
                             text=True, timeout=60)
    assert refused.returncode == 9 and "damaged" in refused.stderr, refused
    shutil.rmtree(world.dir / "state")
