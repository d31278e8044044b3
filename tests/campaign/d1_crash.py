"""D1: kill -9 at every journal write and at every word to a plugin and from it, for the four classes of action."""
import multiprocessing
import re
from collections import Counter
from pathlib import Path

from books import ACTIONS
from campaign import SOURCE, Figure

NAME = "D1"
TITLE = "Crash at every journal write"
DEFECTS = {"ack-before-commit": "a webhook is answered before its events are committed"}

PROMISES = ("acknowledged events lost", "second effects", "duplicates with another key", "effects without intent",
            "runs that went wrong", "chains that do not verify")
COMMITS_OF_A_LIFE = 7


def points_of_the_source():
    return sorted({name for path in Path(SOURCE, "core").rglob("*.c")
                   for name in re.findall(r'stanch_crash_point\("([^"]+)"\)', path.read_text())})


def enumerate_points(context):
    """(point:nth[:linger_ms], action) of every life. A kill before a commit comes late: what waits for it may not have
    left meanwhile."""
    for action in ACTIONS:
        for point in points_of_the_source():
            if point.startswith("journal."):
                last = 3 if point == "journal.before-checkpoint" else context.limit(COMMITS_OF_A_LIFE, 14)
            else:
                last = context.limit(3, 6)
            for nth in range(1, last + 1):
                yield f"{point}:{nth}" + (":40" if point == "journal.before-commit" else ""), action


def live_one(job):
    from crash_life import live_once  # in the worker: it adopts orphans, so each has its own
    point, action = job
    return point, action, live_once(action, point)


def run(context):
    cases = list(enumerate_points(context))
    with multiprocessing.Pool(2) as pool:
        lives = pool.map(live_one, cases, chunksize=4)
    return figures_of(context, lives)


def figures_of(context, lives):
    hits = Counter(point.split(":")[0] for point, _, life in lives if life.killed)
    harms = Counter()
    for _, _, life in lives:
        for promise, seen in life.harms:
            harms[promise] += 1
            context.note(f"{promise}: {seen}")
    never = [f"{name} ({hits[name]})" for name in points_of_the_source() if hits[name] < 3]
    figures = [Figure("lives", len(lives), "each killed once and started again", len(lives) > 0),
               Figure("points hit at least 3 times", f"{len(points_of_the_source()) - len(never)} of {len(points_of_the_source())}",
                      "all that the source has" + (f"; not: {', '.join(never)}" if never else ""), not never)]
    return figures + [Figure(promise, harms[promise], "0", harms[promise] == 0) for promise in PROMISES]
