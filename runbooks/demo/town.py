"""town.py: the demo's world in a scratch directory: shop, customers, HAProxy, Prometheus, Alertmanager, Stanch.

All of it listens on loopback, on ports that were free, and ends with the demo, however that ends.
"""
import ctypes
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None)
SERVERS = ("eu1", "eu2", "eu3")
PORTS = ("EDGE", "METRICS", "EU1", "EU2", "EU3", "PROMETHEUS", "ALERTMANAGER", "STANCH")


class Trouble(Exception):
    """The demo cannot go on; the text is for the person who ran it."""


def wait_for(predicate, what, timeout=30, every=0.1):
    """Ask until the answer is true, and give it back. what: text, or a function that makes it when it never was."""
    end = time.monotonic() + timeout
    while not (seen := predicate()):
        if time.monotonic() > end:
            raise Trouble(f"waited {timeout} s for {what() if callable(what) else what}")
        time.sleep(every)
    return seen


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Town:
    def __init__(self, build):
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.stanch_bin = build / "bin/stanch"
        self.run = Path(tempfile.mkdtemp(prefix="stanch-demo-"))
        self.port = dict(zip(PORTS, free_ports(len(PORTS))))
        self.socket = self.run / "control.sock"
        self.processes = {}
        (self.run / "alertmanager.token").write_text(secrets.token_hex(16))
        (self.run / "alertmanager.token").chmod(0o600)
        self.fill = {"RUN": str(self.run), "BUILD": str(build), **{f"{k}_PORT": str(v) for k, v in self.port.items()}}
        for name in ("haproxy.cfg", "prometheus.yml", "rules.yml", "alertmanager.yml", "stanch.lua", "policy.lua"):
            if (HERE / name).exists():
                text = re.sub(r"@([A-Z0-9_]+)@", lambda m: self.fill[m[1]], (HERE / name).read_text())
                (self.run / name).write_text(text)

    # Processes.

    def start(self, name, *command):
        with open(self.run / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, cwd=self.run, start_new_session=True,
                                                    preexec_fn=die_with_parent)

    def log(self, name):
        path = self.run / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_up(self, name, port, path):
        def is_up():
            if self.processes[name].poll() is not None:
                raise Trouble(f"{name} ended:\n{self.log(name)[-3000:]}")
            return self.http(port, path)
        wait_for(is_up, lambda: f"{name} to answer {path}; its log ends with\n{self.log(name)[-2000:]}")

    def start_shop(self):
        self.start("shop", sys.executable, HERE / "shop.py", "serve",
                   *(f"{name}={self.port[name.upper()]}" for name in SERVERS))
        for name in SERVERS:
            self.wait_up("shop", self.port[name.upper()], "/")
        self.start("haproxy", "/usr/sbin/haproxy", "-W", "-db", "-f", self.run / "haproxy.cfg")
        self.wait_up("haproxy", self.port["METRICS"], "/metrics")
        self.start("customers", sys.executable, HERE / "shop.py", "load", f"http://127.0.0.1:{self.port['EDGE']}", 40)

    def start_monitoring(self):
        prom, am = self.port["PROMETHEUS"], self.port["ALERTMANAGER"]
        self.start("prometheus", "prometheus", f"--config.file={self.run}/prometheus.yml",
                   f"--storage.tsdb.path={self.run}/prometheus", f"--web.listen-address=127.0.0.1:{prom}")
        self.start("alertmanager", "prometheus-alertmanager", f"--config.file={self.run}/alertmanager.yml",
                   f"--storage.path={self.run}/alertmanager", f"--web.listen-address=127.0.0.1:{am}",
                   "--cluster.listen-address=")
        self.wait_up("prometheus", prom, "/-/ready")
        self.wait_up("alertmanager", am, "/-/ready")

    def make_repository(self):
        """The runbooks of this source tree, as a git repository of their own."""
        repo = self.run / "runbooks.git"
        repo.mkdir()
        shutil.copy(HERE.parent / "checkout/checkout.lua", repo)  # the other examples need other instances
        env = {"PATH": os.environ["PATH"], "HOME": str(self.run), "GIT_CONFIG_GLOBAL": "/dev/null",
               "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "team-checkout", "GIT_AUTHOR_EMAIL": "checkout@example.org",
               "GIT_COMMITTER_NAME": "team-checkout", "GIT_COMMITTER_EMAIL": "checkout@example.org"}
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Runbooks of the checkout team"]):
            subprocess.run(["git", *command], cwd=repo, env=env, check=True, stdout=subprocess.DEVNULL)

    def start_stanch(self):
        self.start("stanch", self.stanch_bin, "serve", "--config", self.run / "stanch.lua")
        self.wait_up("stanch", self.port["STANCH"], "/readyz")

    def kill_stanch(self):
        self.processes["stanch"].kill()
        self.processes["stanch"].wait()

    def stop_stanch(self):
        self.processes["stanch"].terminate()
        return self.processes["stanch"].wait(60)

    # Talking to it.

    def http(self, port, path, method="GET"):
        """The body of a 200, else None."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
            return (body or "ok") if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def stanch(self, *args, check=True):
        """What the command line prints."""
        done = subprocess.run([self.stanch_bin, "--socket", self.socket, *args], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        if check and done.returncode != 0:
            raise Trouble(f"stanch {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def get(self, path):
        """The JSON of a GET from Stanch's API, over its control socket."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        try:
            connection.sock.connect(str(self.socket))
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise Trouble(f"GET {path}: {answer.status} {body}")
            return json.loads(body)
        finally:
            connection.close()

    def query(self, expression):
        body = self.http(self.port["PROMETHEUS"], "/api/v1/query?query=" + quote(expression))
        result = json.loads(body)["data"]["result"] if body else []
        return float(result[0]["value"][1]) if result else None

    def haproxy(self, command):
        with socket.socket(socket.AF_UNIX) as edge:
            edge.connect(str(self.run / "haproxy.sock"))
            edge.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: edge.recv(65536), b"")).decode()

    def is_drained(self, server):
        for line in self.haproxy("show servers state checkout").splitlines():
            fields = line.split()
            if len(fields) > 6 and fields[3] == server:
                return int(fields[6]) != 0  # srv_admin_state
        raise Trouble(f"HAProxy does not know the server {server}")

    def set_fault(self, server, failing):
        self.http(self.port[server.upper()], "/fault" if failing else "/mend", "POST")

    # HAProxy's own log.

    def requests(self):
        """(accepted at, server, status) of each request, as HAProxy logged it."""
        found = re.findall(r"request at=([0-9.]+) server=(\S+) status=(\d+)", self.log("haproxy"))
        return [(float(at), server, int(status)) for at, server, status in found]

    # The end.

    def close(self):
        for name in ("stanch", "customers", "alertmanager", "prometheus", "haproxy", "shop"):
            process = self.processes.get(name)
            if process and process.poll() is None:
                process.terminate()
        for name, process in self.processes.items():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        left = self.reap_orphans()
        shutil.rmtree(self.run, ignore_errors=True)
        if left:
            raise Trouble(f"processes were left and had to be killed: {left}")

    @staticmethod
    def reap_orphans(timeout=10):
        """Orphans come to us (subreaper): wait for their end; kill and name what does not end."""
        end = time.monotonic() + timeout
        while True:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return []
            if time.monotonic() > end:
                left = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True,
                                      text=True).stdout.splitlines()
                left = [line.strip() for line in left if " ps -o" not in line]
                for line in left:
                    os.kill(int(line.split()[0]), signal.SIGKILL)
                return left
            time.sleep(0.05)
