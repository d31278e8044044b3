"""chaos_kit.py: what the scenarios of D10 share: descriptors taken out of other processes, processes looked at, the
machine's own lateness, a pulse of the daemon, and the tally that becomes figures."""
import ctypes
import mmap
import os
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

from harness import BUILD, KIND, wait_for

EACH = 'limits = { group_within = "0s" },'  # each alert has a run of its own
SYS_PIDFD_GETFD = 438
LIBC = ctypes.CDLL(None, use_errno=True)


class Tally:
    """Counts, and the harms that were seen: (which promise, what)."""

    def __init__(self):
        self.counts = Counter()
        self.harms = []

    def count(self, what, n=1):
        self.counts[what] += n

    def harm(self, promise, seen):
        self.harms.append((promise, str(seen)[:600]))

    def hold(self, promise, good, seen):
        """One more case of a promise, and whether it was kept."""
        self.count(promise)
        if not good:
            self.harm(promise, seen)
        return good

    def add(self, other):
        self.counts.update(other.counts)
        self.harms += other.harms


# Processes.

def stat_of(pid):
    """(parent, state, group) of a process; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return int(fields[1]), fields[0], int(fields[2])


def words_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def children(pid, word=None):
    """Living children of a process; with a word: only `stanch WORD`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        stat = stat_of(path.name)
        if stat and stat[0] == pid and stat[1] != "Z" and (not word or word in words_of(path.name)[1:2]):
            found.append(int(path.name))
    return sorted(found)


def family(pid):
    """{pid: state} of all below a process."""
    parents = {int(path.name): stat_of(path.name) for path in Path("/proc").glob("[0-9]*")}
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        below = [child for child, stat in parents.items() if stat and stat[0] == parent and child not in found]
        found.update({child: parents[child][1] for child in below})
        todo += below
    return found


def grab(pid, fd=3):
    """The very socket that another process has as descriptor fd: what is written to it here comes from there."""
    pidfd = os.pidfd_open(pid)
    try:
        ours = LIBC.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
        if ours < 0:
            raise OSError(ctypes.get_errno(), f"the channel of {pid} cannot be taken (it needs CAP_SYS_PTRACE)")
        return socket.socket(fileno=ours)
    finally:
        os.close(pidfd)


def check_no_zombies(tally, daemon):
    """Whatever died below the daemon is reaped by its parent."""
    def zombies():
        return [pid for pid, state in family(daemon.process.pid).items() if state == "Z"]
    left = []  # none at one instant is all reaped: what dies an instant later is not left over
    try:
        wait_for(lambda: not zombies(), "no zombies", 10)
    except AssertionError:
        left = zombies()
    tally.count("processes looked at", len(family(daemon.process.pid)))
    for pid in left:
        tally.harm("zombies", f"{pid} under {stat_of(pid)}")


# Time.

class Machine(threading.Thread):
    """How late this machine wakes somebody who sleeps: what a deadline may be late by that is not the daemon's fault."""

    def __init__(self):
        super().__init__(daemon=True)
        self.late_s = 0.0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            time.sleep(0.02)
            self.late_s = max(self.late_s, time.monotonic() - began - 0.02)

    @property
    def slack_s(self):
        """For three things in a row that can each be late: the timer, the commit, the worker."""
        return 3 * self.late_s + (1.0 if KIND == "asan" else 0.3)


class Clock:
    """The wall and boot clocks that a daemon sees (clock.c)."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.write_bytes(bytes(16))
        with open(self.path, "r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), 16)
        self.wall_s = self.boot_s = 0.0

    def env(self):
        more = {"ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0"} if KIND == "asan" else {}
        return {"LD_PRELOAD": str(BUILD / "tests/clock.so"), "STANCH_TEST_CLOCK": str(self.path), **more}

    def write(self):
        self.bytes[:] = struct.pack("qq", int(self.wall_s * 1e9), int(self.boot_s * 1e9))

    def step(self, seconds):
        """Somebody sets the wall clock."""
        self.wall_s += seconds
        self.write()

    def suspend(self, seconds):
        """The machine sleeps for so long."""
        self.wall_s += seconds
        self.boot_s += seconds
        self.write()

    def now(self):
        return time.time() + self.wall_s


class Pulse(threading.Thread):
    """Asks the daemon whether it lives, all the time; a beat that fails is a harm, unless it is told to rest."""

    def __init__(self, daemon, tally):
        super().__init__(daemon=True)
        self.daemon_, self.tally = daemon, tally
        self.over = threading.Event()
        self.beats = 0
        self.failed = []
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            try:
                answer = self.daemon_.api("GET", "/healthz", timeout=20)
                if answer.status != 200:
                    self.failed.append(repr(answer))
            except OSError as error:
                self.failed.append(repr(error))
            self.beats += 1

    def stop(self):
        self.over.set()
        self.join()
        self.tally.count("pulses", self.beats)
        for text in self.failed:
            self.tally.harm("uptime", text)
        if self.daemon_.process.poll() is not None:
            self.tally.harm("uptime", f"core ended with {self.daemon_.process.returncode}: {self.daemon_.log()[-1500:]}")


# What a timeline tells.

def entries_of(daemon, chain):
    return daemon.timeline(chain)


def find(entries, kind, **members):
    return [e for e in entries if e["kind"] == kind and all(e["data"].get(k) == v for k, v in members.items())]


def at_ms(entry):
    return entry["at_ms"]


def check_intents(tally, entries, classes=("unprotected",)):
    """No intent twice; for what is not safe to repeat, one in a step."""
    seen = Counter((e["data"]["step"], e["data"]["attempt"]) for e in find(entries, "action.sent"))
    steps = Counter(step for step, _ in seen)
    tally.count("intents", len(seen))
    for (step, attempt), n in seen.items():
        if n > 1:
            tally.harm("duplicate intents", f"{step} attempt {attempt}: {n}")
    for step, n in steps.items():
        action = find(entries, "action.sent", step=step)[0]["data"]["action"]
        if n > 1 and any(action.endswith(c) for c in classes):
            tally.harm("duplicate intents", f"{step} ({action}): {n}")
