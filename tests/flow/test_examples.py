"""The repository's example runbooks have tests: every line of them runs, mutants are noticed, and neither a fault nor a crash at
any moment does harm."""
import json
import subprocess

import pytest
from harness import BUILD, KIND, SOURCE, STANCH

EXAMPLES = ("checkout", "rollback", "flag-kill", "bad-deploy")


def play(example, *args):
    folder = SOURCE / "runbooks" / example
    done = subprocess.run([STANCH, "runbook", "test", folder, "--config", folder / "stanch.lua", "--plugins", BUILD / "plugins",
                           "--json", *args], capture_output=True, text=True, timeout=560)
    report = json.loads(done.stdout)
    assert done.returncode == 0, (done.stderr, [test for test in report["tests"] if not test["ok"]])
    return report


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_line_runs_and_mutants_are_noticed(example):
    report = play(example, "--cover", "--mutate")
    assert len(report["tests"]) >= 5 and report["lines"]
    for path, lines in report["lines"].items():
        missed = [line for line in lines if str(line) not in report["covered"][path]]
        assert not missed, (path, missed)
    caught = [mutant for mutant in report["mutants"] if mutant["caught"]]
    assert len(report["mutants"]) >= 4 and len(caught) >= 0.9 * len(report["mutants"]), report["mutants"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_faults_and_crashes_do_no_harm(example):
    if KIND == "asan":  # a play costs ten times as much there: the story that goes wrong, of each example
        (test,) = play(example, "--faults", "--crash", "--filter", "over already")["tests"]
        assert test["plays"] > 5
        return
    report = play(example, "--faults", "--crash")
    assert sum(test["plays"] for test in report["tests"]) > 200
