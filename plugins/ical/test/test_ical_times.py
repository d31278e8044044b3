"""The ical plugin: when an event happens: time zones, and rules by which it comes again."""
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ics_kit import Feed, event, feed, text
from plugin_host import Host, Refused

BERLIN = """BEGIN:VTIMEZONE
TZID:Office
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE""".split("\n")


def starts_of(tmp_path, *lines, start="2026-01-01", end="2027-01-01", zones=(), **settings):
    with Feed(tmp_path, feed(list(zones), event(*lines)), **settings) as one:
        return one.starts(start, end)


# ---- time zones


def test_a_zone_of_the_feed(tmp_path):
    assert starts_of(tmp_path, "DTSTART;TZID=Office:20260702T090000", zones=BERLIN) == ["2026-07-02T07:00"]
    assert starts_of(tmp_path, 'DTSTART;TZID="Office":20260102T090000', zones=BERLIN) == ["2026-01-02T08:00"]
    with Feed(tmp_path, feed(event("DTSTART;TZID=Office:20260702T090000"), BERLIN)) as one:  # behind the event
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-07-02T07:00"]


def test_a_zone_of_the_feed_is_preferred(tmp_path):
    zones = [line.replace("Office", "Asia/Tokyo") for line in BERLIN]
    assert starts_of(tmp_path, "DTSTART;TZID=Asia/Tokyo:20260702T090000", zones=zones) == ["2026-07-02T07:00"]
    assert starts_of(tmp_path, "DTSTART;TZID=Asia/Tokyo:20260702T090000") == ["2026-07-02T00:00"]


def test_a_zone_with_dates(tmp_path):
    zone = ["BEGIN:VTIMEZONE", "TZID:Z", "BEGIN:STANDARD", "DTSTART:20260101T000000", "TZOFFSETFROM:+0000",
            "TZOFFSETTO:+0000", "RDATE:20260901T030000", "END:STANDARD", "BEGIN:DAYLIGHT", "DTSTART:20260401T020000",
            "TZOFFSETFROM:+0000", "TZOFFSETTO:+0530", "END:DAYLIGHT", "END:VTIMEZONE"]
    for day, start in (("20260301", "2026-03-01T12:00"), ("20260501", "2026-05-01T06:30"), ("20261001", "2026-10-01T12:00")):
        assert starts_of(tmp_path, f"DTSTART;TZID=Z:{day}T120000", zones=zone) == [start]


def test_a_zone_as_outlook_writes_it(tmp_path):
    """A name of its own; rules since 1601."""
    zones = [line.replace("Office", "W. Europe Standard Time").replace("19700329T", "16010101T").replace("19701025T", "16010101T")
             .replace("FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=1") for line in BERLIN]
    for day, start in (("20260702", "2026-07-02T07:00"), ("20260102", "2026-01-02T08:00")):
        name = "TZID=W. Europe Standard Time"
        assert starts_of(tmp_path, f"DTSTART;{name}:{day}T090000", zones=zones) == [start]


def test_the_rule_of_a_zone_ends(tmp_path):
    zones = [line.replace("BYDAY=-1SU", "BYDAY=-1SU;UNTIL=20250330T010000Z") if "BYMONTH=3" in line else
             line.replace("BYDAY=-1SU", "BYDAY=-1SU;UNTIL=20251026T010000Z") for line in BERLIN]
    assert starts_of(tmp_path, "DTSTART;TZID=Office:20250702T090000", zones=zones, start="2025-01-01") == ["2025-07-02T07:00"]
    assert starts_of(tmp_path, "DTSTART;TZID=Office:20260702T090000", zones=zones) == ["2026-07-02T08:00"]


@pytest.mark.parametrize("name", ["Europe/Berlin", "/freeassociation.sourceforge.net/Europe/Berlin",
                                  "/softwarestudio.org/Tzfile/Europe/Berlin", "Europe/Dublin", "Asia/Jerusalem", "Etc/GMT+5",
                                  "Asia/Kolkata", "Africa/Casablanca", "America/St_Johns", "Pacific/Chatham", "US/Pacific",
                                  "America/Argentina/Buenos_Aires", "Antarctica/Troll", "America/Nuuk", "UTC"])
def test_zones_of_the_system(tmp_path, name):
    """As Python's zoneinfo has them, which reads the same data in its own way; also after 2037, where the data ends."""
    zone = ZoneInfo(next(name[i:] for i in range(len(name)) if not name[i:].startswith("/")
                         and (Path("/usr/share/zoneinfo") / name[i:]).is_file()))
    times = [datetime(year, 1, 1, 12) + timedelta(days=days) for year in (1975, 1991, 2007, 2013, 2026, 2037, 2038, 2060)
             for days in range(3, 360, 17)]
    parts = [event(f"DTSTART;TZID={name}:{one:%Y%m%dT%H%M%S}", uid=f"u{i}") for i, one in enumerate(times)]
    with Feed(tmp_path, feed(*parts)) as one:
        seen = {row["uid"]: row["from_ms"] for year in sorted({time.year for time in times})
                for row in one.windows(f"{year - 1}-12-25", f"{year + 1}-01-10", limit=2000)["windows"]}
    assert seen == {f"u{i}": int(one.replace(tzinfo=zone).timestamp() * 1000) for i, one in enumerate(times)}


def test_the_hour_that_is_not_and_the_one_that_comes_twice(tmp_path):
    """RFC 5545 3.3.5: the offset before the gap; the first of the two."""
    for zones, name in ((BERLIN, "Office"), ((), "Europe/Berlin")):
        assert starts_of(tmp_path, f"DTSTART;TZID={name}:20260329T023000", zones=zones) == ["2026-03-29T01:30"]
        assert starts_of(tmp_path, f"DTSTART;TZID={name}:20261025T023000", zones=zones) == ["2026-10-25T00:30"]
        assert starts_of(tmp_path, f"DTSTART;TZID={name}:20261025T030000", zones=zones) == ["2026-10-25T02:00"]


@pytest.mark.parametrize("name", ["Mars/Base", "../../../etc/passwd", "/etc/passwd", "Europe", "zone.tab", "leapseconds",
                                  "W. Europe Standard Time", "right/Europe/Berlin", "x" * 300])
def test_zones_that_are_none(tmp_path, name):
    with Feed(tmp_path, feed(event(f"DTSTART;TZID={name}:20260102T090000"))) as one:
        error = one.error()
        assert error["kind"] == "protocol" and "line 4" in error["text"] and "e1@example.com" in error["text"]
        assert "time zone" in error["text"] and name[:60] in error["text"]
    with pytest.raises(Refused) as refused:
        Host("ical", {"file": "/tmp/x.ics", "timezone": name})
    assert "settings.timezone" in str(refused.value)


@pytest.mark.parametrize("change,part", [
    (("TZOFFSETTO:+0200", "X:1"), "TZOFFSETTO"), (("DTSTART:19700329T020000", "X:1"), "DTSTART"),
    (("DTSTART:19700329T020000", "DTSTART:19700231T020000"), "no such time"),
    (("TZOFFSETFROM:+0100", "TZOFFSETFROM:+9900"), "TZOFFSETFROM"), (("FREQ=YEARLY;BYMONTH=3", "FREQ=DAILY;BYMONTH=3"), "YEARLY"),
    (("FREQ=YEARLY;BYMONTH=3", "FREQ=SECONDLY;BYMONTH=3"), "by the hour"), (("FREQ=YEARLY;BYMONTH=3", "FREQ=FOO"), "no rule"),
    (("BYDAY=-1SU", "BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5,6,7,8,9,10;BYSECOND=1,2,3,4,5"), "over 10000 times"),
    (("TZOFFSETTO:+0200", "TZOFFSETTO:two"), "TZOFFSETTO"), (("BEGIN:DAYLIGHT", "BEGIN:OTHER"), None)])
def test_zones_that_make_no_sense(tmp_path, change, part):
    zones = [line.replace(*change) if i < 9 else line for i, line in enumerate(BERLIN)]
    if part is None:
        zones = ["BEGIN:VTIMEZONE", "TZID:Office", "END:VTIMEZONE"]
    with Feed(tmp_path, feed(zones, event("DTSTART;TZID=Office:20260102T090000"), event("DTSTART:20260102T090000Z", uid="b")),
              ) as one:
        error = one.error()
        assert error["kind"] == "protocol" and '"Office" can\'t be used' in error["text"], error
        assert (part or "neither STANDARD") in error["text"], error
    with Feed(tmp_path, feed(zones, event("DTSTART:20260102T090000Z"))) as one:  # nobody uses it
        assert one.starts("2026-01-01", "2027-01-01") == ["2026-01-02T09:00"]


# ---- recurrence


def test_a_rule_follows_the_clock_on_the_wall(tmp_path):
    starts = starts_of(tmp_path, "DTSTART;TZID=Europe/Berlin:20260316T090000", "RRULE:FREQ=WEEKLY;COUNT=4")
    assert starts == ["2026-03-16T08:00", "2026-03-23T08:00", "2026-03-30T07:00", "2026-04-06T07:00"]


def test_a_handover_leaves_nobody_alone(tmp_path):
    """A week that ends at nine ends at nine, in the weeks when the clocks change too: no gap, no overlap."""
    parts = [event(f"DTSTART;TZID=Europe/Berlin:202603{16 + 7 * i:02}T090000", f"DTEND;TZID=Europe/Berlin:202603{23 + 7 * i:02}T090000",
                   "RRULE:FREQ=WEEKLY;INTERVAL=2", f"SUMMARY:{who}", uid=who) for i, who in enumerate(("jane",))]
    parts += [event("DTSTART;TZID=Europe/Berlin:20260323T090000", "DTEND;TZID=Europe/Berlin:20260330T090000",
                    "RRULE:FREQ=WEEKLY;INTERVAL=2", "SUMMARY:joe", uid="joe")]
    with Feed(tmp_path, feed(*parts)) as one:
        spans = one.spans("2026-03-16T08:00", "2026-12-01")
    assert len(spans) == 38 and all(a[1] == b[0] for a, b in zip(spans, spans[1:]))


@pytest.mark.parametrize("rule,count,last", [
    ("FREQ=DAILY", 364, "2026-12-31T09:00"), ("FREQ=DAILY;UNTIL=20260105T090000Z", 4, "2026-01-05T09:00"),
    ("FREQ=DAILY;UNTIL=20260105T085959Z", 3, "2026-01-04T09:00"), ("FREQ=DAILY;UNTIL=20260105", 4, "2026-01-05T09:00"),
    ("FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=5", 5, "2026-01-12T09:00"), ("FREQ=MONTHLY;BYDAY=-1FR", 13, "2026-12-25T09:00"),
    ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", 2, "2026-11-26T09:00"), ("FREQ=DAILY;BYHOUR=0,6,12,18;COUNT=6", 7, "2026-01-03T18:00"),
    ("FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR;COUNT=3", 4, "2026-03-31T09:00")])
def test_rules(tmp_path, rule, count, last):
    """DTSTART is always one of them, whether the rule says so or not."""
    starts = starts_of(tmp_path, "DTSTART:20260102T090000Z", "RRULE:" + rule)
    assert (len(starts), starts[0], starts[-1]) == (count, "2026-01-02T09:00", last)


def test_an_old_rule_is_found_in_a_late_window(tmp_path):
    starts = starts_of(tmp_path, "DTSTART;TZID=Europe/Berlin:19990104T090000", "RRULE:FREQ=WEEKLY", start="2026-11-16",
                       end="2026-11-23")
    assert starts == ["2026-11-16T08:00"]


def test_a_long_window_that_began_before(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART;VALUE=DATE:20251220", "DTEND;VALUE=DATE:20260105", "RRULE:FREQ=YEARLY"))) as one:
        assert one.spans("2027-01-02", "2027-01-03") == [("2026-12-20T00:00", "2027-01-05T00:00")]


def test_dates_more_and_less(tmp_path):
    starts = starts_of(
        tmp_path, "DTSTART;TZID=Europe/Berlin:20260105T090000", "RRULE:FREQ=DAILY;COUNT=6",
        "EXDATE;TZID=Europe/Berlin:20260106T090000,20260107T090000", "EXDATE:20260108T080000Z", "EXDATE;VALUE=DATE:20260109",
        "RDATE:20260201T120000Z,20260202T120000Z", "RDATE;VALUE=DATE:20260301")
    assert starts == ["2026-01-05T08:00", "2026-01-10T08:00", "2026-02-01T12:00", "2026-02-02T12:00", "2026-03-01T08:00"]


def test_periods(tmp_path):
    with Feed(tmp_path, feed(event("DTSTART:20260105T090000Z", "DURATION:PT1H",
                                   "RDATE;VALUE=PERIOD:20260201T120000Z/PT3H,20260202T120000Z/20260202T140000Z"))) as one:
        assert one.spans("2026-01-01", "2027-01-01") == [
            ("2026-01-05T09:00", "2026-01-05T10:00"), ("2026-02-01T12:00", "2026-02-01T15:00"),
            ("2026-02-02T12:00", "2026-02-02T14:00")]


def test_all_days_that_recur(tmp_path):
    starts = starts_of(tmp_path, "DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;UNTIL=20260330",
                       "EXDATE;VALUE=DATE:20260329", timezone="Europe/Berlin")
    assert starts == ["2026-03-27T23:00", "2026-03-29T22:00"]


def test_what_stands_instead(tmp_path):
    master = event("DTSTART;TZID=Europe/Berlin:20260105T090000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=4", "SUMMARY:jane")
    moved = event("RECURRENCE-ID;TZID=Europe/Berlin:20260112T090000", "DTSTART;TZID=Europe/Berlin:20260113T100000",
                  "DURATION:PT2H", "SUMMARY:joe", "SEQUENCE:2")
    older = event("RECURRENCE-ID:20260112T080000Z", "DTSTART:20260101T100000Z", "SUMMARY:nobody", "SEQUENCE:1")
    gone = event("RECURRENCE-ID:20260119T080000Z", "DTSTART:20260119T080000Z", "STATUS:CANCELLED")
    stray = event("RECURRENCE-ID:20260301T080000Z", "DTSTART:20260302T080000Z", "SUMMARY:stray", uid="other")
    for parts in ([master, moved, older, gone, stray], [stray, gone, older, moved, master]):
        with Feed(tmp_path, feed(*parts)) as one:
            rows = [(text(row["from_ms"]), row["summary"]) for row in one.windows("2026-01-01", "2027-01-01")["windows"]]
        assert rows == [("2026-01-05T08:00", "jane"), ("2026-01-13T09:00", "joe"), ("2026-01-26T08:00", "jane"),
                        ("2026-03-02T08:00", "stray")]


def test_without_a_uid_there_is_no_series(tmp_path):
    master = event("DTSTART:20260105T090000Z", "RRULE:FREQ=WEEKLY;COUNT=2", uid=None)
    stray = event("RECURRENCE-ID:20260105T090000Z", "DTSTART:20260106T090000Z", uid=None)
    with Feed(tmp_path, feed(master, stray, stray)) as one:
        starts = one.starts("2026-01-01", "2027-01-01")
        assert starts == ["2026-01-05T09:00", "2026-01-06T09:00", "2026-01-06T09:00", "2026-01-12T09:00"]


def test_the_night_when_the_clock_goes_back(tmp_path):
    """Asked until 02:30 of the second time: 02:45 was there before, the first time."""
    lines = event("DTSTART;TZID=Europe/Berlin:20261020T024500", "DURATION:PT5M", "RRULE:FREQ=DAILY")
    with Feed(tmp_path, feed(lines)) as one:
        assert one.starts("2026-10-25T00:00", "2026-10-25T01:30") == ["2026-10-25T00:45"]


def test_this_and_all_later_ones(tmp_path):
    master = event("DTSTART;TZID=Europe/Berlin:20260309T090000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=6", "SUMMARY:jane")
    later = event("RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260323T090000",
                  "DTSTART;TZID=Europe/Berlin:20260324T110000", "DURATION:PT2H", "SUMMARY:joe")
    one_of_them = event("RECURRENCE-ID;TZID=Europe/Berlin:20260406T090000", "DTSTART;TZID=Europe/Berlin:20260406T090000",
                        "SUMMARY:ann")
    with Feed(tmp_path, feed(master, one_of_them, later)) as one:
        rows = [(text(row["from_ms"]), row["summary"]) for row in one.windows("2026-01-01", "2027-01-01")["windows"]]
    assert rows == [("2026-03-09T08:00", "jane"), ("2026-03-16T08:00", "jane"), ("2026-03-24T10:00", "joe"),
                    ("2026-03-31T09:00", "joe"), ("2026-04-06T07:00", "ann"), ("2026-04-14T09:00", "joe")]


def test_two_calendars_in_one_feed(tmp_path):
    one = feed(BERLIN, event("DTSTART;TZID=Office:20260702T090000"))
    two = feed("X-WR-TIMEZONE:Asia/Tokyo", event("DTSTART:20260703T090000", uid="b"))
    with Feed(tmp_path, one + two) as both:
        assert both.starts("2026-01-01", "2027-01-01") == ["2026-07-02T07:00", "2026-07-03T00:00"]
