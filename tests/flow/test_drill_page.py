"""The report of a drill as a page (`stanch drill show|run --html`): what a browser reads of it, whatever texts stand in it."""
import json
import re
import subprocess

import pytest

from harness import STANCH
from page import Page


def report_with(text):
    """Each text that a scenario, an alert, a plugin or a person can choose, and each that somebody could write into a file."""
    row = dict(at_ms=1, incident=text, what=text, why=text)
    return {
        "drill": text, "kind": text, "summary": text, "owner": text, "objectives": [text], "broken": text, "ended": text,
        "left": text, "lasted_ms": 1, "met": 0, "of": 1, "promises": [{"promise": text, "target": text, "measured": text, "met": False, "why": text}],
        "times": [{"what": text, "count": 0, "median_ms": None, "worst_ms": None, "worst_in": text, "missing": [text, text]}],
        "incidents": [{"incident": text, "title": text, "severity": text, "state": text, "at_ms": 1, "runbooks": [text], "times": {}}],
        "waits": [row | {"approval": text, "role": text, "asked_ms": 1, "waited_ms": 1, "outcome": text, "answer": text, "by": [text]}],
        "runs": [row | {"run": text, "runbook": text, "state": text}],
        "decisions": [row | {"approval": text, "who": text, "decision": text, "verdict": text}],
        "failed_steps": [row | {"step": text}], "in_force": [{"id": text, "instance": text, "action": text}]}


def page_of(tmp_path, text):
    path, page = tmp_path / "x.json", tmp_path / "x.html"
    finding = {"n": 1, "text": text, "owner": text, "due": text, "done": False}
    path.write_text(json.dumps({"drill": text, "number": 1, "report": report_with(text), "findings": [finding]}))
    subprocess.run([STANCH, "drill", "show", path, "--html", page], check=True, timeout=60)
    return page.read_bytes().decode()


@pytest.mark.parametrize("text", [
    "</title></style></td></table><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)' style=\"position:fixed", "&lt;b&gt; &amp; &#60;b&#62; &copy &quot", "<!-- --> <![CDATA[ ]]> <?php ?>",
    "]]></desc></svg><svg onload=alert(1)>", "javascript:alert(1) url(http://x/) @import 'x'", "<", "{{ x }} ${x} %s %n `x`"])
def test_a_text_is_only_a_text(tmp_path, text):
    """With any text the page has the shape that it has with a plain one, and the text is read as it was written."""
    plain, page = Page(page_of(tmp_path, "plain")), Page(page_of(tmp_path, text))
    assert page.shape == plain.shape
    result = page.of("dd")[2]  # the name of a file: plain letters, made of the drill's
    assert re.fullmatch("[A-Za-z0-9_-]+-1", result)
    assert page.texts == [(tag, result if data == "plain-1" else data.replace("plain", text)) for tag, data in plain.texts]
    assert sum("plain" in data for _, data in plain.texts) > 45


def test_what_is_not_seen_is_shown(tmp_path):
    """Nothing turns the line around, moves the cursor, or hides; a line break is a space."""
    page = page_of(tmp_path, "a\nb\tc\u0001\u001b[2J\u007f\u0085\u202e\u2066\u200b\ufeff\u00ad\U000e0041z \u00e9\u4e2d\U0001f600")
    assert "<h1>Drill: a b c\ufffd\ufffd[2J" + "\ufffd" * 8 + "z \u00e9\u4e2d\U0001f600</h1>" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page)
