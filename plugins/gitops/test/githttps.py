"""githttps.py: git's own http-backend behind TLS, for the tests.

    with GitHttps(folder, pair) as web: ...     web.settings(deploy, ca), web.secrets();  web.seen has (method, path, user, password)

web.fault(method, path) -> a status (with headers) that is answered instead of git's, "hangup", "lost" (git has done it, no
answer comes), or None.
"""
import base64
import http.server
import os
import socket
import ssl
import subprocess
import threading

USER, TOKEN = "git", "t0p-s3cret-of-deploy"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline()
            if size == 0:
                return b"".join(parts)

    def credentials(self):
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(text).decode().partition(":") if kind == "Basic" else ("", "", "")
        return user, password

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_any(self):
        web, body, given = self.server.web, self.body(), self.credentials()
        web.seen.append((self.command, self.path, *given))
        fault = web.fault(self.command, self.path)
        if isinstance(fault, tuple):
            self.answer(*fault)
        elif fault == "hangup":
            self.close_connection = True
        elif given != (USER, TOKEN):
            self.answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            said = self.git(body)
            self.close_connection = fault == "lost"
            if fault != "lost":
                self.answer(*said)

    do_GET = do_POST = do_any

    def git(self, body):
        path, _, query = self.path.partition("?")
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env={
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.web.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*", "REMOTE_USER": USER, "REMOTE_ADDR": "127.0.0.1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")})
        head, _, text = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        return int(headers.pop("Status", "200").split()[0]), headers, text


class GitHttps(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder, pair, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        super().__init__(("127.0.0.1", 0), Handler)
        self.web, self.folder, self.seen, self.fault = self, folder, [], lambda method, path: None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if minimum < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = minimum, maximum
        context.load_cert_chain(*pair)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass  # a client that hung up

    def settings(self, deploy, ca=None):
        more = {"ca_file": str(ca)} if ca else {}
        return {"url": f"{self.url}/{deploy.bare.name}", "branch": deploy.branch, **more}

    @staticmethod
    def secrets():
        return {"token": TOKEN}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def silent():
    """A port where nothing is ever said."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(8)
    return listening
