"""The ical plugin: feeds by HTTP: kept for a minute, asked for again with what is known of them, and never an old one for a
new one. The clock is moved instead of waited for."""
import itertools
import os
import struct
import threading

import pytest
from harness import wait_for
from hostile import Hostile
from ics_kit import event, feed, ms
from plugin_host import Host, Refused
from servers import Origin

PATH = "/private/a-t0ken-of-the-feed/feed/P1?x=1"
ONE = feed(event("DTSTART:20260102T090000Z", "DURATION:PT1H", "SUMMARY:jane"))
TWO = feed(event("DTSTART:20260102T090000Z", "DURATION:PT1H", "SUMMARY:joe"))


class Server(Hostile):
    def __init__(self):
        super().__init__(self.answer)
        self.feed, self.tag = ONE, '"one"'

    def answer(self, _, request):
        if request.path != PATH:
            return 404, {}, f"no {request.path}".encode()
        if self.tag and request.headers.get("if-none-match") == self.tag:
            return 304, {"ETag": self.tag}, b""
        headers = {"ETag": self.tag, "Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT"} if self.tag else {}
        return 200, headers, self.feed


@pytest.fixture
def server():
    with Server() as one:
        yield one


class Clock:
    """The wall clock of a host, moved (tests/campaign/clock.c)."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(struct.pack("<qq", 0, 0))
        self.wrapper = ["env", f"LD_PRELOAD={os.environ['STANCH_BUILD']}/tests/clock.so", f"STANCH_TEST_CLOCK={path}",
                        "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=1"]

    def move(self, seconds):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("<q", seconds * 10**9))


def summaries(host, **args):
    answer = host.call("read", "windows", {"args": {"from": ms("2026-01-01"), "to": ms("2026-02-01"), **args}})
    assert answer["outcome"] == "done", answer
    return [one["summary"] for one in answer["value"]["windows"]]


def start(server, wrapper=(), **more):
    return Host("ical", {"url": server.url, **more}, {"secret_path": PATH}, wrapper=wrapper)


def test_what_is_asked(server):
    with start(server) as host:
        assert summaries(host) == ["jane"]
        request = server.seen[0]
        assert (request.method, request.path, request.headers["accept"]) == ("GET", PATH, "text/calendar")
        assert "if-none-match" not in request.headers and "if-modified-since" not in request.headers


def test_a_feed_is_kept_for_a_minute(server):
    with start(server) as host:
        first = host.call("read", "now", {"args": {}})["value"]
        server.feed, server.tag = TWO, '"two"'
        assert summaries(host) == ["jane"] and len(server.seen) == 1
        again = host.call("read", "now", {"args": {}})["value"]
        assert again["fetched_at_ms"] == first["fetched_at_ms"] and again["age_ms"] >= first["age_ms"]
        assert host.call("check", "check")["value"]["ok"] is True  # a check looks for itself
        assert len(server.seen) == 2 and summaries(host) == ["joe"]


def test_after_a_minute_it_is_asked_for_again(server, tmp_path):
    clock = Clock(tmp_path / "clock")
    with start(server, clock.wrapper) as host:
        assert summaries(host) == ["jane"]
        clock.move(59)
        assert summaries(host) == ["jane"] and len(server.seen) == 1
        clock.move(61)
        assert summaries(host) == ["jane"] and server.seen[1].headers["if-none-match"] == '"one"'  # 304
        server.feed, server.tag = TWO, '"two"'
        clock.move(100)
        assert summaries(host) == ["jane"] and len(server.seen) == 2  # a 304 is as good as a new one
        clock.move(130)
        assert summaries(host) == ["joe"] and len(server.seen) == 3
        clock.move(0)  # set back: how old it is can't be told
        assert summaries(host) == ["joe"] and len(server.seen) == 4


def test_a_feed_that_is_away_is_an_error_not_an_old_feed(server, tmp_path):
    clock = Clock(tmp_path / "clock")
    with start(server, clock.wrapper) as host:
        assert summaries(host) == ["jane"]
        clock.move(61)
        server.fault = 503
        answer = host.call("read", "now", {"args": {}}, is_given_up=True)
        assert answer["outcome"] == "failed" and answer["error"]["kind"] == "unavailable" and answer["error"]["retry"], answer
        server.fault = None
        assert summaries(host) == ["jane"] and server.seen[-1].headers["if-none-match"] == '"one"'
        clock.move(130)
        server.feed, server.tag = b"<html>", '"three"'
        assert host.call("read", "now", {"args": {}})["error"]["kind"] == "protocol"
        server.feed, server.tag = ONE, '"one"'
        assert summaries(host) == ["jane"]


def test_what_is_known_is_said_when_it_is_asked_again(server):
    with start(server) as host:
        summaries(host)
        for _ in range(2):
            assert host.call("check", "check")["value"]["checks"][0]["text"].startswith("1 events")
        asked = [(one.headers.get("if-none-match"), one.headers.get("if-modified-since")) for one in server.seen]
        assert asked == [(None, None)] + [('"one"', "Fri, 02 Jan 2026 00:00:00 GMT")] * 2
        server.tag = None
        host.call("check", "check")
        host.call("check", "check")
        assert server.seen[-1].headers.get("if-none-match") is None


def test_what_another_call_has_read_meanwhile_is_as_new():
    """Three ask at once; one is answered, and what the others are told then does not matter any more."""
    numbers, doors = itertools.count(), [threading.Event(), threading.Event(), threading.Event()]

    def answer(handler, body):
        number = next(numbers)
        assert doors[number].wait(60)
        return (200, {}, ONE if number == 0 else b"<html>")

    with Origin(answer) as origin, Host("ical", {"url": origin.url}) as host:
        calls = []
        for number in range(3):
            calls.append(host.start("read", "now", {"args": {}}, deadline_ms=60000))
            wait_for(lambda: len(origin.requests) == number + 1, "the question")
        for door, call in zip(doors, calls):
            door.set()
            assert host.wait(call, 30)["outcome"] == "done"


def test_304_without_a_question_is_no_feed(server):
    server.fault = 304
    with start(server) as host:
        answer = host.call("read", "now", {"args": {}})
        assert answer["outcome"] == "failed" and "304" in answer["error"]["text"]


def test_the_address_is_a_secret(server):
    server.happy = lambda _, request: (404, {}, f"there is no {request.path} here".encode())
    with start(server) as host:
        answer = host.call("read", "now", {"args": {}})
        assert answer["error"]["kind"] == "not-found" and "[secret]" in answer["error"]["text"]
        host.call("check", "check")
        assert b"a-t0ken-of-the-feed" not in host.raw and "a-t0ken-of-the-feed" not in host.printed()


def test_an_address_in_one_piece(server):
    with Host("ical", {"url": server.url + PATH}) as host:
        assert summaries(host) == ["jane"]


def test_a_page_for_people_is_no_feed(server):
    server.feed = b"<!doctype html>\n<title>Sign in</title>"
    with start(server) as host:
        answer = host.call("read", "now", {"args": {}})
        assert answer["error"]["kind"] == "protocol" and "check the address" in answer["error"]["text"]
        rows = host.call("check", "check")["value"]
        assert rows["ok"] is False and "no iCalendar" in rows["checks"][0]["text"]
        server.feed = ONE
        assert summaries(host) == ["jane"]


@pytest.mark.parametrize("fault", [401, 403, 404, 500, "hangup", "cut", "malformed"])
def test_a_check_of_a_feed_that_is_away_is_a_row(server, fault):
    server.fault = fault
    with start(server) as host:
        answer = host.call("check", "check", is_given_up=True)
        assert answer["outcome"] == "done", answer
        row = answer["value"]["checks"][0]
        assert answer["value"]["ok"] is False and row["name"] == "feed" and len(row["text"]) > 15


def test_a_large_feed(server):
    server.feed = feed(event("DTSTART:20260102T090000Z", "DESCRIPTION:" + "x" * 20000))
    with start(server, max_bytes=10000) as host:
        answer = host.call("read", "now", {"args": {}}, is_given_up=True)
        assert answer["outcome"] == "failed" and "10001 bytes" in answer["error"]["text"], answer
    with start(server, max_bytes=30000) as host:
        assert summaries(host) == [""]


def test_many_events(server):
    """Ten thousand of them, in one feed of a megabyte and a half."""
    server.feed = feed(*[event("DTSTART;TZID=Europe/Berlin:20260102T090000", "DURATION:PT1H", "SUMMARY:x",
                               "ATTENDEE;CN=Jane:mailto:jane@example.com", uid=f"u{i}") for i in range(9999)])
    with start(server) as host:
        assert len(summaries(host, limit=2000)) == 2000


def test_basic_credentials(server):
    seen = []

    def answer(_, request):
        seen.append(request.headers.get("authorization"))
        return 200, {}, ONE

    server.happy = answer
    with Host("ical", {"url": server.url, "user": "me"}, {"password": "pass-word"}) as host:
        assert summaries(host) == ["jane"] and seen == ["Basic bWU6cGFzcy13b3Jk"]


@pytest.mark.parametrize("secret", ["private/feed", "/a b", "/a\tb", "/ü"])
def test_a_path_that_is_none(secret):
    with pytest.raises(Refused) as refused:
        Host("ical", {"url": "http://127.0.0.1:1"}, {"secret_path": secret})
    assert "settings.secret_path" in str(refused.value) and secret not in str(refused.value)
