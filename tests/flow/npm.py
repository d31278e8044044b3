"""What tests need from npm: tests/npm installs it once, outside of the repository."""
import subprocess

import pytest
from harness import SOURCE


def npm(*args):
    """What tests/npm prints; the test is skipped when npm or its registry is not to be had."""
    done = subprocess.run([SOURCE / "tests/npm", *args], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
