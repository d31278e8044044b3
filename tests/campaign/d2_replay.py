"""D2: replay. Golden histories under runner processes of their own, changed runbooks and changed programs."""
import os
import re
import subprocess

from campaign import SOURCE, Figure

NAME = "D2"
TITLE = "Replay and determinism"
TARGETS = ["stanch", "unit_script_test_golden", "unit_script_test_replay", "unit_run_test_engine"]
DEFECTS = {
    "pairs-unordered": "pairs goes over a table in the order of its memory",
    "divergence-ignored": "a want that is not what the journal holds is let pass",
}
ENGINE_MUTATIONS = 600  # tests/unit/run/test_engine.c
CODE_MUTATIONS = 500    # tests/unit/script/test_replay.c


def run_test(context, name, **env):
    """(did it pass, what it said)"""
    done = subprocess.run([context.build / "tests" / name], capture_output=True, text=True, check=False,
                          env={**os.environ, "STANCH_SOURCE": str(SOURCE), "STANCH_BIN": str(context.build / "bin/stanch"),
                               **{key: str(value) for key, value in env.items()}})
    output = done.stdout + done.stderr
    for line in re.findall(r"^ERROR: .*|not noticed.*|.*diverged.*", output, re.M)[:5]:
        context.note(f"{name}: {line}")
    return done.returncode == 0, output


def passed(output, test):
    return f"[       OK ] {test}" in output


def run(context):
    times = context.limit(100 if context.kind == "dev" else 10, 400)
    all_replay, said = run_test(context, "unit_script_test_golden", STANCH_REPLAYS=times)
    counted = re.search(r"(\d+) histories, (\d+) replays", said)
    histories, replays = (int(counted.group(1)), int(counted.group(2))) if counted else (0, 0)
    _, code = run_test(context, "unit_script_test_replay")
    _, engine = run_test(context, "unit_run_test_engine")
    cuts = passed(code, "a_cut_run_goes_on_where_it_was")
    in_code = CODE_MUTATIONS if passed(code, "every_mutation_is_noticed") else 0
    in_engine = ENGINE_MUTATIONS if passed(engine, "every_mutation_parks_the_run_before_any_call") else 0
    return [
        Figure("golden histories replayed byte for byte", histories, "all, at least 4", all_replay and histories >= 4),
        Figure("replays, each under runners of its own, cut and taken up", replays, f"{times} of each, 0 divergences",
               all_replay and replays == times * histories),
        Figure("a run cut after every answer goes on", "yes" if cuts else "no", "yes", cuts),
        Figure("changed runbooks noticed", in_code, f"{CODE_MUTATIONS}, before any host call", in_code == CODE_MUTATIONS),
        Figure("changed programs parked by the engine", in_engine, f"{ENGINE_MUTATIONS}, before any call",
               in_engine == ENGINE_MUTATIONS),
    ]
