"""D13: every allocation fails in its turn, whoever asks for it (malloc_faulty.h): in the engine on the real store
(io_sweep.c), in the real daemon and in the commands that work on a store or ask a daemon (faults.so)."""
import json
import multiprocessing
import random
import subprocess
from collections import Counter

from campaign import Failed, Figure

NAME = "D13"
TITLE = "Allocations that fail"
DEFECTS = {"nomem-is-null": "what has no memory gives NULL to whoever asked, instead of ending the process"}

ALWAYS = 100000
NO_MEMORY = 71


def sweep(job):
    """Every `step`th allocation of the engine's scenario."""
    build, count, first, step = job
    done = subprocess.run([build / "tests/io_sweep", "memory", str(count), str(first), str(step)], capture_output=True,
                          text=True)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {"points": 0, "harms": 1, "ended": 0, "said": done.stdout + done.stderr[-1500:]}
    return {**json.loads(lines[-1]), "said": "\n".join(lines[:-1])}


def sweeps(context):
    if not context.long:
        yield context.build, 1, 1 + context.seed % 67, 67
        yield context.build, ALWAYS, 1 + context.seed % 293, 293
        return
    for count in (1, ALWAYS):
        for first in (1, 2):
            yield context.build, count, first, 2


def points(chance, calls, some):
    """Some of the allocations, or all; the first ones and the last ones always."""
    if some is None or calls <= some:
        return range(1, calls + 1)
    return sorted({1, calls, *chance.sample(range(1, calls + 1), some - 2)})


def live(fault):
    from fault_life import live_once
    return live_once(fault)


def lives_of(pool, context, chance, asked, some):
    """asked: "memory", whoever asks for it; "memory-others": those that would go on without (faults.c)."""
    counted = pool.map(live, [f"{asked}:0"])[0]
    if counted.harms or not counted.calls:
        raise Failed(f"without a fault: {counted.harms or 'no allocation was seen'}")
    chosen, lives = points(chance, counted.calls, some), []
    for _ in range(3):  # a life has more or fewer allocations than the last one; of those that had too few, an earlier one is next
        some = pool.map(live, [f"{asked}:{at}:{ALWAYS if at % 5 == 0 else 1}" for at in chosen], chunksize=1)
        lives += some
        chosen = [chance.randint(1, life.calls) for life in some if not life.faulted and life.calls]
    return lives


def daemon_lives(pool, context, chance):
    return (lives_of(pool, context, chance, "memory", context.limit(6, 3000))
            + lives_of(pool, context, chance, "memory-others", context.limit(16, None)))


def command_lives(job):
    """All chosen points of some commands, in a world of their own."""
    from memory_life import Bench
    names, seed, some, counts = job
    chance, done = random.Random(seed), []
    bench = Bench()
    try:
        for name in names:
            clean = bench.once(name, 0)
            if clean.harm or not clean.calls:
                raise Failed(f"{name}: {clean.harm or 'no allocation was seen'}")
            for count in counts:
                done += [bench.once(name, at, count) for at in points(chance, clean.calls, some)]
    finally:
        bench.close()
    return done


def run(context):
    from memory_life import COMMANDS
    chance = random.Random(context.seed)
    names = list(COMMANDS)
    jobs = [(names[i::2], context.seed + i, context.limit(6, None), context.limit((1,), (1, ALWAYS))) for i in range(2)]
    with multiprocessing.Pool(2) as pool:
        swept = pool.map(sweep, sweeps(context), chunksize=1)
        commands = [one for part in pool.map(command_lives, jobs, chunksize=1) for one in part]
        lives = daemon_lives(pool, context, chance)
    return figures_of(context, swept, commands, lives)


def figures_of(context, swept, commands, lives):
    harms = Counter()
    for one in swept:
        harms["engine"] += one["harms"]
        if one["harms"]:
            context.note(f"engine: {one['said'][:2000]}")
    for one in commands:
        if one.harm:
            harms["commands"] += 1
            context.note(f"{one.command}, allocation {one.at}: {one.harm}")
    for life in lives:
        for promise, seen in life.harms:
            harms["daemon"] += 1
            context.note(f"{promise}: {seen}")
    failed = {"engine": sum(one["points"] for one in swept), "commands": sum(one.faulted for one in commands),
              "daemon": sum(life.faulted for life in lives)}
    ended = {"engine": sum(one["ended"] for one in swept), "commands": sum(one.code == NO_MEMORY for one in commands),
             "daemon": sum(NO_MEMORY in life.codes for life in lives)}
    least = {"engine": 150, "commands": 40, "daemon": 15}
    figures = []
    for where, wanted in least.items():
        figures.append(Figure(f"{where}: allocations that failed in their turn", failed[where], f"{wanted} and more",
                              failed[where] >= wanted))
        figures.append(Figure(f"{where}: ended with {NO_MEMORY}", ended[where], "more than 0; else it did without",
                              ended[where] > 0))
        figures.append(Figure(f"{where}: crashes, false words, second effects, damage", harms[where], "0",
                              harms[where] == 0))
    return figures
