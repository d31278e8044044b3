"""chaos_git.py: the repository of runbooks in every kind of trouble, while alerts keep coming (PROMISES.md 1.11, T16, T17).
Each trouble is made by a server that speaks git's own protocol, by git itself when it is well."""
import http.server
import os
import socket
import struct
import subprocess
import threading
import time
import zlib
from contextlib import contextmanager

from books import ALWAYS, book, set_to
from chaos_kit import EACH, Pulse, Tally, check_no_zombies, children, entries_of, find
from chaos_workers import HARM, harm
from harness import World, alert, wait_for

DEADLINE_S = 3


def packet(text):
    return f"{len(text) + 4:04x}".encode() + text


class GitServer(threading.Thread):
    """git://127.0.0.1:PORT/ for one repository; `mode` says how it fares."""

    def __init__(self, repo):
        super().__init__(daemon=True)
        self.repo = repo
        self.mode = "well"
        self.asked = 0  # connections, in the present mode
        self.listener = None
        self.held = []
        self.port = None
        self.open()
        self.url = f"git://127.0.0.1:{self.port}/repo"
        self.start()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port or 0))
        self.port = self.listener.getsockname()[1]

    def set(self, mode):
        if self.mode == "away":
            self.open()
        self.mode, self.asked = mode, 0
        if mode == "away":
            self.listener.close()
        for connection in self.held:
            connection.close()
        self.held = []

    def run(self):
        while self.mode != "over":
            try:
                connection, _ = self.listener.accept()
            except OSError:
                time.sleep(0.02)
                continue
            threading.Thread(target=self.serve, args=(connection, self.mode), daemon=True).start()

    def serve(self, connection, mode):
        self.asked += 1
        try:
            if mode == "hang":
                self.held.append(connection)
                return
            with connection:
                length = int(connection.recv(4, socket.MSG_WAITALL), 16)
                connection.recv(length - 4, socket.MSG_WAITALL)
                getattr(self, mode, self.reset)(connection)
        except (OSError, ValueError):
            pass  # the daemon gave up: that is what it is here for

    def well(self, connection):
        subprocess.run(["git", "upload-pack", self.repo.path], stdin=connection, stdout=connection,
                       stderr=subprocess.DEVNULL, env=self.repo.env, check=False)

    def refuse(self, connection):
        connection.sendall(packet(b"ERR access denied or repository not exported: /repo"))

    def garbage(self, connection):
        connection.sendall(os.urandom(65536))

    def reset(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def offer(self, connection):
        """A branch at a commit that nobody has; then the pack of it."""
        connection.sendall(packet(b"1" * 40 + b" HEAD\0ofs-delta\n") + packet(b"1" * 40 + b" refs/heads/main\n") + b"0000")
        asked = b""
        while b"done" not in asked:
            got = connection.recv(65536)
            if not got:
                raise OSError("gone")
            asked += got
        connection.sendall(packet(b"NAK\n"))

    def huge(self, connection):
        """1 GiB in a pack that does not end: stored blocks of a blob."""
        self.offer(connection)
        connection.sendall(b"PACK" + struct.pack(">II", 2, 1) + self.blob_head(1 << 30) + b"\x78\x01")
        block = struct.pack("<BHH", 0, 65535, 0) + os.urandom(65535)
        for _ in range((1 << 30) // 65535):
            connection.sendall(block)

    def bomb(self, connection):
        """1 MiB in a pack that becomes 1 GiB."""
        self.offer(connection)
        connection.sendall(b"PACK" + struct.pack(">II", 2, 1) + self.blob_head(1 << 30))
        packer = zlib.compressobj(9)
        zeros = bytes(1 << 20)
        for _ in range(1 << 10):
            connection.sendall(packer.compress(zeros))
        connection.sendall(packer.flush())

    @staticmethod
    def blob_head(size):
        """Type and size of an object in a pack: 4 bits, then 7 in each byte."""
        head, size = bytearray([(3 << 4) | (size & 15)]), size >> 4
        while size:
            head[-1] |= 0x80
            head.append(size & 127)
            size >>= 7
        return bytes(head)


TROUBLES = {  # mode: what must be said
    "away": "reached", "hang": "longer than", "refuse": "denied", "garbage": "", "reset": "", "huge": "er than",
    "bomb": ""}  # 1 GiB: larger than the limit, or longer than the deadline, whichever comes first


@contextmanager
def served(deadline_s=DEADLINE_S):
    world = World()
    server = GitServer(world.repo)
    settings = {"url": server.url, "poll": "200ms", "deadline": f"{deadline_s}s"}
    try:
        yield world, server, lambda: world.daemon(policy=ALWAYS, runbooks=settings)
    finally:
        server.set("over")
        server.listener.close()
        world.close()


def book_of(daemon):
    return daemon.get("/v1/status")["book"]


def act_now(tally, daemon, world, what):
    """An alert acts, whatever the repository does."""
    world.set_value("s1", 0)
    before = len(daemon.get("/v1/runs")["items"])
    daemon.post_alert(alert(nth=f"{what} {before}"))
    wait_for(lambda: len(daemon.get("/v1/runs")["items"]) > before, "the run")
    run = wait_for(lambda: (found := daemon.get("/v1/runs")["items"][0])["state"] != "running" and found, "its end")
    tally.hold("runs that succeeded on the last good commit", run["state"] == "succeeded", f"{what}: {run}")
    return run


def suffer(tally, daemon, world, server, mode, says):
    good = book_of(daemon)["commit"]
    server.set(mode)
    run = act_now(tally, daemon, world, mode)  # while the fetch is under way, or just failed
    tally.hold("runs on the accepted commit", daemon.get(f"/v1/runs/{run['id']}")["commit"] == good, mode)
    wait_for(lambda: book_of(daemon)["state"] in ("away", "refused"), f"{mode} to be said", 180)
    status = book_of(daemon)
    tally.hold("troubles said", says in status["why"], f"{mode}: {status}")
    tally.hold("age of the runbooks shown", status["commit"] == good and status["age_ms"] > 0, f"{mode}: {status}")
    act_now(tally, daemon, world, mode)
    server.set("well")
    wait_for(lambda: book_of(daemon)["state"] == "ok", f"the repository after {mode}", 180)
    tally.count("troubles of the repository")


def troubles(long, _seed):
    tally = Tally()
    with served(60 if long else DEADLINE_S) as (world, server, make):
        world.repo.commit({"heal.lua": book(set_to(7), more=EACH)})
        daemon = make().start()
        pulse = Pulse(daemon, tally)
        for mode, says in TROUBLES.items():
            suffer(tally, daemon, world, server, mode, says)
        metrics = daemon.api("GET", "/metrics").text
        tally.hold("age of the runbooks shown", "stanch_book_age_seconds" in metrics, metrics[:300])
        tally.hold("age of the runbooks shown", " ago" in daemon.cli("runbook", "list").stdout, "runbook list")
        later = world.repo.commit({"heal.lua": book(set_to(8), more=EACH)})
        wait_for(lambda: book_of(daemon)["commit"] == later, "the next commit")
        force_push(tally, daemon, world, later)
        size = sum(path.stat().st_size for path in (world.dir / "state/book.git").rglob("*") if path.is_file())
        tally.hold("nothing left of what was refused", size < 32 << 20, f"{size} bytes in the clone")
        check_no_zombies(tally, daemon)
        pulse.stop()
        daemon.stop()
    return tally


def force_push(tally, daemon, world, good):
    world.repo.git("commit", "-q", "--amend", "-m", "another past")
    wait_for(lambda: book_of(daemon)["state"] == "refused", "the refusal")
    status = book_of(daemon)
    tally.hold("a rewritten branch is held and said", "fast-forward" in status["why"] and status["commit"] == good, status)
    run = act_now(tally, daemon, world, "forced push")
    tally.hold("runs on the accepted commit", daemon.get(f"/v1/runs/{run['id']}")["commit"] == good, "forced push")
    said = [e for e in entries_of(daemon, "-") if e["kind"] == "book.refused" and "fast-forward" in e["data"]["why"]]
    tally.hold("a rewritten branch is held and said", len(said) == 1, said)
    tally.count("troubles of the repository")


# No commit at all; a key that is wrong.

class Quiet(http.server.ThreadingHTTPServer):
    """A client that left is no news."""

    def handle_error(self, request, client_address):
        pass


class Guarded(http.server.BaseHTTPRequestHandler):
    """Smart HTTP in front of a repository; server.key_is_right says whether anybody gets in."""

    def log_message(self, *_):
        pass

    def upload_pack(self, *args, body=b""):
        return subprocess.run(["git", "upload-pack", "--stateless-rpc", *args, self.server.repo.path], input=body,
                              capture_output=True, env=self.server.repo.env, check=False).stdout

    def answer(self, kind, body):
        self.send_response(self.server.status)
        if self.server.status != 200:
            body = b"go away"
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer("advertisement", packet(b"# service=git-upload-pack\n") + b"0000" + self.upload_pack("--advertise-refs"))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("result", self.upload_pack(body=body))


def first_commit(_long, _seed):
    """401, 403, then an empty repository, then a first commit; alerts come all the while."""
    tally, world = Tally(), World()
    server = Quiet(("127.0.0.1", 0), Guarded)
    server.repo, server.status = world.repo, 401
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/repo"
        daemon = world.daemon(policy=ALWAYS, runbooks={"url": url, "poll": "200ms"}).start(ready=False)
        pulse = Pulse(daemon, tally)
        for status, says in ((401, "credential"), (403, "403"), (200, "no commit")):
            server.status = status
            wait_for(lambda s=says: s in book_of(daemon).get("why", ""), f"{status} to be said: {book_of(daemon)}")
            ready = daemon.api("GET", "/readyz")
            tally.hold("troubles said", ready.status == 503 and says in ready.text, ready)
            tally.count("troubles of the repository")
        old = alert(nth="old", starts_at=time.time() - 3600)
        daemon.post_alert(alert(nth="waiting"), old)
        tally.hold("matches wait for the first commit", daemon.get("/v1/runs")["items"] == [], daemon.get("/v1/runs"))
        world.repo.commit({"heal.lua": book(set_to(7), more=EACH)})
        run = wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["state"] != "running"], "the run")
        tally.hold("matches wait for the first commit", [r["state"] for r in run] == ["succeeded"], run)
        tally.hold("max_age holds for what waited", len(daemon.get("/v1/runs")["items"]) == 1, daemon.get("/v1/runs"))
        wait_for(lambda: daemon.api("GET", "/readyz").status == 200, "readiness")
        check_no_zombies(tally, daemon)
        pulse.stop()
        daemon.stop()
    finally:
        server.shutdown()
        server.server_close()
        world.close()
    return tally


# The book process itself.

def break_book(_long, _seed):
    tally = Tally()
    with served() as (world, server, make):
        world.repo.commit({"heal.lua": book(set_to(7), more=EACH)})
        daemon = make().start()
        pulse = Pulse(daemon, tally)
        for how in HARM:
            server.set("hang")  # so that it is at work
            wait_for(lambda: server.asked, "a fetch")
            book_pid = wait_for(lambda: children(daemon.process.pid, "book"), "the book process")[0]
            harm(book_pid, how)
            act_now(tally, daemon, world, how)
            server.set("well")
            wanted = world.repo.commit({"heal.lua": book(set_to(7), more=f"{EACH} -- {how}")})
            wait_for(lambda w=wanted: book_of(daemon)["commit"] == w, f"the next commit after {how}", 180)
            tally.count("ways of breaking a worker, the runner or the book")
        check_no_zombies(tally, daemon)
        pulse.stop()
        daemon.stop()
    return tally
