"""crash_storm.py: a daemon under a stream of alerts, each of which starts a run with one action of every class, killed at
random moments and started again; what became of the promises is judged at the end of a world, by the export of the
journal against what was acknowledged and what the test plugin did."""
import json
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field

from books import ACTIONS, ALWAYS, book
from harness import STANCH, World, alert, wait_for

CLASS_OF = {action[4:8]: action for action in ACTIONS}  # "conv" -> set_convergent; a target is t17-conv


@dataclass
class Storm:
    """One world: what it was told, and what it did."""

    seed: int
    kills: int = 0
    acknowledged: dict = field(default_factory=dict)  # server -> run
    intents: int = 0
    asked: int = 0  # unknown outcomes that a person decided
    harms: list = field(default_factory=list)

    def harm(self, promise, seen):
        self.harms.append((promise, f"storm {self.seed}: {seen}"))


def runbook():
    steps = "; ".join(f'fx.{action} {{ target = p.server .. "-{word}", value = 7, because = "it is failing" }}'
                      for word, action in CLASS_OF.items())
    return book(steps, more='params = { server = label "server" {} },')


class Senders:
    """Two senders, as Alertmanager: each alert again until it is told 202. A daemon that dies leaves one of each open."""

    def __init__(self, storm, daemon, first):
        self.storm, self.daemon, self.numbers = storm, daemon, iter(range(first, 10**9))
        self.over = threading.Event()
        self.next = first
        self.threads = [threading.Thread(target=self.send) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.over.is_set():
            server = f"t{next(self.numbers)}"
            try:
                told = self.daemon.post_alert(alert(server=server))
            except (OSError, AssertionError):
                return  # it died; whether it took this one nobody knows
            self.storm.acknowledged[server] = told["events"][0]["runs"][0]

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return next(self.numbers)


def answer_unknown(daemon, world, storm):
    """A person looks, and says what really happened."""
    done = {effect["target"] for effect in world.effects()}
    for question in daemon.get("/v1/approvals?limit=1000")["items"]:
        if question["about"] == "unknown":
            target = question["args"]["target"]
            daemon.post(f"/v1/approvals/{question['id']}", {"decision": "happened" if target in done else "did-not"})
            storm.asked += 1


def verify_store(world, storm):
    verified = subprocess.run([STANCH, "timeline", "verify", "--store", world.dir / "state"], capture_output=True, text=True)
    if verified.returncode != 0:
        storm.harm("chains that do not verify", verified.stdout + verified.stderr)


def kill_once(daemon, world, storm, rng, first):
    """A life, and its end at a moment that nobody chose; now and then in the middle of its start."""
    if rng.random() < 0.2:
        daemon.starts += 1
        with open(daemon.log_path, "ab") as log:
            daemon.process = subprocess.Popen([STANCH, "serve", "--config", daemon.config_path], stdin=subprocess.DEVNULL,
                                              stdout=log, stderr=log, env=daemon.env, cwd=world.dir)
        time.sleep(rng.uniform(0, 0.15))
    else:
        daemon.start()
        answer_unknown(daemon, world, storm)
        senders, before = Senders(storm, daemon, first), len(storm.acknowledged)
        if rng.random() < 0.8:  # mostly in the middle of the work, else at once
            wait_for(lambda: len(storm.acknowledged) > before, "an alert to be acknowledged", every=0.002)
        time.sleep(rng.uniform(0, 0.05))
        daemon.process.kill()
        first = senders.end()
    daemon.kill9()
    storm.kills += 1
    if first > 1:  # else it may have died before it had made a store
        verify_store(world, storm)
    return first


def settle(daemon, world, storm):
    """The last life is not killed: each run ends, with a person's help where the outcome is unknown and only there."""
    daemon.start()

    def ended():
        answer_unknown(daemon, world, storm)
        return not daemon.get("/v1/runs?open=true&limit=1")["items"]
    try:
        wait_for(ended, "all runs to end", timeout=120)
    except AssertionError as error:
        stuck = [(run["id"], run["state"]) for run in daemon.get("/v1/runs?open=true&limit=5")["items"]]
        storm.harm("intents without end or question", f"{stuck} {error}")
    daemon.stop()
    verify_store(world, storm)


def read_journal(world):
    done = subprocess.run([STANCH, "timeline", "export", "--store", world.dir / "state"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [entry for entry in entries if "kind" in entry]


def judge_intents(storm, entries):
    """Each intent found an outcome, or a question whose answer is one."""
    open_steps = {}
    for entry in entries:
        step = entry["data"].get("step")
        if entry["kind"] == "action.sent":
            storm.intents += 1
            open_steps[step] = entry
        elif entry["kind"] in ("action.answered", "step.unknown"):
            open_steps.pop(step, None)
    for step in open_steps:
        storm.harm("intents without end or question", step)


def judge_effects(storm, world, entries):
    lines = [line.split() for line in world.effects_path.read_text().splitlines()] if world.effects_path.exists() else []
    keys = {entry["data"]["key"] for entry in entries if entry["kind"] == "action.sent"}
    calls = {}
    for line in lines:
        op, action, target, value, key, epoch = line[-6:]
        if op == "apply":
            calls.setdefault((action, target), []).append(key)
        if key not in keys:
            storm.harm("effects without intent", line)
    for (action, target), sent in calls.items():
        if action in ("set_reconcilable", "set_unprotected") and len(sent) > 1:
            storm.harm("second effects", f"{action} {target}: {len(sent)} calls")
        if action == "set_idempotent" and len(set(sent)) > 1:
            storm.harm("duplicates with another key", f"{target}: {sent}")
    changed = {}
    for effect in world.effects():
        changed.setdefault(effect["target"], []).append(effect)
    for target, effects in changed.items():
        if len(effects) > 1:
            storm.harm("second effects", f"{target}: {effects}")


def judge_acknowledged(storm, entries):
    stored = {e["data"]["labels"]["server"] for e in entries if e["kind"] == "event.received"}
    runs = {e["data"]["run"]: e["kind"] for e in entries if e["kind"].startswith("run.")}
    for server, run in storm.acknowledged.items():
        if server not in stored:
            storm.harm("acknowledged events lost", server)
        elif runs.get(run) not in ("run.succeeded", "run.failed"):
            storm.harm("lives that went wrong", f"{run} of {server}: {runs.get(run)}")


def live(world, storm, rng, kills, env):
    world.repo.commit({"heal.lua": runbook()})
    daemon = world.daemon(policy=ALWAYS, env=env, limits={"max_runs": 10000, "events_per_s": 10000, "storm": {"enter": 100000}},
                          incidents={"correlate": ["alertname", "server"]})
    first = 1
    for _ in range(kills):
        first = kill_once(daemon, world, storm, rng, first)
    settle(daemon, world, storm)
    entries = read_journal(world)
    judge_intents(storm, entries)
    judge_effects(storm, world, entries)
    judge_acknowledged(storm, entries)


def live_storm(seed, kills, env):
    storm = Storm(seed)
    rng = random.Random(seed)
    world = World()
    try:
        live(world, storm, rng, kills, env)
    except AssertionError as error:  # what a test would fail with, is counted here
        storm.harm("lives that went wrong", f"{error} {world.daemons[-1].log()[-1500:] if world.daemons else ''}")
    finally:
        world.close()
    return storm
