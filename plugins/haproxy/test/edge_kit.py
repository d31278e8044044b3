"""What the tests of haproxy share: an instance with its operations, and something that only pretends to be HAProxy."""
import contextlib
import os
import socket
import tempfile
import threading

from plugin_host import Host


class Client:
    """The operations of one instance, with their outcome checked."""

    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", **more):
        given = {"args": args, "key": "k1", "epoch": 1, **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.call(called, action, given)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action, backend, server, /, expect="done", **args):
        return self.ask("plan", action, {"backend": backend, "server": server, **args}, expect=expect)

    def apply(self, action, backend, server, /, plan=None, expect="done", **args):
        plan = plan or self.plan(action, backend, server, **args)
        args = {"backend": backend, "server": server, **args}
        return plan, self.ask("apply", action, args, plan, expect=expect)

    def then(self, called, action, backend, server, plan, expect="done", **more):
        args = {"backend": backend, "server": server}
        if action == "weight":
            args["weight"] = plan["to"]["weight"]
        return self.ask(called, action, args, plan, expect=expect, **more)


@contextlib.contextmanager
def client(socket_address, **settings):
    place = {"sockets": socket_address} if isinstance(socket_address, list) else {"socket": socket_address}
    with Host("haproxy", {**place, **settings}, instance="edge-eu") as host:
        yield Client(host)


class Fake:
    """Something on a Unix socket that answers each line as `answer(line)` says; None closes without an answer."""

    def __init__(self, answer):
        self.dir = tempfile.TemporaryDirectory(prefix="stanch-")
        self.path = os.path.join(self.dir.name, "fake.sock")
        self.socket = "unix:" + self.path
        self.lines = []
        self.answer = answer
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(16)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                peer = self.server.accept()[0]
            except OSError:
                return
            with peer:
                line = b""
                while not line.endswith(b"\n"):
                    got = peer.recv(4096)
                    if not got:
                        break
                    line += got
                self.lines.append(line.decode().rstrip("\n"))
                said = self.answer(self.lines[-1])
                if said:
                    peer.sendall(said.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        self.dir.cleanup()
