"""Commands (sdk_run): what a plugin may start, how it ends, and that nothing of it stays."""
import os
import signal
from pathlib import Path

import pytest

from harness import wait_for
from plugin_host import Host


@pytest.fixture
def script(tmp_path):
    """Write an executable; returns its path."""
    def make(text, name="cmd", mode=0o755):
        path = tmp_path / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(mode)
        return str(path)
    return make


def host(*commands, allowed=None, secrets=None):
    return Host("kit", {"commands": {f"c{i}": c for i, c in enumerate(commands)}}, secrets or {},
                commands=commands if allowed is None else allowed)


def start(one, command, deadline_ms=10000, **order):
    return one.start("read", "run", {"args": {"order": {"command": command, **order}}}, deadline_ms=deadline_ms)


def run(one, command, **more):
    answer = one.wait(start(one, command, **more), 60)
    assert answer["outcome"] == "done", answer
    return answer["value"]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_arguments_reach_it_as_they_are(script):
    command = script('for a in "$@"; do printf "[%s]" "$a"; done; cat; echo err >&2; exit 3')
    args = ["", "a b", "$HOME", "`id`", "; rm -rf /", "*", "\n", "ä", "--"]
    with host(command) as one:
        got = run(one, command, args=args, input="given\n")
    assert got["output"] == "".join(f"[{a}]" for a in args) + "given\n" and got["errors"] == "err\n"
    assert (got["ended"], got["code"], got["cut"], got["why"]) == ("exited", 3, False, "")


def test_its_environment_is_what_was_said(script):
    command = script("/usr/bin/env; pwd; ls /proc/self/fd; grep NoNewPrivs /proc/self/status; ulimit -c; ps -o pgid= -p $$; echo $$")
    with host(command, secrets={"token": "s3cret-value"}) as one:
        got = run(one, command, environment={"A": "b c"}, secret_environment={"TOKEN": "token", "NOT_SET": "session"})
    lines = got["output"].split("\n")
    names = {line.partition("=")[0]: line.partition("=")[2] for line in lines if "=" in line}
    names = {name: value for name, value in names.items() if name not in ("PWD", "_", "OLDPWD", "SHLVL")}  # the shell's own
    assert names == {"A": "b c", "TOKEN": "[secret]"}, names
    at = lines.index("/")
    assert set(lines[at + 1:lines.index("NoNewPrivs:\t1")]) <= {"0", "1", "2", "3"}
    assert "NoNewPrivs:\t1" in lines and lines[lines.index("NoNewPrivs:\t1") + 1] == "0"
    assert lines[-3].strip() == lines[-2]  # it leads its group


@pytest.mark.parametrize("order,why", [
    ({"command": "/bin/true"}, "no setting"), ({"command": "cmd"}, "no setting"), ({"args": ["a", 7]}, "no text"),
    ({"environment": {"A=B": "c"}}, "no name"), ({"environment": {"LD_PRELOAD": "/x.so"}}, "no name"),
    ({"environment": {"A": 7}}, "no name"), ({"secret_environment": {"A": "url"}}, "no secret setting")])
def test_orders_that_are_refused(script, tmp_path, order, why):
    mark = tmp_path / "mark"
    command = script(f"touch {mark}")
    with host(command) as one:
        got = run(one, **{"command": command, **order})
    assert got["ended"] == "not-started" and why in got["why"], got
    assert not mark.exists()


def test_executables_that_are_refused(script, tmp_path):
    cases = {script("", "loose", 0o777): "others than root", script("", "group", 0o775): "others than root",
             script("", "plain", 0o644): "executed", str(tmp_path): "executed", str(tmp_path / "none"): "not there"}
    with host(*cases) as one:
        for command, why in cases.items():
            got = run(one, command)
            assert got["ended"] == "not-started" and why in got["why"] and "nothing was started" in got["why"], got


def test_only_the_launcher_decides(script, tmp_path):
    """A host that was taken over asks for what it likes; core's list counts."""
    mark = tmp_path / "mark"
    command, other = script("true"), script(f"touch {mark}", "other")
    with host(command, other, allowed=[command]) as one:
        assert run(one, command)["ended"] == "exited"
        assert run(one, other)["ended"] == "not-started"
    assert not mark.exists()


def test_without_commands_there_is_no_launcher(script):
    command = script("true")
    with Host("kit", {"commands": {"c": command}}) as one:
        got = run(one, command)
    assert got["ended"] == "not-started" and "command" in got["why"]


def test_output_has_a_limit(script):
    command = script("i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo $i >&2; sleep 600")
    with host(command) as one:
        got = run(one, command, max=1000, deadline=20000)
        assert got["ended"] == "killed" and "more than its limit" in got["why"] and len(got["output"]) == 1000
    command = script("i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo $i >&2")
    with host(command) as one:
        got = run(one, command, max=1000, cut=True)
    assert (got["ended"], got["code"], got["cut"], len(got["output"]), got["errors"]) == ("exited", 0, True, 1000, "3000\n")


def test_a_deadline_ends_all_of_it(script, tmp_path):
    pids = tmp_path / "pids"
    command = script(f"trap 'echo bye; exit 5' TERM; sleep 600 & echo $$ $! > {pids}; echo hello; wait")
    with host(command) as one:
        got = run(one, command, deadline=500)
        assert (got["ended"], got["code"], got["output"]) == ("killed", 5, "hello\nbye\n") and "deadline" in got["why"]
        for pid in pids.read_text().split():
            wait_for(lambda pid=pid: not is_alive(pid), "its end")


def test_what_ignores_the_end_is_killed(script, tmp_path):
    pids = tmp_path / "pids"
    command = script(f"trap '' TERM; echo $$ > {pids}; while :; do sleep 1; done")
    with host(command) as one:
        got = run(one, command, deadline=300, grace=200)
        assert (got["ended"], got["code"]) == ("killed", signal.SIGKILL)
        assert not is_alive(pids.read_text().strip())


def test_signals_are_told(script):
    command = script("kill -USR1 $$")
    with host(command) as one:
        got = run(one, command)
    assert (got["ended"], got["code"]) == ("signalled", signal.SIGUSR1) and "signal" in got["why"]


def test_nothing_stays_behind(script, tmp_path):
    """Neither what is in its group nor what has left it; and what holds the pipes open does not hold the answer up."""
    pids = tmp_path / "pids"
    command = script(f"sleep 600 & echo $! > {pids}; setsid sleep 600 & echo $! >> {pids}; setsid sh -c 'sleep 600 & echo $! >> {pids}; "
                     f"sleep 600' & while [ $(wc -l < {pids}) -lt 3 ]; do sleep 0.05; done; echo done")
    with host(command) as one:
        got = run(one, command)
        assert (got["ended"], got["output"]) == ("exited", "done\n")
        for pid in pids.read_text().split():
            wait_for(lambda pid=pid: not is_alive(pid), "its end")


def test_a_call_that_is_answered_ends_its_command(script, tmp_path):
    pids = tmp_path / "pids"
    command = script(f"trap '' TERM; echo $$ > {pids}.new; mv {pids}.new {pids}; while :; do sleep 1; done")
    with host(command) as one:
        call = start(one, command, deadline_ms=10000, grace=100, deadline=600000)
        answer = one.wait(call)["value"]  # before the call's deadline would say "unknown"; a tenth of it is left for that
        assert answer["ended"] == "killed" and answer["left_ms"] > 0
        wait_for(lambda: not is_alive(pids.read_text().strip()), "its end")


@pytest.mark.parametrize("victim", ["host", "launcher"])
def test_a_death_ends_the_commands(script, tmp_path, victim):
    pids = tmp_path / "pids"
    command = script(f"echo $$ > {pids}.new; mv {pids}.new {pids}; sleep 600; echo late > {tmp_path}/late")
    one = host(command)
    call = start(one, command, deadline_ms=60000)
    wait_for(pids.exists, "the start")
    if victim == "host":
        os.kill(one.process.pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pids.read_text().strip()), "its end")
        assert one.launcher.wait(60) == 0
    else:
        os.kill(one.launcher.pid, signal.SIGKILL)
        got = one.wait(call)["value"]
        assert got["ended"] == "killed" and "not known" in got["why"]
        assert run(one, command)["ended"] == "not-started"
        os.killpg(int(pids.read_text()), signal.SIGKILL)  # core does this: see unit/plugin/test_registry
    one.close()


def test_many_at_once(script):
    command = script("cat; sleep 0.3; echo $1")
    with host(command) as one:
        calls = [start(one, command, args=[str(i)], input=f"in{i} ", deadline_ms=30000) for i in range(12)]
        got = [one.wait(call)["value"] for call in calls]
    assert all(g["output"] == f"in{i} {i}\n" for i, g in enumerate(got[:8])), got
    assert all(g["ended"] == "not-started" and "too many" in g["why"] for g in got[8:]), got


def test_time_that_is_not_left(script):
    command = script("true")
    with host(command) as one:
        got = run(one, command, deadline_ms=600)
    assert got["ended"] == "not-started" and "no time" in got["why"]


def test_input_that_nobody_reads(script):
    command = script("exec <&-; sleep 0.1; echo fine")
    with host(command) as one:
        assert run(one, command, input="x" * 1000000)["output"] == "fine\n"
        assert run(one, command, input="x" * 1000000)["output"] == "fine\n"
