"""D10: processes that break, clocks that jump, repositories in trouble, stores with two owners, and grounds that went
stale: core lives on, says what is so, and does nothing twice. The scenarios are in chaos_*.py."""
import importlib
import multiprocessing

from campaign import Failed, Figure

NAME = "D10"
TITLE = "Process chaos"
DEFECTS = {
    "orphans-live": "a new core neither ends the hosts of an earlier one nor waits for their lock",
    "epoch-ignored": "a commit does not ask whether another process owns the store now",
    "unknown-as-failed": "a call whose host died or hung is told as failed, not as unknown",
    "deadline-ignored": "a host that hangs past the deadline of a call is left alone",
    "timer-by-wall-clock": "a step of the wall clock moves the timers",
    "stale-grounds": "nobody asks whether the grounds of a mitigation are still fresh",
}
TARGETS = ["stanch", "plugin_plugins_alertmanager", "plugin_plugins-test_effects", "campaign_clock"]

SCENES = ("hosts.break_all", "workers.break_runner", "clock.steps", "workers.break_workers", "git.troubles", "git.break_book",
          "fresh.fresh", "owner.stopped_owner", "owner.orphans", "hosts.crash_loop", "clock.down", "clock.suspend",
          "owner.ex_leader", "git.first_commit")
AT_ONCE = 5  # they wait more than they work

# What the scenarios call their promises, in the order of the table. Each case counts, each harm is a miss.
KEPT = (
    "calls that ended in time", "effects that ended as unknown", "reads that failed as they must", "runs that went on",
    "steps done once", "hosts that came back", "restarts no sooner than their back-off", "disabled after five deaths",
    "disabled is said", "a disabled plugin refuses at once", "others work meanwhile", "enabled again by a person",
    "timers that came when they should", "timers that fired once", "late timers marked", "jumps with an entry",
    "questions that can be answered after a step", "questions never stretched", "limits on the boot clock",
    "chains in order", "troubles said", "age of the runbooks shown", "runs that succeeded on the last good commit",
    "runs on the accepted commit", "a rewritten branch is held and said", "nothing left of what was refused",
    "matches wait for the first commit", "max_age holds for what waited", "second daemons refused, the owner's pid named",
    "late intents of an ex-leader refused for their epoch", "orphans ended before the first reconcile",
    "stale grounds asked about", "grounds that were stale, and said", "fresh grounds act", "resolved: stop",
    "confirmed by a person, it goes on")
NEVER = ("zombies", "duplicate intents", "second effects")
COUNTED = ("ways of breaking a host", "ways of breaking a worker, the runner or the book", "troubles of the repository")


def play(job):
    """One scenario, in a process of its own: it adopts its orphans, and no other's."""
    scene, long, seed = job
    module, function = scene.split(".")
    try:
        return scene, getattr(importlib.import_module(f"chaos_{module}"), function)(long, seed), None
    except AssertionError as error:
        return scene, None, str(error)[-1500:] or "an assertion"


def run(context):
    tally = importlib.import_module("chaos_kit").Tally()
    failed = []
    with multiprocessing.get_context("spawn").Pool(AT_ONCE, maxtasksperchild=1) as pool:
        jobs = [(scene, context.long, context.seed) for scene in SCENES]
        for scene, one, error in pool.imap_unordered(play, jobs, chunksize=1):
            if error:
                failed.append(scene)
                context.note(f"{scene}: {error}")
            else:
                tally.add(one)
    for promise, seen in tally.harms:
        context.note(f"{promise}: {seen}")
    if failed:
        raise Failed(f"{', '.join(failed)} did not come to an end")
    return figures_of(tally)


def figures_of(tally):
    broken = {promise: sum(p == promise for p, _ in tally.harms) for promise, _ in tally.harms}
    unknown = set(broken) - set(KEPT) - set(NEVER) - {"uptime"}
    assert not unknown, f"promises that the table does not know: {unknown}"
    beats = tally.counts["pulses"]
    lived = beats - broken.get("uptime", 0)
    figures = [Figure("core's uptime", f"{100 * lived / max(beats, 1):.2f} %", f"100 % of {beats} pulses",
                      beats > 0 and lived == beats)]
    figures += [Figure(name, tally.counts[name], "each tried", tally.counts[name] > 0) for name in COUNTED]
    figures += [Figure(name, broken.get(name, 0), f"0; {tally.counts['intents']} intents, "
                       f"{tally.counts['processes looked at']} processes", not broken.get(name)) for name in NEVER]
    return figures + [Figure(name, f"{tally.counts[name] - broken.get(name, 0)} of {tally.counts[name]}", "all",
                             tally.counts[name] > 0 and not broken.get(name)) for name in KEPT]
