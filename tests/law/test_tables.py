"""The tables in a plugin's README are those of its declaration (sdk/tables.py writes them)."""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "sdk"))
import tables  # noqa: E402

BUILD = os.environ["STANCH_BUILD"]


@pytest.mark.parametrize("name,path", [pytest.param(*one, id=one[0]) for one in tables.marked()])
def test_a_readme_says_what_the_declaration_says(name, path):
    text = path.read_text()
    told = tables.declaration(Path(BUILD) / "plugins" / (name + ".so"))
    assert tables.filled(text, told) == text, f"sdk/tables.py {BUILD} --write"


def test_marks_are_whole():
    """A mark that is misspelt would leave its table to itself."""
    for path in sorted((ROOT / "plugins").glob("*/README.md")):
        text = path.read_text()
        assert text.count("<!--") == 2 * len(tables.MARKS.findall(text)), path


def test_a_table_that_went_stale_is_seen():
    told = {"settings": {"url": {"type": "string", "format": "url", "required": True, "summary": "where | it is"},
                         "each": {"type": "object", "additionalProperties": {
                             "type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}}}}
    made = tables.filled("a\n<!-- settings -->\nold\n<!-- end -->\nb\n", told)
    assert "old" not in made and made == tables.filled(made, told)
    assert "| `url` | url | required | where \\| it is |\n" in made
    assert "| `each.NAME.n` | integer from 1 | required |  |\n" in made
    assert tables.filled(made, {"settings": {}}) != made
