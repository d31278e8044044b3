"""Many alerts at once: what is for the same joins one run, caps hold and the rest waits its turn, a storm asks once."""
from books import ASK, AUTO, book, set_to
from harness import alert, wait_for

ASKS = 'ask { role = "ic", text = "go on?" } '
SERVER = 'params = { server = label "server" { } },'
DONE = ("succeeded", "failed", "cancelled", "held")
TO_SERVER = 'fx.set_convergent { target = p.server, value = 7, because = "it is failing" }'


def runs(daemon, *states):
    found = daemon.get("/v1/runs?limit=1000")["items"]
    return [r for r in found if not states or r["state"] in states]


def start(world, body, policy=AUTO, limits=None, more=SERVER, **config):
    world.repo.commit({"heal.lua": book(body, more=more)})
    return world.daemon(policy=policy, limits=limits, **config).start()


def servers(count, first=0, **labels):
    return [alert(server=f"s{i}", **labels) for i in range(first, first + count)]


def test_alerts_of_one_post_open_one_incident(world):
    daemon = start(world, "note 'hello'", more="")
    daemon.post_alert(*servers(5))
    assert len(daemon.get("/v1/incidents")["items"]) == 1


def test_what_is_for_the_same_joins_the_run(world):
    daemon = start(world, ASKS, more="")
    told = daemon.post_alert(*servers(3))
    assert [e["runs"] for e in told["events"]] == [["R-1"]] * 3
    told = daemon.post_alert(*servers(2, first=3))
    assert [e["runs"] for e in told["events"]] == [["R-1"]] * 2
    run = daemon.get("/v1/runs/R-1")
    assert run["joined"] == 4 and len(runs(daemon)) == 1
    assert len([k for k in daemon.kinds("INC-1") if k == "run.joined"]) == 4
    assert "joined" in daemon.cli("run", "show", "R-1").stdout


def test_other_parameters_are_another_run_and_no_window_is_none(world):
    daemon = start(world, "note(p.server)", more=SERVER)
    assert [e["runs"] for e in daemon.post_alert(*servers(3))["events"]] == [["R-1"], ["R-2"], ["R-3"]]
    world.repo.commit({"heal.lua": book("note 'x'", more='limits = { group_within = "0s" },')})
    daemon.post("/v1/runbooks/sync")
    assert [e["runs"] for e in daemon.post_alert(*servers(2, first=7))["events"]] == [["R-4"], ["R-5"]]


def test_a_run_is_resolved_when_all_of_its_alerts_are(world):
    daemon = start(world, ASKS + "; " + set_to(7), more="")
    first, second = servers(2)
    daemon.post_alert(first, second)
    wait_for(lambda: daemon.get("/v1/approvals")["items"], "the question")
    daemon.post_alert({**first, "status": "resolved"})
    assert "run.resolved" not in daemon.kinds("INC-1")
    daemon.kill9().start()  # how many still fire is in the journal
    daemon.post_alert({**second, "status": "resolved"})
    wait_for(lambda: "run.resolved" in daemon.kinds("INC-1"), "the run to hear of it")


def test_over_a_cap_runs_wait_their_turn_also_through_a_restart(world):
    daemon = start(world, "sleep '1h'", more=SERVER + "limits = { at_once = 2 },")
    daemon.post_alert(*servers(4))
    assert [r["id"] for r in runs(daemon, "running")] == ["R-2", "R-1"]
    assert [r["id"] for r in runs(daemon, "queued")] == ["R-4", "R-3"]
    assert "limits.at_once is 2" in daemon.get("/v1/runs/R-3")["why"]
    daemon.kill9().start()
    assert [r["id"] for r in runs(daemon, "queued")] == ["R-4", "R-3"]
    daemon.post("/v1/runs/R-1/cancel", {"reason": "make room"})
    wait_for(lambda: [r["id"] for r in runs(daemon, "running")] == ["R-3", "R-2"], "the next one's turn")
    daemon.post("/v1/runs/R-4/cancel", {"reason": "not needed"})
    assert daemon.get("/v1/runs/R-4")["state"] == "cancelled"
    assert daemon.get("/v1/status")["queue"]["waiting"] == 0


def test_what_waits_for_a_person_takes_no_place(world):
    daemon = start(world, ASKS + "; note 'asked'", more=SERVER + "limits = { at_once = 1 },")
    daemon.post_alert(*servers(3))
    wait_for(lambda: len(daemon.get("/v1/approvals")["items"]) == 3, "three questions")
    assert runs(daemon, "queued") == []


def test_a_full_queue_holds_and_says_so(world):
    daemon = start(world, "sleep '1h'", limits={"max_runs": 1, "max_queued": 1})
    daemon.post_alert(*servers(3))
    assert sorted(r["state"] for r in runs(daemon)) == ["held", "queued", "running"]
    assert "max_queued is 1" in runs(daemon, "held")[0]["why"]


def test_who_waits_too_long_or_resolves_does_not_begin(world):
    world.repo.commit({"heal.lua": book("sleep '1h'", on='alert { alertname = "TestAlert", max_age = "2s" }',
                                        more=SERVER + "limits = { at_once = 1 },")})
    daemon = world.daemon(policy=AUTO).start()
    going, resolves, ages = servers(3)
    daemon.post_alert(going, resolves, ages)
    daemon.post_alert({**resolves, "status": "resolved"})
    wait_for(lambda: "resolved before it started" in daemon.get("/v1/runs/R-2")["why"], "the queue to let R-2 go")
    wait_for(lambda: daemon.get("/v1/runs/R-3")["state"] == "held", "the queue to let R-3 go")
    assert "max_age" in daemon.get("/v1/runs/R-3")["why"]


def test_one_incident_with_many_runs_leaves_room_for_another(world):
    daemon = start(world, "sleep '1h'", more=SERVER + "limits = { at_once = 4 },",
                   incidents={"correlate": ["service"]})
    daemon.post_alert(*servers(6, service="checkout"))
    assert len(runs(daemon, "running")) == 3
    told = daemon.post_alert(*servers(1, service="search"))
    assert daemon.get(f"/v1/runs/{told['events'][0]['runs'][0]}")["state"] == "running"


def storm(world, storm=None, **more):
    limits = {"storm": {"enter": 3, "leave": 2, "within": "1m", "quiet": "1s", **(storm or {})}}
    return start(world, TO_SERVER, limits=limits, **more)


def storm_question(daemon):
    def look():
        return [q for q in daemon.get("/v1/approvals")["items"] if q["about"] == "storm"]
    return wait_for(look, "the question of the storm")[0]


def test_a_storm_asks_once_for_what_is_listed(world):
    daemon = storm(world)
    daemon.post_alert(*servers(8))
    assert [r["id"] for r in runs(daemon, "asking")] == ["R-8", "R-7", "R-6", "R-5", "R-4"]
    question = storm_question(daemon)
    assert [r["run"] for r in question["plan"]["runs"]] == ["R-4", "R-5", "R-6", "R-7", "R-8"]
    assert daemon.get("/v1/status")["storm"]["on"] is True
    assert "storm" in daemon.cli("status").stdout
    daemon.post_alert(*servers(1, first=8))  # it is not on the card: a yes does not let it start
    daemon.kill9().start()
    assert daemon.get("/v1/status")["storm"]["on"] is True
    path = f"/v1/approvals/{question['id']}"
    assert daemon.api("POST", path, {"decision": "approve"}).status == 400  # which list was seen?
    assert daemon.api("POST", path, {"decision": "approve", "plan": question["plan_digest"]}).status == 200
    wait_for(lambda: len(runs(daemon, "succeeded")) == 8, "the listed runs to end")
    assert daemon.get("/v1/runs/R-9")["state"] == "asking"
    question = storm_question(daemon)
    assert [r["run"] for r in question["plan"]["runs"]] == ["R-9"]
    assert daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": "deny"}).status == 200
    assert daemon.get("/v1/runs/R-9")["state"] == "held"
    assert len(world.effects()) == 8


def test_a_yes_in_a_storm_approves_no_plan(world):
    daemon = storm(world, policy=ASK)
    daemon.post_alert(*servers(4))
    question = storm_question(daemon)
    daemon.post(f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
    wait_for(lambda: len([q for q in daemon.get("/v1/approvals")["items"] if q["about"] == "action"]) == 4, "the plans")
    assert world.effects() == []




def test_a_storm_is_said_and_ends_when_it_stayed_calm(world):
    daemon = storm(world, storm={"within": "1s", "quiet": "2s"})
    with daemon.stream() as events:
        daemon.post_alert(*servers(4))
        begun = next(data for _, _, data in events if data["kind"] == "storm.begun")
        assert begun["data"]["rate"] == 4 and "limits.storm.enter is 3" in begun["text"]
        assert "stanch_storm 1" in daemon.api("GET", "/metrics").text
        ended = next(data for _, _, data in events if data["kind"] == "storm.ended")
    assert ended["at_ms"] - begun["at_ms"] >= 2000
    assert daemon.get("/v1/status")["storm"]["on"] is False
    assert [r["id"] for r in runs(daemon, "asking")] == ["R-4"]  # what came in the storm still asks
    told = daemon.post_alert(*servers(1, first=4))
    wait_for(lambda: daemon.get(f"/v1/runs/{told['events'][0]['runs'][0]}")["state"] == "succeeded", "a run by itself")
