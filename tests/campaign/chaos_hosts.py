"""chaos_hosts.py: plugin hosts that break in every way, in the middle of a read and of an effect; and one that never
stops breaking (PROMISES.md T18)."""
import json

from books import ALWAYS, book, set_to
from chaos_kit import EACH, Machine, Pulse, Tally, at_ms, check_intents, check_no_zombies, children, entries_of, find
from harness import KIND, Lua, World, alert, lua, wait_for

DEADLINE_MS = 3000  # of the effects plugin's actions
BREAKS = ("segv", "crash-before", "stop", "exit", "half", "garbage", "huge", "drip 150", "close", "hang", "silent",
          "fork", "threads")
BACKOFF_MS = (250, 500, 1000, 2000)


def instance(world, name, behaviour):
    """A plugin instance with a world of its own."""
    world.write(f"{name}.behave", behaviour)
    return f"effects {lua(name)} " + lua({"log": world.dir / f"{name}.log", "state": world.dir / f"{name}.remote",
                                          "behaviour": world.dir / f"{name}.behave", "environment": "test"})


def remote_lines(world, name):
    path = world.dir / f"{name}.remote"
    return path.read_text().splitlines() if path.exists() else []


def body(action, insists):
    """insists: the effect is asked for until it was planned and sent. A machine that buries hundreds of processes may take longer
    to start a host, or to answer with a plan, than an action waits; then nothing was sent, and that is not what is judged."""
    effect = set_to(7, action=action)
    return f'''note "begins"
    local ok, err = pcall(function() return fx.get {{ target = "s1" }} end)
    note(ok and "read: fine" or "read: " .. err.kind)
    for _ = 1, {12 if insists else 1} do
        ok, err = pcall(function() {effect} end)
        if ok or err.kind == "remote" then break end -- a person said of what was sent that it did not happen
    end
    note(ok and "effect: fine" or "effect: " .. err.kind)'''


def runbook(name, action, insists=False):
    text = book(body(action, insists), name=name, on=f'alert {{ alertname = "{name}" }}', more=EACH)
    return text.replace('effects "fx"', f'effects "{name}"')


def breaking_names(breaks):
    return {f"fx-{what.split()[0]}": what for what in breaks}


def start(world, breaks, action):
    names = breaking_names(breaks)
    world.repo.commit({f"{name}.lua": runbook(name, action, insists=True) for name in names})
    instances = [instance(world, name, f"get.read:{what} once\n{action}.apply:{what} once\n") for name, what in names.items()]
    return world.daemon(policy=ALWAYS, instances=instances, limits={"events_per_s": 1000}).start()


def resolve_unknown(daemon, world, names, incidents):
    """People answer with the truth. Returns whether all runs have ended."""
    runs = {r["incident"]: r for r in daemon.get("/v1/runs")["items"]}
    for question in daemon.get("/v1/approvals")["items"]:
        if question["about"] == "unknown":
            name = incidents[question["incident"]]
            daemon.post(f"/v1/approvals/{question['id']}",
                        {"decision": "happened" if remote_lines(world, name) else "did-not"})
    return all(runs[i]["state"] in ("succeeded", "failed") for i in incidents) and runs


def judge_read(tally, name, entries, limit_ms):
    begin = find(entries, "step.noted", text="begins")[0]
    told = [e for e in find(entries, "step.noted") if e["data"]["text"].startswith("read: ")][0]
    took = at_ms(told) - at_ms(begin)
    tally.hold("reads that failed as they must", told["data"]["text"] in ("read: crashed", "read: timeout"),
               f"{name}: {told['data']['text']}")
    tally.hold("calls that ended in time", took <= limit_ms, f"{name}: a read took {took} ms of {limit_ms:.0f}")


def judge_effect(tally, name, entries, limit_ms):
    sent, answered = find(entries, "action.sent"), find(entries, "action.answered")
    if not tally.hold("effects that ended as unknown", answered and answered[0]["data"]["outcome"] == "unknown",
                      f"{name}: {[e['data'] for e in answered]}, {len(sent)} sent, "
                      f"{[e['data']['text'] for e in find(entries, 'step.noted')]}"):
        return
    took = at_ms(answered[0]) - at_ms(sent[0])
    tally.hold("calls that ended in time", took <= limit_ms, f"{name}: an effect took {took} ms of {limit_ms:.0f}")


def check_back(tally, daemon, names):
    """Every host is there again, and no other: what a host left behind went with it."""
    def all_up():
        return all(daemon.get(f"/v1/plugins/{name}")["state"] == "up" for name in names)
    try:
        wait_for(all_up, "all hosts to be back")
        wait_for(lambda: daemon.api("GET", "/readyz").status == 200, "readiness")
        wait_for(lambda: len(children(daemon.process.pid, "plugin-host")) == len(names) + 2, "one host an instance")
    except AssertionError as error:
        tally.harm("hosts that came back", error)
    for name in set(names) - {"fx-silent"}:  # its host lives: it answers by itself at the deadline
        tally.hold("hosts that came back", daemon.get(f"/v1/plugins/{name}")["restarts"] >= 1, name)


def break_all(long, _seed):
    """Every way of breaking at once, each in an instance of its own, in a read and in an effect that is not safe to
    repeat."""
    tally = Tally()
    # A host may not fork, but LeakSanitizer must: the sanitized one has no such rule (host_harden.c), so a bomb goes off there
    # that never does in the product, and takes the machine for itself. The other builds judge it.
    breaks = [b for b in BREAKS if b != "fork"] if KIND == "asan" else BREAKS
    for action in ("set_unprotected", "set_reconcilable") if long else ("set_unprotected",):
        world, machine = World(), Machine()
        try:
            break_with(tally, world, machine, action, breaks)
        finally:
            machine.over.set()
            world.close()
    return tally


def break_with(tally, world, machine, action, breaks):
    names = breaking_names(breaks)
    daemon = start(world, breaks, action)
    pulse = Pulse(daemon, tally)
    daemon.post_alert(*[alert(name) for name in names])
    runs = lambda: daemon.get("/v1/runs")["items"]
    wait_for(lambda: len(runs()) == len(names), "the runs")
    incidents = {run["incident"]: run["runbook"] for run in runs()}
    wait_for(lambda: resolve_unknown(daemon, world, names, incidents), "all runs to end", 120)
    limit_ms = DEADLINE_MS + 1000 + machine.slack_s * 1000
    for incident, name in incidents.items():
        entries = entries_of(daemon, incident)
        judge_read(tally, name, entries, limit_ms)
        if action == "set_unprotected":
            judge_effect(tally, name, entries, limit_ms)
        check_intents(tally, entries)
        if len(remote_lines(world, name)) > 1:
            tally.harm("second effects", f"{name}: {remote_lines(world, name)}")
        tally.count("ways of breaking a host")
    for run in daemon.get("/v1/runs")["items"]:
        tally.hold("runs that went on", run["state"] == "succeeded", f"{run['runbook']}: {json.dumps(run)[:300]}")
    check_back(tally, daemon, set(names))
    check_no_zombies(tally, daemon)
    pulse.stop()
    daemon.stop()


# The one that never stops.

def crash_loop(_long, _seed):
    tally = Tally()
    world = World()
    try:
        world.repo.commit({"bad.lua": runbook("bad", "set_unprotected"), "good.lua": runbook("good", "set_unprotected")})
        daemon = world.daemon(policy=ALWAYS, instances=[instance(world, "bad", "get.read:segv\n"),
                                                      instance(world, "good", "")]).start()
        pulse = Pulse(daemon, tally)
        crash_until_disabled(tally, daemon)
        check_said(tally, daemon)
        check_others_work(tally, world, daemon)
        enable_again(tally, world, daemon)
        check_no_zombies(tally, daemon)
        pulse.stop()
        daemon.stop()
    finally:
        world.close()
    return tally


def state(daemon, name="bad"):
    return daemon.get(f"/v1/plugins/{name}")["state"]


def crash_until_disabled(tally, daemon):
    for death in range(5):
        daemon.post_alert(alert("bad", nth=str(death)))
        wait_for(lambda d=death: len([e for e in entries_of(daemon, "-") if e["kind"] in ("plugin.down", "plugin.disabled")
                                      and e["data"]["instance"] == "bad"]) > d, f"death {death + 1}")
        wait_for(lambda: state(daemon) in ("up", "disabled"), "the host to be back, or disabled")
    entries = [e for e in entries_of(daemon, "-") if e["data"].get("instance") == "bad"]
    kinds = [e["kind"] for e in entries]
    expected = ["plugin.up", *["plugin.down", "plugin.up"] * 4, "plugin.disabled"]
    tally.hold("disabled after five deaths", kinds == expected and state(daemon) == "disabled", kinds)
    downs = [e for e in entries if e["kind"] == "plugin.down"]
    ups = [e for e in entries if e["kind"] == "plugin.up"][1:]
    for down, up, least in zip(downs, ups, BACKOFF_MS):
        tally.hold("restarts no sooner than their back-off", at_ms(up) - at_ms(down) >= least * 0.9,
                   f"{at_ms(up) - at_ms(down)} ms, at least {least}")


def check_said(tally, daemon):
    ready = daemon.api("GET", "/readyz")
    tally.hold("disabled is said", ready.status == 503 and "bad is disabled" in ready.text, ready)
    status = [p for p in daemon.get("/v1/status")["plugins"] if p["name"] == "bad"][0]
    tally.hold("disabled is said", status["state"] == "disabled" and "died 5 times" in status["why"], status)
    metrics = daemon.api("GET", "/metrics").text
    tally.hold("disabled is said", 'stanch_plugin_up{instance="bad"} 0' in metrics
               and 'stanch_plugin_disabled{instance="bad"} 1' in metrics, metrics[-600:])
    listed = daemon.cli("plugin", "list").stdout
    tally.hold("disabled is said", "died 5 times" in listed, listed)


def run_of(daemon, name, nth):
    started = daemon.post_alert(alert(name, nth=nth))["events"][0]["runs"][0]
    over = ("succeeded", "failed", "parked")
    return wait_for(lambda: (run := daemon.get(f"/v1/runs/{started}"))["state"] in over and run, f"{name} to end")


def check_others_work(tally, world, daemon):
    run_of(daemon, "good", "x")
    tally.hold("others work meanwhile", len(remote_lines(world, "good")) == 1, remote_lines(world, "good"))
    bad = run_of(daemon, "bad", "y")
    told = [e["data"]["text"] for e in find(entries_of(daemon, bad["incident"]), "step.noted", step=f"{bad['id']}/3")]
    tally.hold("a disabled plugin refuses at once", told == ["read: unavailable"], told)


def enable_again(tally, world, daemon):
    (world.dir / "bad.behave").write_text("")
    daemon.cli("plugin", "enable", "bad")
    wait_for(lambda: state(daemon) == "up", "the host")
    wait_for(lambda: daemon.api("GET", "/readyz").status == 200, "readiness")
    run_of(daemon, "bad", "z")
    tally.hold("enabled again by a person", len(remote_lines(world, "bad")) == 1, remote_lines(world, "bad"))
    enabled = find(entries_of(daemon, "-"), "plugin.enabled")
    tally.hold("enabled again by a person", len(enabled) == 1 and enabled[0]["by"] != "stanch", enabled)
