"""sdk_kit.py: a server that answers as a test says, and a read of the plugin tests/plugins/kit.c."""
import http.server
import threading
import time


class Server(http.server.ThreadingHTTPServer):
    """Answers a path from `script`: a list of (status, headers, body), the last one again and again; "hangup"."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.seen, self.answered = {}, [], 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body, time.monotonic()))
        script = self.server.script.get(self.path, self.server.script.get(self.path.partition("?")[0], [(200, {}, b"{}")]))
        answer = script.pop(0) if len(script) > 1 else script[0]
        if answer == "hangup":
            self.close_connection = True
            return
        status, headers, text = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.server.answered += 1

    do_GET = do_POST = do_PUT = do_any


def read(host, action, **args):
    answer = host.call("read", action, {"args": args})
    assert answer["outcome"] == "done", answer
    return answer["value"]
