"""Planted defects: sabotage.def, the places in core/ that name them, and the campaigns that must notice them agree."""
import ast
import os
import re
from pathlib import Path

ROOT = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))
MODULES = sorted((ROOT / "tests/campaign").glob("d[0-9]*_*.py"))


def listed():
    return re.findall(r'^SABOTAGE\("([^"]+)", "[^"]{10,}"\)$', (ROOT / "core/base/sabotage.def").read_text(), re.M)


def planted():
    return {name for path in (ROOT / "core").rglob("*.c")
            for name in re.findall(r'stanch_is_sabotaged\("([^"]*)"\)', path.read_text())}


def literals(path):
    """The plain assignments at the top of a module."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("NAME", "TITLE", "DEFECTS", "TARGETS"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_there_are_campaigns():
    assert MODULES and listed()


def test_each_module_is_as_the_contract_says():
    for path in MODULES:
        found = literals(path)
        assert found["NAME"] == path.stem.split("_")[0].upper(), path
        assert found["TITLE"] and isinstance(found["DEFECTS"], dict), path
        assert found["DEFECTS"], f"{path}: a campaign that claims no planted defect may be blind"
        assert re.search(r"^def run\(context\):", path.read_text(), re.M), path


def test_every_line_of_the_list_reads():
    text = (ROOT / "core/base/sabotage.def").read_text()
    assert len(listed()) == len(re.findall(r"^SABOTAGE", text, re.M)) == len(set(listed()))


def test_every_planted_defect_is_listed_and_every_listed_one_planted():
    assert planted() == set(listed())


def test_every_defect_is_claimed_by_a_campaign():
    claimed = {name for path in MODULES for name in literals(path)["DEFECTS"]}
    assert claimed == set(listed())
