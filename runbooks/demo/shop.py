"""shop.py: the demo's service checkout and its customers: shop.py serve NAME=PORT... | shop.py load URL PER_SECOND

A server fails when it is told to (POST /fault, POST /mend, straight to its port), as after a bad deploy.
"""
import http.client
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Checkout(BaseHTTPRequestHandler):
    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.server.failing:
            self.answer(500, f"{self.server.name}: no connection to the payment database\n")
        else:
            self.answer(200, f"{self.server.name}: thank you for your order\n")

    def do_POST(self):
        self.server.failing = self.path == "/fault"
        self.answer(200, "failing\n" if self.server.failing else "mended\n")

    def log_message(self, *args):
        pass


def serve(places):
    for place in places:
        name, port = place.split("=")
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), Checkout)
        server.name, server.failing, server.daemon_threads = name, False, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


def load(url, per_second):
    place = urlsplit(url)
    due = time.monotonic()
    while True:
        due += 1 / per_second
        time.sleep(max(0, due - time.monotonic()))
        try:
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=2)
            connection.request("GET", "/checkout", headers={"Connection": "close"})
            connection.getresponse().read()
            connection.close()
        except (OSError, http.client.HTTPException):
            pass  # the customer sees it; the edge counts it


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2:])
    else:
        load(sys.argv[2], float(sys.argv[3]))
