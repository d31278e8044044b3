"""chaos_owner.py: who owns the store: a second daemon, an owner that is stopped and goes on, an owner whose locks were
taken away, and hosts that outlive their core (PROMISES.md 1.13, T31)."""
import os
import random
import signal
import subprocess
import time

from books import ALWAYS, ASK, book, set_to
from chaos_kit import EACH, Tally, check_intents, check_no_zombies, children, entries_of, find, words_of
from harness import KIND, STANCH, World, alert, default_config, free_port, wait_for


def sent(daemon):
    return find(entries_of(daemon, "INC-1"), "action.sent")


def second_is_refused(tally, daemon):
    second = subprocess.run([STANCH, "serve", "--config", daemon.config_path], capture_output=True, text=True, timeout=120)
    tally.hold("second daemons refused, the owner's pid named",
               second.returncode not in (0, -11) and str(daemon.process.pid) in second.stderr, second.stderr)


def stopped_owner(long, _seed):
    """SIGSTOP in the middle of an effect; a second one tries; SIGCONT."""
    tally, world = Tally(), World()
    try:
        world.repo.commit({"heal.lua": book(f'note "begins"; {set_to(7, action="set_unprotected")}; note "ends"', more=EACH)})
        daemon = world.daemon(policy=ALWAYS).start()
        second_is_refused(tally, daemon)
        for nth, pause in enumerate((60, 6, 2) if long else (6, 1)):
            world.set_value("s1", 0)
            world.behave("apply:slow 1500 once")
            before = len(world.effects())
            daemon.post_alert(alert(nth=str(nth)))
            wait_for(lambda n=nth: len(sent(daemon)) > n, "the intent")
            os.kill(daemon.process.pid, signal.SIGSTOP)
            began = time.monotonic()
            second_is_refused(tally, daemon)
            time.sleep(max(0.0, pause - (time.monotonic() - began)))
            os.kill(daemon.process.pid, signal.SIGCONT)
            run = wait_for(lambda n=nth: (runs := daemon.get("/v1/runs")["items"])[0]["state"] != "running" and runs[0],
                           "its end")
            tally.hold("runs that went on", run["state"] == "succeeded", f"stopped for {pause} s: {run}")
            if len(world.effects()) != before + 1:
                tally.harm("second effects", world.effects()[before:])
        check_intents(tally, entries_of(daemon, "INC-1"))
        check_no_zombies(tally, daemon)
        daemon.stop()
    finally:
        world.close()
    return tally


# An owner that lost the store: its locks were removed by hand, and another one began.

def another_daemon(world):
    """A second daemon on the same state directory, with doors of its own."""
    first = world.daemons[0].config_path.read_text()
    world.port = free_port()
    other = world.daemon(default_config(world, policy=ASK))
    other.config_path = world.write("other.lua", other.config_path.read_text().replace("control.sock", "other.sock"))
    other.socket = world.dir / "run/other.sock"
    other.log_path = world.dir / "other.log"
    world.daemons[0].config_path.write_text(first)
    return other


def ex_leader(long, _seed):
    tally = Tally()
    for _ in range(6 if long else 2):
        world = World()
        try:
            lose_the_store(tally, world)
        finally:
            world.close()
    return tally


def lose_the_store(tally, world):
    world.repo.commit({"heal.lua": book(set_to(7, action="set_unprotected"))})
    leader = world.daemon(policy=ASK).start()
    leader.post_alert(alert())
    question = wait_for(lambda: leader.get("/v1/approvals")["items"], "a question")[0]
    os.kill(leader.process.pid, signal.SIGSTOP)
    for lock in ("stanch.lock", "hosts.lock"):
        (world.dir / "state" / lock).unlink()
    follower = another_daemon(world).start()
    os.kill(leader.process.pid, signal.SIGCONT)
    try:
        leader.api("POST", f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
    except OSError:
        pass  # it ended before it could answer
    code = leader.wait_end()
    tally.hold("late intents of an ex-leader refused for their epoch",
               code == 74 and "another process owns the store now (epoch" in leader.log(), f"{code} {leader.log()[-600:]}")
    if world.effects():
        tally.harm("second effects", f"of an ex-leader: {world.effects()}")
    follower.post(f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
    wait_for(lambda: follower.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
    if len(world.effects()) != 1:
        tally.harm("second effects", world.effects())
    check_intents(tally, entries_of(follower, "INC-1"))
    follower.stop()
    verified = follower.cli("timeline", "verify", "--store", world.dir / "state", check=False)
    tally.hold("chains in order", verified.returncode == 0, verified.stdout + verified.stderr)


# Hosts that outlive their core.

def orphans(long, seed):
    tally = Tally()
    ways = [(action, what, stopped) for action in ("set_unprotected", "set_reconcilable")
            for what in ("outlive", "outlive-child") for stopped in (False, True)
            if what == "outlive" or KIND == "asan"]  # but for the sanitizer's sake no host may fork
    if not long:
        random.Random(seed).shuffle(ways)
    for action, what, stopped in ways:
        world = World()
        try:
            orphan(tally, world, action, what, stopped)
        finally:
            world.close()
    return tally


def host_of(daemon, name="fx"):
    return [pid for pid in children(daemon.process.pid, "plugin-host") if name in words_of(pid)][0]


def orphan(tally, world, action, what, stopped):
    """Core dies while a host, or a child of one, holds an effect back; a new core begins; then the effect would come."""
    name = f"{action} {what}{' stopped' if stopped else ''}"
    world.repo.commit({"heal.lua": book(set_to(7, action=action))})
    daemon = world.daemon(policy=ALWAYS).start()
    host = host_of(daemon)
    world.behave(f"{action}.apply:{what} once")
    daemon.post_alert(alert())
    wait_for(lambda: sent(daemon), "the intent")
    wait_for((world.dir / "behaviour.txt.ready").exists, "it to be ready to outlive")
    held = children(host) if what == "outlive-child" else [host]
    daemon.kill9()
    for pid in held if stopped else []:
        send(pid, signal.SIGSTOP)
    daemon.start()
    outcome = wait_for(lambda: [e for e in entries_of(daemon, "INC-1")
                                if e["kind"] in ("step.unknown", "run.succeeded")], "the new core's judgement")
    (world.dir / "behaviour.txt.go").write_text("")
    for pid in held if stopped else []:
        send(pid, signal.SIGCONT)
    time.sleep(0.3)  # what may not happen has had its time: it looks for the file every 20 ms
    effects = world.effects()
    expected = 0 if outcome[0]["kind"] == "step.unknown" else 1
    tally.hold("orphans ended before the first reconcile", len(effects) == expected, f"{name}: {effects}")
    tally.hold("orphans ended before the first reconcile", not any(alive(pid) for pid in held), f"{name}: it lives")
    check_intents(tally, entries_of(daemon, "INC-1"))
    for question in daemon.get("/v1/approvals")["items"]:
        daemon.post(f"/v1/approvals/{question['id']}", {"decision": "did-not"})
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] in ("failed", "succeeded"), "the run to end")
    check_no_zombies(tally, daemon)
    daemon.stop()


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # on a slow machine the first core has ended it, at the deadline of its call


def alive(pid):
    """Neither gone nor only waiting for us to be told of its end."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return os.path.exists(f"/proc/{pid}") and "Z" != open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]

