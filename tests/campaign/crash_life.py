"""crash_life.py: one alert, one run with one action; a kill -9 at a chosen write; a start again; and what became of the
promises, judged by what really happened: the effect log of the test plugin, which is outside of stanch (PROMISES.md 1.1
to 1.3)."""
from dataclasses import dataclass, field

from books import ALWAYS, book, set_to
from harness import World, alert, wait_for


@dataclass
class Life:
    """What one killed life came to."""

    point: str
    action: str
    name: str
    killed: bool = False
    harms: list = field(default_factory=list)  # (which promise, what was seen)

    def harm(self, promise, seen):
        self.harms.append((promise, f"{self.name}: {seen}"))


def post(daemon, firing, life):
    """Alertmanager tries again until it is told 202; a daemon that died meanwhile is started again."""
    for _ in range(5):
        try:
            return daemon.post_alert(firing)
        except OSError:
            life.killed = daemon.wait_end() == -9 or life.killed
            daemon.start()
    raise AssertionError("never acknowledged")


def settle(daemon, world, life):
    """Until the run has ended; a question about an unknown outcome is answered with the truth. None: there is no run."""
    def ended():
        try:
            answer = daemon.api("GET", "/v1/runs/R-1")
            if answer.status == 404:
                return "lost"
            for question in daemon.get("/v1/approvals")["items"]:
                if question["about"] == "unknown":
                    happened = "happened" if world.effects() else "did-not"
                    daemon.post(f"/v1/approvals/{question['id']}", {"decision": happened})
            return answer.json if answer.json["state"] in ("succeeded", "failed") else None
        except OSError:
            life.killed = daemon.wait_end() == -9 or life.killed
            daemon.start()
            return None
    run = wait_for(ended, "the run to end")
    return None if run == "lost" else run


def judge_effects(life, world, action):
    """Calls that changed the remote once at most; an idempotent action may be sent twice, with the same key."""
    lines = [line.split() for line in world.effects_path.read_text().splitlines()] if world.effects_path.exists() else []
    sent = [line for line in lines if "apply" in line[:2]]
    effects = [e for e in world.effects() if e["op"] == "apply"]
    if len(effects) > 1:
        life.harm("second effects", f"{effects}")
    if len(sent) > 1 and action in ("set_reconcilable", "set_unprotected"):
        life.harm("second effects", f"sent twice: {sent}")
    if len({line[-2] for line in sent}) > 1 and action == "set_idempotent":
        life.harm("duplicates with another key", f"{sent}")
    return effects


def judge(life, daemon, world, run, action):
    effects = judge_effects(life, world, action)
    kinds = daemon.kinds("INC-1")
    if (run["state"] == "succeeded") != (len(effects) == 1):
        life.harm("lives that went wrong", f"{run['state']} with {effects}")
    if kinds.count("incident.declared") != 1 or kinds.count("run.started") != 1:
        life.harm("lives that went wrong", f"started twice: {kinds}")
    if kinds.count("step.noted") != (2 if effects else 1):
        life.harm("lives that went wrong", f"steps done twice or not at all: {kinds}")
    if effects and "action.sent" not in kinds:
        life.harm("effects without intent", f"{effects}")
    if len(daemon.get("/v1/mitigations")["items"]) != len(effects):
        life.harm("lives that went wrong", f"mitigations in force: {daemon.get('/v1/mitigations')}")


def verify_chain(life, daemon, world):
    verified = daemon.cli("timeline", "verify", "--store", world.dir / "state", check=False)
    if verified.returncode != 0:
        life.harm("chains that do not verify", verified.stdout + verified.stderr)


def live(world, life, death, env):
    """A life of `world` that is killed at a point ("name:nth", of STANCH_CRASH or of the disk), and the one that follows."""
    action = life.action
    quiet = 'sleep "2500ms"; ' if life.point == "journal.before-checkpoint" else ""  # then it checkpoints
    world.repo.commit({"heal.lua": book('note "begins"; ' + set_to(7, action=action) + f'; {quiet}note "ends"')})
    daemon = world.daemon(policy=ALWAYS)
    try:
        daemon.start(STANCH_CRASH=death, **env)
    except (OSError, AssertionError):
        life.killed = daemon.wait_end() == -9  # it died at a write of its own start
        daemon.start()
    if post(daemon, alert(), life)["events"][0]["id"] != "E-1":
        life.harm("acknowledged events lost", "another id at the second post")
    run = settle(daemon, world, life)
    if run is None:
        life.harm("acknowledged events lost", "it was acknowledged, and has no run")
        return
    judge(life, daemon, world, run, action)
    daemon.process.terminate()
    if daemon.wait_end() != 0:  # the point was passed only now: at the last write of the end
        life.killed = True
        daemon.start().stop()
    verify_chain(life, daemon, world)


def live_once(death, action, env):
    life = Life(death.split(":")[0], action, f"{death} {action}{' on a disk that forgets' if env else ''}")
    world = World()
    try:
        live(world, life, death, env)
    except AssertionError as error:  # what a test would fail with, is counted here
        life.harm("lives that went wrong", f"{error} {world.daemons[-1].log()[-1500:] if world.daemons else ''}")
    finally:
        world.close()
    return life
