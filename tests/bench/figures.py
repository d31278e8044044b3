"""figures.py: what tests/bench/run measures, and what it should be. Set-up is here and in worlds.py; the measuring is in bench_*.c."""
import atexit
import functools
import json
import os
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

from harness import BUILD, SOURCE, STANCH, UnixConnection, World, children_of, lua, wait_for
from worlds import PROGRAMS, daemon, hook, runbook, scratch, server

CONNECTIONS = 64
WAITING = 10000

STEPS = 20
ASKING = 'policy { auto = "none" }\n'


def program(name, *args):
    """Run a measuring program; returns its lines `name value` as a dict."""
    done = subprocess.run([PROGRAMS / name, *map(str, args)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"tests/bench/run: {name} {' '.join(map(str, args))} ended with {done.returncode}")
    return {key: float(value) for key, value in (line.split() for line in done.stdout.splitlines())}


def seed():
    return int.from_bytes(os.urandom(4), "big") | 1


# What is measured.

def floor(what, n):
    with scratch() as world:
        return program("bench_floor", what, world.dir, n)


def load(port, path, token, connections, requests, kind="new"):
    return program("bench_load", port, path, token, connections, requests, kind, seed())


def reference(kind, connections, requests):
    with server(kind) as port:
        return load(port, "/", "none", connections, requests)


def webhook_action(requests):
    with hook() as (port, target_port):
        seen = program("bench_action", port, "/hooks/am", "none", target_port, requests, seed())
    return {"webhook_alert_to_action_p50_us": seen["p50_us"], "webhook_alert_to_action_p99_us": seen["p99_us"]}


def stanch_action(requests):
    with daemon() as it:
        seen = program("bench_action", it.port, "/v1/events/am", it.world.token, it.world.target_port, requests, seed())
    return {"alert_to_action_p50_us": seen["p50_us"], "alert_to_action_p99_us": seen["p99_us"],
            "alert_to_action_ack_p50_us": seen["answer_p50_us"]}


def new_token():
    made = subprocess.run([STANCH, "token", "new", "phone", "--person", "ada", "--may", "admin", "--json"], capture_output=True,
                          text=True, check=True)
    return json.loads(made.stdout)


def approve_to_action(requests):
    """From the approval's POST, over TCP with a token, to the action at its target; the run's worker has ended meanwhile."""
    made = new_token()
    people = f"""people {{ person "ada" {{ may = "admin" }}, person "me" {{ uid = {os.getuid()}, may = "admin" }},
        {made["line"]} roles = {{ ic = {{ people = {{ "ada" }} }} }} }}"""
    with daemon(runbook(alertname="Ack.*"), ASKING, people=people) as it:
        processes = len(tree(it.process.pid)) + 1
        answered = load(it.port, "/v1/events/am", it.world.token, CONNECTIONS, requests)["answered"]
        wait_until_all_wait(it, answered, processes)
        lines = it.world.dir / "approvals"
        with sqlite3.connect(f"file:{it.world.dir}/state/stanch.db?mode=ro", uri=True) as db:
            docs = [json.loads(text) for text, in db.execute("SELECT text FROM doc WHERE noun = 'approval' AND open = 1")]
        lines.write_text("".join(f"{doc['args']['name']}\t/v1/approvals/{doc['id']}\t" + json.dumps(
            {"decision": "approve", "plan": doc["plan_digest"]}) + "\n" for doc in docs))
        seen = program("bench_action", it.port, "-", made["token"], it.world.target_port, lines, 1)
    return {"approve_to_action_p50_us": seen["p50_us"], "approve_to_action_p99_us": seen["p99_us"]}


def metric(it, name):
    text = it.api("GET", "/metrics").text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


def recorded(it):
    """Events in the store of a daemon that has ended: what it acknowledged must be there, repeats as their count."""
    with sqlite3.connect(f"file:{it.world.dir}/state/stanch.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT kind, data FROM entry WHERE kind IN ('event.received', 'event.repeated')").fetchall()
    return sum(json.loads(data).get("count", 1) for _, data in rows)


def stanch_load(connections, requests, kind):
    """Returns what was measured, and how many syncs it took. Every answer must stand in the store."""
    with daemon() as it:
        before = metric(it, "stanch_journal_syncs_total")
        seen = load(it.port, "/v1/events/am", it.world.token, connections, requests, kind)
        syncs = metric(it, "stanch_journal_syncs_total") - before
        it.stop()
        if recorded(it) != seen["answered"]:
            raise SystemExit(f"tests/bench/run: {seen['answered']:.0f} alerts were answered, {recorded(it)} are recorded")
    return seen, syncs


def durable_ack(requests):
    seen, _ = stanch_load(1, requests, "new")
    return {"durable_ack_p50_us": seen["p50_us"], "durable_ack_p99_us": seen["p99_us"]}


def durable_acks(requests):
    seen, syncs = stanch_load(CONNECTIONS, requests, "new")
    return {"durable_ack_per_s": seen["per_s"], "durable_acks_per_sync": requests / max(syncs, 1)}


def repeats(requests):
    seen, _ = stanch_load(CONNECTIONS, requests, "repeat")
    return {"durable_repeat_per_s": seen["per_s"]}


def query(it, sql):
    """The one value of a query to the daemon's store."""
    with sqlite3.connect(f"file:{it.world.dir}/state/stanch.db?mode=ro", uri=True) as db:
        return db.execute(sql).fetchone()[0]


def whole_runs(runs, steps, rounds, follow):
    """Runs from their alerts to their end. What hit the target must stand in the store, once as intent, once as done."""
    with daemon(runbook(steps)) as it:
        before = metric(it, "stanch_journal_syncs_total")
        seen = program("bench_runs", it.port, "/v1/events/am", it.world.token, it.world.target_port,
                       it.socket if follow else "-", runs, steps, rounds, seed())
        syncs = metric(it, "stanch_journal_syncs_total") - before
        wait_for(lambda: query(it, "SELECT count(*) FROM doc WHERE noun = 'run' AND open = 1") == 0, "all runs to end")
        it.stop()
        done = query(it, "SELECT count(*) FROM entry WHERE kind = 'action.answered' AND data ->> 'outcome' = 'done'")
        sent = query(it, "SELECT count(*) FROM entry WHERE kind = 'action.sent'")
        if not done == sent == seen["hits"]:
            raise SystemExit(f"tests/bench/run: {seen['hits']:.0f} hits, {sent} intents and {done} outcomes recorded")
    return seen, syncs


def durable_steps(requests):
    rounds = max(1, round(requests / CONNECTIONS / STEPS))
    seen, syncs = whole_runs(CONNECTIONS, STEPS, rounds, follow=False)
    return {"durable_steps_per_s": seen["per_s"], "durable_steps_per_sync": seen["hits"] / max(syncs, 1)}


def three_steps(requests):
    seen, _ = whole_runs(1, 3, requests, follow=True)
    return {"three_step_run_p50_us": seen["p50_us"]}


def journal(requests):
    with scratch() as world:
        seen = program("bench_journal", world.dir / "state", requests)
    return {"journal_rows_per_s": seen["per_s"], "journal_rows_per_sync": seen["per_sync"]}


PAST = """runbook "r%d" {
  summary = "Held against a year of events", owner = "team-bench",
  on = alert { alertname = matches "Alert%d.*", env = "prod" },
  params = { server = label "instance" {} },
  limits = { cooldown = "%dm", at_most = "20/1d" },
  run = function(incident, p) end,
}
"""


@functools.cache
def year_of_events(requests):
    """A world with that store, for all rounds."""
    world = World()
    atexit.register(world.close)
    world.made = program("bench_backtest", world.dir / "state", requests)["events"]
    for i in range(10):
        world.write(f"runbooks/r{i}.lua", PAST % (i, i, i))
    world.config = world.write("stanch.lua", "stanch " + lua({"state_dir": world.dir / "state", "listen": False,
                                                              "socket": world.dir / "s", "instances": []}) + "\n")
    return world


def backtest(requests):
    """A year of events against ten runbooks that are not those of then; the process that reads the store, from start to end."""
    world = year_of_events(requests)
    made = world.made
    with open(world.dir / "report", "w+b") as out:
        began = time.monotonic()
        process = subprocess.Popen([STANCH, "rehearse", "backtest", world.dir / "runbooks", "--store", world.dir / "state",
                                    "--config", world.config, "--plugins", world.plugin_dir], stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        took_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        seen = process.returncode == 0 and json.load(out)
    if not seen or seen["events"] != made or seen["fired"]["count"] == 0:
        raise SystemExit(f"tests/bench/run: of {made:.0f} events the backtest told {seen and seen['events']}")
    return {"backtest_events_per_s": made / took_s, "backtest_peak_rss_kib": used.ru_maxrss}


REHEARSED = """for i = 1, %d do
  test("the broken server is drained " .. i) {
    alerts = { { alertname = "CheckoutErrorRateHigh", env = "prod", server = "eu2", lasts = "10m" } },
    world = function()
      local errors = 0.2
      return { ["main.query"] = function() return errors end,
               ["edge-eu.drain"] = { plan = function() return { reach = 0.33 } end, apply = function() errors = 0.001 end } }
    end,
    expect = { outcome = "succeeded", actions = { { "edge-eu.drain", server = "eu2" } } },
  }
end
"""
TESTS_A_FILE = 200


def runbook_tests(requests):
    """So many tests of the example runbook in one command, on all cores."""
    example = SOURCE / "runbooks/checkout"
    with scratch() as world:
        world.write("book/checkout.lua", (example / "checkout.lua").read_text())
        for i, first in enumerate(range(0, requests, TESTS_A_FILE)):
            world.write(f"book/t{i}_test.lua", REHEARSED % min(TESTS_A_FILE, requests - first))
        with open(world.dir / "report", "w+b") as out:
            began = time.monotonic()
            process = subprocess.Popen([STANCH, "runbook", "test", world.dir / "book", "--config", example / "stanch.lua",
                                        "--plugins", BUILD / "plugins", "--json"], stdout=out)
            _, status, used = os.wait4(process.pid, 0)
            took_s = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            tests = json.load(out)["tests"]
    if process.returncode != 0 or len(tests) != requests:
        raise SystemExit(f"tests/bench/run: {len(tests)} of {requests} tests were played, exit code {process.returncode}")
    return {"runbook_tests_per_s": requests / took_s, "runbook_tests_one_core_per_s": requests / took_s / os.cpu_count(),
            "runbook_tests_peak_rss_kib": used.ru_maxrss}


def tree(pid):
    pids = [pid]
    for pid in pids:
        pids += children_of(pid)
    return pids


def rss_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def settled_kib(it):
    """The resident memory of all processes, once it does not fall any more: what is free goes back a second after the last run."""
    seen = []

    def falls_no_more():
        seen.append(sum(rss_kib(pid) for pid in tree(it.process.pid)))
        return len(seen) > 6 and seen[-1] >= seen[-6]
    wait_for(falls_no_more, "memory to settle", timeout=60, every=0.5)
    return seen[-1]


def wait_until_all_wait(it, runs, processes):
    """Each has put its question, and its worker is gone."""
    wait_for(lambda: query(it, "SELECT count(*) FROM doc WHERE noun = 'approval' AND open = 1") == runs,
             f"{runs} runs to wait", timeout=900, every=0.5)
    wait_for(lambda: query(it, "SELECT count(*) FROM doc WHERE noun = 'run' AND due = 0") == 0, "all to rest", timeout=60)
    wait_for(lambda: len(tree(it.process.pid)) <= processes, "their workers to end", timeout=60, every=0.5)


def approve_as_soon_as_it_answers(it, approval):
    body = json.dumps({"decision": "approve", "plan": approval["plan_digest"]})
    while True:
        connection = UnixConnection(it.socket, 30)
        try:
            connection.request("POST", f"/v1/approvals/{approval['id']}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status == 200:
                return
            raise SystemExit(f"tests/bench/run: the approval was answered with {answer.status}: {answer.read()!r}")
        except OSError:
            time.sleep(0.001)  # not up yet
        finally:
            connection.close()


def kill9_to_acting(it):
    """kill -9, start, approve one: until its command is at the target."""
    approval = it.get("/v1/approvals?limit=1")["items"][0]
    with socket.create_server(("127.0.0.1", it.world.target_port)) as target:
        target.settimeout(60)
        begin = time.monotonic()
        it.kill9()
        with open(it.log_path, "ab") as log:
            it.process = subprocess.Popen([STANCH, "serve", "--config", it.config_path], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env=it.env, cwd=it.world.dir)
        approve_as_soon_as_it_answers(it, approval)
        hit, _ = target.accept()
        with hit:
            hit.recv(4096)
            took = time.monotonic() - begin
            hit.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    return took * 1000


def waiting(requests):
    """Runs that wait for an approval: what they cost in memory, and how soon one acts after a kill. They are held
    against the same daemon after as many events (1,000 at most) whose runs have ended."""
    with daemon(runbook(steps=0, alertname="Ack.*"), ASKING) as it:
        processes = len(tree(it.process.pid)) + 1
        load(it.port, "/v1/events/am", it.world.token, CONNECTIONS, min(requests, 1000))
        wait_for(lambda: query(it, "SELECT count(*) FROM doc WHERE noun = 'run' AND open = 1") == 0, "all runs to end")
        it.world.repo.commit({"hit.lua": runbook(alertname="Ack.*")})
        it.post("/v1/runbooks/sync")
        wait_for(lambda: it.get("/v1/status")["book"]["commit"] == it.world.repo.head(), "the runbook that waits")
        wait_for(lambda: len(tree(it.process.pid)) <= processes, "workers to end", every=0.5)
        before = settled_kib(it)
        answered = load(it.port, "/v1/events/am", it.world.token, CONNECTIONS, requests)["answered"]
        wait_until_all_wait(it, answered, processes)
        after = settled_kib(it)
        took_ms = kill9_to_acting(it)
    grown = after - before
    return {f"waiting_{WAITING}_rss_kib": max(grown, 1), "kill9_to_acting_ms": took_ms}


def plugin_call(requests):
    with scratch() as world:
        return program("bench_plugin", BUILD / "bin/stanch", world.plugin_dir, world.dir / "hosts.lock", requests)


def pss_of_all(pid):
    """(KiB, how many) of a process and all below it; None: one of them has ended meanwhile, as those do that helped at the start."""
    pids, total = tree(pid), 0
    try:
        for each in pids:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
    except (OSError, StopIteration):
        return None
    return (total, len(pids)) if tree(pid) == pids else None


def idle(_):
    """All processes of a daemon that has nothing to do, with three instances."""
    with daemon() as it:
        it.api("GET", "/v1/status")
        total, count = wait_for(lambda: pss_of_all(it.process.pid), "its processes to stay", every=0.5)
        return {"idle_pss_kib": total, "idle_processes": count}


class Measure:
    """What gives some figures; a program's own names are put behind `prefix`."""

    def __init__(self, requests, measure, *gives):
        self.requests, self.measure, self.gives = requests, measure, gives

    def run(self, requests):
        seen = self.measure(requests)
        return {name: seen[name] if name in seen else seen[name[-len("p50_us"):].lstrip("_")] for name in self.gives}


MEASURES = [
    Measure(500, lambda n: floor("fdatasync", n), "ref_fdatasync_p50_us"),
    Measure(20000, lambda n: floor("socketpair", n), "ref_socketpair_p50_us"),
    Measure(100000, lambda n: floor("sqlite", n), "ref_sqlite_rows_per_s"),
    Measure(10000, lambda n: reference("plain", 1, n), "ref_http_p50_us"),
    Measure(2000, lambda n: reference("durable", 1, n), "ref_durable_http_p50_us"),
    Measure(100000, lambda n: reference("parse", CONNECTIONS, n), "ref_durable_parse_per_s"),
    Measure(200, webhook_action, "webhook_alert_to_action_p50_us", "webhook_alert_to_action_p99_us"),
    Measure(300, stanch_action, "alert_to_action_p50_us", "alert_to_action_p99_us", "alert_to_action_ack_p50_us"),
    Measure(300, approve_to_action, "approve_to_action_p50_us", "approve_to_action_p99_us"),
    Measure(2000, durable_ack, "durable_ack_p50_us", "durable_ack_p99_us"),
    Measure(20000, durable_acks, "durable_ack_per_s", "durable_acks_per_sync"),
    Measure(40000, repeats, "durable_repeat_per_s"),
    Measure(CONNECTIONS * STEPS * 4, durable_steps, "durable_steps_per_s", "durable_steps_per_sync"),
    Measure(300, three_steps, "three_step_run_p50_us"),
    Measure(50000, journal, "journal_rows_per_s", "journal_rows_per_sync"),
    Measure(10000, runbook_tests, "runbook_tests_per_s", "runbook_tests_one_core_per_s", "runbook_tests_peak_rss_kib"),
    Measure(1000000, backtest, "backtest_events_per_s", "backtest_peak_rss_kib"),
    Measure(WAITING, waiting, f"waiting_{WAITING}_rss_kib", "kill9_to_acting_ms"),
    Measure(10000, plugin_call, "plugin_call_p50_us"),
    Measure(1, idle, "idle_pss_kib", "idle_processes"),
]


class Target:
    """`figure` is at most (or at least) `times` the sum of the figures beside it; without any, `times` itself."""

    def __init__(self, figure, bound, times, *beside):
        self.figure, self.bound, self.times, self.beside = figure, bound, times, beside

    def verdict(self, seen):
        limit = self.times * (sum(seen[name] for name in self.beside) if self.beside else 1)
        met = seen[self.figure] <= limit if self.bound == "at most" else seen[self.figure] >= limit
        of = f" ({self.times:g} x {' + '.join(self.beside)})" if self.beside else ""
        return (f"{'met' if met else 'missed'}: {self.figure} {seen[self.figure]:.1f} is to be {self.bound} "
                f"{limit:.1f}{of}")


TARGETS = [
    Target("alert_to_action_p50_us", "at most", 1, "webhook_alert_to_action_p50_us"),
    Target("alert_to_action_p50_us", "at most", 0.5, "webhook_alert_to_action_p50_us"),
    Target("alert_to_action_p50_us", "at most", 2.5, "ref_durable_http_p50_us", "ref_http_p50_us",
           "ref_socketpair_p50_us"),
    Target("approve_to_action_p50_us", "at most", 3, "ref_durable_http_p50_us", "ref_http_p50_us",
           "ref_socketpair_p50_us"),
    Target("durable_ack_p50_us", "at most", 2, "ref_durable_http_p50_us"),
    Target("durable_ack_per_s", "at least", 0.35, "ref_durable_parse_per_s"),
    Target("durable_repeat_per_s", "at least", 0.6, "ref_durable_parse_per_s"),
    Target("durable_steps_per_s", "at least", 4000),
    Target("three_step_run_p50_us", "at most", 9500 / 5),
    Target("journal_rows_per_s", "at least", 0.15, "ref_sqlite_rows_per_s"),
    Target(f"waiting_{WAITING}_rss_kib", "at most", 2000),
    Target("kill9_to_acting_ms", "at most", 500),
    Target("plugin_call_p50_us", "at most", 5, "ref_socketpair_p50_us"),
    Target("idle_pss_kib", "at most", 30000),
]


def unit(name):
    for end, word in (("_us", "us"), ("_ms", "ms"), ("_per_s", "1/s"), ("_kib", "KiB"), ("_per_sync", "1/sync")):
        if name.endswith(end):
            return word
    return "-"
