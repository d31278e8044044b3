"""The life of the store: backup beside a running daemon, restore, check, and what one needs with the daemon dead."""
import json
import os
import shutil
import sqlite3
import subprocess
import threading

from books import AUTO, book, set_to
from harness import STANCH, alert, wait_for
from test_runs import ended, start


def offline(*args, check=True, **more):
    """The command line without a daemon."""
    done = subprocess.run([STANCH, *map(str, args)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "STANCH_SOCKET": "/nowhere"}, **more)
    assert not check or done.returncode == 0, f"stanch {args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def meta(store, key):
    with sqlite3.connect(f"file:{store}/stanch.db?mode=ro", uri=True) as db:
        return db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]


def damage(store, what="doc_key"):
    """The first page of a table or an index is not what was written."""
    with sqlite3.connect(f"{store}/stanch.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (what,)).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with open(f"{store}/stanch.db", "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def test_a_backup_beside_a_busy_daemon_is_whole(world):
    daemon = start(world, set_to(7))
    going = True

    def write():
        count = 0
        while going:
            daemon.post_alert(alert("Noise", number=str(count)))
            count += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: len(daemon.get("/v1/events?limit=1000")["items"]) > 20, "some events")
        made = [daemon.cli_json("store", "backup", world.dir / f"backup-{i}") for i in range(3)]
    finally:
        going = False
        writer.join()
    assert made[0]["entries"] < made[1]["entries"] < made[2]["entries"], made  # it committed all the while
    for i in range(3):
        verdict = json.loads(offline("timeline", "verify", "--store", world.dir / f"backup-{i}", "--json").stdout)
        assert verdict["ok"] and verdict["entries"] == made[i]["entries"], verdict
    assert not (world.dir / "backup-0" / "stanch.key").exists()
    again = daemon.cli("store", "backup", world.dir / "backup-0", check=False)
    assert again.returncode == 6 and "not empty" in again.stderr, again


def test_restore_refuses_a_daemon_and_a_damaged_backup(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    state = world.dir / "state"
    daemon.cli("store", "backup", world.dir / "good")
    refused = offline("store", "restore", world.dir / "good", "--store", state, check=False)
    assert refused.returncode == 6 and "in use by process" in refused.stderr, refused
    daemon.stop()
    before = (state / "stanch.db").read_bytes()
    shutil.copytree(world.dir / "good", world.dir / "bad")
    with sqlite3.connect(world.dir / "bad" / "stanch.db") as db:
        db.execute("DROP TRIGGER entry_is_never_changed")
        db.execute("UPDATE entry SET data = replace(data, 's1', 's2') WHERE kind = 'action.sent'")
    refused = offline("store", "restore", world.dir / "bad", "--store", state, check=False)
    assert refused.returncode == 9 and "does not verify" in refused.stderr, refused
    assert (state / "stanch.db").read_bytes() == before and not (state / "stop").exists()


def test_restore_goes_back_and_nothing_of_before_acts(world):
    world.repo.commit({"heal.lua": book('sleep "1h"'), "two.lua": book(set_to(9), name="two", on='alert { alertname = "B" }')})
    daemon = world.daemon(policy=AUTO).start()
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs?open=true")["items"], "a run")
    daemon.cli("store", "backup", world.dir / "backup")
    daemon.post_alert(alert("B"))
    ended(daemon, "R-2")
    epoch = int(meta(world.dir / "state", "epoch"))
    daemon.kill9()
    done = json.loads(offline("store", "restore", world.dir / "backup", "--store", world.dir / "state", "--json").stdout)
    assert done["epoch"] > epoch and done["epoch"] == int(meta(world.dir / "state", "epoch"))
    old = world.dir / "state" / done["aside"]
    verdict = json.loads(offline("timeline", "verify", "--store", old, "--json").stdout)
    assert verdict["ok"] and verdict["entries"] > done["entries"]
    daemon.start()
    status = daemon.get("/v1/status")
    assert "restored" in status["stopped"]["reason"] and status["mitigations"] == 0
    assert [run["id"] for run in daemon.get("/v1/runs")["items"]] == ["R-1"]
    daemon.post_alert(alert("B", starts_at=1))  # nothing starts by itself before a person has looked
    assert wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["id"] != "R-1"] or ["none"], "R-2")
    assert len(world.effects()) == 1
    assert daemon.cli("timeline", "verify").stdout.startswith("ok")


def test_an_interrupted_restore_is_done_again(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    daemon.cli("store", "backup", world.dir / "backup")
    daemon.stop()
    state = world.dir / "state"
    (state / "stanch.restoring").touch()
    (state / "stanch.db").rename(state / "moved")
    refused = subprocess.run([STANCH, "serve", "--config", daemon.config_path], capture_output=True, text=True)
    assert refused.returncode == 8 and "store restore" in refused.stderr, refused
    offline("store", "restore", world.dir / "backup", "--store", state)
    daemon.start()
    assert daemon.get("/v1/runs/R-1")["state"] == "succeeded"


def test_check_looks_at_all(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    assert daemon.cli_json("store", "check")["ok"]
    daemon.stop()
    state = world.dir / "state"
    with sqlite3.connect(state / "stanch.db") as db:  # a document that says another thing, with a good checksum
        db.create_function("sha256", 1, lambda text: __import__("hashlib").sha256(text.encode()).hexdigest())
        db.execute("UPDATE doc SET text = replace(text, 'in-force', 'in-farce') WHERE noun = 'mitigation'")
        db.execute("UPDATE doc SET sum = sha256(text) WHERE noun = 'mitigation'")
    found = offline("store", "check", "--store", state, check=False)
    assert found.returncode == 9 and "rebuild" in found.stderr, found
    offline("timeline", "rebuild", "--store", state)
    offline("store", "check", "--store", state)
    damage(state)
    found = offline("store", "check", "--store", state, check=False)
    assert found.returncode == 9 and "damaged" in found.stderr, found


def in_force(done):
    [item] = json.loads(done.stdout)
    return item["id"], item["state"], item["instance"], item["undo_by_hand"], item["lease_ends_ms"], item["because"], item.get("owner")


def test_what_is_in_force_with_the_daemon_dead(world):
    daemon = start(world, set_to(7, extra=', lease = "1h"'))
    daemon.post_alert(alert())
    ended(daemon)
    [listed] = daemon.get("/v1/mitigations")["items"]
    daemon.cli("store", "backup", world.dir / "backup")
    daemon.kill9()
    state = world.dir / "state"
    told = in_force(offline("mitigations", "--offline", state, "--json"))
    assert told == ("M-1", "in-force", "fx", listed["undo_by_hand"], listed["lease_ends_ms"], listed["because"],
                    "team-test")
    assert told[3]
    table = offline("mitigations", "--offline", state).stdout
    assert all(word in table for word in ("M-1", "in-force", "fx", "s1", "team-test", told[3])), table
    assert in_force(offline("mitigations", "--offline", world.dir / "backup", "--json")) == told
    for what in ("doc_key", "doc"):  # the documents are gone: the entries still tell it
        damage(state, what)
        done = offline("mitigations", "--offline", state, "--json")
        assert in_force(done) == told
    assert "damaged" in done.stderr and "all of which could be read" in done.stderr, done


def test_prune_keeps_what_is_young_and_what_a_daemon_owns(world):
    daemon = start(world, set_to(7))
    daemon.post_alert(alert())
    ended(daemon)
    state = world.dir / "state"
    owned = offline("timeline", "prune", "--store", state, "--before", "90d", check=False)
    assert owned.returncode == 6 and "in use by process" in owned.stderr, owned
    daemon.stop()
    young = offline("timeline", "prune", "--store", state, "--before", "1d", check=False)
    assert young.returncode == 3 and "7 days" in young.stderr, young
    assert "pruned 0 entries" in offline("timeline", "prune", "--store", state, "--before", "90d").stdout
    assert offline("timeline", "verify", "--store", state).stdout.startswith("ok")
