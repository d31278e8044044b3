"""The host's HTTP service against servers that behave in every way: what was answered, not sent, lost; where a plugin
may connect to. PROMISES.md T20, T34."""
import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
import unicodedata

import pytest

from plugin_host import Host


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen, self.over = [], threading.Event()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204 and self.command != "HEAD":
            self.wfile.write(body)

    def do_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        path, _, query = self.path.partition("?")
        if path.startswith("/status/"):
            self.answer(int(path[8:]), b"no\x01body", [("Retry-After", "7")])
        elif path == "/redirect":
            self.answer(302, b"", [("Location", "/ok")])
        elif path == "/slow":
            self.server.over.wait(60)
        elif path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not self.server.over.wait(0.02):
                self.wfile.write(b"x")
        elif path == "/huge":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(200):
                self.wfile.write(b"y" * 65536)
            self.close_connection = True
        elif path == "/headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(6000):
                self.wfile.write(b"X-Many: " + b"z" * 80 + b"\r\n")
            self.wfile.write(b"\r\n")
            self.close_connection = True
        elif path == "/garbage":
            self.wfile.write(b"220 this is no HTTP at all\r\n\r\n")
            self.close_connection = True
        elif path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            self.close_connection = True
        elif path == "/hangup":
            self.close_connection = True
        elif path == "/latin":
            self.answer(200, b"ok", [("X-Name", "caf\xe9"), ("X-Two", "a"), ("x-two", "b"), ("X-Two", "c")])
        else:
            self.answer(200, b"ok", [("X-Kind", "Fine")])

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_any


@pytest.fixture(scope="module")
def server():
    with Server() as one:
        yield one


@pytest.fixture(scope="module")
def host(server):
    with Host("probe", {"url": server.url + "/", "user": "ops"}, {"token": "t0p-s3cret"}) as one:
        yield one


def fetch(host, deadline_ms=30000, **args):
    answer = host.call("read", "fetch", {"args": args}, deadline_ms=deadline_ms)
    assert answer["outcome"] == "done", answer
    return answer["value"]


def test_answered(host, server):
    got = fetch(host, path="/ok?a=b%20c")
    assert (got["ended"], got["status"], got["body"], got["headers"]["x-kind"]) == ("answered", 200, "ok", "Fine")
    assert server.seen[-1][1] == "/ok?a=b%20c"
    assert fetch(host, path="/ok", method="HEAD")["status"] == 200
    assert fetch(host, path="/ok", method="POST", body="x=1", headers={"X-Own": "y"})["status"] == 200
    assert server.seen[-1][0] == "POST" and server.seen[-1][3] == "x=1" and server.seen[-1][2]["X-Own"] == "y"
    assert fetch(host, path="/ok", method="PATCH", body="{}")["status"] == 200
    assert fetch(host, path="/latin")["headers"]["x-name"] == "caf?"
    assert fetch(host, path="/latin")["headers"]["x-two"] == "a, b, c"


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 409, 429, 500, 503])
def test_statuses(host, status):
    got = fetch(host, path=f"/status/{status}")
    assert (got["ended"], got["status"], got["retry_after_ms"]) == ("answered", status, 7000)


def test_credentials(host, server):
    fetch(host, path="/ok", bearer="token")
    assert server.seen[-1][2]["Authorization"] == "Bearer t0p-s3cret"
    fetch(host, path="/ok", basic=True)
    assert server.seen[-1][2]["Authorization"] == "Basic b3BzOnQwcC1zM2NyZXQ="
    fetch(host, path="/ok")
    assert "Authorization" not in server.seen[-1][2]
    assert "is no secret setting" in fetch(host, path="/ok", bearer="user")["why"]


def test_a_redirect_is_an_answer(host, server):
    got = fetch(host, path="/redirect")
    assert (got["ended"], got["status"]) == ("answered", 302)
    assert server.seen[-1][1] == "/redirect"


@pytest.mark.parametrize("path,why", [("/cut", "closed"), ("/hangup", "Empty reply"), ("/garbage", ""),
                                      ("/huge", "over the limit of 100000 bytes"), ("/headers", "headers are over")])
def test_lost(host, server, path, why):
    count = len(server.seen)
    got = fetch(host, path=path, method="POST", max=100000)
    assert got["ended"] == "lost", got
    assert why in got["why"] and "may have arrived" in got["why"]
    assert len(server.seen) == count + 1  # and it was not asked a second time


def cpu_s(pid):
    """What a process has computed, whoever else does on this machine."""
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_many_headers_cost_no_more_than_their_bytes(host):
    """A host that computes for seconds is one that hangs, for all of its calls."""
    before = cpu_s(host.process.pid)
    assert fetch(host, path="/headers")["ended"] == "lost"
    assert cpu_s(host.process.pid) - before < 1


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_deadlines(host, path):
    got = fetch(host, path=path, deadline=1000)  # nothing else ends it: the server goes on for ever
    assert got["ended"] == "lost" and "timed out" in got["why"].lower(), got
    late = host.call("read", "fetch", {"args": {"path": path}}, deadline_ms=1000)  # the call's own
    assert late["outcome"] == "unknown" or late["value"]["ended"] == "lost"


def test_refused_is_not_sent():
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets this port
        with Host("probe", {"url": f"http://127.0.0.1:{idle.getsockname()[1]}"}) as host:
            got = fetch(host, path="/", method="POST")
            assert got["ended"] == "not-sent" and "nothing was sent" in got["why"]
    with Host("probe", {"url": "http://no-such-host.invalid"}) as host:
        assert fetch(host, path="/")["ended"] == "not-sent"


def test_a_kept_connection_that_died_is_not_asked_twice(server):
    """curl repeats by itself what failed on a kept connection; a change must not be repeated unseen."""
    requests = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            while True:
                peer, _ = listener.accept()
                requests.append(peer.recv(65536).split(b" ")[0])
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                got = peer.recv(65536)
                if got:
                    requests.append(got.split(b" ")[0])
                peer.close()
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Host("probe", {"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}) as host:
        assert fetch(host, path="/")["ended"] == "answered"
        got = fetch(host, path="/", method="POST", deadline=500)
    listener.close()
    assert requests.count(b"POST") <= 1, (requests, got)


# ---- where it may connect to

@pytest.mark.parametrize("base", [
    "http://example.com", "http://127.0.0.1:1", "http://169.254.169.254", "https://127.0.0.1", "file:///etc/passwd",
    "gopher://127.0.0.1:70/", "http://127.0.0.1:{port}@example.com", "http://user:pw@127.0.0.1:{port}",
    "http://[::1]:{port}", "http://localhost:{port}", "ftp://127.0.0.1:{port}", "//127.0.0.1:{port}", "",
    "http://" + "a" * 300 + ".example", "http://127.0.0.1:{port}\r\nX: y"])
def test_only_what_a_setting_names(host, server, base):
    count = len(server.seen)
    got = fetch(host, base=base.replace("{port}", str(server.server_port)), path="/x")
    assert got["ended"] == "not-sent" and "refused" in got["why"], got
    assert len(server.seen) == count


# Ways to write the metadata address, this machine, and others that no setting names. Sources: RFC 3986 3.2.2, RFC 4291 2.5.5,
# RFC 6052, WHATWG URL (host parsing), the clouds' documentation.
SPELLINGS = r"""
    169.254.169.254 169.254.169.254. 2852039166 0xA9FEA9FE 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 0251.254.169.254
    169.254.43518 169.16689662 0251.16689662 0xA9.0376.43518 00000251.00000376.000251.0000376 425.510.425.510
    169%2e254.169.254 169.254.169.254%2e [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [0:0:0:0:0:ffff:a9fe:a9fe]
    [::169.254.169.254] [64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [fe80::1] [fe80::1%25lo] [fd00:ec2::254] [fec0::1]
    metadata.google.internal metadata instance-data 100.100.100.200 192.0.0.192 127.0.0.1. 127.1 127.0.1 2130706433
    0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.2 127.255.255.254 0 0.0.0.0 00 0x0 [::] [::1] [0000::1]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] localhost LOCALHOST localhost. localhost.localdomain ip6-localhost
    255.255.255.255 224.0.0.1 [ff02::1] 10.0.0.1 192.168.0.1 172.16.0.1 127.0.0.1%00 127.0.0.1%23 127.0.0.1\ \127.0.0.1
    127.0.0.1\@example.com evil@127.0.0.1 evil:pw@127.0.0.1 127.0.0.1#@example.com 127.0.0.1?@example.com
    127.0.0.1,example.com 127.0.0.1;a *.example.com $HOSTNAME""".split() + [
    "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020.0.1", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "loc\u00adalhost", "127.0.0.1\t", " 127.0.0.1", "127.0.0.1 ", "127.0.\n0.1", ""]


def is_this_place(spelling):
    """Is it only another way to write 127.0.0.1? Then curl reads it so before it is compared."""
    try:
        return socket.inet_aton(unicodedata.normalize("NFKC", spelling).replace("\u3002", ".")) == b"\x7f\0\0\1"
    except OSError:
        return False


def test_no_spelling_reaches_what_no_setting_names(host, server):
    """The setting names http://127.0.0.1:PORT and no other place (PROMISES.md D6, T20)."""
    assert len(SPELLINGS) >= 60
    count, reached = len(server.seen), 0
    for spelling in SPELLINGS:
        for base in (f"http://{spelling}:{server.server_port}", f"http://{spelling}"):
            got = fetch(host, base=base, path="/ok")
            is_named = base.endswith(f":{server.server_port}") and is_this_place(spelling)
            reached += got["ended"] == "answered"
            assert is_named or (got["ended"] == "not-sent" and "refused" in got["why"]), (base, got)
    assert len(server.seen) == count + reached


@pytest.fixture(scope="module")
def rebound(tmp_path_factory, server):
    """A host in a mount namespace whose names lead where an attacker would like: the look-up is the real one."""
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("127.0.0.1 localhost local.test\n::1 local6.test\n169.254.77.77 meta.test\nfe80::77 meta6.test\n"
                     "::ffff:169.254.77.77 mapped.test\n0.0.0.0 zero.test\n224.0.0.77 multi.test\nfd00:ec2::254 aws.test\n"
                     "100.100.100.200 ali.test\n")
    wrapper = ["unshare", "--mount", "/bin/sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    if subprocess.run(wrapper + ["true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace (root)")
    names = ["local", "local6", "meta", "meta6", "mapped", "zero", "multi", "aws", "ali"]
    settings = {"url": f"http://localhost:{server.server_port}",
                "others": [f"http://{name}.test:{server.server_port}" for name in names]}
    with Host("probe", settings, wrapper=wrapper) as host:
        yield host


@pytest.mark.parametrize("name,kind", [
    ("local", "loopback"), ("local6", "loopback"), ("meta", "link-local"), ("meta6", "link-local"),
    ("mapped", "link-local"), ("zero", "unspecified"), ("multi", "multicast"), ("aws", "metadata"), ("ali", "metadata")])
def test_a_name_that_leads_elsewhere(rebound, server, name, kind):
    """DNS rebinding: the address is checked where it is used."""
    count = len(server.seen)
    got = fetch(rebound, base=f"http://{name}.test:{server.server_port}", path="/ok", deadline=2000)
    assert got["ended"] == "not-sent" and "refused:" in got["why"] and kind in got["why"], got
    assert len(server.seen) == count
    assert fetch(rebound, path="/ok")["status"] == 200  # localhost, by its name


@pytest.mark.parametrize("headers", [{"Host": "evil"}, {"Content-Length": "3"}, {"X": "a\r\nY: b"}, {"X Y": "z"},
                                     {"Transfer-Encoding": "chunked"}, {"X": 7}])
def test_headers_that_are_refused(host, server, headers):
    count = len(server.seen)
    assert fetch(host, path="/ok", headers=headers)["ended"] == "not-sent"
    assert len(server.seen) == count


# ---- what the ends mean for a change (sdk_http_ok)

@pytest.mark.parametrize("path,outcome,kind", [
    ("/ok", "done", None), ("/status/401", "failed", "unauthorized"), ("/status/403", "failed", "forbidden"),
    ("/status/404", "failed", "not-found"), ("/status/409", "failed", "stale"), ("/status/412", "failed", "stale"),
    ("/status/429", "failed", "rate"), ("/status/503", "failed", "unavailable"), ("/status/500", "unknown", "remote"),
    ("/status/502", "unknown", "remote"), ("/status/504", "unknown", "remote"), ("/redirect", "failed", "remote"),
    ("/cut", "unknown", "unreachable"), ("/hangup", "unknown", "unreachable")])
def test_outcomes_of_a_change(host, path, outcome, kind):
    answer = host.call("apply", "write", {"args": {"path": path}, "plan": {}, "key": "K"})
    assert answer["outcome"] == outcome, answer
    assert kind is None or answer["error"]["kind"] == kind
    if kind in ("rate", "unavailable"):
        assert answer["error"]["retry"] is True and answer["error"]["retry_after_ms"] == 7000


# ---- TLS

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def make(name, *more):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", folder / (name + ".key"), "-out", folder / (name + ".pem"), "-subj", "/CN=" + name,
                        *more], check=True, capture_output=True)
        return folder / (name + ".pem"), folder / (name + ".key")

    def make_expired():
        key, request, pem = (folder / ("expired." + end) for end in ("key", "csr", "pem"))
        extension = folder / "extension"
        extension.write_text("subjectAltName=IP:127.0.0.1\n")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        key, "-out", request, "-subj", "/CN=expired"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-signkey", key, "-days", "-1", "-out", pem,
                        "-extfile", extension], check=True, capture_output=True)
        return pem, key

    return {"good": make("good", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            "other": make("other", "-addext", "subjectAltName=DNS:other.example", "-days", "2"),
            "expired": make_expired()}


def tls_context(pair, highest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if highest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = highest
    return context


@pytest.mark.parametrize("name,trusted,highest,ended", [
    ("good", True, None, "answered"), ("good", False, None, "not-sent"), ("other", True, None, "not-sent"),
    ("expired", True, None, "not-sent"),
    ("good", True, ssl.TLSVersion.TLSv1_1, "not-sent")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls(certificates, name, trusted, highest, ended):
    with Server(tls_context(certificates[name], highest)) as server:
        settings = {"url": server.url}
        if trusted:
            settings["ca"] = str(certificates[name][0])
        with Host("probe", settings) as host:
            got = fetch(host, path="/ok", method="POST")
            assert got["ended"] == ended, got
        assert len(server.seen) == (1 if ended == "answered" else 0)


def test_plain_text_server_behind_https(server):
    with Host("probe", {"url": server.url.replace("http:", "https:")}) as host:
        assert fetch(host, path="/ok", method="POST")["ended"] == "not-sent"


def test_many_at_once(host):
    ids = [host.start("read", "fetch", {"args": {"path": f"/ok?{i}"}}) for i in range(60)]
    assert all(host.wait(i)["value"]["status"] == 200 for i in ids)
