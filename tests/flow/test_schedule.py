"""Drills that come round by themselves, over the lives of a daemon: announced, reminded of, begun, ended or missed, and each told once
through a real webhook; what comes, and the calendar that people subscribe to."""
import datetime
import os
import subprocess
import time
import zoneinfo

import pytest

from books import ASK, book, set_to
from harness import BUILD, KIND, PATIENCE_S, STANCH, Lua, free_port, lua, wait_for
from plugin_host import Host
from test_exercise import OUTAGE, in_drill, is_over, pending, play, process_of
from test_paging import SECRET, Pager
from test_people import new_token, people_file, person

UTC = datetime.timezone.utc
AHEAD_S = 15 if KIND in ("asan", "tsan") else 10  # until a plan is due: the daemon has come up by then, also where many tests run


@pytest.fixture
def chat():
    with Pager() as one:
        yield one


def soon(seconds=AHEAD_S):
    """A time of the clock, in milliseconds; a plan's `from` knows seconds."""
    return (int(time.time()) + seconds) * 1000


def moment(at_ms, form="%Y-%m-%dT%H:%M:%S"):
    return datetime.datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form)


def plan(name, at_ms, kind="virtual", drill="outage", **more):
    return {"name": name, "drill": drill, "kind": kind, "from": moment(at_ms), "announce": "1h", "remind": [], **more}


def teller(world, name, origin):
    secret = world.write("secrets/hook", SECRET, 0o600)
    return f'webhook "{name}" {lua({"url": origin.url + "/hook", "secret": Lua(f"secret.file {lua(secret)}")})}'


def house(world, chat, *plans, instances=(), drills=None, **settings):
    world.repo.commit({"heal.lua": book(set_to(7) + "\n    verify()"), "drills/outage.lua": OUTAGE % "approve"})
    told = {"tell": ["chat"], "schedule": list(plans), **(drills or {})}
    return world.daemon(policy=ASK, instances=[teller(world, "chat", chat), *instances], drills=told, **settings)


def entries(daemon, drill):
    """The kinds of all that was said of one drill, but for who was told."""
    return [e["kind"] for e in daemon.timeline("-") if e["data"].get("drill") == drill and e["kind"] != "drill.told"]


def noted(daemon, drill, told):
    """Wait until it is in the journal that the chat was told so."""
    return wait_for(lambda: [e for e in daemon.timeline("-") if e["kind"] == "drill.told" and
                             (e["data"]["drill"], e["data"]["told"]) == (drill, told)], f"the chat to be told that {drill} is {told}")


def heard(chat, drill):
    return [event["summary"] for _, key, event in list(chat.events) if key == drill]


def after_all_else(daemon, chat):
    """Of a drill that a person begins now is told when all that was to be told before has been."""
    drill = daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})
    noted(daemon, drill["id"], "over")
    return drill


def state_of(daemon, drill, state):
    """Wait until it is so, or is what it can only be instead."""
    def look():
        """What is in the schedule has no id before it was announced, soon after the daemon is ready."""
        answer = daemon.api("GET", f"/v1/drills/{drill}")
        assert answer.status in {200, 404}, answer
        return answer.status == 200 and answer.json["state"] in {state, "ended", "missed"} and answer.json

    seen = wait_for(look, f"{drill} to be {state}")
    assert seen["state"] == state, seen
    return seen


# ---- it comes round

def test_a_plan_comes_round_and_each_step_is_told_once(world, chat):
    at_ms = soon(AHEAD_S + 5)
    daemon = house(world, chat, plan("weekly", at_ms, remind=["5s"], lasts="30m"),
                   paging={"via": ["chat"], "url": "https://stanch.example"}).start()
    noted(daemon, "D-1", "announced")
    drill = daemon.get("/v1/drills/D-1")
    assert (drill["state"], drill["plan"], drill["name"], drill["kind"], drill["at_ms"]) == ("announced", "weekly", "outage", "virtual", at_ms)
    coming = daemon.get("/v1/drills/coming")["items"]
    assert [(one["plan"], one["name"], one["kind"], one["at_ms"], one["drill"]) for one in coming] == [("weekly", "outage", "virtual", at_ms, "D-1")]
    shown = daemon.cli("drills").stdout.splitlines()
    assert shown[0].split() == ["COMING", "DRILL", "KIND", "PLAN", "ID", "WHY"] and shown[1].split()[1:] == ["outage", "virtual", "weekly", "D-1"]
    assert shown[1].startswith(moment(at_ms)), shown
    daemon.kill9().start()
    noted(daemon, "D-1", "due in 1m")
    daemon.kill9().start()
    ended = state_of(daemon, "D-1", "ended")
    assert ended["met"] == ended["of"] > 5 and "speed" not in ended and ended["plan"] == "weekly"
    noted(daemon, "D-1", "over")
    daemon.kill9().start()
    after_all_else(daemon, chat)
    assert entries(daemon, "D-1") == ["drill.announced", "drill.reminded", "drill.started", "drill.ended"]
    at = moment(at_ms, "%Y-%m-%d %H:%M UTC")
    first = [f"DRILL: outage (virtual) begins at {at}", f"DRILL: outage (virtual) begins in 1m, at {at}"]
    last = f"DRILL: outage (virtual) is over. Promises met: {ended['met']} of {ended['of']}"
    begun = "DRILL: outage (virtual) has begun"  # nobody hears of it when it was over sooner
    assert [text for text in heard(chat, "D-1") if text != begun] == [*first, last] and heard(chat, "D-1").count(begun) <= 1
    event = next(event for _, key, event in chat.events if key == "D-1")
    assert event["event"] == "note" and event["details"]["is_drill"] is True and event["details"]["plan"] == "weekly"
    assert event["link"] == "https://stanch.example/v1/drills/D-1"
    linked = [event["link"] for _, key, event in chat.events if key == "D-1"][-1].removeprefix("https://stanch.example")
    assert daemon.api("GET", linked).text.startswith("<!DOCTYPE html>"), "the last link leads to the report"
    assert daemon.get("/v1/drills/coming")["items"] == [{"plan": "weekly", "name": "outage", "kind": "virtual", "why": "there is none any more"}]
    assert daemon.cli("drills").stdout.splitlines()[1].split() == "outage virtual weekly there is none any more".split()
    report = daemon.get("/v1/drills/D-1/report")
    assert report["kind"] == "virtual" and report["runs"][0]["state"] == "succeeded" and world.effects() == []


def test_an_exercise_comes_round_and_ends_with_the_daemon(world, chat):
    """People take part as in one that somebody began; one that had begun is never begun anew."""
    at_ms = soon()
    daemon = house(world, chat, plan("first", at_ms, "exercise", speed=60), plan("second", at_ms, "exercise", late="5m")).start()
    started = wait_for(lambda: [d for d in daemon.get("/v1/drills")["items"] if d["state"] == "running"], "one to begin")[0]
    assert (started["id"], started["plan"], started["speed"]) == ("D-1", "first", 60)
    assert daemon.get("/v1/status")["drill"]["drill"] == "D-1"
    assert daemon.timeline("-")[-1]["by"] == "stanch"
    assert state_of(daemon, "D-2", "missed")["why"] == "D-1 (outage) is under way; `stanch drill end D-1` ends it"
    pending(daemon)
    assert "D-1 exercise" in in_drill(daemon, "status").stderr
    noted(daemon, "D-1", "running")
    daemon.kill9().start()
    ended = is_over(daemon, started)
    assert ended["why"] == "the daemon that played it ended while it went on"
    noted(daemon, "D-1", "over")
    after_all_else(daemon, chat)
    wait_for(lambda: process_of(daemon) is None, "all processes of drills to be gone")
    assert entries(daemon, "D-1") == ["drill.announced", "drill.started", "drill.ended"]
    assert heard(chat, "D-1")[1:] == ["DRILL: outage (exercise) has begun",
                                      "DRILL: outage (exercise) is over: the daemon that played it ended while it went on. "
                                      f"Promises met: {ended['met']} of {ended['of']}"]


def test_one_that_people_play_to_its_end(world, chat):
    daemon = house(world, chat, plan("first", soon(), "exercise", speed=60)).start()
    started = state_of(daemon, "D-1", "running")
    play(daemon)
    ended = is_over(daemon, started)
    assert "why" not in ended and ended["met"] == ended["of"], daemon.get("/v1/drills/D-1/report")
    noted(daemon, "D-1", "over")


# ---- it does not take place

def test_what_was_due_while_stanch_was_down_is_remembered_and_told(world, chat):
    at_ms = soon(AHEAD_S + 5)
    daemon = house(world, chat, plan("announced", at_ms, late="0s"), plan("unheard-of", at_ms, late="0s", announce="0s"),
                   plan("in-time", at_ms, late="24h")).start()
    for drill in ("D-1", "D-2"):
        noted(daemon, drill, "announced")
    names = {daemon.get(f"/v1/drills/{drill}")["plan"]: drill for drill in ("D-1", "D-2")}
    assert names == {"announced": "D-1", "in-time": "D-2"} and time.time() * 1000 < at_ms
    daemon.kill9()
    wait_for(lambda: time.time() * 1000 > at_ms + 1000, "the time to pass")
    daemon.start()
    for drill, name in (("D-1", "announced"), ("D-3", "unheard-of")):
        missed = state_of(daemon, drill, "missed")
        assert (missed["plan"], missed["why"], missed["at_ms"]) == (name, "stanch was not running then", at_ms)
        noted(daemon, drill, "missed")
    noted(daemon, "D-2", "over")
    assert state_of(daemon, "D-2", "ended")["met"] > 5, "it was not too late for this one"
    daemon.kill9().start()
    after_all_else(daemon, chat)
    text = f"DRILL: outage (virtual) of {moment(at_ms, '%Y-%m-%d %H:%M UTC')} did not take place: stanch was not running then"
    assert heard(chat, "D-1")[1:] == [text] and heard(chat, "D-3") == [text]
    assert entries(daemon, "D-1") == ["drill.announced", "drill.missed"] and entries(daemon, "D-3") == ["drill.missed"]
    assert entries(daemon, "D-2") == ["drill.announced", "drill.started", "drill.ended"]
    assert "stanch was not running then" in daemon.cli("drills").stdout


def test_what_cannot_begin_says_why(world, chat):
    """A scenario that is not in the repository; and people who have something real to do."""
    at_ms = soon()
    daemon = house(world, chat, plan("renamed", at_ms, drill="outrage"), plan("bad-day", at_ms, "exercise"), plan("after", at_ms)).start()
    daemon.post("/v1/incidents", {"title": "the real one", "severity": "sev1"})
    whys = {}
    for drill in ("D-1", "D-2"):
        missed = state_of(daemon, drill, "missed")
        whys[missed["plan"]] = missed["why"]
        noted(daemon, drill, "missed")
        of = f"({missed['name']}, {missed['kind']}) of {moment(at_ms, '%Y-%m-%d %H:%M UTC')} did not take place: {missed['why']}"
        assert [e["text"] for e in daemon.timeline("-") if e["kind"] == "drill.missed" and e["data"]["drill"] == drill] == [f"Drill {drill} {of}"]
        assert heard(chat, drill)[-1].endswith(of.replace(", ", " (", 1).lstrip("("))
        assert daemon.api("GET", f"/v1/drills/{drill}/report").status == 404
    assert whys["bad-day"] == "a real sev1 is on: INC-1, the real one"
    assert 'there is no drill "outrage"; there is "outage"' in whys["renamed"]
    state_of(daemon, "D-3", "ended")
    assert entries(daemon, "D-1") == entries(daemon, "D-2") == ["drill.announced", "drill.missed"]


def test_a_stop_holds_for_what_comes_by_itself_too(world, chat):
    daemon = house(world, chat, plan("for-real", soon(), "staging")).start()
    daemon.cli("stop", "--because", "all of it")
    assert state_of(daemon, "D-1", "missed")["why"] == "all automation is stopped, also where a drill would act"
    noted(daemon, "D-1", "missed")


def test_a_schedule_that_changes_between_two_lives(world, chat):
    """What is in it no more is missed; what is another one at the same time keeps its id, and people are told anew."""
    at_ms = soon(3600)
    daemon = house(world, chat, plan("stays", at_ms), plan("goes", at_ms), plan("alters", at_ms)).start()
    for drill in ("D-1", "D-2", "D-3"):
        noted(daemon, drill, "announced")
    ids = {daemon.get(f"/v1/drills/{drill}")["plan"]: drill for drill in ("D-1", "D-2", "D-3")}
    daemon.stop()
    daemon = house(world, chat, plan("stays", at_ms), plan("alters", at_ms, "exercise", speed=5)).start()
    assert state_of(daemon, ids["goes"], "missed")["why"] == "it is no longer in the schedule"
    noted(daemon, ids["goes"], "missed")
    altered = wait_for(lambda: (d := daemon.get(f"/v1/drills/{ids['alters']}"))["kind"] == "exercise" and d, "the other one to be announced")
    assert (altered["state"], altered["speed"], altered["at_ms"]) == ("announced", 5, at_ms)
    wait_for(lambda: len(noted(daemon, ids["alters"], "announced")) == 2, "people to be told anew")
    after_all_else(daemon, chat)
    at = moment(at_ms, "%Y-%m-%d %H:%M UTC")
    assert heard(chat, ids["alters"]) == [f"DRILL: outage ({kind}) begins at {at}" for kind in ("virtual", "exercise")]
    assert len(heard(chat, ids["stays"])) == 1 and "did not take place" in heard(chat, ids["goes"])[-1]
    assert {one["plan"]: one["drill"] for one in daemon.get("/v1/drills/coming")["items"]} == {"stays": ids["stays"], "alters": ids["alters"]}


# ---- the calendar

def tuesdays(zone, year):
    """The first Tuesday of each quarter of a year at ten there, in milliseconds."""
    for month in (1, 4, 7, 10):
        first = datetime.datetime(year, month, 1, 10, tzinfo=zoneinfo.ZoneInfo(zone))
        yield int((first + datetime.timedelta(days=(1 - first.weekday()) % 7)).timestamp() * 1000)


@pytest.mark.skipif(not (BUILD / "plugins/ical.so").exists(), reason="built without the ical plugin")
def test_the_calendar_is_one_that_others_read(world, chat):
    now = datetime.datetime.now(UTC)
    quarterly = plan("quarterly", 0, "exercise", rule="FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU", zone="Europe/Berlin", lasts="2h",
                     announce="0s", **{"from": f"{now.year - 1}-01-01T10:00"})
    gone = plan("gone", soon(), drill='no, such; "drill"')
    daemon = house(world, chat, quarterly, gone).start()
    state_of(daemon, "D-1", "missed")
    begun = daemon.post("/v1/drills", {"name": "outage", "kind": "virtual"})["id"]
    answer = daemon.api("GET", "/v1/drills/calendar")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/calendar")
    now_ms = int(time.time() * 1000)
    year_ms = 366 * 86400_000
    ics = world.write("drills.ics", answer.text)
    with Host("ical", {"file": str(ics)}) as reader:
        said = reader.call("read", "windows", {"args": {"from": now_ms - 3600_000, "to": now_ms + year_ms, "limit": 2000}}, deadline_ms=30000)
    assert said["outcome"] == "done" and not said["value"]["left_out_count"], said
    windows = {one["uid"]: one for one in said["value"]["windows"]}
    due = [at_ms for year in range(now.year, now.year + 2) for at_ms in tuesdays("Europe/Berlin", year) if now_ms < at_ms < now_ms + year_ms]
    expected = {f"quarterly-{at_ms}@drills.stanch": (at_ms, at_ms + 7200_000) for at_ms in due}
    assert len(due) == 4 and {uid: (one["from_ms"], one["to_ms"]) for uid, one in windows.items() if uid.startswith("quarterly")} == expected
    assert {one["summary"] for uid, one in windows.items() if uid in expected} == {"DRILL: outage (exercise)"}
    assert set(windows) - set(expected) == {f"{begun}@drills.stanch"}, "what was missed is cancelled: it keeps nobody busy"
    cancelled = answer.text.replace("\r\n ", "").split("BEGIN:VEVENT")
    lost = next(event for event in cancelled if "UID:gone-" in event)
    assert "STATUS:CANCELLED" in lost and 'SUMMARY:DRILL: no\\, such\\; "drill" (virtual)' in lost


@pytest.mark.skipif(not (BUILD / "plugins/ical.so").exists(), reason="built without the ical plugin")
def test_another_stanch_subscribes_to_it(world, chat):
    """With a token that may only read; its policy and its status know that a drill is on."""
    token, line = new_token(house(world, chat), "calendars")
    tokens = world.write("secrets/drills", token + "\n", 0o600)
    world.write("people.lua", people_file(person("root", uid=os.getuid(), may="admin"), line))
    daemon = house(world, chat, plan("now", soon(), lasts="2h"), people="people.lua").start()
    state_of(daemon, "D-1", "ended")
    feed = f"http://127.0.0.1:{world.port}/v1/drills/calendar"
    with_token = {"url": feed, "token": Lua(f"secret.file {lua(tokens)}")}
    rule = 'policy { auto = "low", rule { "a drill is on", during = "drills", effect = "mitigate", risk = "high" } }'
    own = {"state_dir": world.dir / "other", "socket": world.dir / "run/other.sock", "listen": f"127.0.0.1:{free_port()}"}
    reader = world.daemon(policy=rule, instances=[f'ical "drills" {lua(with_token)}', f'ical "strange" {lua({"url": feed})}'], **own)
    reader.socket = own["socket"]
    reader.start()
    read = wait_for(lambda: [c for c in reader.get("/v1/status")["calendars"] if c["state"] == "read"], "it to be read")[0]
    assert (read["name"], read["now"]) == ("drills", ["DRILL: outage (virtual)"])
    told = reader.cli("plugin", "check", "strange", check=False)
    assert "401" in told.stdout + told.stderr, told


# ---- mistakes

@pytest.mark.parametrize("change, said", [
    ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"}, 'rule: "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31" never comes true'),
    ({"rule": "FREQ=DAILY;UNTIL=20260101T000000Z"}, 'rule: "FREQ=DAILY;UNTIL=20260101T000000Z" never comes true from 2026-01-06T10:00 on'),
    ({"rule": "FREQ=HOURLY"}, "rule: "),
    ({"rule": "FREQ=SOMETIMES"}, "rule: "),
    ({"zone": "Europe/Atlantis"}, 'zone: "Europe/Atlantis" is no time zone of this machine'),
    ({"from": "2026-02-30T10:00"}, 'from: "2026-02-30T10:00" is no date and time'),
    ({"from": "tomorrow"}, 'from: "tomorrow" is no date and time'),
])
def test_a_plan_that_cannot_be_is_refused_before_anything_starts(world, chat, change, said):
    bad = {"name": "game-day", "drill": "outage", "kind": "virtual", "from": "2026-01-06T10:00", **change}
    daemon = house(world, chat, plan("good", soon()), bad)
    for words in (["--check"], []):
        done = subprocess.run([STANCH, "serve", *words, "--config", daemon.config_path], capture_output=True, text=True,
                              timeout=PATIENCE_S, env=daemon.env)
        assert done.returncode != 0 and f'{daemon.config_path}: drills.schedule: plan "game-day": {said}' in done.stderr, done
    assert not (world.dir / "state/drills").exists()


@pytest.mark.parametrize("drills, said", [
    ({"tell": ["fx"]}, 'drills.tell: effects "fx" cannot tell of drills: it has no notice send'),
    ({"tell": ["nobody"]}, '"nobody"'),
    ({"schedule": [plan("a", 0), plan("a", 0)]}, 'drills.schedule: there are two plans "a"'),
    ({"schedule": [plan("a", 0, speed=2)]}, "only an exercise is played faster than a clock"),
    ({"environments": ["Prod"]}, '"Prod" is where drills never act'),
])
def test_other_mistakes_are_refused_too(world, chat, drills, said):
    if drills.get("schedule"):
        for one in drills["schedule"]:
            one["from"] = "2026-01-06T10:00"
    daemon = house(world, chat, drills=drills)
    done = subprocess.run([STANCH, "serve", "--check", "--config", daemon.config_path], capture_output=True, text=True,
                          timeout=PATIENCE_S, env=daemon.env)
    assert done.returncode != 0 and said in done.stderr, done
