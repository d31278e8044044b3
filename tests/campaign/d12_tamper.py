"""D12: every change of every kind to a timeline of 1,000 entries, by somebody who can write the database and the exported
checkpoints but does not have the store's key: it is found, and its first bad entry named."""
import os
import subprocess

from campaign import Failed, Figure

NAME = "D12"
TITLE = "Tamper"
DEFECTS = {
    "verify-skips-hash": "an entry is not held against its own hash",
    "verify-skips-order": "the order of the store is not held against its links",
    "verify-skips-checkpoint": "the heads of a checkpoint are not looked for",
    "checkpoint-unsigned": "a checkpoint is taken without a good signature",
    "checkpoint-of-any-store": "a checkpoint of another store, or by another key, is taken",
}
TARGETS = ["unit_timeline_test_sweep"]

KINDS = {
    "fields": "every field of every entry changed",
    "deletes": "every entry deleted, with and without closing up",
    "swaps": "every entry swapped with the next and with another",
    "inserts": "entries inserted and doubled, in the middle and at the end",
    "prefixes": "the beginning cut, with and without closing up",
    "tails": "the tail cut with the store's own heads put right, against a checkpoint",
    "middles": "a forged middle with right ends",
    "recomputed": "all hashes computed anew, against a checkpoint",
    "checkpoints": "checkpoints of another store, by another key, altered, unsigned",
}


def read_figures(text):
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.lstrip("-").isdigit():
            found[name] = int(value)
    return found


def run(context):
    stride = 1 if context.kind == "dev" or context.long else 12  # a sanitizer takes its time: every 12th change
    program = context.build / "tests" / "unit_timeline_test_sweep"
    done = subprocess.run([program], capture_output=True, text=True,
                          env={**os.environ, "STANCH_SWEEP": f"{stride}:{context.seed}"})
    for line in done.stderr.splitlines()[:10]:
        context.note(line)
    counted = read_figures(done.stdout)
    if done.returncode != 0 or counted.get("rows", 0) < 1000:
        raise Failed(f"the sweep did not come to its end ({done.returncode}):\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    figures = [Figure("entries", counted["rows"], "at least 1,000", counted["rows"] >= 1000)]
    for kind, what in KINDS.items():
        cases, found, named = (counted[f"{kind}.{part}"] for part in ("cases", "found", "named"))
        figures.append(Figure(f"{kind}: found", f"{found} of {cases}", f"all; {what}", cases > 0 and found == cases))
        if kind not in ("recomputed", "checkpoints"):  # which entry was first, nothing can tell there
            figures.append(Figure(f"{kind}: first bad entry named", f"{named} of {cases}", "all", named == cases))
    rate = counted["rate"]
    return figures + [Figure("verify, entries per second", f"{rate:,}",
                             "at least 50,000 of CPU time" if context.kind == "dev" else "only told: a sanitizer runs",
                             rate >= 50000 or context.kind != "dev")]
