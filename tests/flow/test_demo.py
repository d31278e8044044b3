"""The demo is a test: real Prometheus, Alertmanager and HAProxy, an outage, a mitigation, and HAProxy's own log."""
import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["STANCH_SOURCE"])


def test_the_demo_keeps_its_word_even_when_killed(tmp_path):
    """In the plain build Stanch is also killed in the middle of each run; the outcome is the same."""
    kill = ["--kill"] if os.environ["STANCH_KIND"] == "dev" else []
    done = subprocess.run([sys.executable, SOURCE / "runbooks/demo/story.py", "--build", os.environ["STANCH_BUILD"], "--yes",
                           *kill], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
                          env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "facts checked" in done.stdout
    assert list(tmp_path.iterdir()) == []  # nothing is left behind
