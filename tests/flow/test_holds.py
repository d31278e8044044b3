"""What people take by hand, and what they stop: one instance, one runbook, one target; on a real HAProxy."""
import json
import re
import subprocess
import time

import pytest

from books import ASK, AUTO, book, set_to
from harness import STANCH, alert, lua, wait_for
from servers import Haproxy, Origin

DRAINED = 8  # of HAProxy's admin state
S1 = "haproxy:edge/shop/s1"


@pytest.fixture(scope="session")
def origins():
    with Origin("a") as a, Origin("b") as b, Origin("c") as c:
        yield {name: f"127.0.0.1:{one.port} weight 100" for name, one in (("s1", a), ("s2", b), ("s3", c))}


@pytest.fixture
def proxy(origins):
    with Haproxy({"shop": origins}) as one:
        yield one


@pytest.fixture
def far(origins):
    """Another HAProxy, of the instance `west`."""
    with Haproxy({"shop": origins}) as one:
        yield one


def drain(name, instance="edge", action="drain", server="s1", more="", lease="", on=None):
    """A runbook that takes one server out."""
    weight = ", weight = 50" if action == "weight" else ""
    return f'''local {instance}, fx = haproxy "{instance}", effects "fx"
runbook "{name}" {{
  summary = "For tests",
  owner = "team-test",
  {f"on = {on}," if on else ""}
  uses = {{ {instance}.{action}, fx.get }},
  {more}
  symptom = symptom {{ ask = fx.get {{ target = "errors" }}, bad = "> 5", good = "< 1",
                      settle = "0s", hold = "0s", within = "2s", every = "100ms" }},
  run = function()
    {instance}.{action} {{ backend = "shop", server = "{server}"{weight}{lease}, because = "errors come from it" }}
  end,
}}
'''


def begin(world, books, proxies, policy=AUTO):
    """A daemon with these runbooks, and an instance for each HAProxy."""
    world.repo.commit({f"{name}.lua": text for name, text in books.items()})
    instances = [f'haproxy "{name}" {lua({"socket": one.socket, "environment": "test"})}' for name, one in proxies.items()]
    return world.daemon(policy=policy, instances=instances).start()


def run(daemon, runbook):
    return daemon.post("/v1/runs", {"runbook": runbook})["id"]


def ended(daemon, run_id):
    return wait_for(lambda: (doc := daemon.get(f"/v1/runs/{run_id}"))["state"] in ("succeeded", "failed", "cancelled") and doc,
                    f"{run_id} to end")


def question(daemon, **like):
    """The one open question with these members."""
    def look():
        found = [q for q in daemon.get("/v1/approvals")["items"] if all(q.get(k) == v for k, v in like.items())]
        assert len(found) < 2, found
        return found and found[0]
    return wait_for(look, f"a question {like}")


def approve(daemon, asked):
    return daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": "approve", "plan": asked["plan_digest"]})


def said(daemon, kind):
    """The texts of all entries of this kind that belong to no incident."""
    return [entry["text"] for entry in daemon.timeline("-") if entry["kind"] == kind]


def stops(daemon):
    return [(s["level"], s.get("name"), s["reason"]) for s in daemon.get("/v1/status")["stops"]]


def holds(daemon, more=""):
    return [(h["id"], h["state"], h["target"], h["reason"]) for h in daemon.get(f"/v1/holds{more}")["items"]]


# ---- what people hold by hand ----


def test_what_is_held_asks_and_what_is_not_goes_on(world, proxy):
    daemon = begin(world, {"one": drain("one"), "two": drain("two", server="s2")}, {"edge": proxy})
    told = daemon.cli("hold", S1, "--for", "20m", "--because", "I move its disk").stdout
    assert told.startswith("H-1: ") and f"holds {S1} until 2" in told and told.endswith("fencing number 1\n")
    table = daemon.cli("holds").stdout
    assert S1 in table and "I move its disk" in table
    assert daemon.cli_json("holds")[0]["fence"] == 1
    held = run(daemon, "one")
    asked = question(daemon, run=held)
    holder = daemon.get("/v1/holds/H-1")["holder"]
    assert f"{S1} is held by {holder} until 2" in asked["why"] and asked["why"].endswith(": I move its disk")
    assert asked["against"] == ["H-1"]
    assert ended(daemon, run(daemon, "two"))["state"] == "succeeded"
    assert (proxy.state("shop", "s1")[0], proxy.state("shop", "s2")[0]) == (0, DRAINED)
    assert daemon.get("/v1/status")["holds"] == 1 and "held by hand" in daemon.cli("status").stdout
    daemon.kill9()
    daemon.start()
    assert holds(daemon) == [("H-1", "held", S1, "I move its disk")]
    # one approval can be used although the hold stands
    assert approve(daemon, question(daemon, run=held)).status == 200
    assert ended(daemon, held)["state"] == "succeeded" and proxy.state("shop", "s1")[0] == DRAINED
    assert [a["state"] for a in daemon.get("/v1/approvals?open=all")["items"]] == ["consumed"]
    # a person's undo passes
    mitigation = next(m["id"] for m in daemon.get("/v1/mitigations")["items"] if m["targets"] == [S1])
    daemon.cli("undo", mitigation)
    assert proxy.state("shop", "s1")[0] == 0
    daemon.cli("release", S1, "--because", "done")
    assert holds(daemon) == [] and holds(daemon, "?open=all") == [("H-1", "released", S1, "I move its disk")]
    assert said(daemon, "hold.released") == [f"{holder} released {S1}: done"]
    assert ended(daemon, run(daemon, "one"))["state"] == "succeeded" and proxy.state("shop", "s1")[0] == DRAINED
    daemon.cli("hold", S1)
    assert [h["fence"] for h in daemon.get("/v1/holds")["items"]] == [2]


def as_nobody(daemon, *args):
    """The command line as another user of the machine, who was let in."""
    for path in (*daemon.socket.parents, daemon.socket):
        if path.is_relative_to(daemon.world.dir):
            path.chmod(0o777)
    return subprocess.run([STANCH, "--socket", daemon.socket, *args], capture_output=True, text=True, user=65534, group=65534,
                          extra_groups=[], env=daemon.env, cwd="/")


def test_a_second_holder_is_refused_and_is_told_who_holds_it(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    daemon.cli("hold", S1, "--for", "30m", "--because", "mine")
    holder = daemon.get("/v1/holds/H-1")["holder"]
    refused = as_nobody(daemon, "hold", S1, "--because", "no, mine")
    assert refused.returncode == 6 and f"{S1} is held by {holder} until 2" in refused.stderr and "mine" in refused.stderr
    refused = as_nobody(daemon, "release", S1)
    assert refused.returncode == 6 and f"--of {holder}" in refused.stderr
    first = daemon.get("/v1/holds/H-1")
    daemon.cli("hold", S1, "--for", "2h")  # the same one extends it
    second = daemon.get("/v1/holds/H-1")
    assert second["ends_ms"] > first["ends_ms"] and second["reason"] == "mine"
    assert daemon.cli("hold", S1, "--for", "25h", check=False).returncode == 2
    released = as_nobody(daemon, "release", S1, "--of", holder)
    assert released.returncode == 0, released
    assert said(daemon, "hold.released")[0].endswith(f" released {S1}, which {holder} held")
    assert as_nobody(daemon, "hold", S1, "--because", "now mine").returncode == 0
    assert daemon.get("/v1/holds")["items"][0]["holder"] != holder
    assert daemon.cli("release", "haproxy:edge/shop/s9", check=False).returncode == 5


def test_a_hold_ends_also_while_the_daemon_is_down(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    daemon.cli("hold", S1, "--for", "1s", "--because", "a moment")
    wait_for(lambda: said(daemon, "hold.expired"), "its end")
    held = daemon.cli_json("hold", S1, "--for", "5s", "--because", "a moment")
    daemon.kill9()
    wait_for(lambda: time.time() * 1000 > held["ends_ms"], "the end of it")
    daemon.start()
    wait_for(lambda: len(said(daemon, "hold.expired")) == 2, "its end")
    assert said(daemon, "hold.expired") == [f"The hold of {S1} by {held['holder']} has ended",
                                            f"The hold of {S1} by {held['holder']} has ended while stanch was down"]
    assert holds(daemon) == []
    assert ended(daemon, run(daemon, "one"))["state"] == "succeeded" and proxy.state("shop", "s1")[0] == DRAINED


def test_a_lease_end_on_what_is_held_asks(world, proxy):
    daemon = begin(world, {"one": drain("one", lease=', lease = "1s"')}, {"edge": proxy})
    daemon.cli("hold", S1, "--because", "I look at it")
    begun = run(daemon, "one")
    assert approve(daemon, question(daemon, run=begun)).status == 200
    ended(daemon, begun)
    asked = question(daemon, about="keep")
    assert f"{S1} is held by" in asked["because"] and "I look at it" in asked["because"]
    assert proxy.state("shop", "s1")[0] == DRAINED
    assert daemon.api("POST", f"/v1/approvals/{asked['id']}", {"decision": "undo"}).status == 200
    wait_for(lambda: proxy.state("shop", "s1")[0] == 0, "the server to serve again")


# ---- two runs, one server ----


def test_two_runbooks_fight_over_one_server_and_a_person_decides(world, proxy):
    daemon = begin(world, {"one": drain("one"), "two": drain("two", action="weight"), "three": drain("three", server="s2")},
                   {"edge": proxy})
    ended(daemon, run(daemon, "one"))
    second = run(daemon, "two")
    asked = question(daemon, run=second)
    assert f"M-1 (edge.drain) of run R-1, INC-1, is in force on {S1}" in asked["why"] and asked["against"] == ["M-1"]
    assert proxy.state("shop", "s1") == (DRAINED, 100)
    assert ended(daemon, run(daemon, "three"))["state"] == "succeeded"  # another server
    daemon.kill9()
    daemon.start()
    assert approve(daemon, question(daemon, run=second)).status == 200
    assert ended(daemon, second)["state"] == "succeeded" and proxy.state("shop", "s1") == (DRAINED, 50)
    mine = {tuple(m["targets"]): m["id"] for m in daemon.get("/v1/mitigations")["items"] if m["run"] == second}
    daemon.cli("undo", mine[S1,])
    daemon.cli("undo", "M-1")
    assert ended(daemon, run(daemon, "two"))["state"] == "succeeded"  # nothing is in force there any more
    assert proxy.state("shop", "s1") == (0, 50)


def test_a_ladder_does_not_fight_with_itself_and_a_policy_may_allow_it(world, proxy):
    both = drain("both").replace("uses = { edge.drain,", "uses = { edge.drain, edge.weight,").replace(
        "run = function()", 'run = function()\n    edge.weight { backend = "shop", server = "s1", weight = 10, because = "x" }')
    daemon = begin(world, {"both": both, "two": drain("two", action="weight")}, {"edge": proxy},
                   policy='policy { auto = "high", conflicts = "allow" }\n')
    assert ended(daemon, run(daemon, "both"))["state"] == "succeeded" and proxy.state("shop", "s1") == (DRAINED, 10)
    assert ended(daemon, run(daemon, "two"))["state"] == "succeeded" and proxy.state("shop", "s1") == (DRAINED, 50)
    assert daemon.get("/v1/approvals?open=all")["items"] == []


# ---- stop has levels ----


def test_stop_of_one_instance_leaves_another_acting(world, proxy, far):
    daemon = begin(world, {"east": drain("east"), "west": drain("west", "west")}, {"edge": proxy, "west": far})
    told = daemon.cli("stop", "--instance", "edge", "--because", "it is being moved").stdout
    assert "stopped" in told and "instance edge" in told and "it is being moved" in told
    assert ended(daemon, run(daemon, "west"))["state"] == "succeeded"
    held = run(daemon, "east")
    asked = question(daemon, run=held)
    assert "instance edge is stopped by" in asked["why"] and "it is being moved" in asked["why"]
    refused = approve(daemon, asked)
    assert refused.status == 409 and refused.json["code"] == "stopped"
    assert far.state("shop", "s1")[0] == DRAINED and proxy.state("shop", "s1")[0] == 0
    assert 'stanch_stop_set{level="instance",name="edge"} 1' in daemon.api("GET", "/metrics").text
    daemon.stop()
    daemon.start()
    assert stops(daemon) == [("instance", "edge", "it is being moved")] and daemon.get("/v1/status")["stopped"] is None
    assert daemon.cli("resume", "--instance", "west", check=False).returncode == 5
    daemon.cli("resume", "--instance", "edge", "--because", "moved")
    assert stops(daemon) == []
    assert approve(daemon, question(daemon, run=held)).status == 200
    assert ended(daemon, held)["state"] == "succeeded" and proxy.state("shop", "s1")[0] == DRAINED
    assert any(text.startswith("All automation of instance edge is stopped by ") and text.endswith(": it is being moved")
               for text in said(daemon, "stop.engaged"))
    assert said(daemon, "stop.released") == ["The stop of instance edge is released, automation goes on: moved"]


def test_runs_of_a_stopped_runbook_are_held_and_start_nothing_at_resume(world, proxy):
    on = 'alert { alertname = "TestAlert" }'
    daemon = begin(world, {"one": drain("one", on=on), "two": drain("two", server="s2", on=on)}, {"edge": proxy})
    daemon.post("/v1/stop", {"level": "runbook", "name": "one", "reason": "it is wrong"})
    daemon.post_alert(alert())
    runs = wait_for(lambda: {r["runbook"]: r for r in daemon.get("/v1/runs?open=all")["items"]
                             if r["state"] in ("held", "succeeded")}, "both")
    wait_for(lambda: daemon.get("/v1/mitigations")["items"], "the other one's mitigation")
    runs = {r["runbook"]: r for r in daemon.get("/v1/runs?open=all")["items"]}
    assert runs["one"]["state"] == "held" and "runbook one is stopped by" in runs["one"]["why"]
    by_hand = daemon.api("POST", "/v1/runs", {"runbook": "one"})
    assert by_hand.status == 409 and by_hand.json["code"] == "stopped"
    daemon.cli("resume", "--runbook", "one")
    ended(daemon, runs["two"]["id"])
    assert [m["targets"] for m in daemon.get("/v1/mitigations")["items"]] == [["haproxy:edge/shop/s2"]]
    assert daemon.get(f"/v1/runs/{runs['one']['id']}")["state"] == "held"
    assert ended(daemon, run(daemon, "one"))["state"] == "succeeded"


def test_what_waits_for_its_turn_waits_on_while_its_runbook_is_stopped(world):
    world.repo.commit({"heal.lua": book('wait_for { ask = fx.get, args = { target = "gate" }, becomes = "> 0", every = "50ms", '
                                        'within = "1m" }', more="limits = { at_once = 1, group_within = \"0s\" },")})
    daemon = world.daemon(policy=AUTO, incidents={"correlate": ["host"]}).start()
    daemon.post_alert(alert(host="a"))
    daemon.post_alert(alert(host="b"))
    assert [daemon.get(f"/v1/runs/R-{n}")["state"] for n in (1, 2)] == ["running", "queued"]
    daemon.post("/v1/stop", {"level": "runbook", "name": "heal", "reason": "it is wrong"})
    world.set_value("gate", 1)
    ended(daemon, "R-1")
    assert daemon.get("/v1/runs/R-2")["state"] == "queued"
    daemon.post("/v1/resume", {"level": "runbook", "name": "heal"})
    ended(daemon, "R-2")
    released, = [e["seq"] for e in daemon.timeline("-") if e["kind"] == "stop.released"]
    started, = [e["seq"] for e in daemon.timeline("INC-2") if e["kind"] == "run.started"]
    assert started > released


def test_a_file_made_by_hand_stops_a_target_and_a_person_undoes_it(world, proxy):
    daemon = begin(world, {"one": drain("one"), "two": drain("two", action="weight")}, {"edge": proxy})
    ended(daemon, run(daemon, "one"))
    folder = world.dir / "state" / "stops"
    (folder / "target:haproxy:edge%2Fshop%2Fs1").touch()
    assert daemon.post("/v1/mitigations/M-1/undo", {"reason": "by hand"})["state"] == "undone"
    assert proxy.state("shop", "s1")[0] == 0
    second = run(daemon, "two")
    assert f"target {S1} is stopped by unknown: the file was made by hand" in question(daemon, run=second)["why"]
    wait_for(lambda: said(daemon, "stop.engaged"), "the entry")
    assert stops(daemon) == [("target", S1, "the file was made by hand")]
    (folder / "target:haproxy:edge%2Fshop%2Fs1").unlink()
    wait_for(lambda: said(daemon, "stop.released"), "the entry")
    assert said(daemon, "stop.released") == [
        f"The stop of target {S1} is released, automation goes on: the file was removed by hand"]
    assert [e["data"]["file"] for e in daemon.timeline("-") if e["kind"].startswith("stop.")] == [
        "target:haproxy:edge%2Fshop%2Fs1"] * 2
    assert approve(daemon, question(daemon, run=second)).status == 200
    ended(daemon, second)
    assert proxy.state("shop", "s1") == (0, 50)


def test_a_file_that_is_not_understood_stops_everything_and_is_named(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    folder = world.dir / "state" / "stops"
    (folder / "instnace:fx").touch()
    assert daemon.api("POST", "/v1/runs", {"runbook": "heal"}).json["code"] == "stopped"
    only, = daemon.get("/v1/status")["stops"]
    assert only["level"] == "all" and only["file"] == "instnace:fx" and "remove the file" in only["reason"]
    assert "everything" in daemon.cli("status").stdout
    (folder / "instnace:fx").unlink()
    ended(daemon, run(daemon, "heal"))
    assert len(world.effects()) == 1


def test_a_stop_ends_by_itself(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    daemon.cli("stop", "--target", S1, "--for", "1s", "--because", "a moment")
    wait_for(lambda: said(daemon, "stop.released"), "its end")
    assert said(daemon, "stop.released") == [f"The stop of target {S1} is released, automation goes on: its time is over"]
    assert " until 2" in said(daemon, "stop.engaged")[0]
    assert stops(daemon) == []
    wait_for(lambda: not list((world.dir / "state" / "stops").iterdir()), "the file to be removed")
    assert ended(daemon, run(daemon, "one"))["state"] == "succeeded"
    # everything is not stopped for a while
    assert daemon.cli("stop", "--for", "1s", check=False).returncode == 2
    assert daemon.api("POST", "/v1/stop", {"reason": "x", "for_ms": 1000}).status == 400
    assert daemon.api("POST", "/v1/stop", {"reason": "x", "level": "planet", "name": "earth"}).status == 400
    assert daemon.api("POST", "/v1/stop", {"reason": "x", "level": "instance"}).status == 400
    assert daemon.get("/v1/status")["stopped"] is None and stops(daemon) == []


def test_a_level_is_stopped_with_the_daemon_dead_and_its_end_is_said_late(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    daemon.stop()
    state = world.dir / "state"
    told = daemon.cli("stop", "--instance", "edge", "--for", "1s", "--because", "by hand", "--state-dir", state)
    assert "set by hand" in told.stdout
    daemon.cli("stop", "--runbook", "one", "--because", "by hand", "--state-dir", state)
    until_ms = json.loads((state / "stops" / "instance:edge").read_text())["until_ms"]
    wait_for(lambda: time.time() * 1000 > until_ms, "the end of it")
    daemon.start()
    assert stops(daemon) == [("runbook", "one", "by hand")]
    wait_for(lambda: said(daemon, "stop.released"), "the end to be said")
    assert said(daemon, "stop.released") == [
        "The stop of instance edge is released, automation goes on: its time was over while stanch was down"]
    assert daemon.api("POST", "/v1/runs", {"runbook": "one"}).json["code"] == "stopped"


def test_a_level_is_released_with_the_daemon_dead_and_that_is_said(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    state = world.dir / "state"
    daemon.cli("stop", "--instance", "edge", "--because", "a release")
    daemon.cli("stop", "--runbook", "one", "--because", "it hurts")
    daemon.kill9()
    (state / "stops" / "target:x").touch()
    told = daemon.cli("resume", "--instance", "edge", "--because", "it is over", "--state-dir", state)
    assert "released by hand" in told.stdout
    daemon.cli("resume", "--target", "x", "--state-dir", state)
    for words, code, says in ((("--instance", "edge"), 5, "no stop of this instance"), (("--instance", "other"), 5, "no stop"),
                              ((), 7, "no daemon answers")):
        again = daemon.cli("resume", *words, "--state-dir", state, check=False)
        assert again.returncode == code and says in again.stderr, (words, again)
    nowhere = daemon.cli("resume", "--instance", "edge", "--state-dir", world.dir / "nowhere", check=False)
    assert nowhere.returncode == 5 and "nowhere" in nowhere.stderr
    daemon.start()
    assert stops(daemon) == [("runbook", "one", "it hurts")]
    wait_for(lambda: len(said(daemon, "stop.released")) == 2, "both releases to be said")
    releases = said(daemon, "stop.released")
    assert any(re.fullmatch(r"The stop of instance edge is released, automation goes on: by person:\S+, by hand while stanch did not "
                            r"answer: it is over", text) for text in releases), releases
    assert any(text.startswith("The stop of target x is released") for text in releases), releases
    wait_for(lambda: [path.name for path in (state / "stops").iterdir()] == ["runbook:one"], "the files to go")
    daemon.cli("resume", "--runbook", "one")
    daemon.cli("stop", "--instance", "edge", "--because", "again")
    assert stops(daemon) == [("instance", "edge", "again")]


def test_a_stop_that_was_released_by_hand_is_set_again_by_hand(world, proxy):
    daemon = begin(world, {"one": drain("one")}, {"edge": proxy})
    daemon.stop()
    state = world.dir / "state"
    for verb, why in (("stop", "first"), ("resume", "no"), ("stop", "second")):
        daemon.cli(verb, "--instance", "edge", "--because", why, "--state-dir", state)
    daemon.start()
    assert stops(daemon) == [("instance", "edge", "second")]
    asked = json.loads((state / "stops" / "instance:edge").read_text())
    assert "released_by" not in asked and "until_ms" not in asked


def test_a_stop_that_comes_during_an_apply(world):
    """What has left is waited for and recorded; the next one of the run asks."""
    world.repo.commit({"heal.lua": book(set_to(7) + "; " + set_to(8, target="s2"))})
    daemon = world.daemon(policy=AUTO).start()
    world.behave("apply:slow 1000 once")
    begun = run(daemon, "heal")
    wait_for(lambda: "action.sent" in daemon.kinds("INC-1"), "the first to be sent")
    daemon.post("/v1/stop", {"level": "instance", "name": "fx", "reason": "enough"})
    asked = question(daemon, run=begun)
    assert [(e["op"], e["target"]) for e in world.effects()] == [("apply", "s1")]
    assert [m["state"] for m in daemon.get("/v1/mitigations")["items"]] == ["in-force"]
    assert "instance fx is stopped" in asked["why"]
    daemon.post("/v1/resume", {"level": "instance", "name": "fx"})
    assert approve(daemon, asked).status == 200
    assert ended(daemon, begun)["state"] == "succeeded" and len(world.effects()) == 2
