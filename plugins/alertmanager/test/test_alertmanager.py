"""The alertmanager source: bodies of a real Alertmanager, recorded bodies of others, and everything that is wrong."""
import base64
import copy
import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from harness import find_fixtures, wait_for
from plugin_host import Host, Refused
from servers import Alertmanager, Origin

TOKEN = "a-token-that-is-long"


FIXTURES = find_fixtures("payloads/alertmanager")


def receive(host, body, headers=None, expect="done", **more):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": "Bearer " + TOKEN} if headers is None else headers
    answer = host.call("receive", "webhook",
                       {"source": "webhook", "headers": headers, "query": "", "remote": "127.0.0.1:9", **more}, raw)
    assert answer["outcome"] == expect, answer
    return answer["value"] if expect == "done" else answer["error"]


@pytest.fixture(scope="module")
def am():
    with Host("alertmanager", {}, {"token": TOKEN}) as host:
        yield host


def ms(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


# ---- recorded bodies ----

FIRING = {
    "v4-captured-group-firing.json": [
        ("7b586dda8b77d09d", "firing", ms("2026-11-21T02:02:42Z"), None, "HighErrorRate", "5xx > 5% — élevé 🔥"),
        ("562a51470c3cc665", "firing", ms("2026-11-21T02:02:42Z"), None, "HighErrorRate", "second"),
        ("312d9c9faccff52d", "firing", ms("2026-11-21T02:02:42Z"), None, "HighErrorRate", ""),
    ],
    "v4-captured-group-resolved.json": [
        ("7b586dda8b77d09d", "resolved", ms("2026-11-21T02:02:42Z"), ms("2026-11-21T02:05:45Z"), "HighErrorRate", ""),
        ("562a51470c3cc665", "resolved", ms("2026-11-21T02:02:42Z"), ms("2026-11-21T02:05:45Z"), "HighErrorRate", ""),
    ],
    "v4-two-same-labels.json": [  # one label set, two fingerprints: two events
        ("a1bc48475b20e73d", "firing", ms("2020-02-06T00:17:58Z") + 432, None, "High CPU Temperature",
         "High CPU core temperature"),
        ("c2ea85182f28cbd9", "firing", ms("2020-02-06T00:17:58Z") + 432, None, "High CPU Temperature",
         "High CPU core temperature"),
    ],
}


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the folder shared/fixtures is not beside this tree")
def test_every_fixture_is_taken_in(am):
    names = {path.name for path in FIXTURES.glob("*.json")}
    assert set(FIRING) | {"v3-firing.json"} == names, "a fixture that nobody expects: say what it means"
    for name, expected in FIRING.items():
        raw = (FIXTURES / name).read_bytes()
        value = receive(am, raw)
        assert [(e["fingerprint"], e["state"], e["starts_at_ms"], e["ends_at_ms"], e["name"], e["summary"])
                for e in value["events"]] == expected, name
        assert value["truncated"] == 0
        for event, alert in zip(value["events"], json.loads(raw)["alerts"]):
            assert event["kind"] == "alert" and event["labels"] == alert["labels"]
            assert event["annotations"] == alert["annotations"] and event["link"] == alert["generatorURL"]
    error = receive(am, (FIXTURES / "v3-firing.json").read_bytes(), expect="failed")
    assert error["kind"] == "invalid" and "version 3 is not understood" in error["text"]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the folder shared/fixtures is not beside this tree")
def test_a_fingerprint_that_is_missing_is_the_one_that_alertmanager_gives(am):
    for name in ("v4-captured-group-firing.json", "v4-captured-group-resolved.json"):
        body = json.loads((FIXTURES / name).read_text())
        given = [alert.pop("fingerprint") for alert in body["alerts"]]
        assert [e["fingerprint"] for e in receive(am, body)["events"]] == given


# ---- a real Alertmanager ----


def now(offset=0):
    return datetime.fromtimestamp(time.time() + offset, timezone.utc).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("credential", ["bearer", "basic"])
def test_what_a_real_alertmanager_sends(credential):
    """Fire two alerts and resolve one: the posts that arrive are understood, with Alertmanager's own credentials."""
    settings, secrets = ({}, {"token": TOKEN}) if credential == "bearer" else ({"user": "am"}, {"password": "p:w d"})
    http_config = ({"authorization": {"type": "Bearer", "credentials": TOKEN}} if credential == "bearer" else
                   {"basic_auth": {"username": "am", "password": "p:w d"}})
    with Origin() as hook, Host("alertmanager", settings, secrets) as host:
        config = {"route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "50ms", "group_interval": "200ms",
                            "repeat_interval": "1h"},
                  "receivers": [{"name": "hook", "webhook_configs": [{"url": hook.url + "/x", "send_resolved": True,
                                                                      "http_config": http_config}]}]}
        with Alertmanager(config) as server:
            first = {"labels": {"alertname": "A", "instance": "é \"1\"\n", "severity": "critical"},
                     "annotations": {"summary": "first 🔥"}, "startsAt": now(-60),
                     "generatorURL": "http://prom.example/graph?g0.expr=x"}
            second = {"labels": {"alertname": "A", "instance": "2"}, "startsAt": now(-30)}
            server.post(first, second)

            def both():  # Alertmanager may send a group as soon as it has the first of them, and the rest later
                return [r for r in hook.requests if len(json.loads(r[3])["alerts"]) == 2]
            firing = wait_for(both, "the post with both")[0]
            server.post({**first, "endsAt": now(-1)}, second)

            def resolved():
                return [r for r in hook.requests if b'"status":"resolved","labels"' in r[3]]
            wait_for(resolved, "the post that resolves")
        posts = [firing, resolved()[0]]
        seen = [receive(host, body, {k.lower(): v for k, v in headers.items()}) for _, _, headers, body in posts]
        assert all(json.loads(p[3])["version"] == "4" for p in posts)
        by_instance = {e["labels"]["instance"]: e for e in seen[0]["events"]}
        one, two = by_instance["é \"1\"\n"], by_instance["2"]
        assert (one["state"], one["ends_at_ms"], one["summary"], one["name"]) == ("firing", None, "first 🔥", "A")
        assert one["starts_at_ms"] == ms(first["startsAt"]) and one["link"] == first["generatorURL"]
        assert two["starts_at_ms"] == ms(second["startsAt"]) and two["link"] == ""
        ended = next(e for e in seen[1]["events"] if e["state"] == "resolved")
        assert ended["fingerprint"] == one["fingerprint"] and ended["starts_at_ms"] == one["starts_at_ms"]
        assert ended["ends_at_ms"] > ended["starts_at_ms"]
        # the fingerprint that we compute is the one that it sent
        for _, _, headers, body in posts:
            bare = json.loads(body)
            given = [alert.pop("fingerprint") for alert in bare["alerts"]]
            computed = receive(host, bare, {k.lower(): v for k, v in headers.items()})["events"]
            assert [e["fingerprint"] for e in computed] == given
        # and without its credential nothing gets in
        assert receive(host, posts[0][3], {}, expect="failed")["kind"] == "unauthorized"
        samples = os.environ.get("STANCH_WRITE_SAMPLES")
        if samples:
            for name, post in zip(("firing", "mixed"), posts):
                (Path(samples) / f"alertmanager-0.25-{name}.json").write_bytes(post[3])


SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.json"))


@pytest.mark.parametrize("path", SAMPLES, ids=[p.name for p in SAMPLES])
def test_samples_of_earlier_captures(am, path):
    body = json.loads(path.read_text())
    events = receive(am, path.read_bytes())["events"]
    assert [(e["fingerprint"], e["state"], e["labels"]) for e in events] == [
        (a["fingerprint"], a["status"], a["labels"]) for a in body["alerts"]]


def test_there_are_samples():
    assert len(SAMPLES) >= 2


# ---- what a post may hold ----


def alert(**more):
    one = {"status": "firing", "labels": {"alertname": "A", "severity": "critical"}, "annotations": {},
           "startsAt": "2026-01-02T03:04:05.123456789+02:00", "endsAt": "0001-01-01T00:00:00Z",
           "generatorURL": "https://prom.example/", "fingerprint": "0123456789abcdef", **more}
    return {k: v for k, v in one.items() if v != "absent"}


def post(*alerts, **more):
    return {k: v for k, v in {"version": "4", "status": "firing", "alerts": list(alerts), "groupKey": "{}:{}",
                              **more}.items() if v != "absent"}


def test_times(am):
    start = ms("2026-01-02T03:04:05+02:00")
    table = [("2026-01-02T03:04:05.123456789+02:00", start + 123), ("2026-01-02T01:04:05Z", start),
             ("2026-01-02T01:04:05.9Z", start + 900), ("2026-01-01T20:34:05-04:30", start),
             ("2026-01-02t01:04:05z", start)]
    for text, expected in table:
        assert receive(am, post(alert(startsAt=text)))["events"][0]["starts_at_ms"] == expected, text


def test_ends(am):
    def end(status, **more):
        return receive(am, post(alert(status=status, **more)))["events"][0]["ends_at_ms"]
    assert end("resolved", endsAt="2026-01-02T03:04:06Z") == ms("2026-01-02T03:04:06Z")
    for zero in ("0001-01-01T00:00:00Z", "", None, "absent"):
        assert end("resolved", endsAt=zero) is None and end("firing", endsAt=zero) is None
    assert end("firing", endsAt="2126-01-02T03:04:06Z") is None  # when it would time out, not when it ended


def test_repeats_in_one_post_are_one_event_but_other_identities_are_not(am):
    same, other = alert(), alert(fingerprint="fedcba9876543210")
    later, over = alert(startsAt="2026-01-02T04:00:00Z"), alert(status="resolved", endsAt="2026-01-02T05:00:00Z")
    value = receive(am, post(same, same, other, later, over, over))
    assert [(e["fingerprint"][:4], e["state"]) for e in value["events"]] == [
        ("0123", "firing"), ("fedc", "firing"), ("0123", "firing"), ("0123", "resolved")]


def test_a_group_of_mixed_states(am):
    body = post(alert(), alert(status="resolved", fingerprint="b", endsAt="2026-01-02T05:00:00Z"), status="firing")
    assert [e["state"] for e in receive(am, body)["events"]] == ["firing", "resolved"]


def test_truncated(am):
    assert receive(am, post(alert(), truncatedAlerts=12))["truncated"] == 12
    for absent in ("absent", None, 0):
        assert receive(am, post(alert(), truncatedAlerts=absent))["truncated"] == 0
    with Host("alertmanager", {"max_alerts": 3}, {"token": TOKEN}) as host:
        value = receive(host, post(*[alert(fingerprint=str(i)) for i in range(10)], truncatedAlerts=5))
        assert [e["fingerprint"] for e in value["events"]] == ["0", "1", "2"] and value["truncated"] == 12
        assert host.wait_log("7 over max_alerts")


def test_nothing_in_it_is_nothing(am):
    assert receive(am, post()) == {"events": [], "truncated": 0}


def test_a_thousand_alerts(am):
    alerts = [alert(labels={"alertname": "A", "i": str(i)}, fingerprint="absent") for i in range(1000)]
    events = receive(am, post(*alerts))["events"]
    assert len({e["fingerprint"] for e in events}) == 1000


def test_words_and_links(am):
    def event(**more):
        return receive(am, post(alert(**more)))["events"][0]
    assert event(annotations={"description": "d", "summary": "s"})["summary"] == "s"
    assert event(annotations={"description": "d"})["summary"] == "d"
    assert event(annotations="absent")["summary"] == "" and event(annotations=None)["annotations"] == {}
    assert event(labels={"job": "x"})["name"] == "(no alertname)"
    for link in ("javascript:alert(1)", "data:text/html,x", "", 7, None, "absent"):
        assert event(generatorURL=link)["link"] == ""
    assert event(generatorURL="http://x/")["link"] == "http://x/"


HUGE = "x" * 200000


@pytest.mark.parametrize("body,text", [
    (b"", "the body is empty"),
    (b"{", "the body is not JSON: line 1"),
    (b"nope", "the body is not JSON"),
    (b"{} {}", "the body is not JSON"),
    (b'{"version":"4","alerts":[],}', "the body is not JSON"),
    (b'{"version":"4","version":"4","alerts":[]}', "duplicate"),
    (b'{"version":"4","alerts":[],"x":"\xff"}', "the body is not JSON"),
    (b'{"version":"4","alerts":[],"x":"\\ud800"}', "the body is not JSON"),
    (b"[" * 1000, "nested deeper than 64"),
    (b'{"x":' * 100 + b"1" + b"}" * 100, "nested deeper than 64"),
    (b"\x00\x01", "the body is not JSON"),
    (b"[]", "the body: an object"),
    (b'"text"', "the body: an object"),
    (b"null", "the body: an object"),
    (b"payload=%7B%7D", "the body is not JSON"),
    ({}, "version: missing"),
    (post(version="3"), "version: version 3 is not understood"),
    (post(version="1"), "version: version 1 is not understood"),
    (post(version=4), "version: not a text"),
    (post(version=HUGE), "version: version xxxx"),
    (post(alerts="absent"), "alerts: missing"),
    (post(alerts={}), "alerts: not an array"),
    (post(truncatedAlerts="3"), "truncatedAlerts"),
    (post(truncatedAlerts=-1), "truncatedAlerts"),
    (post(alert(), 7), "alerts[1]: an object was expected, not a number"),
    (post(None), "alerts[0]: an object was expected, not null"),
    (post(alert(status="absent")), "alerts[0].status: firing or resolved was expected, not nothing"),
    (post(alert(status="suppressed")), 'alerts[0].status: "suppressed" is neither'),
    (post(alert(), alert(), alert(startsAt="yesterday")), 'alerts[2].startsAt: "yesterday" is not a time'),
    (post(alert(startsAt="absent")), "alerts[0].startsAt: a time was expected, not nothing"),
    (post(alert(startsAt=1700000000)), "alerts[0].startsAt: a time was expected, not a number"),
    (post(alert(startsAt="")), 'alerts[0].startsAt: "" is not a time'),
    (post(alert(startsAt="2026-13-01T00:00:00Z")), "is not a time"),
    (post(alert(startsAt="2026-01-01T25:00:00Z")), "is not a time"),
    (post(alert(startsAt="2026-01-01T00:00:00")), "is not a time"),
    (post(alert(startsAt="2026-01-01T00:00:00+99:00")), "is not a time"),
    (post(alert(startsAt="2026-01-01 00:00:00Z")), "is not a time"),
    (post(alert(startsAt=HUGE)), "is not a time"),
    (post(alert(startsAt="0001-01-01T00:00:00Z")), "the zero time is no start"),
    (post(alert(endsAt="later")), 'alerts[0].endsAt: "later" is not a time'),
    (post(alert(endsAt=5)), "alerts[0].endsAt: a time was expected"),
    (post(alert(labels="absent")), "alerts[0].labels: at least one label"),
    (post(alert(labels={})), "alerts[0].labels: at least one label"),
    (post(alert(labels=[])), "alerts[0].labels: an object was expected, not an array"),
    (post(alert(labels={"alertname": 7})), "alerts[0].labels.alertname: a text was expected, not a number"),
    (post(alert(labels={"a": {"b": "c"}})), "alerts[0].labels.a: a text was expected, not an object"),
    (post(alert(annotations=["x"])), "alerts[0].annotations: an object was expected"),
    (post(alert(annotations={"x": None})), "alerts[0].annotations.x: a text was expected, not null"),
    (post(alert(fingerprint=7)), "alerts[0].fingerprint: a text was expected"),
    (post(alert(fingerprint="f" * 129)), "alerts[0].fingerprint: longer"),
], ids=range(50))
def test_what_is_wrong_is_said_with_its_place(am, body, text):
    error = receive(am, body, expect="failed")
    assert error["kind"] == "invalid" and text in error["text"] and len(error["text"]) < 300, error


def test_hostile_texts_come_through_unchanged(am):
    for text in ("'; DROP TABLE x; --", "$(reboot)", "a\nb\r\n", "\u202e\u2028", "{{ .Values }}", "é" * 1000, "%s%n"):
        event = receive(am, post(alert(labels={"alertname": text, text: "v"}, annotations={"summary": text})))["events"][0]
        assert event["name"] == text and event["summary"] == text and event["labels"] == {"alertname": text, text: "v"}


# ---- credentials ----


def basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


GOOD_BEARER, GOOD_BASIC = f"Bearer {TOKEN}", basic("am:pass:word")
CREDENTIALS = {  # which of: an instance with token, with user and password, with both; lets it in
    None: "",
    "": "",
    "Bearer": "",
    "Bearer ": "",
    "Bearer wrong": "",
    f"Bearer {TOKEN}x": "",
    f"Bearer {TOKEN[:-1]}": "",
    f"Bearer {TOKEN.upper()}": "",
    TOKEN: "",
    f"Token {TOKEN}": "",
    f"Basic {TOKEN}": "",
    GOOD_BEARER: "token both",
    f"bearer {TOKEN}": "token both",
    f"BEARER  {TOKEN}": "token both",
    f"{GOOD_BEARER}, {GOOD_BEARER}": "",  # a header that was sent twice
    f"{GOOD_BEARER}, Bearer wrong": "",
    f"Bearer wrong, {GOOD_BEARER}": "",
    f"{GOOD_BASIC}, {GOOD_BASIC}": "",
    GOOD_BASIC: "basic both",
    GOOD_BASIC.replace("Basic", "basic"): "basic both",
    basic("am:wrong"): "",
    basic("ma:pass:word"): "",
    basic("am"): "",
    basic("am:"): "",
    basic(":pass:word"): "",
    basic(":"): "",
    basic("am:pass:word2"): "",
    "Basic": "",
    "Basic !!!": "",
    f"Bearer {GOOD_BASIC.split()[1]}": "",
    f"Basic {base64.b64encode(TOKEN.encode()).decode()}": "",
}


@pytest.mark.parametrize("kind,settings,secrets", [
    ("token", {}, {"token": TOKEN}),
    ("basic", {"user": "am"}, {"password": "pass:word"}),
    ("both", {"user": "am"}, {"password": "pass:word", "token": TOKEN}),
])
def test_credentials(kind, settings, secrets):
    with Host("alertmanager", settings, secrets) as host:
        for header, lets_in in CREDENTIALS.items():
            is_good = kind in lets_in.split()
            headers = {} if header is None else {"authorization": header}
            said = receive(host, post(alert()), headers, expect="done" if is_good else "failed")
            if is_good:
                continue
            assert said["kind"] == "unauthorized" and said["retry"] is False, (header, said)
            assert ("no credential" in said["text"]) == (header is None)
            # a body that is wrong tells nothing to one who may not send
            assert receive(host, b"{", headers, expect="failed") == said
        assert TOKEN.encode() not in host.raw and b"pass:word" not in host.raw


@pytest.mark.parametrize("settings,secrets", [
    ({}, {}), ({"user": "am"}, {}), ({}, {"password": "p"}), ({"user": "am"}, {"token": "t"}),
    ({"user": ""}, {"password": "p"}), ({}, {"token": ""}), ({"token": "plain"}, {}),
    ({"max_alerts": 0}, {"token": "t"}), ({"max_alerts": "7"}, {"token": "t"}), ({"tokn": "x"}, {"token": "t"}),
])
def test_settings_that_would_let_anyone_in_or_make_no_sense(settings, secrets):
    with pytest.raises(Refused) as refused:
        Host("alertmanager", settings, secrets)
    assert len(str(refused.value)) > 15


def test_a_post_is_taken_whole_or_not_at_all(am):
    body = post(alert(), alert(fingerprint="b"))
    broken = copy.deepcopy(body)
    broken["alerts"][1]["startsAt"] = "x"
    assert "alerts[1]" in receive(am, broken, expect="failed")["text"]
    assert len(receive(am, body)["events"]) == 2


def test_check(am):
    found = am.call("check", "check")["value"]
    assert found["ok"] is True and "bearer token" in found["checks"][0]["text"], found
