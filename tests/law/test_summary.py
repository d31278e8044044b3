"""The last line of tests/run counts what ran: also what a program says of its own tests, and a crash as a failure."""
import subprocess
import sys
from pathlib import Path

SUMMARY = Path(__file__).resolve().parents[1] / "summary.py"


def summarise(tmp_path, *cases, args=()):
    report = tmp_path / "junit.xml"
    report.write_text("<testsuite>" + "".join(cases) + "</testsuite>")
    done = subprocess.run([sys.executable, SUMMARY, *args, f"dev={report}"], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


def case(output, status="run", inside=""):
    return f'<testcase name="x" status="{status}">{inside}<system-out>{output}</system-out></testcase>'


def test_counts_the_tests_inside(tmp_path):
    cmocka = case("[==========] 5 test(s) run.\n[  PASSED  ] 4 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] as_root\n")
    pytest = case("..s\nSKIPPED [1] test_x.py:3: no tmpfs here\n2 passed, 1 skipped in 0.12s\n")
    code, lines = summarise(tmp_path, cmocka, pytest, case("silent"))
    assert code == 0 and lines[-1] == "7 passed, 0 failed, 2 skipped"
    assert "skipped: dev x: as_root" in lines and "skipped: dev x: test_x.py:3: no tmpfs here" in lines


def test_a_failure_is_counted_and_named(tmp_path):
    code, lines = summarise(tmp_path, case("1 failed, 3 passed in 1.00s\n", "fail"))
    assert code == 1 and lines[-1] == "3 passed, 1 failed, 0 skipped" and "failed: dev x" in lines


def test_a_failure_says_its_last_words_before_the_names(tmp_path):
    long = "\n".join(f"line {i}." for i in range(500)) + "\n1 failed in 1.00s\n"
    _, lines = summarise(tmp_path, case(long, "fail"), case("2 passed in 1.00s\n"))
    assert lines[-2:] == ["failed: dev x", "2 passed, 1 failed, 0 skipped"]
    assert lines[:2] == ["==== dev x", "(381 lines before)"] and lines[2] == "line 381." and lines[-3] == "1 failed in 1.00s"


def test_a_crash_after_good_tests_is_a_failure(tmp_path):
    code, lines = summarise(tmp_path, case("[  PASSED  ] 4 test(s).\nLeakSanitizer: detected memory leaks\n", "fail"))
    assert code == 1 and lines[-1] == "4 passed, 1 failed, 0 skipped"


def test_a_program_that_did_not_run_is_skipped_with_its_reason(tmp_path):
    code, lines = summarise(tmp_path, case("", "notrun", '<skipped message="Disabled"/>'), case("fine"))
    assert code == 0 and lines[-1] == "1 passed, 0 failed, 1 skipped" and "skipped: dev x: Disabled" in lines


def test_nothing_at_all_is_no_success(tmp_path):
    assert summarise(tmp_path)[0] == 1


def test_a_linter_counts(tmp_path):
    code, lines = summarise(tmp_path, case("fine"), args=["--check=clang-tidy=failed"])
    assert code == 1 and lines[-1] == "1 passed, 1 failed, 0 skipped"
