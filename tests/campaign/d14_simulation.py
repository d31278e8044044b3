"""D14: the engine in a simulated world, under random programs, fates, people and deaths, against a model of its own
(tests/unit/run/test_simulation.c, model.h). A failing seed is played again with ever fewer troubles, and printed."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from campaign import Failed, Figure

NAME = "D14"
TITLE = "Simulation"
TARGETS = ["unit_run_test_simulation"]
DEFECTS = {
    "approval-used-twice": "an approval is not gone once it was used",
    "approval-for-another-plan": "the plan made again before an effect is not held against the approved one",
    "send-again-on-unknown": "an unknown outcome of an unprotected action is sent again",
    "send-before-intent": "the call leaves before its intent is committed",
    "reconcile-not-asked": "an unknown outcome counts as one that did not happen",
    "lease-undoes-without-proof": "a lease end undoes without asking for the symptom",
    "timer-fires-twice": "the end of a lease comes twice",
    "stop-ignored": "the stop switch is not looked at before a call leaves",
    "stale-grounds": "nobody asks whether the grounds of a mitigation are still fresh",
    "target-free-after-restart": "after a restart a target is free while a call to it is still out",
    "expired-is-forgotten": "a question that expired is not asked anew",
    "ordered-undo-lost": "an undo that was ordered as an answer is kept in memory only",
    "answers-out-of-order": "a worker is fed the answers in the order of the questions",
}
CHUNK = 250
MAX_TROUBLES = 40


def play(context, **env):
    """Run seeds; returns (how many were played, what was breached or None)."""
    done = subprocess.run([context.build / "tests/unit_run_test_simulation"], capture_output=True, text=True, check=False,
                          env={"PATH": os.environ["PATH"], **{k: str(v) for k, v in env.items()},
                               **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}})
    output = done.stdout + done.stderr
    played = re.search(r"^(\d+) seeds from", output, re.M)
    if done.returncode == 0 and played:
        return int(played.group(1)), None
    breach = re.search(r"STANCH_SEED=(\d+): (.*)", output)
    if breach:
        return 0, (int(breach.group(1)), breach.group(2))
    return 0, (0, output[-1500:])  # a sanitizer, a signal, or the test itself


def shrink(context, seed):
    """The fewest troubles with which a seed still fails."""
    for troubles in range(MAX_TROUBLES):
        _, breach = play(context, STANCH_SEED=seed, STANCH_TROUBLES=troubles)
        if breach:
            return troubles, breach[1]
    return None, None


def run(context):
    wanted = context.limit(2000 if context.kind == "dev" else 400, 200000)
    first = context.seed % 1_000_000_000 if context.long else 1
    starts = range(first, first + wanted, CHUNK)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda start: play(context, STANCH_FROM=start, STANCH_SEEDS=min(
            CHUNK, first + wanted - start)), starts))
    played = sum(count for count, _ in results)
    breaches = [breach for _, breach in results if breach]
    for seed, what in breaches[:5]:
        context.note(f"seed {seed}: {what}" if seed else what)
        troubles, simpler = shrink(context, seed) if seed else (None, None)
        if simpler:
            context.note(f"again with STANCH_SEED={seed} STANCH_TROUBLES={troubles} tests/unit_run_test_simulation: {simpler}")
    if not played and not breaches:
        raise Failed("no seed was played")
    return [Figure("seeds played", played, f"{wanted}, from {first}", played == wanted),
            Figure("breaches of I1 to I8 and of what the model foresees", len(breaches), "0", not breaches)]
