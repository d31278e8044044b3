"""storm_load.py: who pushes and who watches in D9: a sender of posts with many alerts over many connections, and a person's
`stanch status`, again and again. Each runs in a process of its own, so that none waits for the other."""
import asyncio
import json
import os
import random
import time
from pathlib import Path

from harness import UnixConnection, alert, webhook

SERVICES, SERVERS = 20, 500


def make_alert(rng, number):
    """What a sick fleet sends: most of it starts nothing, some is for one server, some for a whole service."""
    name = rng.choices(("Noise", "ServerSick", "RegionSick"), (60, 30, 10))[0]
    labels = {"service": f"service{rng.randrange(SERVICES)}", "number": str(number)}
    if name == "ServerSick":
        labels["server"] = f"server{rng.randrange(SERVERS)}"
    return alert(name, **labels)


class Feed:
    """Posts of `size` alerts, of which a share were sent before."""

    def __init__(self, seed, size, repeats):
        self.rng, self.size, self.repeats = random.Random(seed), size, repeats
        self.known, self.sent = [], 0

    def next(self):
        alerts = []
        for _ in range(self.size):
            if self.known and self.rng.random() < self.repeats:
                alerts.append(self.rng.choice(self.known))
            else:
                self.known.append(make_alert(self.rng, f"{len(self.known)}-{self.rng.random()}"))
                alerts.append(self.known[-1])
        self.sent += self.size
        return [a["fingerprint"] for a in alerts], json.dumps(webhook(*alerts)).encode()


async def exchange(reader, writer, head, body):
    writer.write(head % len(body) + body)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()).strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    await reader.readexactly(length)
    return status


async def push(port, head, feed, until, told):
    reader = writer = None
    while time.monotonic() < until:
        prints, body = feed.next()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status = await asyncio.wait_for(exchange(reader, writer, head, body), 30)
            told["answers"][status] = told["answers"].get(status, 0) + 1
            if status == 202:
                told["acked"].update(prints)
                told["taken"] += len(prints)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, IndexError, ValueError):
            told["answers"]["none"] = told["answers"].get("none", 0) + 1  # not acknowledged: it is unknown
            if writer:
                writer.close()
            reader = writer = None
            await asyncio.sleep(0.05)
    if writer:
        writer.close()


def send(queue, port, token, seed, seconds, connections, size, repeats):
    """Push for a while; puts {"answers": {status: n}, "acked": [fingerprint], "taken", "offered", "per_s"}."""
    head = (f"POST /v1/events/am HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n").encode()
    feed = Feed(seed, size, repeats)
    told = {"answers": {}, "acked": set(), "taken": 0}

    async def all_of_them():
        until = time.monotonic() + seconds
        await asyncio.gather(*(push(port, head, feed, until, told) for _ in range(connections)))

    asyncio.run(all_of_them())
    queue.put({**told, "acked": sorted(told["acked"]), "offered": feed.sent})


def starved_ms(pid):
    """How long the daemon's loop, and whoever looks, were ready to run and had no processor: other people's load."""
    return sum(int(Path(f"/proc/{each}/task/{each}/schedstat").read_text().split()[1]) for each in (pid, os.getpid())) / 1e6


def watch(queue, stop, socket, pid):
    """A person's `stanch status`, and their yes to what a storm asks; puts what was seen."""
    seen = {"took_ms": [], "own_ms": [], "most": {}}
    while not stop.is_set():
        began, starved = time.monotonic(), starved_ms(pid)
        try:
            status = call(socket, "GET", "/v1/status")
            took = (time.monotonic() - began) * 1000
            seen["took_ms"].append(took)
            seen["own_ms"].append(max(0, took - (starved_ms(pid) - starved)))
            note_most(seen["most"], status)
            if status["queue"]["asking"]:
                approve_storms(socket)
        except (OSError, ValueError, KeyError):
            seen["failed"] = seen.get("failed", 0) + 1
        time.sleep(0.05)
    queue.put(seen)


def call(socket, method, path, body=None):
    connection = UnixConnection(socket, 30)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def note_most(most, status):
    for name, value in (("waiting", status["queue"]["waiting"] + status["queue"]["asking"]),
                        ("oldest run, ms", status["queue"]["oldest_ms"]), ("going", status["runs"]["going"]),
                        ("oldest batch, ms", status["journal"]["oldest_ms"]), ("batches", status["journal"]["queued"])):
        most[name] = max(most.get(name, 0), value)


def approve_storms(socket):
    for question in call(socket, "GET", "/v1/approvals?limit=1000")["items"]:
        if question["about"] == "storm":
            call(socket, "POST", f"/v1/approvals/{question['id']}",
                 {"decision": "approve", "plan": question["plan_digest"]})
