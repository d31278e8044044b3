"""Drive one `stanch plugin-host` as core does, for tests of plugins: frames over a socketpair on descriptor 3.

    with Host("haproxy", settings={"address": "unix:/run/x.sock"}, secrets={"token": b"..."}) as host:
        answer = host.call("plan", "drain", {"args": {"backend": "b", "server": "s1"}})
        assert answer["outcome"] == "done", answer

Plugins are looked for in $STANCH_BUILD/plugins and $STANCH_BUILD/plugins-test.
"""
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("STANCH_BUILD", "")
BIN = os.environ.get("STANCH_BIN", "")
PATIENCE_S = 60  # with a loaded machine; nothing waits for so long that works


class Refused(Exception):
    """The host said `failed` instead of `hello`."""


def find_plugin(name):
    if "/" in name:
        return name
    for folder in ("plugins", "plugins-test"):
        path = os.path.join(BUILD, folder, name + ".so")
        if os.path.exists(path):
            return path
    raise FileNotFoundError(name + ".so under " + BUILD)


class Host:
    def __init__(self, plugin, settings=None, secrets=None, instance="test", wrapper=(), state_dir=None,
                 commands=None):
        """state_dir: the folder that an instance which "needs" one gets for its own; None: a temporary one."""
        self.commands = commands  # what its launcher may run, as core reads it out of the settings; None: no launcher
        self.launcher = None
        self.scratch = tempfile.TemporaryDirectory(prefix="stanch-host-") if state_dir is None else None
        self.state_dir = f"{self.scratch.name}/plugins/{instance}" if self.scratch else state_dir
        self.logs = []
        self.frames = []
        self.answers = {}
        self.raw = b""
        self.last_id = 0
        self.in_bytes = b""
        self.closed = False
        self._start(find_plugin(plugin), settings or {}, secrets or {}, instance, list(wrapper))

    def _start(self, path, settings, secrets, instance, wrapper):
        ours, theirs = socket.socketpair()
        fds, listed = [theirs.fileno()], []
        for number, (name, value) in enumerate(secrets.items()):
            fd = os.memfd_create("secret")
            os.write(fd, value if isinstance(value, bytes) else value.encode())
            fds.append(fd)
            listed.append({"setting": name, "fd": 4 + number})
        self.stderr = tempfile.TemporaryFile()
        if self.commands is not None:
            link, their_link = socket.socketpair()
            fds.append(their_link.fileno())
            self._start_launcher(link, instance)
        # the shell puts the descriptors where a host expects them: 3, 4, 5, ...
        high = [os.dup2(fd, 100 + i, inheritable=True) for i, fd in enumerate(fds)]
        moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(high))
        self.process = subprocess.Popen(
            wrapper + ["/bin/bash", "-c", f'exec "$0" plugin-host {moves}', BIN], env={}, stderr=self.stderr,
            stdout=self.stderr, stdin=subprocess.DEVNULL, pass_fds=high, start_new_session=True)
        for fd in fds[1:1 + len(secrets)] + high:
            os.close(fd)
        if self.commands is not None:
            their_link.close()
        theirs.close()
        self.socket = ours
        head = {"t": "open", "so": path, "instance": instance, "settings": settings, "secrets": listed}
        if self.state_dir:
            head["state_dir"] = str(self.state_dir)
        if self.commands is not None:
            head["launch_fd"] = 4 + len(secrets)
        self.send(head)
        self.hello = self._wait(lambda: next((f for f in self.frames if f["t"] in ("hello", "failed")), None), PATIENCE_S)
        if not self.hello or self.hello["t"] == "failed":
            text = self.hello["text"] if self.hello else "the host died: " + self.printed()
            self.close()
            raise Refused(text)
        self.declaration = self.hello["declaration"]

    def _start_launcher(self, link, instance):
        self.core_link, theirs = socket.socketpair()
        high = [os.dup2(fd, 150 + i, inheritable=True) for i, fd in enumerate((theirs.fileno(), link.fileno()))]
        moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(high))
        self.launcher = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$0" plugin-launch {moves}', BIN], env={}, stderr=self.stderr, stdout=self.stderr,
            stdin=subprocess.DEVNULL, pass_fds=high, start_new_session=True)
        for fd in high:
            os.close(fd)
        theirs.close()
        link.close()
        text = json.dumps({"t": "open", "commands": [str(c) for c in self.commands], "dir": "/"}).encode()
        self.core_link.sendall(struct.pack("<II", len(text), 0) + text)

    def send(self, head, body=b""):
        text = json.dumps(head).encode()
        self.socket.sendall(struct.pack("<II", len(text), len(body)) + text + body)

    def _read(self, seconds):
        if self.closed or not select.select([self.socket], [], [], max(0, seconds))[0]:
            return
        try:
            got = self.socket.recv(1 << 20)
        except ConnectionResetError:
            got = b""
        if not got:
            self.closed = True
            return
        self.raw += got
        self.in_bytes += got
        while len(self.in_bytes) >= 8:
            head_len, body_len = struct.unpack("<II", self.in_bytes[:8])
            if len(self.in_bytes) < 8 + head_len + body_len:
                return
            self._take(json.loads(self.in_bytes[8:8 + head_len]))
            self.in_bytes = self.in_bytes[8 + head_len + body_len:]

    def _take(self, frame):
        self.frames.append(frame)
        if frame["t"] == "answer":
            self.answers.setdefault(frame["id"], frame)
        if frame["t"] == "log":
            self.logs.append(frame["text"])

    def _wait(self, ready, seconds):
        end = time.monotonic() + seconds
        while not ready() and not self.closed and time.monotonic() < end:
            self._read(end - time.monotonic())
        return ready()

    def start(self, op, action, input=None, body=b"", deadline_ms=10000, is_given_up=False):
        """Send a call; returns its id, for `wait`. is_given_up: cancelled at once, so that what would be asked again until
        the deadline is told as it was the first time, and no loaded machine can pass the deadline."""
        self.last_id += 1
        self.send({"t": "call", "id": self.last_id, "op": op, "action": action, "input": input or {},
                   "deadline_ms": deadline_ms}, body)
        if is_given_up:
            self.cancel(self.last_id)
        return self.last_id

    def wait(self, call_id, seconds=PATIENCE_S):
        """The answer frame: {"outcome", "value" or "error"}."""
        answer = self._wait(lambda: self.answers.get(call_id), seconds)
        assert answer, f"no answer; closed: {self.closed}; {self.printed()}"
        return answer

    def call(self, op, action, input=None, body=b"", deadline_ms=10000, is_given_up=False):
        return self.wait(self.start(op, action, input, body, deadline_ms, is_given_up))

    def cancel(self, call_id):
        self.send({"t": "cancel", "id": call_id})

    def wait_log(self, part, seconds=PATIENCE_S):
        return self._wait(lambda: next((text for text in self.logs if part in text), None), seconds)

    def printed(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def close(self):
        """End it as core's end does; returns the exit code."""
        self.socket.close()
        try:
            return self._end()
        finally:
            if self.scratch:
                self.scratch.cleanup()

    def _end(self):
        code = self._wait_for(self.process)
        if self.launcher:  # ends with its host
            launched = self._wait_for(self.launcher)
            self.core_link.close()
            code = code or launched
        return code

    @staticmethod
    def _wait_for(process):
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -9

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.close()
        assert code == 0, f"the host ended with {code}: {self.printed()}"
