"""`stanch backtest`: what was recorded, held against another version of the runbooks, beside a daemon that goes on."""
import json
import shutil
import subprocess
from datetime import datetime, timezone

import pytest
from books import ALWAYS, book, set_to
from harness import STANCH, alert, default_config, wait_for

APART = 'limits = { group_within = "0s", at_once = 2 },'
COOL = 'limits = { group_within = "0s", cooldown = "1h" },'
ON = 'alert { alertname = "TestAlert", env = "prod" }'


class Past:
    """A daemon's store, asked about other versions of its runbooks."""

    def __init__(self, daemon):
        self.daemon, self.world = daemon, daemon.world
        self.store = self.world.dir / "state"

    def ask(self, *args, expect=0):
        config = [] if "--config" in args else ["--config", self.daemon.config_path]
        done = subprocess.run([STANCH, "backtest", "--store", self.store, *config, *args], capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *args):
        return json.loads(self.ask("--json", *args).stdout)

    def folder(self, files):
        folder = self.world.dir / "other"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder


def post(daemon, **labels):
    return daemon.post_alert(alert(**labels))["events"][0]["id"]


def committed(daemon, event):
    return wait_for(lambda: daemon.get(f"/v1/events/{event}"), "the event")


def rfc3339(at_ms):
    return datetime.fromtimestamp(at_ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1000:03d}Z"


def row(report, name):
    return next(row for row in report["runbooks"] if row["runbook"] == name)


@pytest.fixture
def lived(world):
    """A daemon that had four alerts of one runbook: three of prod, of which it took each, and one that it did not match."""
    commit = world.repo.commit({"heal.lua": book(set_to(7), on=ON, more=APART)})
    daemon = world.daemon(policy=ALWAYS).start()
    events = [post(daemon, env="prod", n=str(n)) for n in range(3)] + [post(daemon, env="dev", n="9")]
    committed(daemon, events[-1])
    past = Past(daemon)
    past.commit, past.events = commit, events
    return past


def test_the_same_version_tells_no_difference(lived):
    report = lived.json("--commit", lived.commit)
    assert report["events"] == 4 and report["commit"] == lived.commit
    heal = row(report, "heal")
    assert heal["started"] == 3 and heal["then"] == {"started": 3, "joined": 0, "held": 0}
    assert heal["autonomy"]["mode"] == "auto" and heal["cannot_tell"][0]["limit"] == "at_once = 2"
    assert report["would_start"] == report["would_not"] == {"count": 0, "listed": []}
    assert [one["event"] for one in report["fired"]["listed"]] == lived.events[:3]
    assert "at_once = 2 would have held a start if the 2 before it took longer than" in lived.ask("--commit", lived.commit).stdout


def test_a_storm_that_would_have_been_is_told(lived):
    """By the configuration's limits: three starts came within an hour, and the third would have asked first."""
    storm = {"enter": 2, "leave": 1, "within": "1h"}
    config = lived.world.write("storm.lua", default_config(lived.world, policy=ALWAYS, limits={"storm": storm}))
    report = lived.json("--commit", lived.commit, "--config", config)
    assert report["storm"] == {"enter": 2, "within_ms": 3600000, "starts": 1}
    text = lived.ask("--commit", lived.commit, "--config", config).stdout
    assert "1 starts or more would have been a storm (over 2 within 1h) and asked first" in text
    assert lived.json("--commit", lived.commit)["storm"]["starts"] == 0


def test_another_folder_tells_what_would_have_been(lived):
    folder = lived.folder({
        "heal.lua": book(set_to(7), on=ON, more=COOL),
        "dev.lua": book(set_to(7), name="dev", on='alert { alertname = "TestAlert", env = "dev" }'),
        "byhand.lua": book(set_to(7), name="byhand", on="nil")})
    report = lived.json(folder)
    assert row(report, "heal")["started"] == 1 and row(report, "heal")["held"] == {"cooldown": 2}
    assert row(report, "byhand")["by_hand"] is True
    (new,) = report["would_start"]["listed"]
    assert (new["event"], new["runbook"], new["then"]["why"]) == (lived.events[3], "dev", "the runbook was not there")
    held = report["would_not"]["listed"]
    assert [one["event"] for one in held] == lived.events[1:3]
    assert all(one["now"]["by"] == "cooldown" and "its cooldown" in one["now"]["why"] for one in held)
    assert all(one["then"]["outcome"] in ("started", "queued") and one["then"]["run"].startswith("R-") for one in held)
    text = lived.ask(folder).stdout
    assert "Would have started, did not then: 1" in text and "Started then, would not now: 2" in text
    assert "cooldown 2" in text and "by hand only" in text and lived.events[3] in text
    short = lived.ask(folder, "--limit", "1").stdout
    assert "and 1 more" in short and lived.events[2] not in short


def test_a_runbook_that_is_gone_and_parameters_that_are_refused(lived):
    folder = lived.folder({"strict.lua": book(set_to(7), name="strict", on=ON,
                                              more='params = { n = label "n" { one_of = { "1" } } },' + APART)})
    report = lived.json(folder)
    assert report["gone"] == {"heal": {"started": 3, "joined": 0, "held": 0}}
    assert row(report, "strict")["held"] == {"parameter": 2} and row(report, "strict")["started"] == 1
    assert {one["now"]["why"] for one in report["would_not"]["listed"]} == {"the runbook is not in this version"}
    assert "not in this version" in lived.ask(folder).stdout


DEV = book(set_to(7), name="dev", on='alert { alertname = "TestAlert", env = "dev" }', more=APART)


def test_what_was_stopped_then_holds_this_version_too(lived):
    """Everything, until the switch is taken away by hand with the daemon dead; then one runbook, set while it was dead."""
    daemon = lived.daemon
    daemon.cli("stop", "hands off")
    all_stopped = [post(daemon, env="prod", n="4"), post(daemon, env="dev", n="5")]
    daemon.stop()
    (lived.store / "stop").unlink()
    daemon.cli("stop", "--runbook", "heal", "--because", "it is wrong", "--state-dir", lived.store)
    daemon.start()
    one_stopped = [post(daemon, env="prod", n="6"), post(daemon, env="dev", n="7")]
    committed(daemon, one_stopped[-1])
    daemon.cli("resume", "--runbook", "heal", "--because", "it is right")
    committed(daemon, post(daemon, env="prod", n="8"))
    report = lived.json("--commit", lived.commit)
    heal = row(report, "heal")
    assert heal["started"] == 4 and heal["held"] == {"stop": 2} and heal["then"] == {"started": 4, "joined": 0, "held": 2}
    assert report["would_start"] == report["would_not"] == {"count": 0, "listed": []}
    assert "stop 2" in lived.ask("--commit", lived.commit).stdout
    folder = lived.folder({"heal.lua": book(set_to(7), on=ON, more=APART), "dev.lua": DEV})
    report = lived.json(folder)
    assert row(report, "dev")["held"] == {"stop": 1} and row(report, "dev")["matched"] == 3
    assert [one["event"] for one in report["would_start"]["listed"]] == [lived.events[3], one_stopped[1]]
    assert all_stopped[1] not in lived.ask(folder).stdout and report["would_not"]["count"] == 0
    report = lived.json(folder, "--since", rfc3339(committed(daemon, one_stopped[0])["received_ms"]))
    assert row(report, "heal")["held"] == {"stop": 1} and report["events"] == 3


def test_a_start_that_a_stop_would_hold_says_so(lived):
    """The other version calls it by the name that was stopped."""
    daemon = lived.daemon
    daemon.cli("stop", "--runbook", "cure", "--because", "it hurts")
    event = post(daemon, env="prod", n="4")
    committed(daemon, event)
    report = lived.json(lived.folder({"heal.lua": book(set_to(7), name="cure", on=ON, more=APART)}))
    assert row(report, "cure")["held"] == {"stop": 1} and row(report, "cure")["started"] == 3
    assert report["gone"] == {"heal": {"started": 4, "joined": 0, "held": 0}}
    both = lived.json(lived.folder({"heal.lua": book(set_to(7), on=ON, more=APART),
                                    "cure.lua": book(set_to(7), name="cure", on=ON, more=APART)}))
    assert event not in [one["event"] for one in both["would_start"]["listed"]] and both["would_start"]["count"] == 3


def test_a_policy_that_only_suggests_is_told(lived):
    lived.world.write("policy.lua", 'policy { auto = "high", autonomy = "suggest" }\n')
    autonomy = row(lived.json("--commit", lived.commit), "heal")["autonomy"]
    assert autonomy["mode"] == "suggest" and autonomy["asks"] is True and "suggest" in autonomy["why"]


def test_what_came_earlier_only_fills_the_windows(lived):
    doc = lived.daemon.get(f"/v1/events/{lived.events[2]}")
    since = doc["received_ms"]
    folder = lived.folder({"heal.lua": book(set_to(7), on=ON, more=COOL)})
    report = lived.json(folder, "--since", rfc3339(since))
    assert report["events"] < 4 or lived.daemon.get(f"/v1/events/{lived.events[0]}")["received_ms"] == since
    assert row(report, "heal")["started"] == 0  # as if put into use then: the runs before count
    assert lived.json(folder, "--since", "1h")["events"] == 4
    assert lived.json(folder, "--since", "2100-01-01T00:00:00Z")["events"] == 0


def test_a_commit_that_was_used_and_one_that_was_only_cloned(lived):
    daemon, world = lived.daemon, lived.world
    # refused as a commit, so it was never in use; the clone has it
    broken = world.repo.commit({"heal.lua": "this is no Lua"})
    wait_for(lambda: daemon.get("/v1/status")["book"]["state"] == "refused", "the refusal")
    limits = 'limits = { group_within = "0s", at_most = "2/1h" },'
    then = world.repo.commit({"heal.lua": book(set_to(7), on=ON, more=limits)})
    wait_for(lambda: daemon.get("/v1/status")["book"].get("commit") == then, "the commit")
    assert row(lived.json("--commit", then[:12]), "heal")["held"] == {"at_most": 1}
    assert "the runbooks would be refused: heal.lua" in lived.ask("--commit", broken, expect=2).stderr
    daemon.stop()
    assert row(lived.json("--commit", lived.commit), "heal")["started"] == 3
    shutil.rmtree(lived.store / "book.git")
    assert row(lived.json("--commit", then), "heal")["held"] == {"at_most": 1}, "the store has it"


def test_a_commit_of_the_clone_that_came_between(world):
    """Two commits between two looks at the repository: the first was never offered, the clone has it all the same."""
    world.repo.commit({"heal.lua": book(set_to(7), on=ON, more=APART)})
    between = world.repo.commit({"heal.lua": book(set_to(7), on='alert { alertname = "TestAlert" }', more=APART)})
    last = world.repo.commit({"heal.lua": book(set_to(7), on=ON, more=APART)})
    daemon = world.daemon(policy=ALWAYS).start()
    wait_for(lambda: daemon.get("/v1/status")["book"].get("commit") == last, "the commit")
    event = post(daemon, env="dev")
    committed(daemon, event)
    report = Past(daemon).json("--commit", between[:12])
    (new,) = report["would_start"]["listed"]
    assert report["commit"] == between and new["event"] == event
    assert new["then"] == {"outcome": "no match", "why": 'label env is "dev", not "prod"'}


def test_what_is_no_commit_is_said(lived):
    unknown = lived.ask("--commit", "0" * 40, expect=5).stderr
    assert "is not known: the store has no such commit" in unknown and "the clone of the repository has no commit" in unknown
    assert "hex digits" in lived.ask("--commit", "main", expect=2).stderr
    assert "give a folder of runbooks, or --commit" in lived.ask(expect=2).stderr
    assert "--since" in lived.ask("--commit", lived.commit, "--since", "soon", expect=2).stderr
    nothing = lived.world.dir / "nothing"
    nothing.mkdir()
    done = subprocess.run([STANCH, "backtest", nothing, "--store", nothing, "--config", lived.daemon.config_path],
                          capture_output=True, text=True)
    assert done.returncode == 5, done.stderr


def test_without_a_store_the_daemon_says_where_it_is(lived):
    report = lived.daemon.cli_json("backtest", "--commit", lived.commit, "--config", str(lived.daemon.config_path))
    assert report["events"] == 4
