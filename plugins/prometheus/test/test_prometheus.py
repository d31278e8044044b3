"""The prometheus plugin against a real Prometheus."""
import json
import time
import urllib.parse

import pytest
from harness import wait_for
from plugin_host import Host, Refused
from servers import Origin, Prometheus, closed_port, http_get

ONE = 'label_replace(vector({}), "shard", "{}", "", "")'
SEVEN = " or ".join(ONE.format(i, "abcdefg"[i]) for i in range(7))


@pytest.fixture(scope="module")
def exporter():
    """old_seconds carries its own time stamp, two minutes back: Prometheus keeps it, and shows it for five."""
    def answer(handler, body):
        old = int((time.time() - 120) * 1000)
        return ("errors_ratio 0.25\n"
                'shards{shard="a"} 1\nshards{shard="b"} 2\n'
                f'mixed{{age="old"}} 7 {old}\nmixed{{age="new"}} 5\nold_seconds 7 {old}\n')

    with Origin(answer) as origin:
        yield origin


@pytest.fixture(scope="module")
def server(exporter):
    config = {"scrape_configs": [{"job_name": "t", "scrape_interval": "1s", "scrape_timeout": "1s",
                                  "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}]}
    with Prometheus(config) as prometheus:
        wait_for(lambda: prometheus.query("errors_ratio") and prometheus.query("old_seconds"), "the first scrape")
        yield prometheus


class Client:
    def __init__(self, host):
        self.host = host

    def ask(self, action, expect="done", **args):
        answer = self.host.call("read", action, {"args": args})
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def query(self, expr, **args):
        return self.ask("query", expr=expr, **args)


@pytest.fixture
def prom(server):
    with Host("prometheus", {"url": server.url}) as host:
        yield Client(host)


# ---- query ----


def test_one_series(prom):
    value = prom.query("errors_ratio")
    assert value["value"] == 0.25 and value["no_data"] is False and "why" not in value
    assert value["series"][0]["labels"]["job"] == "t" and value["warnings"] == []
    assert abs(value["series"][0]["at_ms"] / 1000 - time.time()) < 60


def test_scalar_and_notation(prom):
    assert prom.query("scalar(vector(1.5e-3))")["value"] == 0.0015
    assert prom.query("1e300")["value"] == 1e300
    assert prom.query("-0.5")["value"] == -0.5


def test_nothing_is_no_data(prom):
    value = prom.query('errors_ratio{job="nope"}')
    assert value["value"] is None and value["no_data"] is True and value["why"] == "nothing matched"
    assert value["series"] == []


@pytest.mark.parametrize("expr,why", [("vector(0)/0", "NaN"), ("vector(1)/0", "infinite"), ("-1/0", "infinite"),
                                      ("scalar(errors_ratio{job='nope'})", "NaN")])
def test_what_is_no_number_is_no_data(prom, expr, why):
    value = prom.query(expr)
    assert value["value"] is None and value["no_data"] is True and why in value["why"]
    assert value["series"][0]["value"] is None and value["series"][0]["text"] in ("NaN", "+Inf", "-Inf")


def test_several_series_need_a_choice(prom):
    value = prom.query(SEVEN)
    assert value["value"] is None and value["no_data"] is False
    assert value["why"] == "7 series; choose with reduce, or make the expression give one"
    assert len(value["series"]) == 7
    for reduce, number in (("max", 6), ("min", 0), ("sum", 21), ("avg", 3)):
        assert prom.query(SEVEN, reduce=reduce)["value"] == number
    assert prom.query(f"sort_desc({SEVEN})", reduce="first")["value"] == 6
    assert prom.query("shards", reduce="sum")["value"] == 3


def test_nan_is_left_out_and_said_but_infinity_is_never_hidden(prom):
    some = ONE.format("3", "a") + " or " + ONE.format("0/0", "b").replace("vector(0/0)", "vector(0)/0")
    value = prom.query(some, reduce="max")
    assert value["value"] == 3 and value["left_out"] == 1 and "1 of 2" in value["why"]
    value = prom.query(some.replace("vector(0)/0", "vector(1)/0"), reduce="min")
    assert value["value"] is None and value["no_data"] is True and "infinite" in value["why"]
    assert prom.query("vector(1e308)+1e308", reduce="sum")["no_data"] is True


def test_stale_samples(prom):
    assert prom.query("old_seconds")["value"] == 7  # Prometheus itself shows it for five minutes
    value = prom.query("old_seconds", stale_after="1m")
    assert value["value"] is None and value["no_data"] is True and "stale_after" in value["why"]
    assert value["series"][0]["stale"] is True
    assert abs(value["series"][0]["at_ms"] / 1000 - (time.time() - 120)) < 60
    assert prom.query("old_seconds", stale_after="4m")["value"] == 7
    assert prom.query("errors_ratio", stale_after="1m # of the question itself".split()[0])["value"] == 0.25
    assert prom.query("errors_ratio # a comment", stale_after="1m")["value"] == 0.25
    value = prom.query("mixed", stale_after="1m", reduce="max")
    assert value["value"] == 5 and value["left_out"] == 1


def test_at(prom):
    for at in ("2026-01-02T03:04:05.5Z", "2026-01-02T05:04:05.500+02:00", "1767323045.5"):
        value = prom.query("vector(time())", at=at)
        assert value["value"] == 1767323045.5 and value["series"][0]["at_ms"] == 1767323045500
    assert prom.query("errors_ratio", at="2026-01-02T03:04:05Z")["no_data"] is True


def test_at_most_a_hundred_series_are_told_but_all_count(prom):
    many = " or ".join(ONE.format(1, i) for i in range(130))
    value = prom.query(many, reduce="sum")
    assert value["value"] == 130 and len(value["series"]) == 100


def test_special_characters_arrive(prom):
    value = prom.query('label_replace(vector(1), "x", "a&b=c%20+ é;#\\n", "", "")')
    assert value["series"][0]["labels"]["x"] == "a&b=c%20+ é;#\n"


@pytest.mark.parametrize("expr", ["rate(", "sum by", "nope_function(1)", "errors_ratio{", "1 +", "errors_ratio[5m", "{}"])
def test_bad_queries(prom, expr):
    error = prom.ask("query", expect="failed", expr=expr)
    assert error["kind"] == "invalid" and "bad_data" in error["text"] and error["retry"] is False, error


def test_queries_that_give_no_number(prom):
    error = prom.ask("query", expect="failed", expr="errors_ratio[5m]")
    assert error["kind"] == "invalid" and "range" in error["text"]
    assert prom.ask("query", expect="failed", expr='"text"')["kind"] == "invalid"


def test_an_execution_error(prom):
    error = prom.ask("query", expect="failed", expr='shards * on() group_left() shards')
    assert error["kind"] == "remote" and "execution" in error["text"]


@pytest.mark.parametrize("args", [{"expr": ""}, {"expr": " \n"}, {"expr": "1", "at": "yesterday"},
                                  {"expr": "1", "at": "-5"}, {"expr": "1", "stale_after": "soon"},
                                  {"expr": "1", "stale_after": "5"}, {"expr": "1", "stale_after": "0s"}])
def test_bad_arguments(prom, args):
    error = prom.ask("query", expect="failed", **args)
    assert error["kind"] == "invalid" and next(k for k in reversed(args)) in error["text"]


# ---- range ----

UNTIL = "2026-01-02T03:00:00Z"
UNTIL_MS = 1767322800000


def test_range_gives_exact_points(prom):
    value = prom.ask("range", expr="vector(time())", since="1m", step="15s", until=UNTIL)
    assert [p for p in value["series"][0]["points"]] == [
        [UNTIL_MS - back * 1000, UNTIL_MS / 1000 - back] for back in (60, 45, 30, 15, 0)]
    assert value["value"] == UNTIL_MS / 1000 and value["no_data"] is False  # the last one
    for reduce, number in (("min", -60), ("max", 0), ("avg", -30), ("first", -60), ("last", 0)):
        assert prom.ask("range", expr="vector(time())", since="1m", step="15s", until=UNTIL,
                        reduce=reduce)["value"] == UNTIL_MS / 1000 + number
    same = prom.ask("range", expr="vector(time())", since="2026-01-02T02:59:00Z", step="15s", until=UNTIL)
    assert same["series"] == value["series"]


def test_range_over_several_series(prom):
    args = {"expr": SEVEN, "since": "30s", "step": "15s", "until": UNTIL}
    value = prom.ask("range", **args)
    assert value["value"] is None and value["no_data"] is False and value["why"].startswith("7 series")
    assert prom.ask("range", reduce="max", **args)["value"] == 6


def test_range_without_numbers(prom):
    empty = prom.ask("range", expr="nope", since="1m", step="15s")
    assert empty["no_data"] is True and empty["why"] == "nothing matched"
    nan = prom.ask("range", expr="vector(0)/0", since="1m", step="15s")
    assert nan["no_data"] is True and nan["series"][0]["points"][0][1] is None
    assert prom.ask("range", expr="vector(1)/0", since="1m", step="15s")["no_data"] is True
    some = prom.ask("range", expr=f"vector(1) / (vector(time()) < bool {UNTIL_MS / 1000}) * 0", since="30s",
                    step="15s", until=UNTIL)  # the last point is Inf * 0: NaN
    assert some["value"] == 0 and some["left_out"] == 1


def test_a_range_whose_end_is_missing_is_stale(prom):
    cut = f"vector(1) and on() (vector(time()) < {UNTIL_MS / 1000 - 600})"
    args = {"expr": cut, "since": "20m", "step": "30s", "until": UNTIL}
    assert prom.ask("range", **args)["no_data"] is True
    assert prom.ask("range", stale_after="11m", **args)["value"] == 1


def test_range_on_scraped_data(prom):
    value = prom.ask("range", expr="errors_ratio", since="2s", step="250ms", reduce="avg")
    assert value["value"] == 0.25


@pytest.mark.parametrize("args,word", [({"step": "0s"}, "step"), ({"step": "x"}, "step"), ({"since": "x"}, "since"),
                                       ({"since": "2030-01-01T00:00:00Z"}, "since"), ({"until": "x"}, "until"),
                                       ({"since": "30d", "step": "1s"}, "step")])
def test_bad_ranges(prom, args, word):
    error = prom.ask("range", expect="failed", **{"expr": "1", "since": "1m", "step": "15s", **args})
    assert error["kind"] == "invalid" and error["text"].startswith(word)


# ---- credentials, and what stands between ----


@pytest.fixture
def guarded(server):
    """A proxy before Prometheus that wants a credential."""
    wanted = {"header": "Bearer good"}

    def answer(handler, body):
        if handler.headers.get("Authorization") != wanted["header"]:
            return 401, {}, "who are you?"
        status, text = http_get(server.port, handler.path,
                                {"Content-Type": handler.headers["Content-Type"]}, "POST", body)
        return status, {}, text

    with Origin(answer) as origin:
        origin.wanted = wanted
        yield origin


def test_credentials(guarded):
    with Host("prometheus", {"url": guarded.url}, {"token": "good"}) as host:
        assert Client(host).query("vector(1)")["value"] == 1
    for secrets in ({}, {"token": "bad"}):
        with Host("prometheus", {"url": guarded.url}, secrets) as host:
            error = Client(host).ask("query", expect="failed", expr="vector(1)")
            assert error["kind"] == "unauthorized" and error["retry"] is False
            assert "bad" not in error["text"]
    guarded.wanted["header"] = "Basic bWU6cHdkOjE="
    with Host("prometheus", {"url": guarded.url, "user": "me"}, {"password": "pwd:1"}) as host:
        assert Client(host).query("vector(2)")["value"] == 2


def test_settings_that_make_no_sense(server):
    for settings, secrets in (({}, {}), ({"url": "nope"}, {}), ({"url": server.url, "user": "u"}, {}),
                              ({"url": server.url}, {"password": "p"}),
                              ({"url": server.url, "user": "u"}, {"password": "p", "token": "t"}),
                              ({"url": server.url, "token": "plain"}, {})):
        with pytest.raises(Refused):
            Host("prometheus", settings, secrets)


def test_server_down():
    with closed_port() as port, Host("prometheus", {"url": f"http://127.0.0.1:{port}"}) as host:
        for action, more in (("query", {}), ("range", {"since": "1m", "step": "15s"})):
            error = Client(host).ask(action, expect="failed", expr="1", **more)
            assert error["kind"] == "unreachable" and error["retry"] is True


def test_behind_a_prefix(guarded):
    guarded.wanted["header"] = None
    with Host("prometheus", {"url": guarded.url + "/prom/"}) as host:
        Client(host).ask("query", expect="failed", expr="1")
    assert guarded.requests[-1][:2] == ("POST", "/prom/api/v1/query")
    assert urllib.parse.parse_qs(guarded.requests[-1][3].decode()) == {"query": ["1"]}


def vector(*samples, **more):
    return json.dumps({"status": "success", **more, "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": list(sample)} for sample in samples]}})


@pytest.mark.parametrize("said,kind,retry", [
    ((503, {"Retry-After": "7"}, '{"status":"error","errorType":"timeout","error":"query timed out"}'), "unavailable", True),
    ((503, {}, "<html>"), "unavailable", True),
    ((500, {}, '{"status":"error","errorType":"internal","error":"x"}'), "remote", True),
    ((429, {"Retry-After": "2"}, ""), "rate", True),
    ((403, {}, ""), "forbidden", False),
    ((404, {}, "page"), "not-found", False),
    ((302, {"Location": "http://169.254.169.254/"}, ""), "remote", False),
    ((400, {}, "<html>bad gateway's idea</html>"), "remote", False),
    ((200, {}, "<html>login</html>"), "protocol", False),
    ((200, {}, "[1]"), "protocol", False),
    ((200, {}, "{}"), "protocol", False),
    ((200, {}, '{"status":"success","data":{}}'), "invalid", False),
    ((200, {}, '{"status":"error","errorType":"bad_data","error":"x"}'), "invalid", False),
    ((200, {}, vector([1, 2])), "protocol", False),
    ((200, {}, vector(["1", "2"])), "protocol", False),
    ((200, {}, vector([1, "2x"])), "protocol", False),
    ((200, {}, vector([1, ""])), "protocol", False),
    ((200, {}, vector([1])), "protocol", False),
    ((200, {}, '{"status":"success","data":{"resultType":"vector","result":[1]}}'), "protocol", False),
    ((200, {}, "[" * 500), "protocol", False),
], ids=range(20))
def test_answers_that_are_none(said, kind, retry):
    with Origin(lambda handler, body: said) as origin, Host("prometheus", {"url": origin.url}) as host:
        error = Client(host).ask("query", expect="failed", expr="1")
        assert (error["kind"], error["retry"]) == (kind, retry), error
        if "Retry-After" in said[1]:
            assert error["retry_after_ms"] == int(said[1]["Retry-After"]) * 1000


def test_warnings_are_kept():
    text = vector([1, "2"], warnings=["a store is down"])
    with Origin(text) as origin, Host("prometheus", {"url": origin.url}) as host:
        assert Client(host).query("1")["warnings"] == ["a store is down"]


def test_check(server, exporter):
    def check(url):
        with Host("prometheus", {"url": url}) as host:
            return host.call("check", "check")["value"]

    assert check(server.url)["ok"] is True
    other = check(f"http://127.0.0.1:{exporter.port}")
    assert other["ok"] is False, other
    gone = check("http://127.0.0.1:1")
    assert gone["ok"] is False and "nothing was sent" in gone["checks"][0]["text"], gone
