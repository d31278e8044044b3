"""D3: every call to the disk fails in its turn, under the engine on the real store (io_sweep.c) and, sampled, under the
real daemon (faults.so). What people see of a full, a locked and a damaged store is in tests/flow/test_store_faults.py."""
import json
import multiprocessing
import random
import subprocess
from collections import Counter

from campaign import Failed, Figure

NAME = "D3"
TITLE = "I/O fault injection"
DEFECTS = {
    "sync-error-ignored": "a commit whose sync failed is told as done",
    "intent-when-full": "an intent is sent although the full disk did not take it",
    "ack-on-failed-commit": "what waits for a commit is told as done although it failed",
    "read-error-is-nothing": "what could not be read is taken for what is not there",
}

ALWAYS = 100000
AGAIN = "again/read-error"  # fault_life.py
VFS = ("write-full", "write-error", "write-torn", "sync-error", "sync-kept", "sync-torn", "read-error", "lock-busy",
       "truncate-error")
FILES = ("file-full", "file-error", "file-short")
HARMS = ("false acks", "second effects", "actions without intent", "runs that went wrong", "wrong answers",
         "stores that do not verify")


# ---- the sweep: all calls of the scenario ----

def sweeps(context):
    """(class, how many calls in a row fail, every how many calls)"""
    if context.kind == "asan" and not context.long:
        yield from ((name, 1, 4) for name in VFS + FILES)  # what it is about there is memory; dev goes through all
        return
    for name in VFS + FILES:
        yield name, 1, 1
        if name in ("sync-error", "read-error", *FILES):
            yield name, ALWAYS, 1
        if name == "lock-busy":
            yield name, 3, context.limit(9, 1)
        if name.startswith("write-"):
            yield name, ALWAYS, context.limit(29, 1)
        if context.long and name not in ("lock-busy", "sync-error", "read-error", *FILES) and not name.startswith("write-"):
            yield name, ALWAYS, 1
        if context.long:
            yield name, 2, 1


def sweep(job):
    build, (name, count, step) = job
    done = subprocess.run([build / "tests/io_sweep", name, str(count), "1", str(step)], capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {"class": name, "points": 0, "harms": 1, "ended": 0, "refused": 0, "said": done.stdout + done.stderr[-1500:]}
    return {**json.loads(lines[-1]), "said": "\n".join(lines[:-1] + done.stderr.splitlines()[-5:])}


# ---- the real daemon: some of them ----

def calls_of(pool):
    """How many calls of each class a life has."""
    names = ("write-full", "sync-error", "read-error", "lock-busy", "file-full", AGAIN)
    counted = pool.map(live, [f"{name}:0" for name in names], chunksize=1)
    for life in counted:
        if life.harms or life.calls == 0:
            raise Failed(f"without a fault: {life.harms or 'no call was seen'}")
    return dict(zip(names, (life.calls for life in counted)))


def daemon_faults(context, calls):
    of = {"sync": calls["sync-error"], "write": calls["write-full"], "read": calls["read-error"],
          "lock": calls["lock-busy"], "file": calls["file-full"]}
    chance = random.Random(context.seed)
    wanted = [("sync-error", 6), ("sync-kept", 3), ("sync-torn", 2), ("write-full", 4), ("write-error", 3),
              ("write-torn", 2), ("read-error", 3), ("lock-busy", 2), ("file-full", 3), ("file-error", 3), ("file-short", 2)]
    for name, some in wanted:
        last = of[name.split("-")[0]]
        some = (some + 1) // 2 if context.kind == "asan" else some
        points = range(1, last + 1) if context.long else sorted(chance.sample(range(1, last + 1), min(some, last)))
        for at in points:
            yield f"{name}:{at}"
            if context.long or (at % 3 == 0 and name != "lock-busy"):
                yield f"{name}:{at}:{60 if name == 'lock-busy' else ALWAYS}"


def reads_again(context, calls):
    """In the second life: on the first reads it decides what the alert is."""
    return [f"{AGAIN}:{at}" for at in range(1, context.limit(min(calls[AGAIN], 5), calls[AGAIN]) + 1)]


def live(fault):
    from fault_life import live_once  # in the worker: it adopts orphans and ends what is left, so each has its own
    return live_once(fault)


def run(context):
    with multiprocessing.Pool(2) as pool:
        swept = pool.map(sweep, [(context.build, one) for one in sweeps(context)], chunksize=1)
        calls = calls_of(pool)
        lives = pool.map(live, [*daemon_faults(context, calls), *reads_again(context, calls)], chunksize=1)
    return sweep_figures(context, swept) + life_figures(context, lives)


def sweep_figures(context, swept):
    for one in swept:
        if one["harms"]:
            context.note(f"{one['class']}: {one['said']}")
    total = Counter()
    for one in swept:
        total.update({key: one[key] for key in ("points", "harms", "ended", "refused")})
    silent = [one["class"] for one in swept if one["points"] == 0]
    return [Figure("calls that failed in their turn", total["points"], "300 and more, of every class",
                   total["points"] >= 300 and not silent),
            Figure("of them: ended with 74, or refused at the start", f"{total['ended']}, {total['refused']}",
                   "more than 0", total["ended"] > 0 and total["refused"] > 0),
            Figure("points with harm", total["harms"], "0", total["harms"] == 0)]


def life_figures(context, lives):
    harms = Counter()
    for life in lives:
        for promise, seen in life.harms:
            harms[promise] += 1
            context.note(f"{promise}: {seen}")
    slowest = max((life.end_ms for life in lives), default=0)
    ended = sum(1 for life in lives if 74 in life.codes)
    faulted = sum(1 for life in lives if life.faulted)
    return [Figure("lives of the daemon with a fault", faulted, f"most of {len(lives)}", faulted * 3 >= len(lives) * 2),
            Figure("ended with 74, and the slowest end after a failed sync", f"{ended}, {slowest:.0f} ms",
                   "more than 0, 1,000 ms at most", ended > 0 and slowest <= 1000),
            Figure("crashes", harms["crashes"], "0", harms["crashes"] == 0)] + \
        [Figure(promise, harms[promise], "0", harms[promise] == 0) for promise in HARMS]
