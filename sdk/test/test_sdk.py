"""The helpers of sdk.h, each used by a real plugin in its host against a real server (tests/plugins/kit.c)."""
import base64
import json
import os
import signal
import ssl
import time
import urllib.parse

import pytest

from hostile import Hostile, certificates, tls_context
from plugin_host import Host, Refused
from sdk_kit import read


# ---- values

@pytest.mark.parametrize("path,query,text", [
    ("/a", {}, "/a"), ("/a", {"b": "x y", "a": "ä/&=+"}, "/a?a=%C3%A4%2F%26%3D%2B&b=x%20y"),
    ("/a?z=1", {"b": 2}, "/a?z=1&b=2"), ("/", {"t": True, "f": False, "n": None, "r": 0.5}, "/?f=false&r=0.5&t=true"),
    ("/", {"k": ["b", "a", 3]}, "/?k=3&k=a&k=b"), ("/", {"B": 1, "a": 1, "A": 1, "a-b": 1}, "/?A=1&B=1&a=1&a-b=1")])
def test_url(kit, path, query, text):
    assert read(kit, "url", path=path, query=query) == text


DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "deep": {"er": [{"x": None}]}, "~1": 9}


@pytest.mark.parametrize("pointer,value", [
    ("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/m~0n", 8), ("/~01", 9),
    ("/deep/er/0/x", None)])
def test_pointer(kit, pointer, value):
    assert read(kit, "pointer", value=DOCUMENT, pointer=pointer) == {"found": True, "value": value}


@pytest.mark.parametrize("pointer", ["foo", "/foo/2", "/foo/-", "/foo/00", "/foo/0x", "/none", "/foo/0/x", "/m~n", "/m~", "/foo/+1",
                                     "/foo/99999999999999999999", "/" + "x" * 600])
def test_pointer_to_nothing(kit, pointer):
    assert read(kit, "pointer", value=DOCUMENT, pointer=pointer)["found"] is False


@pytest.mark.parametrize("text", ["", "a", "ab", "abc", "abcd", "any carnal pleas"])
def test_base64(kit, text):
    coded = base64.b64encode(text.encode()).decode()
    assert read(kit, "encode", text=text) == coded
    assert read(kit, "base64", text=coded) == {"text": text}


@pytest.mark.parametrize("text", ["YQ", "YQ=", "YQ===", "YR==", "YWI", "YWJ=", "Y Q==", "YQ==\n", "YQ==YQ==", "=", "====", "Y===",
                                  "YQ=a", "-_==", "YWJj!"])
def test_no_base64(kit, text):
    assert read(kit, "base64", text=text) == {}


@pytest.mark.parametrize("text,ms", [
    ("1970-01-01T00:00:00Z", 0), ("2026-11-21T04:05:06.789+02:00", 1795226706789), ("2026-11-21T04:05:06.7891234Z", 1795233906789),
    ("2024-02-29T00:00:00-0530", 1709184600000), ("2026-11-21t04:05:06z", 1795233906000),
    ("2026-11-21 04:05:06Z", 1795233906000), ("0001-01-01T00:00:00Z", 0), ("2016-12-31T23:59:60Z", 1483228800000)])
def test_time(kit, text, ms):
    assert read(kit, "parse_time", text=text) == ms


@pytest.mark.parametrize("text", [
    "", "now", "2026-11-21", "2026-11-21T04:05:06", "2026-11-21T04:05Z", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T04:60:00Z", "2026-11-21T04:05:61Z", "2026-1-21T04:05:06Z",
    "2026-11- 1T04:05:06Z", "2026-11-21T04:05:06.Z", "2026-11-21T04:05:06+2:00", "2026-11-21T04:05:06+ 2:00",
    "2026-11-21T04:05:06+24:00", "2026-11-21T04:05:06+02:60", "2026-11-21T04:05:06Zx", "+026-11-21T04:05:06Z",
    "2026-11-21X04:05:06Z", "2026--1-21T04:05:06Z", "2026-11-21T+4:05:06Z", " 2026-11-21T04:05:06Z"])
def test_no_time(kit, text):
    assert read(kit, "parse_time", text=text) is None


@pytest.mark.parametrize("ms,text", [(0, "1970-01-01T00:00:00.000Z"), (1795233906789, "2026-11-21T04:05:06.789Z"),
                                     (-1, "1969-12-31T23:59:59.999Z")])
def test_time_text(kit, ms, text):
    assert read(kit, "time_text", ms=ms) == text


# ---- asking again

@pytest.mark.parametrize("answers,count", [
    ([(503, {}, b""), (429, {}, b""), (200, {}, b"ok")], 3), (["hangup", (200, {}, b"ok")], 2),
    ([(500, {}, b""), (502, {}, b""), (504, {}, b""), (200, {}, b"ok")], 4), ([(404, {}, b"")], 1), ([(501, {}, b"")], 1)])
def test_retry_of_a_read(host, server, answers, count):
    last = answers[-1][0]
    server.script["/it"] = list(answers)
    got = read(host, "ask", order={"path": "/it", "retry": True})
    assert (got["status"], len(server.seen)) == (last, count)


@pytest.mark.parametrize("answers,count,status", [
    ([(503, {}, b""), (429, {}, b""), (200, {}, b"ok")], 3, 200), (["hangup", (200, {}, b"ok")], 1, 0),
    ([(500, {}, b""), (200, {}, b"ok")], 1, 500), ([(504, {}, b""), (200, {}, b"ok")], 1, 504)])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_retry_of_a_change(host, server, answers, count, status, method):
    """A change that may have happened is never sent again, whatever its method."""
    server.script["/it"] = list(answers)
    order = {"path": "/it", "retry": True, "method": method, "body": "the same" if method == "POST" else None,
             "headers": {"X-Own": "y"}, "secret_headers": {"X-Key": {"secret": "token", "before": "Key "}}}
    order = {name: value for name, value in order.items() if value}
    got = host.call("apply", "change", {"args": {"order": order}, "plan": {}, "key": "K"})["value"]
    assert (got["status"], len(server.seen)) == (status, count)
    for _, _, headers, body, _ in server.seen:  # each time the same
        assert headers["X-Own"] == "y" and headers["X-Key"] == "Key t0p-s3cret"
        assert body == (b"the same" if method == "POST" else b"")


def test_retry_after_connect_errors(host, server):
    server.shutdown()
    server.server_close()
    started = time.monotonic()
    answer = host.call("read", "ask", {"args": {"order": {"path": "/it", "retry": True}}}, deadline_ms=1500)
    assert answer["value"]["ended"] == "not-sent"  # the last answer, before the deadline would say "unknown"
    assert time.monotonic() - started < 20


def test_retry_after_is_honoured(host, server):
    server.script["/it"] = [(429, {"Retry-After": "1"}, b""), (200, {}, b"")]
    assert read(host, "ask", order={"path": "/it", "retry": True})["status"] == 200
    assert server.seen[1][4] - server.seen[0][4] >= 0.99
    server.script["/it"] = [(503, {"Retry-After": "3600"}, b""), (200, {}, b"")]
    assert read(host, "ask", order={"path": "/it", "retry": True})["status"] == 503  # there is no time for that


def test_a_rate_limit_that_says_when_it_ends(host, server):
    """X-RateLimit-Reset where Retry-After is missing: as seconds or milliseconds since 1970, or as seconds from now."""
    for at in (lambda: time.time() + 2, lambda: (time.time() + 2) * 1000, lambda: 2):
        server.seen.clear()
        value = at()
        server.script["/it"] = [(429, {"X-RateLimit-Reset": str(int(value))}, b""), (200, {}, b"")]
        assert read(host, "ask", order={"path": "/it", "retry": True})["status"] == 200
        asked, again = (at[4] for at in server.seen)
        if value == 2:
            assert again - asked >= 1.99
        else:  # counted from the time of the clock, however late the first answer was
            ends = int(value) / (1000 if value > 1e11 else 1)
            assert again + (time.time() - time.monotonic()) >= ends - 0.05, value
    for value in ("3600", "0", "-5", "soon", "1e99", "nan"):  # too long; or it says nothing, and is asked again soon
        server.script["/it"] = [(429, {"X-RateLimit-Reset": value}, b""), (200, {}, b"")]
        assert read(host, "ask", order={"path": "/it", "retry": True})["status"] == (429 if value == "3600" else 200)


def late(host, server, call, deadline_ms):
    """The end of a call whose host had no processor from the first answer of the server until the deadline."""
    began = time.monotonic()
    while not server.answered:
        time.sleep(0.01)
    for _ in range(2):  # its loop has gone round, and what was there to be read was
        read(host, "encode", text="")
    host.process.send_signal(signal.SIGSTOP)
    time.sleep(max(0, began + deadline_ms / 1000 - time.monotonic()))
    host.process.send_signal(signal.SIGCONT)
    return host.wait(call)


@pytest.mark.parametrize("method", ["read", "apply"])
def test_who_wakes_too_late_says_what_it_was_told(host, server, method):
    """Not "unknown", which nobody is: the answer is there, and another request has no time."""
    server.script["/it"] = [(503, {"Retry-After": "2"}, b"busy")]
    order = {"path": "/it", "retry": True, "method": "POST"} if method == "apply" else {"path": "/it", "retry": True}
    given = {"args": {"order": order}, **({"plan": {}, "key": "K"} if method == "apply" else {})}
    call = host.start(method, "change" if method == "apply" else "ask", given, deadline_ms=4000)
    answer = late(host, server, call, 4000)
    assert (answer["outcome"], answer["value"]["status"], len(server.seen)) == ("done", 503, 1), answer


def test_who_wakes_too_late_says_what_it_saw(host, server):
    server.script["/counter"] = [(200, {}, b'{"holds": false, "n": 1}')]
    call = host.start("verify", "change", {"args": {"every": 2000}, "plan": {}, "key": "K"}, deadline_ms=4000)
    answer = late(host, server, call, 4000)
    assert answer["value"] == {"holds": False, "seen": {"holds": False, "n": 1}}, answer
    assert len(server.seen) == 1


def test_cancelled_is_not_asked_again(host, server):
    server.script["/it"] = [(503, {}, b"")]
    call = host.start("read", "ask", {"args": {"order": {"path": "/it", "retry": True}}}, deadline_ms=60000)
    while not server.seen:
        time.sleep(0.01)
    host.cancel(call)
    assert host.wait(call)["value"]["status"] == 503


# ---- pages

def test_pages_by_token(host, server):
    pages = {"": ([1, 2], "a b"), "a b": ([3], "last"), "last": ([], "")}
    for token, (items, more) in pages.items():
        path = "/list?limit=2" + (f"&continue={urllib.parse.quote(token)}" if token else "")
        server.script[path] = [(200, {}, json.dumps({"items": items, "metadata": {"continue": more}}).encode())]
    assert read(host, "pages", path="/list?limit=2", items="/items", token="/metadata/continue") == [1, 2, 3]
    assert [seen[1] for seen in server.seen] == ["/list?limit=2", "/list?limit=2&continue=a%20b", "/list?limit=2&continue=last"]
    assert all(seen[2]["X-Key"] == "t0p-s3cret" and seen[2]["X-Own"] == "y" for seen in server.seen)


def test_pages_by_link(host, server):
    server.script["/list"] = [(503, {}, b""), (200, {"Link": f'<{server.url}/x>; rel="prev", <{server.url}/list/2?a=b>; rel="next"'},
                                               b"[1]")]
    server.script["/list/2"] = [(200, {"Link": '</list/3>; title="x"; rel=next'}, b"[2]")]
    server.script["/list/3"] = [(200, {"Link": '</list/1>; rel="first"'}, b"[3]")]
    assert read(host, "pages", path="/list") == [1, 2, 3]


@pytest.mark.parametrize("target", ["http://evil.example/list", "//evil.example/list", "https://127.0.0.1/list", "list/2"])
def test_pages_that_lead_elsewhere(host, server, target):
    server.script["/list"] = [(200, {"Link": f'<{target}>; rel="next"'}, b"[1]")]
    answer = host.call("read", "pages", {"args": {"path": "/list"}})
    assert answer["outcome"] == "failed" and answer["error"]["kind"] == "protocol", answer
    assert len(server.seen) == 1


def test_pages_without_end(host, server):
    server.script["/list"] = [(200, {"Link": '</list>; rel="next"'}, b"[1]")]
    answer = host.call("read", "pages", {"args": {"path": "/list", "max": 5}})
    assert answer["error"]["kind"] == "too-large" and len(server.seen) == 5


@pytest.mark.parametrize("body,kind", [(b'{"items": 7}', "protocol"), (b"<html>", "protocol")])
def test_pages_that_are_none(host, server, body, kind):
    server.script["/list"] = [(200, {}, body)]
    assert host.call("read", "pages", {"args": {"path": "/list", "items": "/items"}})["error"]["kind"] == kind


# ---- reading back

def test_polls_until_it_holds(host, server):
    server.script["/counter"] = [(200, {}, b'{"n": 1}'), (200, {}, b'{"n": 2}'), (200, {}, b'{"holds": true}')]
    answer = host.call("verify", "change", {"args": {"every": 10}, "plan": {}})
    assert answer["value"] == {"holds": True, "seen": {"holds": True}} and len(server.seen) == 3


def test_polls_until_time_is_up(host, server):
    server.script["/counter"] = [(200, {}, b'{"n": 1}')]
    answer = host.call("verify", "change", {"args": {"every": 20, "within": 2000}, "plan": {}}, deadline_ms=30000)
    assert answer["value"] == {"holds": False, "seen": {"n": 1}} and len(server.seen) >= 2
    answer = host.call("verify", "change", {"args": {"every": 20}, "plan": {}}, deadline_ms=800)
    assert answer["value"]["holds"] is False  # before the deadline would say "unknown"


# ---- credentials

def test_secret_headers(host, server):
    order = {"path": "/", "secret_headers": {"Authorization": {"secret": "token"}, "X-Other": {"secret": "session"}}}
    assert read(host, "ask", order=order)["status"] == 200
    assert server.seen[-1][2]["Authorization"] == "t0p-s3cret" and "X-Other" not in server.seen[-1][2]
    for wrong in ({"X": {"secret": "url"}}, {"X": {"secret": "none"}}, {"X": {}}, {"X": 7}, {"Host": {"secret": "token"}},
                  {"X": {"secret": "token", "before": "a\r\nB: "}}):
        count = len(server.seen)
        assert read(host, "ask", order={"path": "/", "secret_headers": wrong})["ended"] == "not-sent", wrong
        assert len(server.seen) == count


def test_kept_secrets(host, server):
    assert read(host, "keep", name=".session", value="kept-s3cret") is True
    assert read(host, "ask", order={"path": "/", "bearer": ".session"})["status"] == 200
    assert server.seen[-1][2]["Authorization"] == "Bearer kept-s3cret"
    server.script["/echo"] = [(200, {}, b"you said kept-s3cret")]
    assert read(host, "ask", order={"path": "/echo"})["body"] == "you said [secret]"
    assert read(host, "keep", name=".session", value="") is True
    read(host, "ask", order={"path": "/", "bearer": ".session"})
    assert "Authorization" not in server.seen[-1][2]
    for name in ("token", "", ".", "." + "x" * 64):
        assert read(host, "keep", name=name, value="kept-s3cret") is False


def test_a_secret_that_is_rotated(server, tmp_path):
    """As a platform does it: the file is a link into a folder that is replaced."""
    def rotate(number):
        folder = tmp_path / f"v{number}"
        folder.mkdir()
        (folder / "token").write_text(f"rotated-{number}\n")
        link = tmp_path / "next"
        link.symlink_to(folder.name)
        link.rename(tmp_path / "data")

    rotate(1)
    (tmp_path / "token").symlink_to("data/token")
    with Host("kit", {"url": server.url, "rotated": str(tmp_path / "token")}) as host:
        for number in (1, 2, 3):
            read(host, "ask", order={"path": "/", "bearer": "rotated"})
            assert server.seen[-1][2]["Authorization"] == f"Bearer rotated-{number}"
            rotate(number + 1)
        (tmp_path / "v4" / "token").unlink()
        read(host, "ask", order={"path": "/", "bearer": "rotated"})
        assert server.seen[-1][2]["Authorization"] == "Bearer rotated-3"  # away for a moment: the last one
        server.script["/echo"] = [(200, {}, b"rotated-1 rotated-3")]
        assert read(host, "ask", order={"path": "/echo"})["body"] == "[secret] [secret]"


# ---- commands, kept secrets, the state

def test_actions_by_the_settings():
    with Host("kit", {"extra": {"more": {"summary": "one more"}}}) as host:
        assert host.declaration["actions"]["more"] == {"summary": "one more", "effect": "read", "class": "read-only"}
        assert host.call("read", "more")["value"] == {"any": "more"}
    for extra, text in (({"wrong": {"summary": "x"}}, "extra.wrong: this name is not for you"),
                        ({"url": {"summary": "x"}}, "actions.url, which is there already"),
                        ({"No": {"summary": "x"}}, '"No" is no name'), ({"more": {}}, "settings.extra.more.summary: missing"),
                        ({"more": {"summary": "x", "sumary": "y"}}, 'did you mean "summary"')):
        with pytest.raises(Refused, match=text):
            Host("kit", {"extra": extra})


def test_check(host, server):
    good = host.call("check", "check")["value"]
    assert good == {"ok": True, "checks": [{"name": "nothing", "ok": True, "text": "always good"},
                                           {"name": "reach it", "ok": True, "text": "answered 200"}]}
    server.script["/check"] = [(403, {}, b"no t0p-s3cret")]
    bad = host.call("check", "check")["value"]
    assert bad["ok"] is False and bad["checks"][0]["ok"] is True
    assert bad["checks"][1]["text"] == "the remote answered 403: these credentials may not do this: no [secret]"


def test_a_directory_of_its_own(tmp_path):
    with Host("kit", state_dir=tmp_path / "plugins" / "test") as host:
        tries = read(host, "state")
    assert tries.pop("dir") == str(tmp_path / "plugins" / "test")
    outside = tries.pop("outside")
    assert set(tries.values()) == {"works"}, tries
    assert os.stat(tmp_path / "plugins" / "test").st_mode & 0o777 == 0o700
    assert outside in ("EACCES", "works")  # works: this kernel has no Landlock
    with pytest.raises(Refused, match="a directory of its own"):
        Host("kit", state_dir=False)


def test_files_that_may_be_read(tmp_path):
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f").write_text("content")
    with Host("kit", {"file": str(tmp_path / "own" / "f")}) as host:
        assert read(host, "read_file", path=str(tmp_path / "own" / "f")) == "content"
        if read(host, "read_file", path=str(tmp_path / "other" / "f")) == "content":
            pytest.skip("this kernel has no Landlock")
        assert read(host, "read_file", path=str(tmp_path / "other" / "f")) == "EACCES"


# ---- client certificates

def test_a_client_certificate(tmp_path):
    files = certificates(tmp_path)
    context = tls_context(files["good"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files["ca"][0])
    with Hostile(lambda server, request: (200, {}, {}), context) as peer:
        settings = {"url": peer.url, "ca": str(files["ca"][0])}

        def status(more, secrets):
            with Host("kit", {**settings, **more}, secrets) as host:
                return read(host, "ask", order={"path": "/"})

        cert = {"cert": str(files["good"][0])}
        key, other = files["good"][1].read_text(), files["self-signed"][1].read_text()
        assert status(cert, {"cert_key": key})["status"] == 200
        assert len(peer.seen) == 1
        for more, secrets in (({}, {}), (cert, {}), (cert, {"cert_key": other}), (cert, {"cert_key": "no key"}),
                              ({"cert": str(files["self-signed"][0])}, {"cert_key": other})):
            assert status(more, secrets)["ended"] != "answered", (more, len(secrets))
        assert len(peer.seen) == 1
