"""story.py: two outages of the shop, told as they happen, and checked by what HAProxy itself has logged."""
import argparse
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from town import SERVERS, Town, Trouble, wait_for


class Story:
    def __init__(self, town, args):
        self.town = town
        self.args = args
        self.began = time.monotonic()
        self.colour = sys.stdout.isatty()
        self.checks = 0

    # Telling.

    def head(self, text):
        print(f"\n\033[1m{text}\033[0m" if self.colour else f"\n== {text}", flush=True)

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def show(self, text):
        print("\n".join("          | " + line for line in text.rstrip().splitlines()), flush=True)

    def check(self, fact, text):
        if not fact:
            raise Trouble(f"this must be so, and is not: {text}")
        self.checks += 1
        self.say(f"checked: {text}")

    # What Stanch knows.

    def incident_of(self, server):
        for incident in self.town.get("/v1/incidents")["items"]:
            if server in incident.get("title", "") or server in str(incident.get("labels", "")):
                return incident
        return None

    def run_of(self, incident):
        runs = self.town.get(f"/v1/incidents/{incident['id']}/runs")["items"]
        return runs[0] if runs else None

    def kinds(self, incident):
        return [entry["kind"] for entry in self.town.get(f"/v1/incidents/{incident['id']}/timeline?limit=1000")["items"]]

    def wait_for_run(self, incident):
        def ended():
            run = self.run_of(incident)
            return run if run and run["state"] in ("succeeded", "failed", "cancelled", "parked") else None
        run = wait_for(ended, f"the run of {incident['id']} to end", 60)
        if run["state"] != "succeeded":
            self.show(self.town.stanch("timeline", "show", incident["id"]))
            raise Trouble(f"the run {run['id']} is {run['state']}")
        return run

    def kill_and_restart(self, why):
        self.say(f"kill -9 to Stanch, {why} ...")
        self.town.kill_stanch()
        self.town.start_stanch()
        self.say("... and it is back, and goes on where it was")

    # The chapters.

    def open_the_shop(self):
        self.head("A shop on three servers, watched by Prometheus, with Stanch behind Alertmanager")
        town = self.town
        town.make_repository()
        town.start_shop()
        town.start_monitoring()
        town.start_stanch()
        wait_for(lambda: town.query("job:checkout_errors:ratio") == 0, "Prometheus to see the customers", 40)
        self.say("checkout is healthy: eu1, eu2 and eu3 share 40 requests a second, none fails")

    def break_server(self, server):
        self.town.set_fault(server, True)
        broken = time.monotonic()
        self.say(f"{server} loses its database: every request that it gets fails")
        wait_for(lambda: self.town.query('ALERTS{alertstate="firing"}'), "the alert to fire", 30)
        self.say(f"Prometheus fires CheckoutErrorRateHigh: {self.town.query('job:checkout_errors:ratio'):.0%} of all fail")
        return broken

    def first_outage(self):
        self.head("The first outage: one of three servers may be drained without asking")
        broken = self.break_server("eu1")
        incident = wait_for(lambda: self.incident_of("eu1"), "an incident", 20)
        self.say(f"Stanch opens {incident['id']} and starts the runbook checkout-errors")
        if self.args.kill:
            wait_for(lambda: "action.sent" in self.kinds(incident), "the drain to be sent", 20, 0.01)
            self.kill_and_restart("in the middle of the run")
        wait_for(lambda: self.town.is_drained("eu1"), "eu1 to be drained", 20, 0.02)
        self.say(f"HAProxy: eu1 is drained, {time.monotonic() - broken:.1f} s after it broke; nobody was woken up")
        self.wait_for_run(incident)
        self.say("the symptom stayed gone long enough: the run has succeeded")
        self.check((self.town.query("job:checkout_errors:ratio") or 0) < 0.01, "the customers see no error any more")
        return incident

    def second_outage(self):
        self.head("The second outage: draining one more would leave a single server, so Stanch asks")
        self.break_server("eu2")
        approval = wait_for(self.pending_approval, "a question", 30)
        incident = self.incident_of("eu2")
        self.say(f"{incident['id']}: the same runbook, but policy wants a person to decide")
        if self.args.kill:
            self.kill_and_restart("while it waits for the answer")
            approval = wait_for(self.pending_approval, "the question to be there again", 20)
        before = time.time()
        time.sleep(1)
        self.check(not self.town.is_drained("eu2") and any(at > before and server == "eu2"
                                                           for at, server, _ in self.town.requests()),
                   "not approved, so eu2 is as it was and still gets requests")
        if not self.approve(approval):
            self.check(not self.town.is_drained("eu2"), "denied, so eu2 is as it was")
            return incident, False
        wait_for(lambda: self.town.is_drained("eu2"), "eu2 to be drained", 20, 0.02)
        self.say("HAProxy: eu2 is drained")
        if self.args.kill:
            self.kill_and_restart("while it watches the symptom")
        self.wait_for_run(incident)
        self.say("the run has succeeded")
        return incident, True

    def pending_approval(self):
        return next(iter(self.town.get("/v1/approvals")["items"]), None)

    def approve(self, approval):
        if not self.args.yes:
            self.say("your turn: stanch approve " + approval["id"])
            done = subprocess.run([self.town.stanch_bin, "--socket", self.town.socket, "approve", approval["id"]])
            state = self.town.get(f"/v1/approvals/{approval['id']}")["state"]
            if done.returncode != 0 and state == "pending":
                self.say("not approved: Stanch keeps waiting; the demo denies it for you")
                self.town.stanch("deny", approval["id"])
            return state not in ("pending", "denied")
        self.show(self.town.stanch("approvals", "show", approval["id"], check=False) or
                  self.town.stanch("approvals"))
        self.say(f"approving exactly this plan (--yes): stanch approve {approval['id']} --yes --plan {approval['plan_digest'][:12]}...")
        self.town.stanch("approve", approval["id"], "--yes", "--plan", approval["plan_digest"])
        return True

    def mend_and_undo(self):
        self.head("The servers are mended, and what was done is taken back")
        for server in ("eu1", "eu2"):
            self.town.set_fault(server, False)
        self.show(self.town.stanch("mitigations"))
        for mitigation in self.town.get("/v1/mitigations")["items"]:
            self.say(f"stanch undo {mitigation['id']} --reason 'the server is mended'")
            self.town.stanch("undo", mitigation["id"], "--reason", "the server is mended")
        for server in ("eu1", "eu2"):
            self.check(not self.town.is_drained(server), f"HAProxy: {server} is in the traffic again")
        before = time.time()
        answered = lambda: [server for at, server, status in self.town.requests() if at > before and status == 200]
        wait_for(lambda: all(answered().count(server) >= 10 for server in SERVERS), "all three servers to answer", 10)

    def check_haproxy_log(self, servers):
        """The independent witness: HAProxy's own log, by the times at which it accepted each request."""
        requests = self.town.requests()
        for server in servers:
            drained = self.moment(rf"Server checkout/{server} enters drain state")
            back = self.moment(rf"Server checkout/{server} is UP \(leaving forced drain\)")
            inside = [at for at, name, _ in requests if name == server and drained < at < back]
            others = [at for at, name, _ in requests if name != server and drained < at < back]
            after = [at for at, name, status in requests if name == server and at >= back and status == 200]
            self.check(not inside and others, f"HAProxy's log: {len(others)} requests while {server} was drained, none reached it")
            self.check(after, f"HAProxy's log: {server} answered {len(after)} requests after the undo")

    def moment(self, pattern):
        found = re.search(rf"^(\S+) {pattern}", self.town.log("haproxy"), re.M)
        if not found:
            raise Trouble(f"HAProxy's log does not have: {pattern}")
        return datetime.fromisoformat(found[1]).timestamp()

    def tell_timelines(self, incidents):
        for incident in incidents:
            self.head(f"What the timeline of {incident['id']} tells")
            self.show(self.town.stanch("timeline", "show", incident["id"]))
        self.head("Is the timeline as it was written?")
        self.show(self.town.stanch("timeline", "verify"))
        self.check(True, "stanch timeline verify finds nothing altered")

    def rehearse(self, incident):
        """The same runbook, the same alert, the same answers, in a simulated world and in virtual time."""
        self.head("The outage of today is the drill of tomorrow")
        drill = self.town.run / "drill.lua"
        self.town.stanch("drill", "from", incident["id"], "--out", str(drill))
        self.say(f"stanch drill from {incident['id']}, then stanch drill run:")
        report = self.town.stanch("drill", "run", str(drill), str(self.town.run / "runbooks.git"), "--config",
                                  str(self.town.run / "stanch.lua"))
        self.show("\n".join(report.splitlines()[:24]))
        self.check("missed" not in report.split("## ")[1], f"the drill out of {incident['id']} meets all that was measured then")

    def flip_one_byte(self, incident):
        """Stanch is stopped; in a copy of its store one byte of one entry is changed, as a person with a disk editor
        would."""
        copy = self.town.run / "tampered"
        shutil.copytree(self.town.run / "state", copy)
        database = copy / "stanch.db"
        store = sqlite3.connect(database)
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seq, n, *texts = store.execute("SELECT seq, n, kind, by, coalesce(run, ''), data FROM entry WHERE chain = ? AND "
                                       "kind = 'action.sent' ORDER BY seq LIMIT 1", [incident["id"]]).fetchone()
        store.close()
        row = "".join(texts).encode()[:120]
        raw = bytearray(database.read_bytes())
        self.check(raw.count(row) == 1, f"the entry {incident['id']} {n} stands once in the database's file")
        raw[raw.find(row) + len(row) - 1] ^= 1
        database.write_bytes(raw)
        done = subprocess.run([self.town.stanch_bin, "timeline", "verify", "--store", copy], capture_output=True, text=True)
        self.show(done.stdout + done.stderr)
        self.check(done.returncode == 9 and incident["id"] in done.stdout + done.stderr and
                   re.search(rf"\b({n}|{seq})\b", done.stdout + done.stderr),
                   f"one flipped byte in a copy of the database: verify names entry {n} of {incident['id']}")

    def keep(self):
        port, town = self.town.port, self.town
        self.head("All of it keeps running; Ctrl-C ends it")
        alias = f"alias stanch='{town.stanch_bin} --socket {town.socket}'"
        print(f"""
  {alias}
  stanch incident list                  what is going on
  curl -X POST localhost:{port['EU3']}/fault     break eu3; /mend mends it
  stanch approvals                      what waits for you: stanch approve ID, stanch deny ID
  stanch mitigations                    what is in force: stanch undo ID

  the shop        http://127.0.0.1:{port['EDGE']}
  Prometheus      http://127.0.0.1:{port['PROMETHEUS']}
  Alertmanager    http://127.0.0.1:{port['ALERTMANAGER']}
  Stanch          http://127.0.0.1:{port['STANCH']}
  runbooks        {town.run}/runbooks.git (commit, then: stanch runbook sync, stanch runbook accept NAME)
  logs            {town.run}/*.log
""", flush=True)
        while True:
            signal.pause()

    def tell(self):
        self.open_the_shop()
        first = self.first_outage()
        second, approved = self.second_outage()
        self.mend_and_undo()
        self.check_haproxy_log(["eu1", "eu2"] if approved else ["eu1"])
        self.tell_timelines([first, second])
        self.rehearse(first)
        if self.args.keep:
            self.keep()
        if self.town.stop_stanch() != 0:
            raise Trouble("Stanch did not end with 0 on SIGTERM")
        self.head("And if somebody had changed the story?")
        self.flip_one_byte(first)
        self.say(f"done: {self.checks} facts checked")


def main():
    parser = argparse.ArgumentParser(prog="runbooks/demo/run")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--yes", action="store_true", help="approve the second outage's step without asking you")
    parser.add_argument("--kill", action="store_true", help="end the daemon with SIGKILL in the middle of each run")
    parser.add_argument("--keep", action="store_true", help="leave all running to play with, until Ctrl-C")
    args = parser.parse_args()
    if not args.yes and not sys.stdin.isatty():
        print("the second outage asks a person, and there is no terminal: run it with --yes", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    town = Town(args.build)
    try:
        Story(town, args).tell()
        return 0
    except KeyboardInterrupt:
        return 0 if args.keep else 130
    except Trouble as trouble:
        print(f"\nthe demo stops here: {trouble}", file=sys.stderr)
        for line in town.log("stanch").splitlines()[-15:]:
            print("  stanch: " + line, file=sys.stderr)
        return 1
    finally:
        town.close()


if __name__ == "__main__":
    sys.exit(main())
