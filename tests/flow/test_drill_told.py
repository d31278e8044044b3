"""Who cannot be told of drills: three tries, with the pauses that herald.h names, then it is said; nobody else waits for it."""
import time

from harness import wait_for
from test_paging import Pager
from test_schedule import entries, heard, house, noted, teller


def test_one_that_does_not_answer_is_given_up_and_holds_up_nobody(world):
    with Pager() as chat, Pager() as deaf:
        deaf.fault = 503
        daemon = house(world, chat, instances=[teller(world, "deaf", deaf)], drills={"tell": ["deaf", "chat"]}).start()
        began = time.time() * 1000
        first = daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})
        assert first["state"] == "ended"
        noted(daemon, "D-1", "over")
        untold = wait_for(lambda: [e for e in daemon.timeline("-") if e["kind"] == "drill.untold"], "it to be given up", timeout=150, every=0.5)
        assert [(e["data"]["instance"], e["data"]["drill"], e["data"]["told"]) for e in untold] == [("deaf", "D-1", "over")]
        assert untold[0]["text"].startswith("deaf could not be told that drill D-1 is over: ") and "503" in untold[0]["text"]
        assert deaf.refused in (3, 4), "three times that it is over, and once at most that it has begun"
        assert untold[0]["at_ms"] - began >= 70000, "ten seconds, then a minute"
        assert untold[0]["level"] == "headline"
        daemon.kill9()
        deaf.fault = None
        daemon.start()
        daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})
        wait_for(lambda: heard(deaf, "D-2"), "the next one to be told")
        assert heard(deaf, "D-1") == [], "what it was given up for is not told any more"
        assert entries(daemon, "D-1") == ["drill.started", "drill.ended", "drill.untold"]
