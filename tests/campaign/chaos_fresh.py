"""chaos_fresh.py: no mitigation starts by itself on stale grounds (PROMISES.md 1.14): after a gap, after a clock that was
set back, when the alert has resolved meanwhile, or when what was approved has come due."""
from books import ALWAYS, book, set_to
from chaos_kit import Clock, Tally, entries_of, find
from harness import World, alert, wait_for

SLEEP_THEN_ACT = f'''note "begins"
    sleep "1s"
    {set_to(7, action="set_unprotected")}'''
WAIT_THEN_ACT = f'''note "begins"
    wait_for {{ ask = fx.get, args = {{ target = "gate" }}, becomes = "> 0", every = "50ms", within = "5m" }}
    {set_to(7, action="set_unprotected")}'''
ASK_HIGH = 'policy { auto = "medium", approve = { high = { role = "ic", expires = "20m" } } }\n'
GAP = 10 * 60


def begin(world, body, policy=ALWAYS, more="", **settings):
    world.repo.commit({"heal.lua": book(body, more=more)})
    clock = Clock(world.dir / "clock")
    daemon = world.daemon(policy=policy, env=clock.env(), **settings).start()
    firing = alert()
    daemon.post_alert(firing)
    return daemon, clock, firing


def state(daemon):
    return daemon.get("/v1/runs/R-1")["state"]


def ended(daemon):
    return wait_for(lambda: state(daemon) if state(daemon) in ("succeeded", "failed", "cancelled") else None, "the end")


def check_asks(tally, daemon, world, what, says):
    """A question that says why, no effect before it is answered, one after."""
    try:
        question = wait_for(lambda: daemon.get("/v1/approvals")["items"] or state(daemon) == "succeeded", f"{what}: a question")
    except AssertionError as error:
        tally.hold("stale grounds asked about", False, error)
        return
    asked = question is not True and says in question[0]["why"] and not world.effects()
    if tally.hold("stale grounds asked about", asked, f"{what}: {question} {world.effects()}"):
        answer = {"decision": "approve", "plan": question[0]["plan_digest"]}
        daemon.post(f"/v1/approvals/{question[0]['id']}", answer)
        tally.hold("confirmed by a person, it goes on", ended(daemon) == "succeeded" and len(world.effects()) == 1, what)


def check_acts(tally, daemon, world, what):
    tally.hold("fresh grounds act", ended(daemon) == "succeeded" and len(world.effects()) == 1,
               f"{what}: {state(daemon)} {daemon.get('/v1/approvals')}")


def noted(daemon):
    wait_for(lambda: find(entries_of(daemon, "INC-1"), "step.noted"), "its first step")


def restarted(tally, world, seconds, fresh_for=""):
    """Killed while it sleeps, and started again after so long."""
    daemon, clock, _ = begin(world, SLEEP_THEN_ACT, more=fresh_for)
    noted(daemon)
    daemon.kill9()
    clock.step(seconds)
    daemon.start()
    if fresh_for or 0 <= seconds < 300:
        check_acts(tally, daemon, world, f"{seconds} s {fresh_for}")
    else:
        check_asks(tally, daemon, world, f"{seconds} s", "last acted" if seconds > 0 else "set back")
    daemon.stop()


def resolved(tally, world, rule, crash):
    """Its alert resolves while it waits; perhaps core dies before the run has heard of it."""
    daemon, _, firing = begin(world, WAIT_THEN_ACT, more=f'on_resolved = "{rule}",')
    noted(daemon)
    daemon.post_alert({**firing, "status": "resolved", "endsAt": "2040-01-01T00:00:00Z"})
    if crash:
        daemon.kill9()
        daemon.start()
    world.set_value("gate", 1)
    if rule == "stop":
        tally.hold("resolved: stop", ended(daemon) == "cancelled" and not world.effects(), state(daemon))
    elif rule == "ask":
        check_asks(tally, daemon, world, "resolved", "resolved meanwhile")
    else:
        check_acts(tally, daemon, world, "resolved: continue")
    daemon.stop()


def granted(tally, world, seconds):
    """Approved, and core dies before it was used: it counts only while nothing else has changed."""
    daemon, clock, _ = begin(world, set_to(7, action="set_unprotected"), policy=ASK_HIGH)
    first = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]
    world.behave("set_unprotected.plan:hang once")
    daemon.post(f"/v1/approvals/{first['id']}", {"decision": "approve", "plan": first["plan_digest"]})
    wait_for(lambda: not world.behaviour_path.read_text(), "the plan to be made again")
    daemon.kill9()
    clock.step(seconds)
    daemon.start()
    if seconds < 300:
        check_acts(tally, daemon, world, f"granted {seconds} s ago")
    else:
        check_asks(tally, daemon, world, f"granted {seconds} s ago", "asked again")
        tally.hold("stale grounds asked about", daemon.get(f"/v1/approvals/{first['id']}")["state"] == "voided", first)
    daemon.stop()


def fresh(_long, _seed):
    tally = Tally()
    cases = [(restarted, 0), (restarted, 60), (restarted, GAP), (restarted, -GAP), (restarted, GAP, 'fresh_for = "1h",'),
             *((resolved, rule, crash) for rule in ("stop", "ask", "continue") for crash in (False, True)),
             (granted, 0), (granted, GAP), (granted, 2 * 3600)]
    for case, *args in cases:
        world = World()
        try:
            case(tally, world, *args)
        finally:
            world.close()
    return tally
