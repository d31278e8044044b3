"""kill.py: kill -9 at a chosen write, then start again and hold the promises against what really happened: the effect
log of the test plugin, which is outside of stanch (PROMISES.md 1.1 to 1.3, campaign D1)."""
import os

from books import AUTO, book, set_to
from harness import alert, wait_for

ONCE = ("run.before-call", "run.after-call", "plugin.before-send", "plugin.after-send", "plugin.before-answer")
LONG = os.environ.get("STANCH_LONG")
QUICK = os.environ.get("STANCH_KIND") in ("asan", "tsan") and not LONG
COMMITS = (2, 4) if QUICK else range(1, 13) if LONG else range(1, 8)
POINTS = [*(f"{p}:{n}" for p in ONCE for n in ((1,) if QUICK else (1, 2, 3))),
          *(f"journal.{when}-commit:{n}" for when in ("before", "after") for n in COMMITS)]


def post(daemon, firing):
    """Alertmanager tries again until it is told 202; a daemon that died meanwhile is started again."""
    for _ in range(5):
        try:
            return daemon.post_alert(firing)
        except OSError:
            daemon.wait_end()
            daemon.start()
    raise AssertionError("never acknowledged")


def settle(daemon, world):
    """Until the run has ended; a question about an unknown outcome is answered with the truth."""
    def ended():
        try:
            run = daemon.get("/v1/runs/R-1")
            for question in daemon.get("/v1/approvals")["items"]:
                if question["about"] == "unknown":
                    happened = "happened" if world.effects() else "did-not"
                    daemon.post(f"/v1/approvals/{question['id']}", {"decision": happened})
            return run if run["state"] in ("succeeded", "failed") else None
        except OSError:
            daemon.wait_end()
            daemon.start()
            return None
    return wait_for(ended, "the run to end")


def check(world, action, point):
    world.repo.commit({"heal.lua": book('note "begins"; ' + set_to(7, action=action) + '; note "ends"')})
    daemon = world.daemon(policy=AUTO)
    try:
        daemon.start(STANCH_CRASH=point)
    except (OSError, AssertionError):
        daemon.wait_end()  # it died at a write of its own start
        daemon.start()
    firing = alert()
    told = post(daemon, firing)
    assert told["events"][0]["id"] == "E-1"
    run = settle(daemon, world)
    name, nth = point.rsplit(":", 1)
    if int(nth) == 1 or (name.startswith("journal.") and int(nth) <= 4):
        assert daemon.starts >= 2, "the point was never passed: it proves nothing"
    effects = [e for e in world.effects() if e["op"] == "apply"]
    assert len(effects) <= 1, f"a second effect: {effects}"
    assert (run["state"] == "succeeded") == (len(effects) == 1), (run, effects)
    kinds = daemon.kinds("INC-1")
    assert len([k for k in kinds if k == "incident.declared"]) == 1
    assert len([k for k in kinds if k == "run.started"]) == 1
    assert len([k for k in kinds if k == "step.noted"]) == (2 if effects else 1)
    assert "action.sent" in kinds or not effects, "an effect without its intent"
    assert len(daemon.get("/v1/mitigations")["items"]) == len(effects)
    daemon.process.terminate()
    if daemon.wait_end() != 0:  # the point was passed only now: at the last write of the end
        daemon.start().stop()
    verified = daemon.cli("timeline", "verify", "--store", world.dir / "state")
    assert verified.returncode == 0, verified.stdout + verified.stderr
