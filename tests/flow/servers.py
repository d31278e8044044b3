"""Real servers on loopback for tests: HAProxy, Prometheus, Alertmanager, each in a scratch directory of its own, and
small Python origins behind or in front of them.

    with Origin("a") as a, Origin("b") as b, Haproxy({"shop": {"s1": a.port, "s2": b.port}}) as proxy:
        proxy.get()            # -> "a" or "b"
        proxy.ask("show servers state shop")
"""
import contextlib
import ctypes
import http.client
import http.server
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

from harness import free_port, wait_for


class Origin:
    """An HTTP server that answers each request with what `answer(handler, body)` returns: text, or (status, headers,
    text). What was asked is in .requests as (method, path, headers, body)."""

    def __init__(self, answer="", port=0):
        self.requests = []
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def _do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                origin.requests.append((self.command, self.path, dict(self.headers), body))
                said = answer(self, body) if callable(answer) else answer
                status, headers, text = said if isinstance(said, tuple) else (200, {}, said)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text if isinstance(text, bytes) else text.encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def closed_port():
    """A port that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class Server:
    """A process in a scratch directory; ready when `is_ready` says so."""
    user = None  # whose it is, when we may choose
    env = None
    patience = None

    def __init__(self, name, argv):
        self.name = name
        self.log_file = open(self.dir / f"{name}.log", "ab")
        self.argv = [str(a) for a in argv]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, start_new_session=True, preexec_fn=die_with_parent,
                                        user=self.user, env=self.env)
        wait_for(self._is_up, f"{self.name} to be ready", self.patience)

    def _is_up(self):
        assert self.process.poll() is None, f"{self.name} ended: {self.log()}"
        try:
            return self.is_ready()
        except OSError:
            return False

    def log(self):
        return (self.dir / f"{self.name}.log").read_text(errors="replace")[-3000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def scratch(self):
        self.dir = Path(tempfile.mkdtemp(prefix="stanch-"))
        return self.dir

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.log_file.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def http_get(port, path="/", headers=None, method="GET", body=None):
    """(status, text)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Haproxy(Server):
    """backends: {"shop": {"s1": port or "127.0.0.1:port weight 10 check inter 100ms", ...}}; the first one serves."""

    def __init__(self, backends, more=""):
        folder = self.scratch()
        self.port = free_port()
        self.path = folder / "admin.sock"
        self.socket = f"unix:{self.path}"
        self.tcp_port = free_port()
        first = next(iter(backends))
        text = f"""
global
    stats socket {self.path} mode 600 level admin
    stats socket {folder}/reader.sock mode 600 level operator
    stats socket ipv4@127.0.0.1:{self.tcp_port} level admin
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
    retries 0
frontend front
    bind 127.0.0.1:{self.port}
    default_backend {first}
"""
        for backend, servers in backends.items():
            text += f"backend {backend}\n"
            for server, where in servers.items():
                text += f"    server {server} {where if isinstance(where, str) else f'127.0.0.1:{where}'}\n"
        (folder / "haproxy.cfg").write_text(text + more)
        super().__init__("haproxy", ["/usr/sbin/haproxy", "-db", "-f", folder / "haproxy.cfg"])

    def is_ready(self):
        return "Version" in self.ask("show info")

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path))
            s.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def state(self, backend, server):
        """(admin state, weight) as HAProxy itself says."""
        lines = self.ask(f"show servers state {backend}").splitlines()
        names = lines[1][2:].split(" ")
        row = next(dict(zip(names, line.split(" "))) for line in lines[2:] if line.split(" ")[3:4] == [server])
        return int(row["srv_admin_state"]), int(row["srv_uweight"])

    def is_up(self, backend, server):
        lines = self.ask(f"show servers state {backend}").splitlines()
        return next(line.split(" ")[5] == "2" for line in lines[2:] if line.split(" ")[3:4] == [server])

    def get(self):
        return http_get(self.port)[1]

    def who_answers(self, count=12):
        return {self.get() for _ in range(count)}


class Prometheus(Server):
    def __init__(self, config=None):
        folder = self.scratch()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "prometheus.yml").write_text(json.dumps(config or {"global": {}}))
        super().__init__("prometheus", [
            "/usr/bin/prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-lifecycle"])

    def is_ready(self):
        return http_get(self.port, "/-/ready")[0] == 200

    def query(self, expr):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        return json.loads(http_get(self.port, path)[1])["data"]["result"]


class Alertmanager(Server):
    """config: alertmanager.yml as a dict."""

    def __init__(self, config):
        folder = self.scratch()
        self.port = free_port()
        (folder / "alertmanager.yml").write_text(json.dumps(config))
        super().__init__("alertmanager", [
            "/usr/bin/prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address="])

    def is_ready(self):
        return http_get(self.port, "/-/ready")[0] == 200

    def post(self, *alerts):
        status, text = http_get(self.port, "/api/v2/alerts", {"Content-Type": "application/json"}, "POST",
                                json.dumps(alerts))
        assert status == 200, text
