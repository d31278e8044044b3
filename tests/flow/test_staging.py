"""Staging drills on real HAProxies: one of staging, where the drill really acts, and one of production, where it cannot. Metrics are
answered by the scenario's world."""
import os

import pytest

from books import ASK, AUTO
from harness import lua, wait_for
from servers import Haproxy, Origin
from test_exercise import DIED, GONE, below, in_drill, is_over, items, kill, pending, process_of
from test_holds import DRAINED, drain

DRILL = '''drill "drain for real" {
  summary = "staging's s1 is drained", owner = "team-test", kind = "staging", within = "20m",
  instances = { %s },
  alerts = { { alertname = "TestAlert", lasts = "%s" } },
  world = { ["fx.get"] = 9, ["edge.*"] = function() error("the world is asked about what is real") end },
  good = { outcome = "succeeded", in_force = { "edge.drain" } },
}
'''


@pytest.fixture(scope="session")
def origins():
    with Origin("a") as a, Origin("b") as b, Origin("c") as c:
        yield {name: f"127.0.0.1:{one.port} weight 100" for name, one in (("s1", a), ("s2", b), ("s3", c))}


@pytest.fixture
def production(origins):
    with Haproxy({"shop": origins}) as one:
        yield one


@pytest.fixture
def staging(origins):
    with Haproxy({"shop": origins}) as one:
        yield one


def edge(name, proxy, environment):
    return f'haproxy "{name}" {lua({"socket": proxy.socket, "environment": environment})}'


def house(world, production, staging, instances='edge = "edge-staging"', policy=AUTO, drills=None, more=(), lasts="10m", **env):
    world.repo.commit({"one.lua": drain("one", on='alert { alertname = "TestAlert" }'), "drills/staging.lua": DRILL % (instances, lasts)})
    return world.daemon(policy=policy, instances=[edge("edge", production, "prod"), edge("edge-staging", staging, "staging"), *more],
                        drills={"environments": ["staging"]} if drills is None else drills).start(**env)


def begin(daemon):
    return daemon.post("/v1/drills", {"name": "drain for real", "kind": "staging"})


def test_it_acts_in_staging_and_takes_it_back(world, production, staging):
    daemon = house(world, production, staging, policy=ASK, lasts="15s")
    drill = begin(daemon)
    question = pending(daemon)
    assert len([words for words in below(process_of(daemon)) if "plugin-host" in words]) == 1, "one host, of staging's"
    in_drill(daemon, "approve", question["id"], "--yes", "--plan", question["plan_digest"])
    wait_for(lambda: staging.state("shop", "s1")[0] == DRAINED, "the drain in staging")
    wait_for(lambda: items(daemon, "/v1/runs")[0]["state"] == "succeeded", "the run's end")
    in_drill(daemon, "incident", "resolve", "INC-1", "--reason", "done")
    ended = is_over(daemon, drill)
    report = daemon.get("/v1/drills/D-1/report")
    assert ended["met"] == ended["of"], report
    assert report["in_force"][0]["instance"] == "edge", "as it was at the end"
    assert staging.state("shop", "s1")[0] == 0, "it was taken back"
    assert production.state("shop", "s1")[0] == 0
    assert production.ask("show servers state").count("127.0.0.1") == 3


def test_what_cannot_be_taken_back_is_said(world, production, staging):
    daemon = house(world, production, staging)
    drill = begin(daemon)
    wait_for(lambda: staging.state("shop", "s1")[0] == DRAINED, "the drain in staging")
    staging.kill()
    daemon.cli("drill", "end", "D-1", "--because", "enough")
    ended = is_over(daemon, drill)
    assert ended["left"] == "M-1 (edge.drain)" and "Not taken back in real instances" in daemon.cli("drill", "report", "D-1").stdout


@pytest.mark.parametrize("killed", [False, True])
def test_what_cannot_be_taken_back_is_said_without_a_report_too(world, production, staging, killed):
    """A disk that does not take the report takes nothing else along."""
    daemon = house(world, production, staging)
    kept = world.dir / "state" / "drills" / "kept"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("in the way of the folder")
    drill = begin(daemon)
    wait_for(lambda: [r for r in items(daemon, "/v1/runs") if r["state"] == "succeeded"], "it to know of the drain")
    staging.kill()
    if killed:
        kill(daemon, "its process")
    else:
        daemon.cli("drill", "end", "D-1", "--because", "enough")
    ended = is_over(daemon, drill)
    assert ended["left"] == "M-1 (edge.drain)" and "result" not in ended
    assert "D-1: its report could not be kept: " in daemon.log()


def test_a_stop_ends_it(world, production, staging):
    daemon = house(world, production, staging)
    drill = begin(daemon)
    wait_for(lambda: staging.state("shop", "s1")[0] == DRAINED, "the drain in staging")
    daemon.cli("stop", "--because", "all of it")
    assert is_over(daemon, drill)["why"] == "all automation was stopped"
    assert staging.state("shop", "s1")[0] == 0
    assert daemon.api("POST", "/v1/drills", {"name": "drain for real", "kind": "staging"}).json["code"] == "stopped"


@pytest.mark.parametrize("who", ["its process", "the daemon", "both"])
def test_what_it_did_is_taken_back_also_when_it_was_killed(world, production, staging, who):
    daemon = house(world, production, staging)
    drill = begin(daemon)
    wait_for(lambda: staging.state("shop", "s1")[0] == DRAINED, "the drain in staging")  # which it may not have heard of
    kill(daemon, who)
    ended = is_over(daemon, drill)
    assert ended["why"] == (f"{DIED} it said how it was" if who == "its process" else GONE) and "left" not in ended
    assert staging.state("shop", "s1")[0] == 0 and production.state("shop", "s1")[0] == 0


def test_what_a_killed_one_did_and_cannot_be_taken_back_is_said(world, production, staging):
    daemon = house(world, production, staging)
    drill = begin(daemon)
    wait_for(lambda: [r for r in items(daemon, "/v1/runs") if r["state"] == "succeeded"], "it to know of the drain")
    staging.kill()
    kill(daemon, "its process")
    assert is_over(daemon, drill)["left"] == "M-1 (edge.drain)"
    assert "Still in force there: M-1 (edge.drain)" in daemon.timeline("-")[-1]["text"]


def test_killed_before_it_knew_that_it_had_acted(world, production, staging):
    """At the answer to its order. The next process asks what came of that and takes it back; there it is killed, too, at the answer."""
    daemon = house(world, production, staging, STANCH_CRASH="run.after-call")
    ended = is_over(daemon, begin(daemon))
    assert ended["why"] == f"{DIED} it said how it was; what it left could not be put away: {DIED} it said how it was"
    assert staging.state("shop", "s1")[0] == 0, "it was taken back, although nobody heard of it"
    assert daemon.kill9().start().get("/v1/drills/D-1")["state"] == "ended" and process_of(daemon) is None, "and that is its end"


def test_it_takes_back_when_the_daemon_dies(world, production, staging):
    daemon = house(world, production, staging)
    begin(daemon)
    wait_for(lambda: staging.state("shop", "s1")[0] == DRAINED, "the drain in staging")
    daemon.kill9()
    wait_for(lambda: staging.state("shop", "s1")[0] == 0, "it to be taken back")


@pytest.mark.parametrize("instances, said", [
    ('edge = "edge"', '"edge" is of environment prod: drills may act in ["staging"]'),
    ('edge = "edge-of-nothing"', '"edge-of-nothing" is of no environment: drills may act in ["staging"]'),
    ('edge = "edge-copy"', '"edge-copy" has the settings of "edge", where drills may not act: it is the same thing'),
    ('edge = "fx-staging"', 'instances: "edge" is a haproxy and "fx-staging" a effects: one cannot stand for the other'),
    ('edge = "nobody"', 'instances: there is no "nobody" in the configuration'),
    ("", 'a drill of kind "staging" says which instances stand for which'),
])
def test_production_is_refused(world, production, staging, instances, said):
    """Nothing was begun, and no host of production's was started for it."""
    more = [edge("edge-copy", production, "staging"), f'haproxy "edge-of-nothing" {lua({"socket": staging.socket})}',
            f'effects "fx-staging" {lua({"log": world.dir / "l", "state": world.dir / "s", "behaviour": world.dir / "b", "environment": "staging"})}']
    daemon = house(world, production, staging, instances, more=more)
    refused = daemon.api("POST", "/v1/drills", {"name": "drain for real", "kind": "staging"})
    assert refused.status in (400, 404, 422) and said in refused.json["detail"], refused
    assert production.state("shop", "s1")[0] == staging.state("shop", "s1")[0] == 0


def test_without_a_word_of_the_operator_there_is_none(world, production, staging):
    daemon = house(world, production, staging, drills={})
    refused = daemon.api("POST", "/v1/drills", {"name": "drain for real", "kind": "staging"})
    assert refused.status == 422 and '"edge-staging" is of environment staging: drills may act in []' in refused.json["detail"]


def test_who_may_only_respond_begins_none(world, production, staging):
    world.write("people.lua", f'people {{ person "root" {{ uid = {os.getuid()}, may = "respond" }} }}\n')
    daemon = house(world, production, staging)
    daemon.stop()
    config = daemon.config_path.read_text().replace("stanch {", 'stanch { people = "people.lua",', 1)
    daemon.config_path.write_text(config)
    daemon.start()
    refused = daemon.api("POST", "/v1/drills", {"name": "drain for real", "kind": "staging"})
    assert refused.status == 403 and "of kind staging is for who may approve" in refused.json["detail"]
