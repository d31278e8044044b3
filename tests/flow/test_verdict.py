"""A verification tells worse from no effect: in the timeline, to the runbook, by the breaker, in the figures."""
from books import AUTO, book
from harness import alert, wait_for

LADDER = '''local done = ladder {
  rung { name = "push harder", function() fx.set_convergent { target = "errors", value = 12, because = "it may help" } end },
  rung { name = "push less", function() fx.set_convergent { target = "errors", value = 8, because = "it may help" } end },
}
note("the ladder says %s, %s", done.result, done.verdict)'''


def test_a_ladder_says_what_came_of_each_rung_and_the_breaker_counts_it(world):
    world.repo.commit({"heal.lua": book(LADDER)})
    world.set_value("errors", 9)
    daemon = world.daemon(policy=AUTO.replace("}", ", breaker = { after = 2 } }")).start()
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
    assert [(e["op"], e["value"]) for e in world.effects()] == [("apply", 12), ("undo", 9), ("apply", 8), ("undo", 9)]
    story = [e["text"] for e in daemon.timeline("INC-1")]
    verified = [text for text in story if text.startswith("The symptom is bad (value") and "samples" in text]
    assert len(verified) == 2, story
    assert "value 12" in verified[0] and verified[0].endswith("; worse: it was 9 before"), verified
    assert "value 8" in verified[1] and verified[1].endswith("; no effect: it was 9 before"), verified
    assert "push harder made it worse: the symptom is bad (12), it was 9" in story, story
    assert "push less had no effect: the symptom is bad (8), it was 9" in story, story
    assert "the ladder says bad, no_effect" in story, story

    [breaker] = daemon.cli_json("breakers")
    assert breaker["counts"] == {"worse": 1, "no_effect": 1} and breaker["how"] == "no_effect", breaker
    assert [f["how"] for f in breaker["failures"]] == ["worse", "no_effect"]
    listed = daemon.cli("breakers").stdout
    assert "HOW" in listed and "1 worse, 1 without effect" in listed, listed
    assert any("(1 worse, 1 without effect). For 30m the next one asks" in text for text in story), story
    metrics = daemon.api("GET", "/metrics").text
    assert "stanch_mitigations_worse_total 1\n" in metrics and "stanch_mitigations_without_effect_total 1\n" in metrics

    daemon.kill9().start()
    run = daemon.post("/v1/runs", {"runbook": "heal", "incident": "INC-1"})["id"]
    asked = wait_for(lambda: next((a for a in daemon.get("/v1/approvals")["items"] if a.get("run") == run), None), "a question")
    assert "no effect: the symptom was 9 before and is 8 after it (1 worse, 1 without effect); it closes in" in asked["why"], asked
    assert daemon.post("/v1/store/check")["ok"]
