"""harness.py: the real binary in a scratch directory, for the flow and crash tests.

    def test_something(world):
        world.repo.commit({"checkout.lua": RUNBOOK})
        daemon = world.daemon().start()
        daemon.post_alert(alert("CheckoutErrorRateHigh", env="prod"))
        run = wait_for(lambda: daemon.get("/v1/runs")["runs"], "a run")

Each world has its own directory, ports, sockets and repository, so that tests run side by side. Nothing is waited
for by time: wait_for asks until it is so, and says what it saw when it never was. At the end of a world all of its
processes must be gone; the test fails when one is left.
"""
import base64
import ctypes
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("STANCH_BUILD", SOURCE / "build"))
STANCH = Path(os.environ.get("STANCH_BIN", BUILD / "bin/stanch"))
KIND = os.environ.get("STANCH_KIND", "dev")
PATIENCE_S = 60 if KIND in ("asan", "tsan") else 30

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of a killed daemon become ours, so that they are seen


def wait_for(predicate, what="it", timeout=None, every=0.02):
    """Ask until the answer is true, and give it back."""
    end = time.monotonic() + (timeout or PATIENCE_S)
    seen = None
    while True:
        seen = predicate()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout or PATIENCE_S} s for {what}; last seen: {seen!r}")
        time.sleep(every)


TAKEN = []  # one socket for each port that this process was given, bound to the port's name


def free_port():
    """A port that stays free until it is used, also over a restart: below those that the system gives to outgoing connections,
    and no other test's that runs at the same time, while nobody listens there."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10000, max(lowest, 20000))
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                mark.bind(f"\0stanch-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                mark.close()
                continue
        TAKEN.append(mark)
        return port


# Lua text from Python values, for configuration and policy.

class Lua(str):
    """Text that is Lua already: Lua('secret.file "/x"')."""


def lua(value, indent=0):
    pad = "  " * (indent + 1)
    if isinstance(value, Lua):
        return str(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, dict):
        items = [f"{pad}{k if str(k).isidentifier() else '[' + json.dumps(k) + ']'} = {lua(v, indent + 1)},\n"
                 for k, v in value.items() if v is not None]
        return "{\n" + "".join(items) + "  " * indent + "}"
    return "{ " + ", ".join(lua(v, indent + 1) for v in value) + " }"


# Events.

def rfc3339(at):
    return datetime.fromtimestamp(at, timezone.utc).isoformat().replace("+00:00", "Z")


def find_fixtures(folder):
    """Payloads and descriptions of others, in `shared/fixtures` beside the project; a folder that is not there, if it
    is a clone without them: then their tests are skipped."""
    for parent in [SOURCE, *SOURCE.resolve().parents]:
        if (parent / "shared/fixtures" / folder).is_dir():
            return parent / "shared/fixtures" / folder
    return Path("/nowhere")


def alert(alertname="TestAlert", status="firing", starts_at=None, ends_at=None, annotations=None, **labels):
    """One alert of Alertmanager's webhook, version 4."""
    labels = {"alertname": alertname, **labels}
    text = json.dumps(labels, sort_keys=True)
    now = time.time()
    return {
        "status": status,
        "labels": labels,
        "annotations": annotations or {"summary": f"{alertname} fires"},
        "startsAt": rfc3339(now if starts_at is None else starts_at),
        "endsAt": rfc3339(ends_at or now) if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:16],
    }


def webhook(*alerts, **more):
    """The body that Alertmanager posts for a group of alerts."""
    common = dict(set(alerts[0]["labels"].items()).intersection(*(a["labels"].items() for a in alerts)))
    return {
        "version": "4", "receiver": "stanch", "truncatedAlerts": 0, "externalURL": "http://alertmanager.example",
        "groupKey": '{}:{alertname="%s"}' % alerts[0]["labels"]["alertname"],
        "groupLabels": {"alertname": alerts[0]["labels"]["alertname"]},
        "commonLabels": common, "commonAnnotations": {},
        "status": "firing" if any(a["status"] == "firing" for a in alerts) else "resolved",
        "alerts": list(alerts), **more,
    }


class Repo:
    """A git repository of runbooks, made by git itself."""

    def __init__(self, path, branch="main"):
        self.path = Path(path)
        self.branch = branch
        self.env = {"PATH": os.environ["PATH"], "HOME": str(path), "GIT_CONFIG_GLOBAL": "/dev/null",
                    "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
                    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org"}
        self.path.mkdir(parents=True)
        self.git("init", "-q", "-b", branch)

    def git(self, *args):
        return subprocess.run(["git", *args], cwd=self.path, env=self.env, check=True, capture_output=True,
                              text=True).stdout.strip()

    def commit(self, files, message="change"):
        """Write the files ({path: text}, None removes), commit them; returns the commit."""
        for name, text in files.items():
            path = self.path / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self):
        return self.git("rev-parse", "HEAD")


class Answer:
    """What the API answered: status, headers, json (None when it is none), text."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.text = response.read().decode("utf-8", "replace")
        try:
            self.json = json.loads(self.text)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"<{self.status} {self.text[:600]}>"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """`stanch serve` with a configuration of its own; may be started, killed and started again."""

    def __init__(self, world, config, env=None):
        self.world = world
        self.config_path = world.dir / "stanch.lua"
        self.config_path.write_text(config)
        self.socket = world.dir / "run" / "control.sock"
        self.port = world.port
        self.log_path = world.dir / "daemon.log"
        self.env = {"PATH": os.environ["PATH"], "STANCH_LOG": "debug",
                    **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}, **(env or {})}
        self.process = None
        self.starts = 0

    def start(self, ready=True, **env):
        """Start it; waits until it is ready, unless told otherwise (then: until it serves)."""
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([STANCH, "serve", "--config", self.config_path], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**self.env, **env}, cwd=self.world.dir)
        wait_for(lambda: self._is_up("/readyz" if ready else "/healthz"), f"the daemon to be up\n{self.log()}")
        return self

    def _is_up(self, path):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"the daemon ended with {code}:\n{self.log()[-4000:]}")
        try:
            return self.api("GET", path).status == 200
        except OSError:
            return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill9(self):
        self.process.kill()
        self.process.wait()
        return self

    def stop(self, expect=0):
        """SIGTERM, and the exit code it must have."""
        self.process.terminate()
        code = self.process.wait(PATIENCE_S + 30)
        assert code == expect, f"the daemon ended with {code}:\n{self.log()[-4000:]}"
        return self

    def wait_end(self):
        """Wait until it ended by itself (a crash point); returns the code, -9 for SIGKILL."""
        return self.process.wait(PATIENCE_S)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    # The API.

    def api(self, method, path, body=None, headers=None, timeout=30, tcp=False):
        """One exchange over the control socket (or TCP). body: bytes, or what becomes JSON."""
        connection = (http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout) if tcp
                      else UnixConnection(self.socket, timeout))
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        """The JSON of a GET that must succeed."""
        answer = self.api("GET", path)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.json

    def post(self, path, body=None):
        """The JSON of a POST that must succeed."""
        answer = self.api("POST", path, {} if body is None else body)
        assert 200 <= answer.status < 300, f"POST {path}: {answer}"
        return answer.json

    def post_alert(self, *alerts, source="am", token=None, expect=202, **more):
        """Post alerts as Alertmanager would, over TCP; returns the answer's JSON."""
        headers = {"Authorization": f"Bearer {token or self.world.token}"}
        answer = self.api("POST", f"/v1/events/{source}", webhook(*alerts, **more), headers, tcp=True)
        assert answer.status == expect, f"{answer}"
        return answer.json

    @contextmanager
    def stream(self, last_event_id=None, path="/v1/stream", timeout=None):
        """Server-sent events, as (id, event, data) in an iterator."""
        connection = UnixConnection(self.socket, timeout or PATIENCE_S)
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200, f"{response.status} {response.read(2000)!r}"

        def events():
            fields = {}
            while line := response.readline():
                line = line.decode().rstrip("\r\n")
                if not line and "data" in fields:
                    yield fields.get("id"), fields.get("event"), json.loads(fields["data"])
                    fields = {}
                name, _, value = line.partition(":")
                if name in ("id", "event", "data"):
                    fields[name] = value.removeprefix(" ")
        try:
            yield events()
        finally:
            connection.close()

    def cli(self, *args, check=True, input=None, env=None):
        """Run the command line against this daemon; returns the completed process (text)."""
        done = subprocess.run([STANCH, "--socket", self.socket, *map(str, args)], capture_output=True, text=True,
                              input=input, stdin=subprocess.DEVNULL if input is None else None,
                              timeout=PATIENCE_S * 2, env={**self.env, **(env or {})}, cwd=self.world.dir)
        assert not check or done.returncode == 0, f"stanch {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def cli_json(self, *args):
        return json.loads(self.cli(*args, "--json").stdout)

    # What tests ask all the time.

    def timeline(self, incident):
        return self.get(f"/v1/incidents/{incident}/timeline?limit=1000")["items"]

    def kinds(self, incident):
        """The kinds of an incident's entries, in order."""
        return [entry["kind"] for entry in self.timeline(incident)]


class World:
    """A scratch directory with a repository, and the daemons of one test."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="stanch-flow-"))
        self.repo = Repo(self.dir / "repo")
        self.port = free_port()
        self.token = base64.b32encode(os.urandom(15)).decode()
        self.token_file = self.write("secrets/token", self.token + "\n", 0o600)
        self.effects_path = self.dir / "effects.log"
        self.remote_path = self.dir / "remote"
        self.behaviour_path = self.dir / "behaviour"
        self.plugin_dir = self.dir / "plugins"  # the real plugins and those for tests, side by side
        self.plugin_dir.mkdir()
        for built in [*(BUILD / "plugins").glob("*.so"), *(BUILD / "plugins-test").glob("*.so")]:
            (self.plugin_dir / built.name).symlink_to(built)
        self.remote_path = self.dir / "remote.txt"
        self.behaviour_path = self.dir / "behaviour.txt"
        self.daemons = []

    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    # The effects plugin's world: files outside of stanch (tests/plugins/effects.c).

    def effects(self):
        """What the test plugin did to its world, in order: its remote is outside of stanch, and an effect comes into it
        in one write."""
        if not self.remote_path.exists():
            return []
        found = []
        for line in self.remote_path.read_text().splitlines():
            target, value, *how = line.split()
            if how:  # not changed by hand
                op, action, key = how
                found.append({"op": op, "action": action, "target": target, "value": int(value), "key": key})
        return found

    def set_value(self, target, value):
        """Change the test plugin's remote by hand."""
        with open(self.remote_path, "a", encoding="utf-8") as remote:
            remote.write(f"{target} {value}\n")

    def behave(self, *lines):
        """Make the test plugin misbehave (tests/plugins/effects.c says how)."""
        self.behaviour_path.write_text("".join(line + "\n" for line in lines))

    def daemon(self, config=None, env=None, **settings):
        daemon = Daemon(self, config or default_config(self, **settings), env)
        self.daemons.append(daemon)
        return daemon

    def close(self):
        for daemon in self.daemons:
            if daemon.running:
                daemon.process.terminate()
        for daemon in self.daemons:
            if daemon.process is None:
                continue
            try:
                daemon.process.wait(40)
            except subprocess.TimeoutExpired:
                daemon.kill9()
                raise AssertionError(f"the daemon did not end on SIGTERM:\n{daemon.log()[-4000:]}") from None
        left = wait_for_no_children()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not left, f"processes are left: {left}"


def children_of(pid):
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError, IndexError):
            continue
    return found


LASTING = set()  # processes that serve several worlds: no world waits for their end


def wait_for_no_children(timeout=PATIENCE_S):
    """Reap orphans; what still lives after the timeout is killed and named."""
    end = time.monotonic() + timeout
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return {}
        left = {pid: line for pid, line in children_of(os.getpid()).items() if pid not in LASTING}
        if not left:
            return {}
        if time.monotonic() > end:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            return left
        time.sleep(0.02)


def default_config(world, policy=None, instances=(), limits=None, incidents=None, **more):
    """stanch.lua for a test: the effects plugin as `fx`, Alertmanager as the source `am`, the world's repository.
    policy: text of policy.lua; None: no policy file. instances: more of them, as Lua."""
    if policy:
        world.write("policy.lua", policy)
    secret = Lua(f'secret.file {lua(world.token_file)}')
    effects = {"log": world.effects_path, "state": world.remote_path, "behaviour": world.behaviour_path,
               "environment": "test"}
    own = [Lua(f'alertmanager "am" {lua({"token": secret})}'), Lua(f'effects "fx" {lua(effects)}')]
    return "stanch " + lua({
        "state_dir": world.dir / "state", "socket": world.dir / "run" / "control.sock",
        "listen": f"127.0.0.1:{world.port}", "plugin_dir": world.plugin_dir,
        "runbooks": {"url": world.repo.path, "poll": "200ms"},
        "policy": "policy.lua" if policy else None,
        "instances": [*own, *map(Lua, instances)], "limits": limits, "incidents": incidents, **more,
    }) + "\n"


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()
