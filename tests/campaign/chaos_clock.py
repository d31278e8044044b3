"""chaos_clock.py: the wall clock is set forth and back by an hour and by ten years, and the machine is suspended, while
sleeps, questions, leases and limits wait, in one life and across lives (PROMISES.md 1.10, T32). The clocks are those of
clock.c; how long something really took is told by this process's own."""
import random
import threading
import time
from contextlib import contextmanager

from books import ALWAYS, book, set_to
from chaos_kit import Clock, Machine, Pulse, Tally, check_no_zombies, entries_of, find
from harness import KIND, World, alert, wait_for

HOUR, YEARS = 3600, 10 * 365 * 86400
STEPS = (HOUR, -HOUR, -HOUR, HOUR, YEARS, -YEARS, -YEARS, YEARS)
EARLY_S = 0.1
LASTS_S = 8 if KIND == "dev" else 12
BOOKS = {
    "asks": (book(set_to(7, action="set_unprotected", target="asked"), name="asks", on='alert { alertname = "Asks" }')),
    "sleeps": (book(f'note "lies down"; sleep "{LASTS_S}s"; note "gets up"', name="sleeps",
                    on='alert { alertname = "Sleeps" }')),
    "leases": (book(set_to(5, target="leased", extra=f', lease = "{LASTS_S}s"'), name="leases",
                    on='alert { alertname = "Leases" }')),
    "cools": (book('note "ran"', name="cools", on='alert { alertname = "Cools" }',
                   more=f'limits = {{ cooldown = "{LASTS_S}s", group_within = "0s" }},')),
}
POLICY = 'policy {{ auto = "medium", approve = {{ high = {{ role = "ic", expires = "{}" }} }} }}\n'


class Watch(threading.Thread):
    """Every entry as it comes, with the moment on this process's clock."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon_ = daemon
        self.seen = []  # (moment, entry)
        self.start()

    def run(self):
        try:
            with self.daemon_.stream(last_event_id=0, timeout=120) as events:
                for _, _, entry in events:
                    self.seen.append((time.monotonic(), entry))
        except (OSError, AssertionError):
            pass  # the daemon ended

    def when(self, kind, **members):
        """The moments of the entries of a kind whose data has these members."""
        return [at for at, e in list(self.seen)
                if e["kind"] == kind and all(e["data"].get(k) == v for k, v in members.items())]

    def first(self, kind, **members):
        return wait_for(lambda: self.when(kind, **members), f"{kind} {members}", 60)[0]


@contextmanager
def clocked(expires=f"{LASTS_S}s", books=None, **more):
    tally, world, machine = Tally(), World(), Machine()
    world.repo.commit({f"{name}.lua": text for name, text in (books or BOOKS).items()})
    world.set_value("errors", 0)
    clock = Clock(world.dir / "clock")
    daemon = world.daemon(policy=POLICY.format(expires), approvals={"expires": expires}, env=clock.env(), **more)
    try:
        yield tally, world, daemon.start(), clock, machine
        daemon.stop()
    finally:
        machine.over.set()
        world.close()


def send(daemon, clock, name, nth="1"):
    daemon.post_alert(alert(name, starts_at=clock.now(), nth=nth))


def check_waited(tally, machine, what, sent, seen, ended, lasts_s=LASTS_S):
    """It cannot have begun before it was sent, and had begun when it was seen: on a busy machine this process hears late of it."""
    tally.hold("timers that came when they should", ended - sent >= lasts_s - EARLY_S and
               ended - seen <= lasts_s + 1 + machine.slack_s,
               f"{what}: {ended - seen:.2f} to {ended - sent:.2f} s instead of {lasts_s} s")


def check_order(tally, daemon):
    """Entries are in the order of their sequence, whatever their times say."""
    for chain in ["-", *(incident["id"] for incident in daemon.get("/v1/incidents")["items"])]:
        seqs = [e["seq"] for e in entries_of(daemon, chain)]
        tally.hold("chains in order", seqs == sorted(set(seqs)), f"{chain}: {seqs}")


def verify_chain(tally, world, daemon):
    done = daemon.cli("timeline", "verify", "--store", world.dir / "state", check=False)
    tally.hold("chains in order", done.returncode == 0, done.stdout + done.stderr)


# Steps in one life.

def steps(long, seed):
    chance = random.Random(seed)
    order = list(STEPS) * (3 if long else 1)
    with clocked() as (tally, world, daemon, clock, machine):
        pulse, watch = Pulse(daemon, tally), Watch(daemon)
        sent = []
        for name in ("Asks", "Sleeps", "Leases", "Cools"):
            sent.append(time.monotonic())
            send(daemon, clock, name)
        moments = [watch.first("approval.requested", approval="A-1"), watch.first("step.noted", text="lies down"),
                   watch.first("mitigation.applied"), watch.first("step.noted", text="ran")]
        for n, seconds in enumerate(order):
            jump(tally, clock, watch, seconds)
            if n == 0:
                still_in_cooldown(tally, daemon, clock)
        check_waited(tally, machine, "a question", sent[0], moments[0], watch.first("approval.expired", approval="A-1"))
        check_waited(tally, machine, "a sleep", sent[1], moments[1], watch.first("step.noted", text="gets up"))
        check_waited(tally, machine, "a lease", sent[2], moments[2], watch.first("mitigation.undone"))
        check_once(tally, watch)
        answered_after_a_step(tally, daemon, clock, watch, chance)
        cooled_down(tally, daemon, clock, watch)
        check_order(tally, daemon)
        check_no_zombies(tally, daemon)
        pulse.stop()
        verify_chain(tally, world, daemon)
    return tally


def jump(tally, clock, watch, seconds):
    """A step, and its entry: one, that tells how far."""
    before = len(watch.when("daemon.clock-jumped"))
    clock.step(seconds)
    wait_for(lambda: len(watch.when("daemon.clock-jumped")) > before, f"the entry of a jump by {seconds} s")
    told = [e["data"]["jump_ms"] for _, e in watch.seen if e["kind"] == "daemon.clock-jumped"][before:]
    tally.hold("jumps with an entry", len(told) == 1 and abs(told[0] / 1000 - seconds) < 30, f"{seconds}: {told}")


def still_in_cooldown(tally, daemon, clock):
    send(daemon, clock, "Cools", nth="an hour later, says the clock")
    held = wait_for(lambda: [r for r in daemon.get("/v1/runs")["items"] if r["runbook"] == "cools" and r["id"] != "R-4"],
                    "the second start")
    tally.hold("limits on the boot clock", [r["state"] for r in held] == ["held"], held)


def cooled_down(tally, daemon, clock, watch):
    jump(tally, clock, watch, -YEARS)
    send(daemon, clock, "Cools", nth="ten years before, says the clock")
    run = wait_for(lambda: (found := daemon.get("/v1/runs")["items"][0])["runbook"] == "cools"
                   and found["state"] != "running" and found, "the third start")
    tally.hold("limits on the boot clock", run["state"] == "succeeded", run)
    jump(tally, clock, watch, YEARS)


def check_once(tally, watch):
    for kind, members in (("approval.expired", {"approval": "A-1"}), ("step.noted", {"text": "gets up"}),
                          ("mitigation.undoing", {})):
        times = len(watch.when(kind, **members))
        tally.hold("timers that fired once", times == 1, f"{kind} {members}: {times}")


def answered_after_a_step(tally, daemon, clock, watch, chance):
    """A question stays open for as long as it lasts: it can be answered after the clock went on by an hour."""
    open_now = [a for a in daemon.get("/v1/approvals")["items"] if a["about"] == "action"]
    fresh = open_now[0]["id"]
    first = wait_for(lambda: [a for a in daemon.get("/v1/approvals")["items"]
                              if a["about"] == "action" and a["id"] != fresh], "a new question", 30)[0]
    jump(tally, clock, watch, chance.choice((HOUR, YEARS)))
    answer = daemon.api("POST", f"/v1/approvals/{first['id']}", {"decision": "approve", "plan": first["plan_digest"]})
    tally.hold("questions that can be answered after a step", answer.status == 200, answer)
    wait_for(lambda: watch.when("action.sent", action="set_unprotected"), "its effect")


# The machine is suspended.

LONG_BOOKS = {
    "asks": BOOKS["asks"],
    "sleeps": book('note "lies down"; sleep "30m"; note "gets up"; ' + set_to(6, target="late"), name="sleeps",
                   on='alert { alertname = "Sleeps" }'),
    "leases": book(set_to(5, target="leased", extra=', lease = "30m"'), name="leases", on='alert { alertname = "Leases" }'),
}


def wait_for_three(daemon, clock, watch):
    for name in ("Asks", "Sleeps", "Leases"):
        send(daemon, clock, name)
    watch.first("approval.requested", approval="A-1")
    watch.first("step.noted", text="lies down")
    watch.first("mitigation.applied")


def suspend(_long, _seed):
    with clocked("20m", LONG_BOOKS) as (tally, world, daemon, clock, machine):
        pulse, watch = Pulse(daemon, tally), Watch(daemon)
        wait_for_three(daemon, clock, watch)
        clock.suspend(15 * 60)
        time.sleep(1.5)  # nothing may come of it; it is looked at every second
        tally.hold("timers that came when they should", not watch.when("approval.expired")
                   and not watch.when("step.noted", text="gets up"), "they came in the middle of their time")
        clock.suspend(16 * 60)
        woke = time.monotonic()
        for kind, members in (("approval.expired", {"approval": "A-1"}), ("step.noted", {"text": "gets up"}),
                              ("mitigation.undone", {})):
            check_waited(tally, machine, f"{kind} after the machine woke", woke, woke, watch.first(kind, **members), 0.1)
        question = wait_for(lambda: [a for a in daemon.get("/v1/approvals")["items"] if a.get("run") == "R-2"], "a question")
        tally.hold("grounds that were stale, and said", "last acted" in question[0]["why"], question[0]["why"])
        tally.hold("jumps with an entry", not watch.when("daemon.clock-jumped"), "a suspend is no jump")
        check_order(tally, daemon)
        pulse.stop()
        verify_chain(tally, world, daemon)
    return tally


# Steps while stanch is down.

def down(_long, _seed):
    tally = Tally()
    for seconds in (HOUR, -HOUR, YEARS, -YEARS):
        with clocked("20m", LONG_BOOKS) as (one, world, daemon, clock, machine):
            wait_for_three(daemon, clock, Watch(daemon))
            daemon.kill9()
            clock.step(seconds)
            daemon.start()
            watch = Watch(daemon)
            if seconds < 0:
                set_back(one, daemon, clock, watch, machine)
            else:
                check_late(one, watch)
            check_once(one, watch)
            check_order(one, daemon)
            verify_chain(one, world, daemon)
        tally.add(one)
    return tally


def check_late(tally, watch):
    """They came due meanwhile: each fires now, once, and says how late it is."""
    for kind, members in (("approval.expired", {"approval": "A-1"}), ("step.noted", {"text": "gets up"}),
                          ("mitigation.undone", {})):
        watch.first(kind, **members)
    late = [e["data"].get("late_ms", 0) for _, e in watch.seen
            if e["kind"] == "step.answered" and e["data"]["step"] == "R-2/2"]
    tally.hold("late timers marked", len(late) == 1 and late[0] > 20 * 60 * 1000, [e for _, e in watch.seen if e["kind"] == "step.answered"])
    for kind, member in (("approval.expired", "closed"), ("mitigation.undone", "reason")):
        said = [e["data"][member] for _, e in watch.seen if e["kind"] == kind]
        tally.hold("late timers marked", "while stanch was down" in said[0], said)


def set_back(tally, daemon, clock, watch, machine):
    """None of them may wait for longer than it was meant to, however far the clock was set back."""
    jumped = watch.first("daemon.clock-jumped")
    tally.hold("jumps with an entry", jumped, "a clock that was set back while stanch was down")
    question = daemon.get("/v1/approvals/A-1")
    tally.hold("questions never stretched", question["state"] == "pending", question)
    clock.suspend(31 * 60)
    woke = time.monotonic()
    for kind, members in (("approval.expired", {"approval": "A-1"}), ("step.noted", {"text": "gets up"}),
                          ("mitigation.undone", {})):
        check_waited(tally, machine, f"{kind} after the clock was set back", woke, woke, watch.first(kind, **members), 0.1)
