"""core/PROMISES.md: every promise has its proof, and every file and test that it names exists."""
import os
import re
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))
PAGE = ROOT / "core/PROMISES.md"
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


def missing(text, folder):
    """What the text links and names in vain: files, and after `Proof:` the names behind each file."""
    found = [target for target in LINK.findall(text) if not (folder / target).exists()]
    for proof in re.findall(r"^Proof: (.*?)\n\s*$", text + "\n\n", re.M | re.S):
        pieces = LINK.split(proof)
        for target, named in zip(pieces[1::2], pieces[2::2]):
            if not (folder / target).is_file():
                continue
            inside = (folder / target).read_text()
            found += [f"{target}: {name}" for name in re.findall(r"`([^`]+)`", named)
                      if not re.search(rf"\b{re.escape(name)}\b", inside)]
    return found


def test_what_is_named_exists():
    assert missing(PAGE.read_text(), PAGE.parent) == []


def test_every_promise_has_its_proof():
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]
    assert [s.split()[0] for s in sections] == [*(f"1.{n}" for n in range(17)), "Drills"]
    assert [s.splitlines()[0] for s in sections if "\nProof: " not in s] == []


@pytest.mark.parametrize("text", [
    "Proof: [x](../tests/flow/test_gone.py).",
    "Proof: [x](../tests/flow/test_runs.py) `test_that_was_renamed`.",
    "Proof: [x](../tests/flow/test_runs.py) `test_the_switch_is_a_file`,\n`test_cancel`; [y](README.md).",
])
def test_what_is_named_in_vain_is_found(text):
    assert len(missing(text, PAGE.parent)) == 1
