"""fault_life.py: the real daemon lives through one fault of its disk or memory (faults.so, preloaded), is started again
where it ended, and what became of the promises is judged by what really happened outside of stanch.

A fault "again/CLASS:N" comes into a second life, when it is ready: it reads back what the first one wrote, for the alert is
sent once more."""
import json
import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from books import book, set_to
from harness import BUILD, World, alert, wait_for

# one mitigation goes by itself, one asks
POLICY = 'policy { auto = "none", approve = { low = { role = "ic" }, medium = { role = "ic" }, high = { role = "ic" } } }\n'
RUNBOOK = book('note "begins"; ' + set_to(7, target="s1") + "; " + set_to(8, action="set_unprotected", target="s2")
               + '; note "ends"')
DOCUMENTED = {0, 1, 7, 8, 74}  # core/cli/README.md, core/timeline/journal.h
NO_MEMORY = 71                 # core/base/mem.h
REFUSALS = 20                  # so often in a row nothing else is the matter than the disk


def is_documented(fault, code):
    return code in DOCUMENTED or (code == NO_MEMORY and fault.startswith("memory"))


@dataclass
class Life:
    """What one life with a fault came to."""

    fault: str
    faulted: bool = False
    calls: int = 0
    codes: list = field(default_factory=list)  # how it ended by itself
    end_ms: float = 0.0                        # from the first fault to the end of the process
    harms: list = field(default_factory=list)  # (which promise, what was seen)

    def harm(self, promise, seen):
        self.harms.append((promise, f"{self.fault}: {seen}"))


class Seen:
    """What faults.so counts (faults.c)."""

    def __init__(self, path):
        Path(path).write_bytes(bytes(16))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 16)

    def read(self):
        return struct.unpack("iiq", self.map[:16])

    def begin_at(self, calls):
        """Count on from here; what is below 0 does not fail."""
        self.map[:4] = struct.pack("i", calls)

    def close(self):
        self.map.close()
        self.file.close()


class Faulty:
    """A daemon whose first life has the fault."""

    def __init__(self, world, life):
        self.world, self.life = world, life
        self.seen = Seen(world.dir / "seen")
        self.is_again = life.fault.startswith("again/")
        self.fault = life.fault.removeprefix("again/")
        self.daemon = world.daemon(policy=POLICY, runbooks={"url": world.repo.path, "poll": "60s"})
        self.ended_ns = None
        self.refused = 0      # in a row, because of the disk
        self.did_not = False  # a person said of an unknown outcome that it did not happen: then the step fails, and the run

    def start(self):
        env = {"LD_PRELOAD": str(BUILD / "tests" / "faults.so"), "STANCH_FAULT": self.fault,
               "STANCH_FAULT_SEEN": str(self.world.dir / "seen"), "STANCH_FAULT_DIR": str(self.world.dir / "state"),
               "ASAN_OPTIONS": self.daemon.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        try:
            self.daemon.start(ready=self.is_again, **env)
        except AssertionError:
            if self.daemon.running:
                raise
            self.again()
            return
        threading.Thread(target=self.watch, args=(self.daemon.process,), daemon=True).start()

    def watch(self, process):
        process.wait()
        self.ended_ns = self.ended_ns or time.monotonic_ns()

    def again(self):
        """It ended by itself: with a code that is documented, and soon; then it is started again, without faults."""
        code = self.daemon.wait_end()
        _, faulted, at_ns = self.seen.read()
        self.life.codes.append(code)
        if not is_documented(self.life.fault, code) or not faulted:
            self.life.harm("crashes", f"ended with {code}\n{self.daemon.log()[-1500:]}")
        if self.fault.startswith("sync-") and code == 74:
            self.life.end_ms = ((self.ended_ns or time.monotonic_ns()) - at_ns) / 1e6
        self.daemon.start()

    def api(self, *args, **more):
        """An exchange; starts the daemon again when it is gone. None: no answer, which means unknown."""
        try:
            return self.daemon.api(*args, **more)
        except OSError:
            if self.daemon.running:
                try:
                    self.daemon.process.wait(5)
                except Exception:
                    return None
            self.again()
            return None

    def get(self, path):
        """The JSON of a GET; None: it must be asked again. A disk that can't be read for good is refused for good, and with a
        sentence; then somebody mends the disk."""
        answer = self.api("GET", path)
        if answer is None or answer.status == 200:
            self.refused = 0
            return answer and answer.json
        if answer.status == 503 and not answer.json.get("detail"):
            self.life.harm("wrong answers", f"{path}: {answer}")
        self.refused += answer.status == 503 and answer.json.get("code") == "store"
        if self.refused >= REFUSALS:
            self.mend()
        return None

    def read(self, path):
        """The JSON of a GET, whatever comes in between."""
        return wait_for(lambda: self.get(path), path)

    def mend(self):
        """From here on no call fails."""
        self.seen.begin_at(-1000000)


def post(faulty, firing):
    """As Alertmanager: again until it is told 2xx."""
    from harness import webhook
    headers = {"Authorization": f"Bearer {faulty.world.token}"}

    def told():
        answer = faulty.api("POST", "/v1/events/am", webhook(firing), headers, tcp=True)
        if answer is not None and answer.status not in (202, 503, 502):
            faulty.life.harm("wrong answers", f"{answer}")
        return answer.json if answer is not None and answer.status == 202 else None
    return wait_for(told, "an acknowledgement", every=0.1)


def settle(faulty, run_id):
    """Until the run has ended; questions are answered, one about an unknown outcome with the truth."""
    def ended():
        run = faulty.get(f"/v1/runs/{run_id}")
        for question in (faulty.get("/v1/approvals") or {"items": []})["items"]:
            unknown = question["about"] == "unknown"
            there = any(e["target"] == "s2" for e in faulty.world.effects())
            body = {"decision": ("happened" if there else "did-not") if unknown else "approve"}
            faulty.did_not = faulty.did_not or body["decision"] == "did-not"
            if question.get("plan_digest"):
                body["plan"] = question["plan_digest"]
            faulty.api("POST", f"/v1/approvals/{question['id']}", body)
        return run if run and run["state"] in ("succeeded", "failed", "cancelled") else None
    return wait_for(ended, "the run to end")


def judge(faulty, told):
    world, life = faulty.world, faulty.life
    # a webhook that was refused may have used up the first ids: they have gaps, and come never twice
    path = f"/v1/events/{told['events'][0]['id']}"
    event = wait_for(lambda: (seen := faulty.get(path)) and seen.get("runs") and seen, "its run")
    run = settle(faulty, event["runs"][0])
    stored = [e for e in faulty.read("/v1/events?limit=1000")["items"] if "Noise" not in json.dumps(e)]
    if [one["id"] for one in stored] != [event["id"]]:
        life.harm("false acks", f"{told} {stored}")
    effects = [e["target"] for e in world.effects() if e["op"] == "apply"]
    kinds = [entry["kind"] for entry in faulty.read(f"/v1/incidents/{event['incident']}/timeline?limit=1000")["items"]]
    if len(effects) != len(set(effects)):
        life.harm("second effects", f"{effects}")
    if kinds.count("action.sent") < len(effects):
        life.harm("actions without intent", f"{effects} {kinds}")
    if run["state"] == "succeeded" and effects != ["s1", "s2"] or kinds.count("run.started") != 1:
        life.harm("runs that went wrong", f"{run['state']} {effects} {kinds}")
    if run["state"] != "succeeded" and not faulty.did_not:
        life.harm("runs that went wrong", f"{run}")
    in_force = faulty.read("/v1/mitigations")["items"]
    if len(in_force) != len(effects):
        life.harm("runs that went wrong", f"mitigations: {in_force}")


def end(faulty):
    daemon, life = faulty.daemon, faulty.life
    if daemon.running:
        daemon.process.terminate()
    code = daemon.wait_end()
    life.calls, faulted, _ = faulty.seen.read()
    life.faulted = bool(faulted)
    if code != 0 and (not faulted or not is_documented(life.fault, code)):
        life.harm("crashes", f"ended with {code} at SIGTERM\n{daemon.log()[-1500:]}")
    if code != 0:
        life.codes.append(code)
        daemon.start().stop()
    verified = daemon.cli("timeline", "verify", "--store", faulty.world.dir / "state", check=False)
    if verified.returncode != 0:
        life.harm("stores that do not verify", verified.stdout + verified.stderr)


def live_before(faulty, firing):
    """The life before the fault; it leaves so much that the next one does not read all of it when it starts. returns some
    of what it was sent"""
    faulty.daemon.start()
    judge(faulty, post(faulty, firing))
    noise = [alert("Noise", number=str(i)) for i in range(400)]
    for i in range(0, 400, 100):
        faulty.daemon.post_alert(*noise[i:i + 100])
    faulty.daemon.stop()
    faulty.seen.begin_at(-1000000)
    return noise[::25]


def send_again(faulty, known):
    """What is known is told as a repeat, whatever could not be read."""
    faulty.seen.begin_at(0)
    for one in known:
        told = post(faulty, one)
        if not all(event["repeat"] for event in told["events"]):
            faulty.life.harm("false acks", f"taken for new: {told}")


def live_once(fault):
    world, life = World(), Life(fault)
    faulty = None
    try:
        world.repo.commit({"heal.lua": RUNBOOK})
        faulty, firing = Faulty(world, life), alert()
        known = live_before(faulty, firing) if faulty.is_again else []
        faulty.start()
        if known:
            send_again(faulty, known)
        judge(faulty, post(faulty, firing))
        faulty.api("POST", "/v1/stop", {"reason": "a test"})
        faulty.api("POST", "/v1/resume", {})
        end(faulty)
    except AssertionError as error:
        life.harm("runs that went wrong", str(error)[-1500:])
    finally:
        if faulty:
            faulty.seen.close()
        world.close()
    return life
