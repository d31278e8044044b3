"""Why an event started what it started, and nothing else: said when it happened, and still true when all has changed."""
from books import AUTO, book, set_to
from harness import alert, wait_for

PARAM = 'params = { server = label "instance" { one_of = { "eu1", "eu2" } } },'


def books():
    return {
        "heal.lua": book(set_to(7)),
        "other.lua": book(set_to(8), name="other", on='alert { alertname = "Another", env = "prod" }'),
        "env.lua": book(set_to(8), name="env", on='alert { alertname = "TestAlert", env = "prod" }'),
        "pattern.lua": book(set_to(8), name="pattern", on='alert { alertname = "TestAlert", severity = matches "crit.*" }'),
        "param.lua": book(set_to(8), name="param", more=PARAM),
        "cool.lua": book(set_to(7), name="cool", more='limits = { cooldown = "30m", group_within = "0s" },'),
        "byhand.lua": book(set_to(8), name="byhand", on="nil"),
    }


def considered(told):
    return {row["runbook"]: row for row in told["considered"]}


def post(daemon, **labels):
    return daemon.post_alert(alert(**{"instance": "eu9", "severity": "page", **labels}))["events"][0]["id"]


def accepted(daemon, commit):
    wait_for(lambda: daemon.get("/v1/status")["book"].get("commit") == commit, "the commit")


def test_each_runbook_says_its_first_condition_that_did_not_hold(world):
    commit = world.repo.commit(books())
    daemon = world.daemon(policy=AUTO).start()
    first, second = post(daemon), post(daemon, n="2")
    told = daemon.get(f"/v1/events/{first}/why")
    rows = considered(told)
    assert told["commit"] == commit and told["in_use"] is True and "now" not in told
    assert "which were in use when it came and are now" in told["says"]
    assert rows["heal"]["outcome"] == "started" and rows["heal"]["run"].startswith("R-")
    assert rows["other"] == {"runbook": "other", "outcome": "no match",
                             "why": 'label alertname is "TestAlert", not "Another"'}
    assert rows["env"]["why"] == 'label env is missing, not "prod"'
    assert rows["pattern"]["why"] == 'label severity is "page", which does not match "crit.*"'
    assert rows["param"]["outcome"] == "held" and "server" in rows["param"]["why"] and "eu9" in rows["param"]["why"]
    assert rows["byhand"]["why"] == "it has no trigger: only a person starts it"
    assert rows["cool"]["outcome"] == "started"
    again = considered(daemon.get(f"/v1/events/{second}/why"))
    assert again["heal"]["outcome"] == "joined" and again["heal"]["run"] == rows["heal"]["run"]
    assert again["cool"]["outcome"] == "held" and "cooldown" in again["cool"]["why"]
    text = daemon.cli("why", first).stdout
    assert 'label env is missing, not "prod"' in text and "started" in text and commit[:12] in text


def test_stopped_suggesting_and_too_old_are_reasons(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy='policy { auto = "high", autonomy = "suggest", autonomy_changed = "auto" }\n').start()
    rows = considered(daemon.get(f"/v1/events/{post(daemon)}/why"))
    assert rows["heal"]["outcome"] == "started" and "suggest" in rows["heal"]["autonomy"]
    old = daemon.post_alert(alert(starts_at=1577836800))["events"][0]["id"]
    row = considered(daemon.get(f"/v1/events/{old}/why"))["heal"]
    assert row["outcome"] == "no match" and "max_age is 10m" in row["why"]
    daemon.cli("stop", "hands off")
    stopped = considered(daemon.get(f"/v1/events/{post(daemon, n='3')}/why"))["heal"]
    assert stopped["outcome"] == "held" and "the stop switch is set" in stopped["why"]


def test_a_turn_and_a_storm_are_reasons(world):
    apart = 'limits = { group_within = "0s", at_once = 1 },'
    world.repo.commit({"heal.lua": book("sleep '10m'", more=apart)})
    daemon = world.daemon(policy=AUTO, limits={"storm": {"enter": 3, "leave": 2, "within": "1m", "quiet": "1s"}}).start()
    told = daemon.post_alert(*(alert(instance=f"eu{n}") for n in range(4)))["events"]
    rows = [considered(daemon.get(f"/v1/events/{event['id']}/why"))["heal"] for event in told]
    assert [row["outcome"] for row in rows] == ["started", "queued", "queued", "asking"]
    assert "its limits.at_once is 1" in rows[1]["why"] and "it matched in a storm" in rows[3]["why"]
    assert [row["run_state"] for row in rows[1:]] == ["queued", "queued", "asking"]


def test_the_past_stays_true_when_the_runbooks_change(world):
    then = world.repo.commit({"heal.lua": book(set_to(7), on='alert { alertname = "TestAlert", env = "prod" }')})
    daemon = world.daemon(policy=AUTO).start()
    event = post(daemon)
    now = world.repo.commit({"heal.lua": book(set_to(7)), "more.lua": book(set_to(8), name="more", more=PARAM)})
    accepted(daemon, now)
    wait_for(lambda: "accepted_ms" in daemon.get(f"/v1/events/{event}/why")["now"], "the record of what is in use")
    told = daemon.get(f"/v1/events/{event}/why")
    assert told["commit"] == then and told["in_use"] is False and "others are now" in told["says"]
    assert considered(told) == {"heal": {"runbook": "heal", "outcome": "no match", "why": 'label env is missing, not "prod"'}}
    assert told["now"]["commit"] == now and told["now"]["accepted_ms"] >= told["accepted_ms"]
    assert considered(told["now"])["heal"] == {"runbook": "heal", "outcome": "would match"}
    assert considered(told["now"])["more"]["outcome"] == "refused"
    daemon.kill9().start()
    assert daemon.get(f"/v1/events/{event}/why") == told
    text = daemon.cli("why", event).stdout
    assert "would match" in text and "limits, stops and storms are not asked" in text


def test_what_came_before_the_runbooks_waits_for_them(world):
    world.repo.commit({"broken.lua": "this is no Lua"})
    daemon = world.daemon(policy=AUTO).start(ready=False)
    wait_for(lambda: daemon.api("GET", "/v1/status").json["book"]["state"] == "refused", "the refusal")
    event = post(daemon)
    assert "it waits for the first one" in daemon.get(f"/v1/events/{event}/why")["says"]
    commit = world.repo.commit({"broken.lua": book(set_to(7))})
    accepted(daemon, commit)
    told = wait_for(lambda: [t for t in [daemon.get(f"/v1/events/{event}/why")] if t["considered"]], "the match")[0]
    assert told["commit"] == commit and considered(told)["heal"]["outcome"] == "started"


def test_what_is_no_event_is_said(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    answer = daemon.api("GET", "/v1/events/E-404/why")
    assert answer.status == 404 and "no event E-404: `stanch event list` has them" in answer.json["detail"]
    assert daemon.cli("why", "E-404", check=False).returncode == 5
