"""Who cannot be told of drills: three tries, with the pauses that core/gameday/README.md names, then it is said; nobody waits for it."""
from harness import wait_for
from test_paging import Pager
from test_schedule import entries, heard, house, noted, teller


def test_one_that_cannot_be_told_is_given_up_and_holds_up_nobody(world):
    with Pager() as chat, Pager() as deaf:
        deaf.fault = 400  # what is not tried again inside of one call
        daemon = house(world, chat, instances=[teller(world, "deaf", deaf)], drills={"tell": ["deaf", "chat"]}).start()
        daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})
        noted(daemon, "D-1", "over")
        assert "drill.untold" not in daemon.kinds("-"), "the other one heard of it meanwhile"
        untold = wait_for(lambda: [e for e in daemon.timeline("-") if e["kind"] == "drill.untold"], "it to be given up",
                          timeout=150, every=0.5)
        assert [(e["data"]["instance"], e["data"]["drill"], e["data"]["told"]) for e in untold] == [("deaf", "D-1", "over")]
        assert untold[0]["text"].startswith("deaf could not be told that drill D-1 is over: ") and "400" in untold[0]["text"]
        assert untold[0]["level"] == "headline" and "deaf" in str(daemon.get("/v1/drills/D-1")["untold"])
        assert [path for _, path, _, _ in deaf.requests] == ["/hook"] * deaf.refused
        assert deaf.refused in (3, 4), "three times that it is over, and once at most that it has begun"
        deaf.fault = None
        daemon.kill9().start()
        daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})
        wait_for(lambda: "is over" in " ".join(heard(deaf, "D-2")), "the next one to be told")
        assert heard(deaf, "D-1") == [], "what it was given up for is not told any more"
        assert entries(daemon, "D-1") == ["drill.started", "drill.ended", "drill.untold"]
