"""memory_life.py: one command line whose Nth allocation fails (faults.so, preloaded): what it says when it says that all
is well must be what it says with memory, and what it wrote must be whole."""
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from books import ALWAYS, book, set_to
from fault_life import Seen
from harness import BUILD, STANCH, World, alert, wait_for

NO_MEMORY = 71
UNTRUE = {5: "not found", 9: "corrupt"}  # what no lack of memory may be taken for (core/cli/README.md)


def same(words):
    """The whole answer."""
    return words


def entries(words):
    """How many lines an export has: its last one is signed anew each time."""
    return len(words.splitlines())


def listed(words):
    return len(json.loads(words))


# name: (words of the command, what of its answer must be the same). {store}: a copy of the store; {new}: no such thing yet
COMMANDS = {
    "verify": ("timeline verify --store {store} --json", same),
    "export": ("timeline export --store {store}", entries),
    "show": ("timeline show INC-1 --store {store} --json", same),
    "rebuild": ("timeline rebuild --store {store}", same),
    "in force": ("mitigations --offline {store}", same),
    "check": ("store check --store {store} --json", same),
    "backup": ("store backup {new} --store {store}", entries),
    "restore": ("store restore {backup} --store {store}", entries),
    "configuration": ("serve --config {config} --check", same),
    "list": ("--socket {socket} run list --json", listed),
    "declare": ("--socket {socket} incident declare another --json", entries),
}


@dataclass
class Outcome:
    command: str
    at: int
    calls: int = 0
    faulted: bool = False
    code: int = 0
    harm: str = ""


class Bench:
    """A store with a life behind it, a backup of it, and a daemon that runs on another copy."""

    def __init__(self):
        self.world = World()
        self.world.repo.commit({"heal.lua": book(set_to(7) + '; note "ends"')})
        self.daemon = self.world.daemon(policy=ALWAYS).start()
        self.daemon.post_alert(alert())
        wait_for(lambda: self.daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
        self.daemon.stop()
        self.template = self.world.dir / "template"
        shutil.copytree(self.world.dir / "state", self.template)
        self.plain("store", "backup", self.world.dir / "backup", "--store", self.template)
        self.daemon.start()
        self.clean = {}

    def close(self):
        self.world.close()

    def plain(self, *words, env=None):
        return subprocess.run([STANCH, *map(str, words)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "STANCH_SOCKET": "/nowhere", **(env or {})}, check=False)

    def once(self, command, at, count=1):
        """at 0: nothing fails; the answer is kept, and held against those that follow."""
        words, look = COMMANDS[command]
        outcome = Outcome(command, at)
        with tempfile.TemporaryDirectory(dir=self.world.dir) as folder:
            store, new = Path(folder, "store"), Path(folder, "new")
            if "{store}" in words:
                shutil.copytree(self.template, store)
            seen = Seen(Path(folder, "seen"))
            asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1")
            given = {"store": store, "new": new, "backup": self.world.dir / "backup", "config": self.daemon.config_path,
                     "socket": self.daemon.socket}
            done = self.plain(*(word.format(**given) for word in words.split()), env={
                "LD_PRELOAD": str(BUILD / "tests" / "faults.so"), "STANCH_FAULT": f"memory:{at}:{count}",
                "STANCH_FAULT_IN": "any", "STANCH_FAULT_SEEN": str(Path(folder, "seen")),
                "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"})
            outcome.calls, faulted, _ = seen.read()
            seen.close()
            outcome.faulted, outcome.code = bool(faulted), done.returncode
            said = done.stdout.replace(folder, "")
            outcome.harm = self.judge(command, at, done, said, look) or self.left(command, done, store, new)
        return outcome

    def judge(self, command, at, done, said, look):
        code = done.returncode
        if at == 0:
            self.clean[command] = look(said) if code == 0 else None
            return "" if code == 0 else f"ended with {code} without a fault: {done.stderr}"
        if code < 0 or code > 9 and code != NO_MEMORY:
            return f"ended with {code}: {done.stderr[-300:]}"
        if code in UNTRUE:
            return f"no memory was taken for {UNTRUE[code]}: {done.stderr[-300:]}"
        if code and not done.stderr.strip():
            return f"ended with {code} and said nothing"
        if code == 0 and look(said) != self.clean[command]:
            return f"said that all is well, and something else: {said[:300]}"
        return ""

    def left(self, command, done, store, new):
        """What was said to be made must verify; a store that was worked on must in any case."""
        made = new if command == "backup" and done.returncode == 0 else store
        if command in ("list", "declare", "configuration"):
            return ""
        verified = self.plain("timeline", "verify", "--store", made)
        return "" if verified.returncode == 0 else f"{made.name} does not verify: {verified.stdout}{verified.stderr}"
