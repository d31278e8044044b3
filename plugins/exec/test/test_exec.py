"""The exec plugin with commands that really run: what reaches them, how they end, and what is made of it."""
import json
import os
import shlex
import subprocess

import pytest
from exec_kit import Kit
from harness import wait_for
from plugin_host import Host, Refused


@pytest.fixture
def kit(tmp_path):
    return Kit(tmp_path)


# ---- the way of one mitigation ----


def test_a_value_is_planned_set_read_back_and_put_back(kit):
    with kit.scale() as ops:
        plan = ops.ask("plan", "scale", {"service": "web", "count": 3})
        assert plan["from"] == {"text": "5"} and plan["to"]["text"] == "3" and plan["no_change"] is False
        assert plan["to"]["runs"] == {"command": kit.path("workers"), "args": ["set", "--service=web", "3"],
                                      "env": {"STATE": str(kit.state)}}
        assert plan["undo"]["args"] == ["set", "--service=web", "5"]
        assert plan["targets"] == ["service:web"] and plan["impact"] == "workers of web to 3" and plan["reach"] is None
        done = ops.ask("apply", "scale", {"service": "web", "count": 3}, plan)
        assert done["exit"] == 0 and done["output"] == "web: 3" and done["cut"] is False
        assert kit.state.read_text() == "3\n"
        assert ops.ask("verify", "scale", {"service": "web", "count": 3}, plan) == {"holds": True, "seen": {"text": "3"}}
        assert ops.ask("plan", "scale", {"service": "web", "count": 3})["no_change"] is True
        ops.ask("undo", "scale", {"service": "web", "count": 3}, plan)
        assert kit.state.read_text() == "5\n"
        assert ops.ask("undo", "scale", {"service": "web", "count": 3}, plan) == {"already": True}
        assert ops.ask("verify", "scale", {"service": "web", "count": 3}, plan)["holds"] is False


def test_by_hand_does_the_same(kit):
    with kit.scale() as ops:
        args = {"service": "it's a $(web)", "count": 2}
        plan = ops.ask("plan", "scale", args)
        subprocess.run(["/bin/sh", "-c", plan["by_hand"]], check=True, capture_output=True)
        assert ops.ask("verify", "scale", args, plan)["holds"] is True
        assert shlex.split(plan["by_hand"])[-2] == "--service=it's a $(web)"
        subprocess.run(["/bin/sh", "-c", plan["undo_by_hand"]], check=True, capture_output=True)
        assert kit.state.read_text() == "5\n"


def test_what_somebody_changed_meanwhile_is_theirs(kit):
    args = {"service": "web", "count": 3}
    with kit.scale() as ops:
        plan = ops.ask("plan", "scale", args)
        kit.state.write_text("7\n")
        assert ops.ask("apply", "scale", args, plan, expect="failed")["kind"] == "stale"
        kit.state.write_text("5\n")
        ops.ask("apply", "scale", args, plan)
        kit.state.write_text("9\n")
        error = ops.ask("undo", "scale", args, plan, expect="failed")
        assert error["kind"] == "stale" and plan["undo_by_hand"] in error["text"]
        assert kit.state.read_text() == "9\n"


def test_another_configuration_voids_the_plan(kit):
    args = {"service": "web", "count": 3}
    with kit.scale() as ops:
        plan = ops.ask("plan", "scale", args)
    with kit.scale(args=["set", "--service={service}", "{count}", "--force"]) as ops:
        error = ops.ask("apply", "scale", args, plan, expect="failed")
        assert error["kind"] == "stale" and "configuration" in error["text"]
    assert kit.state.read_text() == "5\n"


def test_a_lost_reply_is_unknown_and_reconcile_tells(kit):
    """The command has done it, and hangs: the call's deadline comes first."""
    args = {"service": "web", "count": 3}
    with kit.scale() as ops:
        plan = ops.ask("plan", "scale", args)
        assert ops.ask("reconcile", "scale", args, plan, op="apply")["state"] == "not-done"
        kit.hang.touch()
        assert ops.ask("apply", "scale", args, plan, expect="unknown", deadline_ms=3000)
        kit.hang.unlink()
        assert ops.ask("reconcile", "scale", args, plan, op="apply")["state"] == "done"
        assert ops.ask("reconcile", "scale", args, plan, op="undo")["state"] == "not-done"
        kit.state.write_text("4\n")
        assert ops.ask("reconcile", "scale", args, plan, op="apply")["state"] == "cannot-tell"


def test_a_plan_in_json(kit):
    look = kit.script("look", 'echo \'{"from": {"n": 5, "who": "a b"}, "to": {"n": 3}, "impact": "5 -> 3", "reach": 0.4}\'')
    act = kit.script("act", 'printf "%s|" "$@"')
    action = {"command": act, "args": ["{from.who}"], "plan": {"command": look, "prints": "json"},
              "undo": {"args": ["{from.n}"]}, "class": "convergent", "risk": "low", "summary": "s"}
    with kit.host({"act": action}) as ops:
        plan = ops.ask("plan", "act", {})
        assert (plan["from"], plan["to"]["value"]) == ({"value": {"n": 5, "who": "a b"}}, {"n": 3})
        assert plan["impact"] == "5 -> 3" and plan["reach"] == 0.4 and plan["undo"]["args"] == ["5"]
        assert ops.ask("apply", "act", {}, plan)["output"] == "a b|"
    for said, kind in (("no json", "protocol"), ('{"to": 1}', "protocol"), ('{"from": 1}', "protocol"), ("", "protocol")):
        kit.script("look", f"echo '{said}'")
        with kit.host({"act": action}) as ops:
            assert ops.ask("plan", "act", {}, expect="failed")["kind"] == kind


def test_without_a_plan_the_reason_is_told(kit):
    act = kit.script("act", "echo ran >> $LOG; echo $1")
    action = {"command": act, "args": ["{key}"], "no_plan_because": "it has no state", "no_undo_because": "a restart",
              "class": "idempotent", "risk": "medium", "summary": "s", "env": {"LOG": str(kit.state)}}
    with kit.host({"restart": action}) as ops:
        assert set(ops.host.declaration["actions"]["restart"]["ops"]) == {"plan", "apply"}
        plan = ops.ask("plan", "restart", {})
        assert plan["from"] == {} and plan["impact"].endswith("(nothing was read before: it has no state)")
        assert plan["targets"] == ["exec:ops/restart"] and plan["to"]["runs"]["args"] == ["{key}"]
        assert ops.ask("apply", "restart", {}, plan, key="k-77")["output"] == "k-77"


def test_verify_by_a_command_of_its_own(kit):
    act = kit.script("act", "echo on > $1")
    look = kit.script("look", "cat $1; [ $2 = strict ] && exit 3; grep -q on $1")
    action = {"command": act, "args": [str(kit.state)], "no_plan_because": "none", "class": "unprotected", "risk": "low",
              "verify": {"command": look, "args": [str(kit.state), "loose"]}, "summary": "s",
              "undo": {"command": kit.script("back", "echo off > $1"), "args": [str(kit.state)]}}
    with kit.host({"act": action}) as ops:
        plan = ops.ask("plan", "act", {})
        assert ops.ask("verify", "act", {}, plan) == {"holds": False, "seen": {"text": "5"}}
        assert ops.ask("undo", "act", {}, plan, expect="failed")["kind"] == "stale"
        ops.ask("apply", "act", {}, plan)
        assert ops.ask("verify", "act", {}, plan)["holds"] is True
        ops.ask("undo", "act", {}, plan)
        assert kit.state.read_text() == "off\n"
    action["verify"]["args"][1] = "strict"
    with kit.host({"act": action}) as ops:
        assert ops.ask("verify", "act", {}, plan, expect="failed")["text"].startswith("verify of act: exit code 3")
    action["verify"] = {"command": look, "args": [str(kit.state), "loose"], "expect": "on"}
    kit.state.write_text("on and on\n")
    with kit.host({"act": action}) as ops:
        assert ops.ask("verify", "act", {}, plan)["holds"] is False


def test_reads_and_notices(kit):
    say = kit.script("say", 'echo "[1, 2]"')
    fail = kit.script("fail", "echo no >&2; exit 4")
    base = {"command": say, "summary": "s"}
    with kit.host({"text": {**base, "effect": "read", "class": "read-only"},
                   "json": {**base, "effect": "read", "class": "read-only", "prints": "json"},
                   "bad": {**base, "effect": "read", "class": "read-only", "command": fail},
                   "tell": {**base, "effect": "notify", "class": "unprotected", "command": fail}}) as ops:
        assert ops.ask("read", "text", {}) == {"text": "[1, 2]"}
        assert ops.ask("read", "json", {}) == {"value": [1, 2]}
        assert ops.ask("read", "bad", {}, expect="failed")["text"] == "bad: exit code 4; its last words: no"
        assert "exit code 4" in ops.ask("read", "tell", {}, expect="unknown")["text"]


# ---- how it ends ----


def outcome(kit, text, expect, deadline_ms=20000, **more):
    action = {"command": kit.script("act", text), "no_plan_because": "none", "no_undo_because": "none", "summary": "s",
              "class": "unprotected", "risk": "high", **more}
    with kit.host({"act": action}) as ops:
        plan = ops.ask("plan", "act", {})
        return ops.ask("apply", "act", {}, plan, expect=expect, deadline_ms=deadline_ms)


def test_exit_codes(kit):
    error = outcome(kit, "echo half >&2; exit 3", "unknown")
    assert "exit code 3" in error["text"] and "half" in error["text"]
    error = outcome(kit, "exit 3", "failed", unchanged_exits=[2, 3])
    assert error["kind"] == "remote" and "nothing has changed" in error["text"]
    outcome(kit, "exit 4", "unknown", unchanged_exits=[2, 3])
    assert "signal" in outcome(kit, "kill -9 $$", "unknown")["text"]


def test_what_cannot_be_started_has_changed_nothing(kit):
    action = {"command": kit.path("none"), "no_plan_because": "none", "no_undo_because": "none", "summary": "s",
              "class": "unprotected", "risk": "high"}
    with kit.host({"act": action}) as ops:
        plan = ops.ask("plan", "act", {})
        assert "nothing was started" in ops.ask("apply", "act", {}, plan, expect="failed")["text"]
        found = ops.host.call("check", "check")["value"]
        assert not found["ok"] and "No such file" in found["checks"][0]["text"]


def test_output_is_bounded(kit):
    lots = 'i=0; while [ $i -lt 500 ]; do echo 0123456789; i=$((i+1)); done'
    done = outcome(kit, lots, "done", max_output=100)  # a change is not ended in its middle for it
    assert done["cut"] is True and len(done["output"]) <= 100
    look = {"command": kit.script("look", lots), "effect": "read", "class": "read-only", "summary": "s",
            "max_output": 100}
    with kit.host({"look": look}) as ops:
        assert "more than its limit" in ops.ask("read", "look", {}, expect="failed")["text"]


def test_the_deadline_ends_the_whole_group(kit):
    pids = kit.folder / "pids"
    error = outcome(kit, f"trap '' TERM; sleep 600 & echo $$ $! > {pids}; while :; do sleep 1; done", "unknown",
                    deadline_ms=3000)
    assert "deadline" in error["text"], error
    for pid in pids.read_text().split():
        wait_for(lambda pid=pid: not kit.is_alive(pid), "its end")


def test_what_it_leaves_behind_is_ended(kit):
    pids = kit.folder / "pids"
    outcome(kit, f"sleep 600 & echo $! > {pids}; setsid sleep 600 & echo $! >> {pids}; exit 0", "done")
    for pid in pids.read_text().split():
        wait_for(lambda pid=pid: not kit.is_alive(pid), "its end")


def test_many_children_end_with_it(kit):
    """What forks and forks is ended as a whole; the instance works on."""
    action = {"no_plan_because": "none", "no_undo_because": "none", "summary": "s", "class": "unprotected", "risk": "high"}
    mark = f"6{os.getpid()}"
    bomb = kit.script("bomb", f"for i in 1 2 3 4 5 6; do (for j in 1 2 3 4 5 6; do sleep {mark} & done; sleep {mark}) & "
                              "done; wait")
    with kit.host({"bomb": {**action, "command": bomb}, "fine": {**action, "command": kit.script("fine", "exit 0")}}) as ops:
        ops.ask("apply", "bomb", {}, ops.ask("plan", "bomb", {}), expect="unknown", deadline_ms=4000)
        wait_for(lambda: subprocess.run(["pgrep", "-fx", f"sleep {mark}"], capture_output=True).returncode == 1, "their end")
        ops.ask("apply", "fine", {}, ops.ask("plan", "fine", {}))


# ---- what reaches it ----


ARGUMENTS = ["", " ", "a b", "'", '"', "$(touch /tmp/x)", "`id`", "; id", "| id", "&& id", "\n", "a\nb", "\t", "*", "?", "~",
             "$HOME", "${IFS}", "\\", "#", "ä\u2028", "%s", "a=b", "{service}", "{key}", "{{", "\x01", "x" * 1000, "é" * 900]


@pytest.mark.parametrize("text", ARGUMENTS, ids=[ascii(a)[:20] for a in ARGUMENTS])
def test_an_argument_is_one_element_as_it_is(kit, text):
    with kit.echo(args=["--", "{text}", "pre{text}post"]) as ops:
        assert kit.argv(ops, text=text) == ["--", text, f"pre{text}post"]


DASHES = ["-", "--", "-x", "--force", "-\n", "--x=y"]


@pytest.mark.parametrize("text", DASHES, ids=[ascii(d) for d in DASHES])
def test_an_argument_never_becomes_an_option(kit, text):
    with kit.echo(args=["{text}"]) as ops:
        error = ops.ask("read", "echo", {"text": text}, expect="failed")
        assert error["kind"] == "invalid" and error["text"].startswith("actions.echo.args[1]: "), error
    with kit.echo(args=["--name={text}", "x{text}"]) as ops:
        assert kit.argv(ops, text=text) == ["--name=" + text, "x" + text]
    with kit.echo(args=["{text}"], params={"text": {"may_be_option": True}}) as ops:
        assert kit.argv(ops, text=text) == [text]
    with kit.echo(args=["{empty}{text}", "{empty}-x"], params={"text": {}, "empty": {}}) as ops:
        for values in ({"text": text, "empty": ""}, {"text": "a", "empty": ""}):
            assert ops.ask("read", "echo", values, expect="failed")["kind"] == "invalid"


def test_numbers_and_what_is_no_argument(kit):
    kinds = {"n": {"type": "integer"}, "r": {"type": "number"}, "b": {"type": "boolean"}}
    with kit.echo(args=["n={n}", "{r}", "{b}", "{{n}"], params=kinds) as ops:
        assert kit.argv(ops, n=-7, r=0.25, b=True) == ["n=-7", "0.25", "true", "{n}"]
        assert "option" in ops.ask("read", "echo", {"n": 1, "r": -0.5, "b": True}, expect="failed")["text"]
    with kit.echo(args=["{text}"]) as ops:
        for bad in (None, [], {}, ["a"]):
            assert ops.ask("read", "echo", {"text": bad}, expect="failed")["kind"] == "invalid"


def test_a_nul_never_arrives(kit):
    """JSON with it is refused where it enters a process: the host takes this for a broken core, and ends."""
    mark = kit.folder / "mark"
    action = {"command": kit.script("act", f"touch {mark}"), "effect": "read", "class": "read-only", "summary": "s",
              "args": ["{text}"], "params": {"text": {}}}
    host = Host("exec", {"actions": {"act": action}}, instance="ops", commands=[kit.path("act")])
    host.start("read", "act", {"args": {"text": "a\0b"}})
    wait_for(lambda: host.process.poll() is not None, "the host to end")
    host.close()
    assert not mark.exists()


def test_the_environment_is_what_was_declared(kit):
    env = kit.script("env", "exec /usr/bin/env")
    action = {"command": env, "effect": "read", "class": "read-only", "summary": "s", "params": {"who": {}},
              "env": {"WHO": "-{who}", "LANG": "C"}, "secret_env": {"TOKEN": "secret1", "NOT_SET": "secret2"}}
    with kit.host({"env": action}, secrets={"secret1": "hunter2-hunter2"}) as ops:
        lines = ops.ask("read", "env", {"who": "x y"})["text"].split("\n")
    shells = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert sorted(line for line in lines if line.split("=")[0] not in shells) == ["LANG=C", "TOKEN=[secret]", "WHO=-x y"]


def test_secrets_are_not_in_the_plan(kit):
    action = {"command": kit.script("act", "echo $TOKEN >&2; exit 1"), "no_plan_because": "none", "summary": "s",
              "no_undo_because": "none", "class": "unprotected", "risk": "low", "secret_env": {"TOKEN": "secret1"}}
    with kit.host({"act": action}, secrets={"secret1": "hunter2-hunter2"}) as ops:
        plan = ops.ask("plan", "act", {})
        assert 'TOKEN="$TOKEN"' in plan["by_hand"]
        error = ops.ask("apply", "act", {}, plan, expect="unknown")
        assert "[secret]" in error["text"] and "hunter2" not in json.dumps(plan) + ops.host.raw.decode(errors="replace")


# ---- settings ----

READ = {"summary": "s", "effect": "read", "class": "read-only", "command": "/bin/true"}
MITIGATION = {"summary": "s", "class": "unprotected", "risk": "low", "command": "/bin/true", "no_plan_because": "x",
              "no_undo_because": "y"}
PLANNED = {"summary": "s", "class": "convergent", "risk": "low", "command": "/bin/true", "plan": {"args": ["get"]},
           "to": "x", "no_undo_because": "y"}
BAD = [
    ({**READ, "command": "true"}, "actions.a.command: "),
    ({**READ, "comand": "/bin/true"}, 'did you mean "command"?'),
    ({"summary": "s", "command": "/bin/true", "risk": "low"}, "actions.a.class: missing"),
    ({**READ, "class": "unprotected"}, "actions.a.class: read-only is the class of the effect read"),
    ({**MITIGATION, "class": "read-only"}, "actions.a.class: read-only is the class of the effect read"),
    ({**MITIGATION, "class": "idempotent"}, "actions.a.class: idempotent is a command that does the same key only once"),
    ({**MITIGATION, "class": "convergent"}, "actions.a.class: convergent is what sets a value"),
    ({**MITIGATION, "class": "reconcilable"}, "actions.a.settle_ms: missing"),
    ({**MITIGATION, "class": "reconcilable", "settle_ms": 5}, "actions.a.reconcile: missing"),
    ({k: v for k, v in MITIGATION.items() if k != "risk"}, "actions.a.risk: missing"),
    ({k: v for k, v in MITIGATION.items() if k != "no_plan_because"}, "actions.a.plan: a command"),
    ({k: v for k, v in MITIGATION.items() if k != "no_undo_because"}, "actions.a.undo: a command"),
    ({**PLANNED, "no_plan_because": "x"}, "actions.a.plan: a command"),
    ({**MITIGATION, "to": "x"}, "actions.a.to: "),
    ({**READ, "undo": {}}, "actions.a.undo: for the effect mitigate only"),
    ({**READ, "args": ["{nme}"], "params": {"name": {}}}, "actions.a.args[1]: {nme}: no such parameter"),
    ({**READ, "args": ["x", "{key}"]}, "actions.a.args[2]: {key} is not there"),
    ({**MITIGATION, "args": ["{from}"]}, "actions.a.args[1]: {from} is not there: it is what plan printed"),
    ({**PLANNED, "plan": {"args": ["{from}"]}}, "actions.a.plan.args[1]: {from} is not there"),
    ({**PLANNED, "to": "{from}"}, "actions.a.to: {from} is not there"),
    ({**PLANNED, "targets": ["{x}"]}, "actions.a.targets[1]: {x}: no such parameter"),
    ({**READ, "params": {"key": {}}}, "actions.a.params.key: this name means something else"),
    ({**READ, "params": {"a b": {}}}, "actions.a.params: a b: a name is"),
    ({**READ, "params": {"x": {"pattern": "("}}}, "actions.a.params.x.pattern: "),
    ({**READ, "env": {"A=B": "x"}}, "actions.a.env.A=B: no name of a variable"),
    ({**READ, "env": {"LD_PRELOAD": "x"}}, "actions.a.env.LD_PRELOAD: no name of a variable"),
    ({**READ, "env": {"A": "{x}"}}, "actions.a.env.A: {x}: no such parameter"),
    ({**READ, "secret_env": {"A": "secret9"}}, 'actions.a.secret_env.A: "secret9" is not one of secret1'),
    ({**READ, "deadline_ms": 1}, "actions.a.deadline_ms: "),
    ({**READ, "max_output": 1 << 30}, "actions.a.max_output: "),
]


@pytest.mark.parametrize("action,text", BAD, ids=range(len(BAD)))
def test_settings_are_refused_with_their_place(action, text):
    with pytest.raises(Refused) as refused:
        Host("exec", {"actions": {"a": action}}, commands=[]).close()
    assert text in str(refused.value)


def test_settings_that_are_good():
    Host("exec", {"actions": {"a": READ, "b": MITIGATION, "c": PLANNED}}, commands=[]).close()
    for settings in ({}, {"actions": {"check": READ}}, {"actions": {"A B": READ}}):
        with pytest.raises(Refused):
            Host("exec", settings, commands=[]).close()
