"""D1: kill -9 at every journal write and at every word to a plugin and from it, for the four classes of action; then at
random moments under a stream of alerts; both also on a disk that forgets what was not synced."""
import multiprocessing
import os
import random
import re
from collections import Counter
from pathlib import Path

from books import ACTIONS
from campaign import SOURCE, Figure
from crash_life import live_once
from crash_storm import live_storm

NAME = "D1"
TITLE = "Crash at every journal write"
DEFECTS = {
    "ack-before-commit": "a webhook is answered before its events are committed",
    "send-again-on-unknown": "an action of unknown outcome is sent again, though its class does not allow it",
    "send-before-intent": "a call leaves for the plugin before its intent is committed",
    "sync-skipped": "a commit does not wait until its bytes are on the disk",
}

WRONG = "lives that went wrong"  # of which a defect is no sure cause: a planted one counts as noticed by the others
PROMISES = ("acknowledged events lost", "second effects", "duplicates with another key", "effects without intent",
            "intents without end or question", WRONG, "chains that do not verify")
TORN_COMMIT = "journal.torn-commit"  # made by the disk itself: tests/campaign/lost_writes.c
LINGER = ":40"  # before a commit the kill comes late: what waits for the commit may not have left meanwhile


def points_of_the_source():
    found = re.compile(r'stanch_crash_(?:point|torn)\("([^"]+)"')
    return sorted({name for path in Path(SOURCE, "core").rglob("*.c") for name in found.findall(path.read_text())})


def passes_of(context, point, class_number):
    """At which of its passes in a life a point kills. A frame is torn at every third, another third for each class."""
    if context.kind == "asan" and not context.long and point != "journal.before-checkpoint":
        return (3, 9) if point == "wire.torn-send" else (3, 5) if "-commit" in point else (1,)
    if point == "wire.torn-send":
        return range(1 + class_number % 3, context.limit(31, 46), context.limit(3, 1))
    if point == "journal.before-checkpoint":
        return (1,)
    return range(1, context.limit(8, 15) if "-commit" in point else context.limit(4, 7))


def forgetting_disk(build, torn=None):
    """The environment of a daemon whose disk forgets what was not synced."""
    asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1")
    return {"LD_PRELOAD": f"{build}/tests/lost_writes.so", "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0",
            **({"STANCH_TORN": str(torn)} if torn else {})}


def lives(context):
    """(how it dies, action, environment) of every enumerated life."""
    for number, action in enumerate(ACTIONS):
        for point in points_of_the_source():
            for nth in passes_of(context, point, number):
                death = f"{point}:{nth}" + (LINGER if point == "journal.before-commit" else "")
                yield death, action, {}
                if point.startswith("journal."):
                    yield death, action, forgetting_disk(context.build)
        for nth in passes_of(context, TORN_COMMIT, number):
            yield f"{TORN_COMMIT}:{nth}", action, forgetting_disk(context.build, nth)


def storms(context):
    """(seed, kills, environment) of every world: 200 kills in all, in the long form 1,000 on either disk."""
    rng = random.Random(context.seed)
    plain, forgetting = context.limit((1, 1) if context.kind == "asan" else (6, 4), (25, 25))
    for number in range(plain + forgetting):
        yield rng.randrange(1 << 31), context.limit(20, 40), {} if number < plain else forgetting_disk(context.build)


def work(job):
    what, *args = job
    return what, (live_storm if what == "storm" else live_once)(*args)


def run(context):
    jobs = [*(("storm", *storm) for storm in storms(context)), *(("life", *life) for life in lives(context))]
    with multiprocessing.Pool(3) as pool:
        done = []
        for what, one in pool.imap_unordered(work, jobs, chunksize=1):
            done.append((what, one))
            if context.planted and any(promise != WRONG for promise, _ in one.harms):
                break  # noticed: that is all that was asked
    return figures_of(context, [life for what, life in done if what == "life"],
                      [storm for what, storm in done if what == "storm"])


def figures_of(context, killed, stormed):
    points = [*points_of_the_source(), TORN_COMMIT]
    hits = Counter(life.point for life in killed if life.killed)
    cells = {(life.point, life.action) for life in killed if life.killed}
    harms = Counter()
    for one in (*killed, *stormed):
        for promise, seen in one.harms:
            harms[promise] += 1
            if harms[promise] <= 5:
                context.note(f"{promise}: {seen}")
    least, many = min(hits[point] for point in points), len(points) * len(ACTIONS)
    seldom = ", ".join(point for point in points if hits[point] < 3)
    kills = sum(storm.kills for storm in stormed)
    acknowledged = sum(len(storm.acknowledged) for storm in stormed)
    kept = [Figure(promise, harms[promise], "0", harms[promise] == 0) for promise in PROMISES]
    if context.planted:
        return [figure for figure in kept if figure.name != WRONG]  # it stopped at a harm, so it did not come everywhere
    wanted = context.limit(40 if context.kind == "asan" else 200, 2000)
    return [
        Figure("lives killed at a point", sum(hits.values()), f"of {len(killed)}; a life can end before its point", True),
        Figure("times the rarest point was hit", least, f"3, of {len(points)} points" + (f"; not: {seldom}" if seldom else ""),
               least >= 3),
        Figure("points x classes hit", f"{len(cells)}", f"{many}", len(cells) == many),
        Figure("kills at random", kills, f"{wanted} and more, some on a disk that forgets", kills >= wanted),
        Figure("events acknowledged meanwhile", acknowledged, "one in two kills at least", acknowledged >= kills // 2),
        Figure("intents meanwhile", sum(storm.intents for storm in stormed), "as many", True),
        Figure("outcomes that a person had to decide", sum(storm.asked for storm in stormed), "some", True),
        *kept]
