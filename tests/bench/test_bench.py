"""Every figure can be measured and is positive, and what was answered is recorded. No times are judged here."""
import os
import subprocess
from pathlib import Path

RUN = Path(__file__).with_name("run")


def measure(*args):
    build = os.environ.get("STANCH_BUILD", RUN.parents[2] / "build")
    done = subprocess.run([RUN, "--no-build", "--build", build, "--rounds", "1", "--requests", "50", *args],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: float(line[1]) for line in lines if not line[0].endswith(":")}, done.stdout


def test_every_figure_is_measured():
    seen, text = measure()
    assert {name: value for name, value in seen.items() if value <= 0} == {}
    for name in ("ref_fdatasync_p50_us", "ref_http_p50_us", "ref_durable_http_p50_us", "ref_durable_parse_per_s",
                 "ref_socketpair_p50_us", "ref_sqlite_rows_per_s", "webhook_alert_to_action_p50_us",
                 "alert_to_action_p50_us", "alert_to_action_p99_us", "approve_to_action_p50_us", "durable_ack_p50_us", "durable_ack_per_s",
                 "durable_repeat_per_s", "durable_steps_per_s", "three_step_run_p50_us", "journal_rows_per_s", "runbook_tests_per_s", "runbook_tests_peak_rss_kib",
                 "backtest_events_per_s", "backtest_peak_rss_kib",
                 "waiting_10000_rss_kib", "kill9_to_acting_ms", "plugin_call_p50_us", "idle_pss_kib"):
        assert name in seen, text
    assert len([line for line in text.splitlines() if line.startswith(("met: ", "missed: "))]) == 14, text


def test_a_name_takes_along_what_its_target_compares_with():
    seen, _ = measure("plugin_call")
    assert set(seen) == {"plugin_call_p50_us", "ref_socketpair_p50_us"}


def test_an_unknown_name_is_refused_with_the_known_ones():
    done = subprocess.run([RUN, "--no-build", "no_such_figure"], capture_output=True, text=True)
    assert done.returncode != 0 and "alert_to_action_p50_us" in done.stderr
