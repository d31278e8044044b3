"""The generic source: a mapping declared in the configuration, its credentials, and everything that is wrong."""
import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timezone

import pytest
from plugin_host import Host, Refused

SECRET, NEXT = "what the sender signs with", "the one that follows it"
MAPPING = {
    "each": "/alerts", "fingerprint": "/id", "state": "/status", "resolved_when": ["ok", "closed"],
    "starts_at": "/since", "ends_at": "/until", "name": "/title", "summary": "/text", "link": "/url",
    "severity": "/level", "severities": {"P1": "sev1", "3": "sev3"},
    "labels": {"service": "/tags/service", "team": "^/team", "origin": "=pager", "odd": "/tags/a~1b"},
    "annotations": {"note": "/note"},
}
ALERT = {"id": 7, "status": "open", "since": "2026-11-21T08:00:00.5Z", "title": "CheckoutDown", "text": "no orders",
         "url": "https://pager.example/7", "level": "P1", "tags": {"service": "checkout", "a/b": True}, "note": None}
CHANGE = {"fingerprint": "/release", "starts_at": "/at", "labels": {"service": "/service"},
          "change": {"kind": "=deploy", "service": "/service", "text": "/text", "by": "/who", "state": "=succeeded",
                     "commit": "/sha", "environment": "=prod"}}


def ms(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp() * 1000)


def post(host, body, expect="done", headers=None, test=False):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = host.call("receive", "webhook", {"source": "webhook", "query": "", "remote": "127.0.0.1:9", "test": test,
                                              "headers": {"authorization": "Bearer t0ken"} if headers is None else headers},
                       raw)
    assert answer["outcome"] == expect, answer
    return answer["value"]["events"] if expect == "done" else answer["error"]


@pytest.fixture(scope="module")
def alerts():
    with Host("generic", MAPPING, {"token": "t0ken"}) as host:
        yield host


# ---- the mapping ----

def test_an_alert_is_mapped(alerts):
    [event] = post(alerts, {"team": "shop", "alerts": [ALERT]})
    assert event == {
        "kind": "alert", "fingerprint": "7", "state": "firing", "starts_at_ms": ms("2026-11-21T08:00:00.500Z"),
        "ends_at_ms": None, "name": "CheckoutDown", "summary": "no orders", "link": "https://pager.example/7",
        "severity": "sev1", "annotations": {},
        "labels": {"service": "checkout", "team": "shop", "origin": "pager", "odd": "true",
                   "alertname": "CheckoutDown"}}


def test_it_is_over(alerts):
    [event] = post(alerts, {"alerts": [{**ALERT, "status": "closed", "until": 1795248000}]})
    assert event["state"] == "resolved" and event["ends_at_ms"] == 1795248000000


def test_severities_that_are_not_mapped_are_left_to_the_configuration(alerts):
    numbers = post(alerts, {"alerts": [{**ALERT, "level": 3}, {**ALERT, "id": 8, "level": "P9"}]})
    assert [event.get("severity") for event in numbers] == ["sev3", None]


@pytest.mark.parametrize("given, want", [
    (1795248000, 1795248000000), (1795248000123, 1795248000123), ("1795248000", 1795248000000),
    (1795248000123456789, 1795248000123), (1795248000.5, 1795248000500),
    ("2026-11-21T10:00:00+02:00", ms("2026-11-21T08:00:00Z"))])
def test_times(alerts, given, want):
    [event] = post(alerts, {"alerts": [{**ALERT, "since": given}]})
    assert event["starts_at_ms"] == want


def test_a_link_that_a_browser_should_not_follow_is_dropped(alerts):
    [event] = post(alerts, {"alerts": [{**ALERT, "url": "javascript:alert(1)"}]})
    assert event["link"] == ""


def test_no_items_no_events(alerts):
    assert post(alerts, {"alerts": []}) == []


def test_a_change_is_mapped():
    with Host("generic", CHANGE, {"token": "t0ken"}) as host:
        [event] = post(host, {"release": "r-9", "at": 1795248000, "service": "shop", "text": "Release 9", "who": "ada",
                              "sha": "a" * 40})
        assert event["kind"] == "change" and event["state"] == "happened" and event["name"] == "deploy of shop"
        assert event["change"] == {"kind": "deploy", "service": "shop", "text": "Release 9", "by": "ada",
                                   "state": "succeeded", "environment": "prod", "commit": "a" * 40}


def test_a_change_whose_sender_tells_no_time_happened_when_it_came():
    with Host("generic", {k: v for k, v in CHANGE.items() if k != "starts_at"}, {"token": "t0ken"}) as host:
        before = int(time.time() * 1000) - 1000
        [event] = post(host, {"release": "r-9"})
        assert before <= event["starts_at_ms"] <= int(time.time() * 1000) + 1000


# ---- what is wrong with a body ----

@pytest.mark.parametrize("body, where", [
    ([], "/alerts (each): an array"), ({"alerts": {}}, "/alerts (each): an array"), (b"{", "line 1"),
    ({"alerts": [7]}, "/alerts/0/id (fingerprint): nothing"),
    ({"alerts": [ALERT, {**ALERT, "id": ""}]}, "/alerts/1/id (fingerprint): nothing is there"),
    ({"alerts": [{**ALERT, "id": {"x": 1}}]}, "/alerts/0/id (fingerprint): a text or a number"),
    ({"alerts": [{**ALERT, "title": None}]}, "/alerts/0/title (name): nothing is there"),
    ({"alerts": [{**ALERT, "since": "soon"}]}, "/alerts/0/since (starts_at): not a time"),
    ({"alerts": [{**ALERT, "since": -5}]}, "/alerts/0/since (starts_at): not a time"),
    ({"alerts": [{k: v for k, v in ALERT.items() if k != "since"}]}, "/alerts/0/since (starts_at): nothing is there"),
    ({"alerts": [ALERT] * 10001}, "more than 10000 items")])
def test_a_body_that_is_wrong_is_refused_whole_with_its_place(alerts, body, where):
    error = post(alerts, body, expect="failed")
    assert error["kind"] == "invalid" and where in error["text"], error


# ---- what is wrong with the settings ----

def without(*keys):
    return {k: v for k, v in MAPPING.items() if k not in keys}


@pytest.mark.parametrize("settings, secrets, text", [
    (MAPPING, {}, "no credential"),
    ({**MAPPING, "user": "x"}, {"token": "t"}, "user is set and password is not"),
    (MAPPING, {"secret": "s"}, "signature_header: not set"),
    ({**MAPPING, "signature_header": "x-sign"}, {"token": "t"}, "signature_header is set and secret is not"),
    ({**MAPPING, "signature_header": "x-sign", "timestamp_header": "x-time"}, {"secret": "s"}, "signed_before"),
    ({**MAPPING, "signature_header": "x-sign", "signed_before": "%t."}, {"secret": "s"}, "timestamp_header"),
    (without("fingerprint"), {"token": "t"}, "fingerprint: not set"),
    (without("starts_at"), {"token": "t"}, "starts_at: not set"),
    (without("resolved_when"), {"token": "t"}, "resolved_when: not set"),
    ({**MAPPING, "name": "title"}, {"token": "t"}, "name: a JSON Pointer"),
    ({**MAPPING, "name": "/a~2"}, {"token": "t"}, "name: a JSON Pointer"),
    ({**MAPPING, "labels": {"x": 7}}, {"token": "t"}, "labels.x: a JSON Pointer"),
    ({**MAPPING, "severities": {"P1": "bad"}}, {"token": "t"}, 'severities["P1"]'),
    ({**CHANGE, "change": {"service": "/s"}}, {"token": "t"}, "change.kind: not set"),
    ({**CHANGE, "change": {"kind": "=x", "color": "/s"}}, {"token": "t"}, "change.color")])
def test_settings_that_make_no_sense(settings, secrets, text):
    with pytest.raises(Refused) as refused:
        with Host("generic", settings, secrets):
            pass
    assert text in str(refused.value)


# ---- credentials: D7 ----

def basic(user, password):
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_basic_credentials():
    with Host("generic", {**MAPPING, "user": "ada"}, {"password": "pw"}) as host:
        assert post(host, {"alerts": []}, headers=basic("ada", "pw")) == []
        for headers in ({}, basic("ada", "no"), basic("eve", "pw"), {"authorization": "Bearer pw"}):
            assert post(host, {"alerts": []}, expect="failed", headers=headers)["kind"] == "unauthorized"


def test_a_wrong_token_is_refused_and_a_test_needs_none(alerts):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "t0ken"}):
        assert post(alerts, {"alerts": []}, expect="failed", headers=headers)["kind"] == "unauthorized"
    assert post(alerts, {"alerts": []}, headers={}, test=True) == []


SIGNED = {**MAPPING, "signature_header": "X-Sign", "signature_prefix": "v0=", "signed_before": "v0:%t:",
          "timestamp_header": "x-time", "within": 60}


def signed(raw, at=None, secret=SECRET, encode=lambda digest: digest.hex()):
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + raw, hashlib.sha256).digest()
    return {"x-sign": "v0=" + encode(digest), "x-time": str(at)}


@pytest.fixture(scope="module")
def signing():
    with Host("generic", SIGNED, {"secret": SECRET, "next_secret": NEXT}) as host:
        yield host


RAW = json.dumps({"alerts": [ALERT]}).encode()


def test_a_signature_with_a_time_stamp(signing):
    assert len(post(signing, RAW, headers=signed(RAW))) == 1
    assert len(post(signing, RAW, headers=signed(RAW, secret=NEXT))) == 1


def test_every_flipped_bit_is_refused(signing):
    good = signed(RAW)
    for i in range(0, len(RAW) * 8, 3):
        bad = bytearray(RAW)
        bad[i // 8] ^= 1 << i % 8
        assert post(signing, bytes(bad), expect="failed", headers=good)["kind"] == "unauthorized"


@pytest.mark.parametrize("change", [
    lambda h: {}, lambda h: {"x-time": h["x-time"]}, lambda h: {"x-sign": h["x-sign"]},
    lambda h: {**h, "x-time": str(int(h["x-time"]) + 1)}, lambda h: {**h, "x-time": ""},
    lambda h: {**h, "x-time": h["x-time"] + "x"}, lambda h: {**h, "x-sign": h["x-sign"][3:]},
    lambda h: {**h, "x-sign": h["x-sign"][:-1]}, lambda h: {**h, "x-sign": "v0="}])
def test_signatures_that_are_none(signing, change):
    assert post(signing, RAW, expect="failed", headers=change(signed(RAW)))["kind"] == "unauthorized"


@pytest.mark.parametrize("off", [-600, -100, 100, 600])
def test_a_replayed_request_is_refused(signing, off):
    assert post(signing, RAW, expect="failed",
                headers=signed(RAW, at=int(time.time()) + off))["kind"] == "unauthorized"


def test_one_of_several_signatures_is_enough(signing):
    headers = signed(RAW)
    headers["x-sign"] = "v0=" + "0" * 64 + "," + headers["x-sign"]
    assert len(post(signing, RAW, headers=headers)) == 1


def test_base64_without_a_time_stamp():
    settings = {**MAPPING, "signature_header": "x-sign", "signature_encoding": "base64"}
    with Host("generic", settings, {"secret": SECRET}) as host:
        digest = hmac.new(SECRET.encode(), RAW, hashlib.sha256).digest()
        assert len(post(host, RAW, headers={"x-sign": base64.b64encode(digest).decode()})) == 1
        assert post(host, RAW, expect="failed", headers={"x-sign": digest.hex()})["kind"] == "unauthorized"
