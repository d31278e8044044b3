"""summary.py: one line over all that ran: summary.py [--check=NAME=passed|failed]... KIND=junit.xml...

ctest counts programs; people count tests. So the number of tests inside of a program is read from its output, as
cmocka and pytest print it; a program that says nothing, or that failed without a failing test (it crashed, leaked or
took too long), counts as one. Skipped tests are named with their reason, failed ones with the end of what they said. The
summary is the last line.
"""
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

CMOCKA = re.compile(r"^\[\s*(PASSED|FAILED|SKIPPED)\s*\] (\d+) test\(s\)", re.M)
CMOCKA_SKIP = re.compile(r"^\[\s*SKIPPED\s*\] (?!\d+ test)(\S+)", re.M)
PYTEST = re.compile(r"^=*\s*((?:\d+ (?:passed|failed|skipped|errors?|xfailed|xpassed|warnings?|deselected)(?:, )?)+) in [\d.]+s", re.M)
PYTEST_SKIP = re.compile(r"^SKIPPED \[(\d+)\] (.*)$", re.M)


def count_inside(output):
    """(passed, failed, skipped, [why skipped]) that the program's own output tells."""
    passed = failed = skipped = 0
    why = []
    for word, n in CMOCKA.findall(output):
        passed += int(n) if word == "PASSED" else 0
        failed += int(n) if word == "FAILED" else 0
        skipped += int(n) if word == "SKIPPED" else 0
    why += sorted(set(CMOCKA_SKIP.findall(output)))
    for line in PYTEST.findall(output):
        for n, word in re.findall(r"(\d+) (\w+)", line):
            passed += int(n) if word in ("passed", "xfailed") else 0
            failed += int(n) if word in ("failed", "error", "errors", "xpassed") else 0
            skipped += int(n) if word == "skipped" else 0
    why += [text if n == "1" else f"{text} ({n} tests)" for n, text in PYTEST_SKIP.findall(output)]
    return passed, failed, skipped, why


LAST_LINES = 120


def last_words(case):
    lines = (case.findtext("system-out") or "").rstrip().splitlines()
    return [f"({len(lines) - LAST_LINES} lines before)", *lines[-LAST_LINES:]] if len(lines) > LAST_LINES else lines


def count_program(case):
    output = case.findtext("system-out") or ""
    passed, failed, skipped, why = count_inside(output)
    status = case.get("status")
    if case.find("skipped") is not None or status in ("notrun", "disabled"):
        missing = case.find("skipped")
        return 0, 0, 1, [(missing.get("message") if missing is not None else None) or "not run"]
    if status == "fail" and not failed:
        failed = 1
    if not passed + failed + skipped:
        passed = 1
    return passed, failed, skipped, why


def main(args):
    total = [0, 0, 0]
    skipped_names, failed_names, said = [], [], []
    for arg in args:
        if arg.startswith("--check="):
            _, name, result = arg.split("=", 2)
            total[0 if result == "passed" else 1] += 1
            if result != "passed":
                failed_names.append(name)
            continue
        kind, path = arg.split("=", 1)
        if not Path(path).exists():
            total[1] += 1
            failed_names.append(f"{kind}: ctest wrote no report")
            continue
        for case in ET.parse(path).getroot().iter("testcase"):
            passed, failed, skipped, why = count_program(case)
            for i, n in enumerate((passed, failed, skipped)):
                total[i] += n
            name = f"{kind} {case.get('name')}"
            if failed:
                failed_names.append(name)
                said += [f"==== {name}", *last_words(case)]
            skipped_names += [f"{name}: {text}" for text in why] if skipped else []
    for name in skipped_names:
        print(f"skipped: {name}")
    for line in said:
        print(line)
    for name in failed_names:
        print(f"failed: {name}")
    if not sum(total):
        print("nothing ran", file=sys.stderr)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not sum(total) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
