"""The ical plugin: feeds of many forms, from a file."""
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ics_kit import Feed, event, feed, ms, text


# ---- one event


def test_what_is_said_of_a_window(tmp_path):
    lines = event("DTSTART:20260102T090000Z", "DTEND:20260102T170000Z", "SUMMARY:Primary\\, on call", "STATUS:TENTATIVE",
                  "TRANSP:TRANSPARENT", 'ATTENDEE;CN="Doe, Jane";ROLE=REQ-PARTICIPANT:mailto:jane@example.com',
                  "ATTENDEE:MAILTO:joe@example.com", "ATTENDEE;PARTSTAT=DECLINED:mailto:no@example.com",
                  "ATTENDEE;CUTYPE=ROOM:mailto:room@example.com", "ORGANIZER;CN=The Rota:mailto:rota@example.com")
    with Feed(tmp_path, feed(lines)) as one:
        value = one.windows("2026-01-01", "2026-02-01")
        assert value["windows"] == [{
            "from_ms": ms("2026-01-02T09:00"), "to_ms": ms("2026-01-02T17:00"), "summary": "Primary, on call",
            "uid": "e1@example.com", "people": ["jane@example.com", "Doe, Jane", "joe@example.com", "rota@example.com",
                                                "The Rota"],
            "organizer": "rota@example.com", "all_day": False, "transparent": True, "status": "TENTATIVE"}]
        assert value["truncated"] is False and value["left_out"] == [] and value["left_out_count"] == 0
        assert abs(value["fetched_at_ms"] - time.time() * 1000) < 60000 and 0 <= value["age_ms"] < 60000


def test_borders(tmp_path):
    """[from, to): what ends when it begins is not in it, nor what begins when it ends."""
    with Feed(tmp_path, feed(event("DTSTART:20260102T090000Z", "DTEND:20260102T100000Z"))) as one:
        assert one.spans("2026-01-02T09:59", "2026-01-03")
        assert not one.spans("2026-01-02T10:00", "2026-01-03")
        assert not one.spans("2026-01-01", "2026-01-02T09:00")
        assert one.spans("2026-01-01", "2026-01-02T09:01")
        assert one.spans("2026-01-02T09:20", "2026-01-02T09:30")


def test_times_as_text(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART:20260102T090000Z", "DTEND:20260102T100000Z"))) as one:
        answer = one.ask("windows", **{"from": "2026-01-02T10:30:00+01:00", "to": "2026-01-02T09:31:00Z"})
        assert len(answer["value"]["windows"]) == 1


@pytest.mark.parametrize("lines,span", [
    (["DTSTART:20260102T090000Z", "DURATION:PT90M"], ("2026-01-02T09:00", "2026-01-02T10:30")),
    (["DTSTART:20260102T090000Z", "DURATION:P1W"], ("2026-01-02T09:00", "2026-01-09T09:00")),
    (["DTSTART:20260102T090000Z"], ("2026-01-02T09:00", "2026-01-02T09:00")),
    (["DTSTART;VALUE=DATE:20260102"], ("2026-01-02T00:00", "2026-01-03T00:00")),
    (["DTSTART;VALUE=DATE:20260102", "DTEND;VALUE=DATE:20260105"], ("2026-01-02T00:00", "2026-01-05T00:00")),
    (["DTSTART;VALUE=DATE:20260102", "DURATION:P3D"], ("2026-01-02T00:00", "2026-01-05T00:00")),
    (["DTSTART;VALUE=DATE-TIME:20260102T090000Z", "DTEND;VALUE=DATE-TIME:20260102T100000Z"],
     ("2026-01-02T09:00", "2026-01-02T10:00")),
    (["dtstart:20260102T090000Z", "duration:PT1H"], ("2026-01-02T09:00", "2026-01-02T10:00")),
])
def test_how_long(tmp_path, lines, span):
    with Feed(tmp_path, feed(event(*lines))) as one:
        assert one.spans("2026-01-01", "2027-01-01") == [span]


def test_days_are_those_of_the_setting_or_of_the_feed(tmp_path):
    day = event("DTSTART;VALUE=DATE:20260702")
    for parts, settings, start in [([day], {}, "2026-07-02T00:00"), ([day], {"timezone": "Europe/Berlin"}, "2026-07-01T22:00"),
                                   (["X-WR-TIMEZONE:America/New_York", day], {}, "2026-07-02T04:00"),
                                   (["X-WR-TIMEZONE:America/New_York", day], {"timezone": "Asia/Tokyo"}, "2026-07-01T15:00")]:
        with Feed(tmp_path, feed(*parts), **settings) as one:
            window = one.windows("2026-01-01", "2027-01-01")["windows"][0]
            assert text(window["from_ms"]) == start and window["all_day"] is True


def test_folded_lines_and_utf8(tmp_path):
    body = feed(event("DTSTART:20260102T090000Z", "SUMMARY:Bereitschaft"))
    body = body.replace(b"Bereitschaft", "Jürgen – 当番".encode()[:2] + b"\r\n " + "Jürgen – 当番".encode()[2:])  # inside of ü
    body = body.replace(b"DTSTART", b"DT\r\n\tSTART").replace(b"UID:", b"UID;X-A=1;X-B=\"a:b\":")
    with Feed(tmp_path, b"\xef\xbb\xbf" + body) as one:
        window = one.windows("2026-01-01", "2027-01-01")["windows"][0]
        assert window["summary"] == "Jürgen – 当番" and window["uid"] == "e1@example.com"
    with Feed(tmp_path, body.replace(b"\r\n", b"\n")) as one:
        assert one.starts("2026-01-01", "2027-01-01")


def test_cancelled_and_what_is_no_event(tmp_path):
    other = ["BEGIN:VTODO", "UID:t", "DTSTART:20260102T090000Z", "END:VTODO", "BEGIN:VFREEBUSY", "UID:f",
             "FREEBUSY:20260102T090000Z/PT1H", "END:VFREEBUSY"]
    alarm = ["BEGIN:VALARM", "TRIGGER:-PT5M", "DTSTART:garbage", "END:VALARM"]
    with Feed(tmp_path, feed(other, event("DTSTART:20260102T090000Z", "STATUS:CANCELLED"),
                             event("DTSTART:20260103T090000Z", *alarm, uid="b"))) as one:
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-01-03T09:00"]


# ---- now


def test_now(tmp_path):
    parts = [event("DTSTART:20260105T090000Z", "DURATION:P7D", "RRULE:FREQ=WEEKLY", "SUMMARY:primary", uid="p"),
             event("DTSTART:20260105T120000Z", "SUMMARY:a moment", uid="m")]
    with Feed(tmp_path, feed(*parts)) as one:
        value = one.ask("now", at=ms("2026-01-05T12:00"))["value"]
        assert [row["summary"] for row in value["windows"]] == ["primary"] and value["at_ms"] == ms("2026-01-05T12:00")
        assert one.ask("now", at="2026-01-05T08:59:59Z")["value"]["windows"] == []
        now = one.ask("now")["value"]
        assert len(now["windows"]) == 1 and now["windows"][0]["from_ms"] <= now["at_ms"] < now["windows"][0]["to_ms"]


# ---- bounds


def test_limit(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY"))) as one:
        value = one.windows("2026-01-01", "2027-01-01", limit=3)
        assert value["truncated"] is True and [text(row["from_ms"])[:10] for row in value["windows"]] == [
            "2026-01-01", "2026-01-02", "2026-01-03"]
        assert len(one.windows("2026-01-01", "2027-01-01")["windows"]) == 200
        assert one.windows("2026-01-01", "2027-01-01", limit=365)["truncated"] is False


def test_an_answer_has_a_size(tmp_path):
    long = event("DTSTART:20200101T090000Z", "RRULE:FREQ=DAILY", "SUMMARY:" + "s" * 900, *[
        f"ATTENDEE;CN={'n' * 80}:mailto:{'m' * 80}{i}@example.com" for i in range(20)])
    with Feed(tmp_path, feed(long)) as one:
        value = one.windows("2026-01-01", "2029-01-01", limit=2000)
        assert value["truncated"] is True and 100 < len(value["windows"]) < 1000


@pytest.mark.parametrize("args", [{"from": 5, "to": 5}, {"from": 10, "to": 5}, {"from": 0, "to": 7258118400001},
                                  {"from": -1, "to": 5}, {"from": "today", "to": 5}, {"from": 0, "to": 200000000000},
                                  {"from": 1.5, "to": 5}, {"from": None, "to": 5}, {"from": [1], "to": {}}])
def test_arguments_that_make_no_sense(tmp_path, args):
    with Feed(tmp_path, feed()) as one:
        answer = one.ask("windows", **args)
        assert answer["outcome"] == "failed" and answer["error"]["kind"] == "invalid", answer
        assert "from: " in answer["error"]["text"] or "to: " in answer["error"]["text"]
        assert one.ask("now", at="soon")["error"]["kind"] == "invalid"


# ---- what can't be read

BAD = [(["SUMMARY:x"], "DTSTART is missing"), (["DTSTART:garbage"], "DATE-TIME"), (["DTSTART:20260231T090000Z"], "no such time"),
       (["DTSTART:20261399T996199Z"], "no such time"), (["DTSTART:00000101T000000Z"], "no such time"),
       (["DTSTART:20260102T090000Z", "DTEND:20260101T090000Z"], "before DTSTART"),
       (["DTSTART:20260102T090000Z", "DTEND:20370101T090000Z"], "10 years"),
       (["DTSTART:20260102T090000Z", "DTEND;VALUE=DATE:20260103"], "a day, the other one"),
       (["DTSTART:20260102T090000Z", "DURATION:-PT1H"], "DURATION"), (["DTSTART:20260102T090000Z", "DURATION:P999999W"], "DURATION"),
       (["DTSTART:20260102T090000Z", "DURATION:long"], "DURATION"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=SECONDLY"], "by the hour"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=HOURLY;BYMONTHDAY=30;BYMONTH=2"], "by the hour"),
       (["DTSTART:20260102T090000Z", "RRULE:RSCALE=CHINESE;FREQ=YEARLY"], "RSCALE"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"], "never comes true"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=DAILY;UNTIL=20260231T000000Z"], "UNTIL"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=DAILY;BYDAY=" + "MO," * 400], "over 1000 bytes"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"], "line 14: a second RRULE"),
       (["DTSTART:20260102T090000Z", "RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"], "EXRULE"),
       (["DTSTART:20260102T090000Z", "EXDATE:20260231T000000Z"], "EXDATE"), (["DTSTART:20260102T090000Z", "EXDATE:x"], "EXDATE"),
       (["DTSTART:20260102T090000Z", "EXDATE;TZID=No/Where:20260102T090000"], "No/Where"),
       (["DTSTART:20260102T090000Z", "RDATE;VALUE=PERIOD:20260102T090000Z/20250102T090000Z"], "RDATE"),
       (["DTSTART:20260102T090000Z", "EXDATE:" + ",".join(["20260103T090000Z"] * 501)], "over 500 values"),
       (["DTSTART:20260102T090000Z", "RECURRENCE-ID:20260102T090000Z", "RRULE:FREQ=DAILY"], "RECURRENCE-ID"),
       (["DTSTART:20260102T090000Z", "SUMMARY:" + "x" * 70000], "65536"),
       (["DTSTART:20260102T090000Z", *["ATTENDEE:mailto:x@example.com"] * 51], "over 50")]


@pytest.mark.parametrize("lines,part", BAD, ids=[str(i) for i in range(len(BAD))])
def test_an_event_that_cannot_be_read(tmp_path, lines, part):
    """It fails, or is left out and said, as the operator wants; the error names line and UID."""
    content = feed(event("DTSTART:20260102T090000Z", uid="good"), event(*lines, uid="bad@example.com"))
    with Feed(tmp_path, content) as one:
        error = one.error()
        assert "VEVENT of line 9 (UID bad@example.com)" in error["text"] and part in error["text"], error
        assert error["kind"] == "protocol" and error["retry"] is False
    with Feed(tmp_path, content, unreadable="skip") as one:
        value = one.windows("2026-01-01", "2027-01-01")
        assert [row["uid"] for row in value["windows"]] == ["good"]
        assert value["left_out_count"] == 1 and part in value["left_out"][0]


def test_a_name_that_is_not_utf8(tmp_path):
    content = feed(event("DTSTART:20260102T090000Z", "SUMMARY:J\xfcrgen")).decode().encode("latin-1")
    with Feed(tmp_path, content) as one:
        error = one.error()
        assert "line 8: SUMMARY: this is not UTF-8" in error["text"]


@pytest.mark.parametrize("content,part", [
    (b"", "empty"), (b"\n\n", "empty"), (b"<!DOCTYPE html>\n<p>Sign in", "line 1: this is no iCalendar"),
    (b"<!DOCTYPE html>\n<p>Sign in", "a page for people"), (b"BEGIN:VEVENT\nEND:VEVENT\n", "line 1: BEGIN:VEVENT"),
    (b"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:a\n", "VEVENT of line 3 is not ended"),
    (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", "line 3: END:VCALENDAR, but BEGIN:VEVENT"),
    (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n", "line 3: END:VCALENDAR"),
    (b"BEGIN:VCALENDAR\nSUMMARY:\0\nEND:VCALENDAR\n", "byte 25 is NUL"),
    (b"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nEND:VTIMEZONE\nEND:VCALENDAR\n", "line 2: VTIMEZONE: TZID"),
    (b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\n" * 9, "over 8 deep"), (b"\x1f\x8b\x08\x00gzip", "NUL"),
    (b"BEGIN:VCALENDAR\nBEGIN:\xff\xfe\n", "not ended")])
def test_what_is_no_feed(tmp_path, content, part):
    """As a whole: also with unreadable = "skip"."""
    for settings in ({}, {"unreadable": "skip"}):
        with Feed(tmp_path, content, **settings) as one:
            error = one.error()
            assert error["kind"] == "protocol" and part in error["text"], error


# ---- hostile feeds: bounded, and said


def test_a_feed_has_a_size(tmp_path):
    content = feed(event("DTSTART:20260102T090000Z", "DESCRIPTION:" + "x" * 3000))
    with Feed(tmp_path, content, max_bytes=2048) as one:
        assert one.error()["kind"] == "too-large" and "max_bytes" in one.error()["text"]
    with Feed(tmp_path, feed(*[event("DTSTART:20260102T090000Z", uid=str(i)) for i in range(30)]), max_components=20) as one:
        error = one.error()
        assert error["kind"] == "too-large" and "line 99: VEVENT" in error["text"] and "max_components" in error["text"]


def test_a_million_lines(tmp_path):
    noise = b"X-A:1\n" * 800000
    content = feed(event("DTSTART:20260102T090000Z")).replace(b"DTSTAMP", noise + b"DTSTAMP")
    with Feed(tmp_path, content) as one:
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-01-02T09:00"]
    with Feed(tmp_path, b"BEGIN:VCALENDAR\n" + b" \n" * 1000000) as one:  # one line, folded a million times
        assert "not ended" in one.error()["text"]


def test_occurrences_are_counted(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY")), max_occurrences=365) as one:
        assert len(one.windows("2026-01-01", "2027-01-01", limit=2000)["windows"]) == 365
        assert one.error("2026-01-01", "2027-01-02")["kind"] == "too-large"
    minutes = ",".join(map(str, range(60)))
    hours = ",".join(map(str, range(24)))
    lines = ["DTSTART:20260102T000000Z", f"RRULE:FREQ=DAILY;BYHOUR={hours};BYMINUTE={minutes}"]
    with Feed(tmp_path, feed(event(*lines))) as one:
        error = one.error()
        assert error["kind"] == "too-large" and "max_occurrences" in error["text"] and "UID e1@example.com" in error["text"]
        assert len(one.windows("2026-03-01T00:00", "2026-03-01T02:00")["windows"]) == 120
    with Feed(tmp_path, feed(event(*lines)), unreadable="skip") as one:  # a part of a roster would not be one
        assert one.error()["kind"] == "too-large"


def test_rules_that_take_long_are_stopped(tmp_path):
    """A rule by the day from the year 1, by the minute; rules that never come true, a thousand of them."""
    many = event("DTSTART:00010101T000000Z", "RRULE:FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9;BYMINUTE=0,1,2,3,4,5,6,7,8,9")
    never = [event("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", uid=f"never{i}") for i in range(1000)]
    with Feed(tmp_path, feed(many)) as one:
        error = one.error()
        assert error["kind"] == "too-large" and "UID e1@example.com" in error["text"]
        assert "too many steps" in error["text"] or "too long" in error["text"]
    with Feed(tmp_path, feed(*never)) as one:
        error = one.error()
        assert error["kind"] == "too-large" and "UID never" in error["text"] and "too long" in error["text"]


def test_many_zones(tmp_path):
    parts = [event(f"DTSTART;TZID=Z/{i}:20260102T090000", uid=str(i)) for i in range(300)]
    with Feed(tmp_path, feed(*parts), unreadable="skip") as one:
        value = one.windows("2026-01-01", "2027-01-01")
        assert value["left_out_count"] == 300 and len(value["left_out"]) == 20


def test_many_who_stand_instead(tmp_path):
    parts = [event("DTSTART:20200101T090000Z", "RRULE:FREQ=DAILY")] + [
        event(f"RECURRENCE-ID:2026{1 + i // 28:02}{1 + i % 28:02}T090000Z", f"DTSTART:2026{1 + i // 28:02}{1 + i % 28:02}T100000Z",
              f"SEQUENCE:{i}") for i in range(336) for _ in range(3)]
    with Feed(tmp_path, feed(*parts)) as one:
        starts = one.starts("2026-01-01", "2027-01-01")
        assert len(starts) == 365 and sum(one.endswith("T10:00") for one in starts) == 336


def test_many_dates_that_are_left_out(tmp_path):
    """Each occurrence looks for itself among a hundred thousand."""
    days = [datetime(1800, 1, 1) + timedelta(days=i) for i in range(80000)]
    lines = ["EXDATE:" + ",".join(f"{day:%Y%m%dT090000Z}" for day in days[at:at + 500]) for at in range(0, 80000, 500)]
    with Feed(tmp_path, feed(event("DTSTART:18000101T090000Z", "RRULE:FREQ=DAILY", *lines))) as one:
        assert one.starts("2018-01-01", "2019-06-01")[0] == f"{days[-1] + timedelta(days=1):%Y-%m-%dT09:00}"


def test_zones_that_take_long_are_stopped(tmp_path):
    """Their rules never come true."""
    never = [["BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0000", "TZOFFSETTO:+0000",
              "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "END:STANDARD"]] * 90
    zones = [["BEGIN:VTIMEZONE", f"TZID:Z{i}", *sum(never, []), "END:VTIMEZONE"] for i in range(150)]
    with Feed(tmp_path, feed(*zones, event("DTSTART;TZID=Z149:20260102T090000")), max_components=200000) as one:
        error = one.error()
        assert '"Z149" can\'t be used' in error["text"], error


# ---- the file


def test_a_file_is_read_again_when_it_has_changed(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART:20260102T090000Z"))) as one:
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-01-02T09:00"]
        fresh = tmp_path / "fresh"
        fresh.write_bytes(feed(event("DTSTART:20260302T090000Z")))
        os.rename(fresh, one.path)
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-03-02T09:00"]
        one.path.unlink()
        assert one.error()["kind"] == "not-found" and str(one.path) in one.error()["text"]
        one.path.mkdir()
        assert "no plain file" in one.error()["text"]
        one.path.rmdir()
        os.mkfifo(one.path)
        assert "no plain file" in one.error()["text"]


def test_check(tmp_path):
    day = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y%m%d")
    parts = [event(f"DTSTART:{day}T000000Z", "DURATION:P7D", "SUMMARY:Primary", "ATTENDEE:mailto:jane@example.com"),
             event("DTSTART:20200101T000000Z", "RRULE:FREQ=YEARLY;COUNT=2", uid="b"),
             event("DTSTART:20200101T000000Z", "STATUS:CANCELLED", uid="c"), event("DTSTART:no", uid="d")]
    with Feed(tmp_path, feed(*parts[:3])) as one:
        rows = one.host.call("check", "check")["value"]
        assert rows["ok"] is True and [row["name"] for row in rows["checks"]] == ["feed", "now"]
        assert rows["checks"][0]["text"] == "3 events, 1 of them recurring, 1 cancelled"
        assert rows["checks"][1]["text"].startswith("1 under way: Primary (jane@example.com) until 20")
    with Feed(tmp_path, feed(*parts)) as one:
        rows = one.host.call("check", "check")["value"]
        assert rows["ok"] is False and "UID d" in rows["checks"][1]["text"]
    with Feed(tmp_path, feed(*parts), unreadable="skip") as one:
        rows = one.host.call("check", "check")["value"]
        assert rows["ok"] is False and rows["checks"][2]["name"] == "left out" and "UID d" in rows["checks"][2]["text"]
        one.path.write_bytes(b"<html>")
        rows = one.host.call("check", "check")["value"]
        assert rows["ok"] is False and rows["checks"][0]["name"] == "feed" and "no iCalendar" in rows["checks"][0]["text"]


# ---- the README's own


def readme_feeds():
    blocks = (Path(__file__).resolve().parents[1] / "README.md").read_text().split("```")
    return [block.strip().encode() for block in blocks if block.strip().startswith("BEGIN:VCALENDAR")]


def test_the_roster_and_the_freeze_of_the_readme(tmp_path):
    roster, freeze = readme_feeds()
    with Feed(tmp_path, roster) as one:
        rows = one.windows("2026-11-02T08:00", "2026-12-07T08:00")["windows"]
        assert [row["people"][1] for row in rows] == ["Jane Doe", "Joe Roe", "Jane Doe", "Jane Doe", "Jane Doe"]
        assert all(a["to_ms"] == b["from_ms"] for a, b in zip(rows, rows[1:]))
    with Feed(tmp_path, freeze, timezone="Europe/Berlin") as one:
        assert ("2026-12-17T23:00", "2027-01-03T23:00") in one.spans("2026-12-20", "2026-12-21")
        weekends = [span for span in one.spans("2026-11-20", "2026-12-31") if span[0].endswith("T15:00")]
        assert weekends[0] == ("2026-11-20T15:00", "2026-11-23T07:00") and "2026-12-25T15:00" not in dict(weekends)
