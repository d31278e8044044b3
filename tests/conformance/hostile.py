"""hostile.py: an HTTP(S) server that behaves as told, and writes down what took effect.

    server = Hostile(answer)      answer(server, request) -> (status, headers, body): the happy side; it may change
                                  server.state and append to server.effects
    server.fault = "hangup"       how requests that `server.hits(request)` are treated from now on; None: happily

Faults: a number (that status, nothing took effect; 429, 500 and 503 with Retry-After: server.retry_after), "lost" (it
took effect, no answer came), "hangup" (no effect, no answer), "cut", "malformed", "huge", "headers", "slow", "drip".
"""
import http.server
import json
import ssl
import subprocess
import threading
from collections import namedtuple

Request = namedtuple("Request", "method path headers body")


class Hostile(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.happy, self.fault, self.hits = answer, None, lambda request: True
        self.state, self.effects, self.seen = {}, [], []
        self.retry_after = "1"
        self.lock, self.over = threading.Lock(), threading.Event()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

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

    def send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def raw(self, *chunks):
        self.close_connection = True
        for chunk in chunks:
            self.wfile.write(chunk)

    def do_any(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        with server.lock:
            server.seen.append(request)
            fault = server.fault if server.hits(request) else None
            happy = server.happy(server, request) if fault in (None, "lost") else None
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        if fault is None:
            status, headers, text = happy
            self.send(status, headers, text if isinstance(text, bytes) else json.dumps(text).encode())
        elif isinstance(fault, int):
            self.send(fault, {"Retry-After": server.retry_after} if fault in (429, 500, 503) else {}, b'{"message":"no"}')
        elif fault in ("lost", "hangup"):
            self.close_connection = True
        elif fault == "cut":
            self.raw(head, b"Content-Length: 1000\r\n\r\n{\"half")
        elif fault == "malformed":
            self.send(200, {"Content-Type": "application/json"}, b"{\"a\": [1, <html>")
        elif fault == "huge":
            self.raw(head, b"\r\n", *[b"[" + b" " * 65536] * 1200)
        elif fault == "headers":
            self.raw(head, *[b"X-Many: " + b"z" * 80 + b"\r\n"] * 6000)
        elif fault == "slow":
            self.close_connection = True
            server.over.wait(60)
        elif fault == "drip":
            self.close_connection = True
            self.wfile.write(head + b"Content-Length: 100000\r\n\r\n")
            while not server.over.wait(0.05):
                self.wfile.write(b" ")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_any


def certificates(folder):
    """{"good","other","expired","self-signed"}: (pem, key) each; a client that trusts "ca" accepts only "good"."""
    def run(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=ca", "-days", 2)
    run("req", "-x509", *curve, "-keyout", folder / "self.key", "-out", folder / "self.pem", "-subj", "/CN=self", "-days", 2,
        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    found = {"ca": (folder / "ca.pem", None), "self-signed": (folder / "self.pem", folder / "self.key")}
    here = "IP:127.0.0.1,DNS:localhost"
    for name, alt, days in (("good", here, 2), ("other", "DNS:other.example", 2), ("expired", here, -1)):
        (folder / "ext").write_text(f"subjectAltName={alt}\n")
        run("req", "-new", *curve, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", days, "-extfile", folder / "ext", "-out", folder / f"{name}.pem")
        found[name] = (folder / f"{name}.pem", folder / f"{name}.key")
    return found


def tls_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context
