"""What the tests of exec share: scripts, and an instance that lists them."""
import contextlib
from pathlib import Path

from plugin_host import Host

WORKERS = """
case "$1" in
get) cat "$STATE" ;;
set) echo "$3" > "$STATE"; [ -e "$STATE.hang" ] && sleep 600; echo "${2#--service=}: $3" ;;
*) exit 2 ;;
esac
"""
ECHO = """exec /usr/bin/python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"
"""


class Ops:
    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=20000, **more):
        given = {"args": args, "key": "k1", "epoch": 1, **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.wait(self.host.start(called, action, given, deadline_ms=deadline_ms), 60)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]


class Kit:
    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.hang = folder / "state.hang"
        self.state.write_text("5\n")

    def path(self, name):
        return str(self.folder / name)

    def script(self, name, text):
        path = Path(self.path(name))
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)

    @contextlib.contextmanager
    def host(self, actions, secrets=None):
        commands = {one[key] for action in actions.values() for one in [action, *action.values()]
                    if isinstance(one, dict) for key in ("command",) if key in one}
        with Host("exec", {"actions": actions}, secrets or {}, instance="ops", commands=sorted(commands)) as host:
            yield Ops(host)

    def scale(self, **more):
        action = {"summary": "set the workers of a service", "class": "convergent", "risk": "low",
                  "command": self.script("workers", WORKERS), "args": ["set", "--service={service}", "{count}"],
                  "params": {"service": {"summary": "whose"}, "count": {"type": "integer", "minimum": 0}},
                  "env": {"STATE": str(self.state)}, "plan": {"args": ["get"]}, "to": "{count}",
                  "undo": {"args": ["set", "--service={service}", "{from}"]}, "targets": ["service:{service}"],
                  "impact": "workers of {service} to {count}"}
        return self.host({"scale": {**action, **more}})

    def echo(self, args, params=None):
        """An action that answers with its arguments, as JSON."""
        return self.host({"echo": {"summary": "s", "effect": "read", "class": "read-only", "prints": "json",
                                   "command": self.script("echo", ECHO), "args": args, "params": params or {"text": {}}}})

    @staticmethod
    def argv(ops, **values):
        return ops.ask("read", "echo", values)["value"]

    @staticmethod
    def is_alive(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False
