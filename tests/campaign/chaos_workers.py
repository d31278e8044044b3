"""chaos_workers.py: the worker of a run, the runner of all workers, and the book process, each broken in every way while
it is at work (PROMISES.md T12, T16). What they send is sent here, out of their own channel: descriptor 3."""
import os
import random
import signal
import struct
import time

from books import ALWAYS, book, set_to
from chaos_kit import EACH, Pulse, Tally, check_intents, check_no_zombies, children, entries_of, find, grab
from harness import World, alert, wait_for

FRAME = struct.pack("<II", 16, 0)
HUGE = struct.pack("<II", 1 << 31, 1 << 31)


def say(pid, text, then=None):
    with grab(pid) as channel:
        channel.sendall(text)
        if then is not None:
            then(channel)


def close_channel(channel):
    channel.shutdown(2)


def die_after(pid):
    return lambda channel: os.kill(pid, signal.SIGKILL)


def drip(channel):
    for byte in FRAME + b'{"t":"wants"':
        channel.sendall(bytes([byte]))
        time.sleep(0.05)


HARM = {
    "SIGSEGV": lambda pid: os.kill(pid, signal.SIGSEGV),
    "SIGKILL": lambda pid: os.kill(pid, signal.SIGKILL),
    "SIGSTOP": lambda pid: os.kill(pid, signal.SIGSTOP),
    "exit in a frame": lambda pid: say(pid, FRAME + b'{"t":', die_after(pid)),
    "garbage": lambda pid: say(pid, FRAME + b"this is no JSON!"),
    "unknown frame": lambda pid: say(pid, struct.pack("<II", 13, 0) + b'{"t":"mutiny"'[:12] + b"}"),
    "2 GiB": lambda pid: say(pid, HUGE),
    "slow drip": lambda pid: say(pid, b"", drip),
    "closed channel": lambda pid: say(pid, b"", close_channel),
}
BODY = f'''note "begins"
    sleep "900ms"
    {set_to(7, action="set_unprotected", target="t")}
    note "ends"'''


def harm(pid, how):
    try:
        HARM[how](pid)
    except OSError:
        return False  # it ended by itself meanwhile
    return True


def runner_of(daemon):
    return wait_for(lambda: children(daemon.process.pid, "runner"), "the runner")[0]


def judge(tally, daemon, world, run, what):
    doc = daemon.get(f"/v1/runs/{run}")
    entries = entries_of(daemon, doc["incident"])
    tally.hold("runs that went on", doc["state"] == "succeeded", f"{what}: {doc['state']} {doc.get('why')}")
    check_intents(tally, [e for e in entries if e.get("run") == run])
    notes = [e["data"]["text"] for e in find(entries, "step.noted") if e.get("run") == run]
    tally.hold("steps done once", notes == ["begins", "ends"], f"{what}: {notes}")


def attack(tally, daemon, world, how, targets):
    """One run; while it sleeps, its processes are harmed."""
    before = len(world.effects())
    daemon.post_alert(alert(nth=how + str(before)))
    run = wait_for(lambda: daemon.get("/v1/runs")["items"], "the run")[0]["id"]
    noted = lambda: find(entries_of(daemon, daemon.get(f"/v1/runs/{run}")["incident"]), "step.noted", text="begins",
                         step=f"{run}/1")
    wait_for(noted, "its first step")
    harmed = [harm(pid, how) for pid in targets(daemon)]
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] in ("succeeded", "failed", "parked"), f"{run} to end", 90)
    tally.count("ways of breaking a worker, the runner or the book", any(harmed))
    judge(tally, daemon, world, run, how)
    if len(world.effects()) != before + 1:
        tally.harm("second effects", f"{how}: {world.effects()[before:]}")


def workers_of(daemon):
    return children(runner_of(daemon))


def some_ways(long, seed):
    """All of them, or in the short form half of them, by the seed: the runner's back-off is as long as they are many."""
    ways = list(HARM)
    random.Random(seed).shuffle(ways)
    return ways if long else ways[:5]


def break_workers(_long, _seed):
    return break_each(workers_of, list(HARM))


def break_runner(long, seed):
    return break_each(lambda daemon: [runner_of(daemon)], some_ways(long, seed))


def break_each(targets, ways):
    tally, world = Tally(), World()
    try:
        world.repo.commit({"heal.lua": book(BODY, more=EACH)})
        daemon = world.daemon(policy=ALWAYS).start()
        pulse = Pulse(daemon, tally)
        for how in ways:
            world.set_value("t", 0)
            attack(tally, daemon, world, how, targets)
        check_no_zombies(tally, daemon)
        pulse.stop()
        daemon.stop()
    finally:
        world.close()
    return tally
