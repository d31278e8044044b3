"""The pagerduty plugin against a server that holds events to what PagerDuty documents of its Events API v2."""
import contextlib
import json
import threading

import pytest
from plugin_host import Host
from servers import Origin

KEY = "0123456789abcdef0123456789abcdef"
PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
EVENT = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}


class PagerDuty(Origin):
    """Its incidents are in .incidents: key -> state. .queue has answers that come first: (status, headers, body)."""

    def __init__(self):
        self.incidents, self.events, self.queue, self.lock = {}, [], [], threading.Lock()
        super().__init__(self.say)

    def say(self, handler, body):
        with self.lock:
            status, headers, text = self.answer(handler, body)
        return status, {"Content-Type": "application/json", **headers}, text if isinstance(text, str) else json.dumps(text)

    def answer(self, handler, body):
        if handler.command != "POST" or handler.path != "/v2/enqueue":
            return 404, {}, {"status": "not found"}
        if self.queue:
            return self.queue.pop(0)
        wrong = self.why(json.loads(body), len(body))
        if wrong:
            return 400, {}, {"status": "invalid event", "message": "Event object is invalid", "errors": [wrong]}
        event = json.loads(body)
        self.events.append(event)
        states = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
        self.incidents[event["dedup_key"]] = states[event["event_action"]]
        return 202, {}, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}

    @staticmethod
    def why(event, size):
        if size > 512000:
            return "too large"
        if set(event) - EVENT:
            return f"unknown members {set(event) - EVENT}"
        if event.get("routing_key") != KEY:
            return "'routing_key' is no key"
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            return "event_action"
        if event["event_action"] != "trigger":
            return None if event.get("dedup_key") and "payload" not in event else "dedup_key"
        payload = event["payload"]
        if set(payload) - PAYLOAD or not {"summary", "source", "severity"} <= set(payload):
            return "payload"
        if payload["severity"] not in ("critical", "error", "warning", "info"):
            return "severity"
        if len(payload["summary"]) > 1024 or len(event["dedup_key"]) > 255:
            return "too long"
        return None if all(set(link) == {"href", "text"} for link in event.get("links", [])) else "links"


@pytest.fixture
def pd():
    with PagerDuty() as one:
        yield one


@contextlib.contextmanager
def client(url, key=KEY, **settings):
    with Host("pagerduty", {"url": url, **settings}, {"routing_key": key}, instance="pd") as host:
        def ask(action, expect="done", deadline_ms=15000, intent="intent-1", **args):
            answer = host.wait(host.start("read", action, {"args": args, "key": intent}, deadline_ms=deadline_ms), 40)
            assert answer["outcome"] == expect, answer
            return answer["value"] if expect == "done" else answer["error"]
        ask.host = host
        yield ask
        assert key.encode() not in host.raw, "the routing key left the host"


def test_a_page_from_trigger_to_resolve(pd):
    with client(pd.url, source="stanch-eu", client_url="https://stanch.example") as ask:
        assert ask("trigger", summary="drain s1?", key="A-7", severity="sev2", link="https://stanch.example/approvals/A-7",
                   details={"risk": "medium", "plan": {"targets": ["a"]}}, component="checkout") == {"key": "A-7"}
        assert pd.incidents == {"A-7": "triggered"}
        assert ask("acknowledge", key="A-7") == {"key": "A-7"} and pd.incidents == {"A-7": "acknowledged"}
        assert ask("resolve", key="A-7") == {"key": "A-7"} and pd.incidents == {"A-7": "resolved"}
    first = pd.events[0]
    assert first["payload"] == {"summary": "drain s1?", "source": "stanch-eu", "severity": "error", "component": "checkout",
                                "custom_details": {"risk": "medium", "plan": {"targets": ["a"]}}}
    assert first["links"] == [{"href": "https://stanch.example/approvals/A-7", "text": "Look and answer"}]
    assert (first["client"], first["client_url"]) == ("Stanch", "https://stanch.example/approvals/A-7")
    assert set(pd.events[1]) == {"routing_key", "event_action", "dedup_key"}


def test_what_is_left_out(pd):
    with client(pd.url, client="Stanch EU", client_url="https://stanch.example") as ask:
        assert ask("trigger", summary="wake up", intent="i-9") == {"key": "i-9"}, "the intent's key, so that it counts once"
    event = pd.events[0]
    assert event["payload"] == {"summary": "wake up", "source": "stanch", "severity": "critical"}
    assert (event["client"], event["client_url"], "links" in event) == ("Stanch EU", "https://stanch.example", False)


@pytest.mark.parametrize("given,sent", [("sev1", "critical"), ("sev2", "error"), ("sev3", "warning"), ("sev4", "info"),
                                        ("critical", "critical"), ("error", "error"), ("warning", "warning"), ("info", "info")])
def test_severities(pd, given, sent):
    with client(pd.url) as ask:
        ask("trigger", summary="x", severity=given)
    assert pd.events[0]["payload"]["severity"] == sent


def test_what_is_too_long_is_told_in_part(pd):
    with client(pd.url) as ask:
        ask("trigger", summary="\u00e9\U0001f525" * 600, key="k" * 255, details={"log": "x" * 600000})
    payload = pd.events[0]["payload"]
    assert payload["summary"] == "\u00e9\U0001f525" * 512, "1024 characters, none of them halved"
    assert payload["custom_details"] == {"left_out": "the details are longer than PagerDuty takes"}


def test_arguments_are_checked_by_the_declaration(pd):
    with client(pd.url) as ask:
        actions = ask.host.declaration["actions"]
    assert {name: one["required"] for name, one in actions.items()} == {
        "trigger": ["summary"], "acknowledge": ["key"], "resolve": ["key"]}
    assert all(one["effect"] == "notify" and one["class"] == "idempotent" for one in actions.values())


def test_an_event_that_is_refused(pd):
    with client(pd.url, key="another-key-than-that") as ask:
        error = ask("trigger", "failed", summary="x")
    assert error["kind"] == "invalid" and "'routing_key' is no key" in error["text"] and "integration" in error["text"]
    assert pd.incidents == {} and len(pd.requests) == 1, "asking again would not help"


def test_a_refusal_that_repeats_the_key(pd):
    pd.queue = [(400, {}, {"message": f"bad key {KEY}", "errors": []})]
    with client(pd.url) as ask:
        assert "[secret]" in ask("trigger", "failed", summary="x")["text"]


@pytest.mark.parametrize("status", [429, 503])
def test_later_is_asked_again(pd, status):
    pd.queue = [(status, {"Retry-After": "1"}, {}), (status, {}, {})]
    with client(pd.url) as ask:
        assert ask("trigger", summary="x", key="A-1") == {"key": "A-1"}
    assert len(pd.requests) == 3 and len(pd.events) == 1


@pytest.mark.parametrize("status,body", [(200, "<html>welcome to the hotel</html>"), (202, "<html>"), (202, {"status": "no"}),
                                         (202, {}), (204, ""), (202, [1])])
def test_a_good_status_is_not_enough(pd, status, body):
    pd.queue = [(status, {}, body)]
    with client(pd.url) as ask:
        assert ask("trigger", "unknown", summary="x")["kind"] == "protocol"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_may_have_happened_is_not_sent_again_by_the_plugin(pd, status):
    pd.queue = [(status, {}, {})]
    with client(pd.url) as ask:
        ask("trigger", "unknown", summary="x")
    assert len(pd.requests) == 1


def test_check(pd):
    with client(pd.url) as ask:
        answer = ask.host.wait(ask.host.start("check", "check", {}, deadline_ms=5000), 20)
    assert answer["value"]["ok"] is True and "routing key" in answer["value"]["checks"][0]["text"], answer
    assert pd.events == [], "nobody is woken by a check"
