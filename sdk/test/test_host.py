"""A plugin's host: what it refuses to load, what it gives a plugin, what it keeps from it. PROMISES.md T18, T19, T28."""
import base64
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from plugin_host import Host, Refused, find_plugin

SOURCE = os.environ["STANCH_SOURCE"]
ASAN = os.environ.get("STANCH_KIND") == "asan"
SECRET = 'c4nary"/ \\s3cret+ß~4711'


# ---- loading

def build(folder, name, code):
    (folder / (name + ".c")).write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-I", SOURCE + "/sdk/include", "-o", folder / (name + ".so"),
                    folder / (name + ".c")], check=True)
    return str(folder / (name + ".so"))


def plugin_code(declaration, major="STANCH_ABI_MAJOR", minor="STANCH_ABI_MINOR", size="sizeof plugin", flags="0", call="call"):
    return f"""#include <stanch/plugin.h>
static uint32_t open_(const struct stanch_host *h, struct stanch_instance *i, void **s, struct stanch_text *w)
{{ (void)h; (void)i; (void)s; (void)w; return 0; }}
static void close_(void *s) {{ (void)s; }}
static void call(void *s, struct stanch_call *c) {{ (void)s; (void)c; }}
static const char TEXT[] = {json.dumps(declaration if isinstance(declaration, str) else json.dumps(declaration))};
const struct stanch_plugin *stanch_plugin_entry(void)
{{
    static const struct stanch_plugin plugin = {{{major}, {minor}, {size}, {flags}, {{TEXT, sizeof TEXT - 1}},
        open_, close_, {call}, 0, 0}};
    return &plugin;
}}"""


def test_what_is_no_plugin(tmp_path):
    with pytest.raises(Refused, match="no symbol stanch_plugin_entry"):
        Host(build(tmp_path, "empty", "int x;"))
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(Refused, match="text.so could not be loaded"):
        Host(str(tmp_path / "text.so"))
    with pytest.raises(Refused, match="gone.so could not be read"):
        Host(str(tmp_path / "gone.so"))
    with pytest.raises(Refused, match=r"was built for ABI 9\.\d+, this is stanch .* build it again"):
        Host(build(tmp_path, "old", plugin_code({}, major="9")))
    with pytest.raises(Refused, match="lacks open, call or close"):
        Host(build(tmp_path, "nocall", plugin_code({}, call="0")))
    with pytest.raises(Refused, match='says that it is named "other"'):
        Host(build(tmp_path, "named", plugin_code({"name": "other", "version": "1", "sources": {"s": {"summary": "s"}}})))
    with pytest.raises(Refused, match="its declaration: .*line 1"):
        Host(build(tmp_path, "nojson", plugin_code("{oops")))


PLAIN = {"name": "plain", "version": "1", "sources": {"s": {"summary": "s"}}}


def test_which_versions_of_the_abi_are_taken(tmp_path):
    """plugin.h, Versions: the same major, no higher minor; a longer table is no harm, a shorter one is none of this major."""
    def load(**how):
        Host(build(tmp_path, "plain", plugin_code(PLAIN, **how))).close()
    load()
    load(size="sizeof plugin + 64")
    for major in ("0", "STANCH_ABI_MAJOR + 1"):
        with pytest.raises(Refused, match=r"was built for ABI \d+\.\d+, this is stanch .* build it again"):
            load(major=major)
    with pytest.raises(Refused, match=r"was built for ABI 1\.\d+, .*use a newer stanch"):
        load(minor="STANCH_ABI_MINOR + 1")
    with pytest.raises(Refused, match="lacks open, call or close"):
        load(size="sizeof plugin - 8")
    with pytest.raises(Refused, match=r"does not know \(flags 0x4\)"):
        load(flags="4")


READ = {"summary": "s", "effect": "read", "class": "read-only"}
SET = {"summary": "s", "effect": "mitigate", "class": "convergent", "risk": "low",
       "ops": ["plan", "apply", "verify", "undo"]}


@pytest.mark.parametrize("action,text", [
    ({**READ, "class": None}, "actions.a.class: missing"),
    ({**READ, "effect": None}, "actions.a.effect: missing"),
    ({**READ, "effect": "write"}, 'actions.a.effect: "write" is not one of read, mitigate, notify'),
    ({**READ, "clas": "x"}, 'actions.a.clas: no such member of a declaration; did you mean "class"'),
    ({**READ, "class": "convergent"}, "read-only is the class of the effect read"),
    ({**SET, "class": "read-only"}, "read-only is the class of the effect read"),
    ({**SET, "ops": ["apply", "undo"]}, "a mitigation needs plan and apply"),
    ({**SET, "ops": ["plan", "apply"]}, "needs undo, or \"no_undo_because\""),
    ({**SET, "risk": None}, "actions.a.risk: missing"),
    ({**SET, "ops": ["plan", "apply", "undo", "redo"]}, '"redo" is not one of'),
    ({**SET, "class": "reconcilable"}, "reconcilable needs the op reconcile, and settle_ms"),
    ({**READ, "ops": ["apply", "read"]}, "apply and undo are for the effect mitigate"),
    ({**READ, "params": {"x": {"type": "text"}}}, "actions.a.params.x.type: this value makes no sense"),
    ({**READ, "params": {"x": {"type": "string", "patern": "x"}}}, 'did you mean "pattern"'),
    ({**READ, "params": {"x": {"type": "string", "pattern": "("}}}, "is not a regular expression"),
    ({**READ, "params": {"x": {}}}, "actions.a.params.x.type: missing"),
    ({**READ, "required": ["y"]}, '"y" is not in params'),
    ({**READ, "deadline_ms": -1}, "deadline_ms: a count of milliseconds was expected"),
])
def test_declarations_that_are_refused(tmp_path, action, text):
    action = {key: value for key, value in action.items() if value is not None}
    code = plugin_code({"name": "bad", "version": "1", "actions": {"a": action}})
    with pytest.raises(Refused) as refused:
        Host(build(tmp_path, "bad", code))
    assert text in str(refused.value)


@pytest.mark.parametrize("settings,secrets,text", [
    ({"ulr": "http://x"}, {}, 'settings.ulr: no such setting; did you mean "url"?'),
    ({"url": 7}, {}, "settings.url: 7 is not a string"),
    ({"url": "example.com"}, {}, 'settings.url: "example.com" is no URL; http://HOST'),
    ({"url": "http://u:p@example.com"}, {}, "settings.url: a user name or password in the URL"),
    ({"url": "http://" + "a" * 254}, {}, "settings.url: "),
    ({"url": "http://2852039166"}, {}, "settings.url: write the address as 169.254.169.254"),
    ({"url": "http://0xa9.0xfe.0xa9.0xfe"}, {}, "settings.url: write the address as 169.254.169.254"),
    ({"url": "http://127.1:9"}, {}, "settings.url: write the address as 127.0.0.1"),
    ({"url": "http://0"}, {}, "settings.url: write the address as 0.0.0.0"),
    ({"others": ["http://ok", "nope"]}, {}, 'settings.others[2]: "nope" is no URL'),
    ({"address": "localhost:80"}, {}, "is no address; unix:/PATH or tcp:HOST:PORT"),
    ({"address": "tcp:x:99999"}, {}, "is no address"),
    ({"ca": "relative.pem"}, {}, "settings.ca: \"relative.pem\" is no absolute path"),
    ({"level": 9}, {}, "settings.level: 9 is more than 5, the maximum"),
    ({"level": 1.5}, {}, "settings.level: 1.5 is not an integer"),
    ({"mode": "fance"}, {}, 'settings.mode: "fance" is not one of ["plain","fancy","refuse"]; did you mean "fancy"?'),
    ({"mode": "refuse"}, {}, 'the plugin refused its settings: mode "refuse" is not for test'),
    ({"token": "in the clear"}, {}, "settings.token: this is a secret; write secret.file"),
    ({}, {"user": "x"}, "settings.user: this setting is not a secret"),
    ({}, {"tokn": "x"}, 'settings.tokn: no such setting; did you mean "token"?'),
    ({}, {"token": "\n"}, "settings.token: the secret is empty"),
])
def test_settings_that_are_refused(settings, secrets, text):
    with pytest.raises(Refused) as refused:
        Host("probe", settings, secrets)
    assert text in str(refused.value)


def test_hello_says_what_was_loaded():
    with Host("probe") as host:
        digest = hashlib.sha256(open(find_plugin("probe"), "rb").read()).hexdigest()
        assert host.hello["digest"] == digest and host.declaration["name"] == "probe"


# ---- calls

def test_an_operation_that_nobody_handles():
    with Host("probe") as host:
        assert host.call("verify", "write")["error"]["kind"] == "not-found"
        assert host.call("read", "nothing")["error"]["kind"] == "not-found"
        assert host.call("dance", "echo")["error"]["kind"] == "protocol"


def test_timers_and_deadlines():
    with Host("probe") as host:
        assert host.call("read", "wait", {"args": {"ms": 20}})["outcome"] == "done"
        started = time.monotonic()
        late = host.call("read", "wait", {"args": {"ms": 600000}}, deadline_ms=50)  # that it is answered at all is the host's doing
        assert time.monotonic() - started > 0.04  # libuv's clock counts whole milliseconds
        assert late["outcome"] == "unknown" and late["error"]["kind"] == "timeout"
        slow, quick = host.start("read", "wait", {"args": {"ms": 300}}), host.start("read", "wait", {"args": {"ms": 1}})
        host.wait(slow)
        order = [frame["id"] for frame in host.frames if frame["t"] == "answer"]
        assert order.index(quick) < order.index(slow)


def test_cancel(tmp_path):
    (tmp_path / "behaviour").write_text("apply:silent\n")
    settings = {key: str(tmp_path / key) for key in ("log", "state", "behaviour")}
    with Host("effects", settings) as host:
        call = host.start("apply", "set_unprotected", {"args": {"target": "t", "value": 1}})
        host.cancel(call)
        host.cancel(call + 7)
        assert host.wait(call)["error"]["kind"] == "cancelled"


def test_values_go_through_unchanged():
    value = {"text": "ünï \x01 \U0001f525", "n": [1, -2, 2.5, 9007199254740991, None, True], "deep": {"a": [{}]}}
    with Host("probe") as host:
        assert host.call("read", "echo", {"args": {"value": value}})["value"]["args"]["value"] == value


def test_an_answer_over_the_limit():
    with Host("probe") as host:
        answer = host.call("read", "big")
        assert answer["outcome"] == "failed" and answer["error"]["kind"] == "too-large"
        assert host.call("read", "wait", {"args": {"ms": 1}})["outcome"] == "done"


def test_a_second_answer_is_dropped(tmp_path):
    (tmp_path / "behaviour").write_text("set_unprotected.apply:twice\n")
    settings = {key: str(tmp_path / key) for key in ("log", "state", "behaviour")}
    with Host("effects", settings) as host:
        host.call("apply", "set_unprotected", {"args": {"target": "t", "value": 1}, "plan": {}})
        assert host.wait_log("a second time")
        assert len([frame for frame in host.frames if frame["t"] == "answer"]) == 1


def test_the_host_ends_with_its_channel():
    host = Host("probe")
    host.start("read", "wait", {"args": {"ms": 5000}})
    assert host.close() == 0


# ---- secrets

def test_the_secret_leaves_in_no_form():
    raw = SECRET.encode()
    forms = [SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), urllib.parse.quote(SECRET, safe=""),
             urllib.parse.quote_plus(SECRET), re.sub("%..", lambda m: m.group().lower(), urllib.parse.quote(SECRET, safe="")),
             json.dumps({"nested": json.dumps(SECRET)})]
    for before in (b"", b"u", b"us", b"user:"):
        forms += [base64.b64encode(before + raw).decode(), base64.urlsafe_b64encode(before + raw + b"more").decode()]
    with Host("probe", {}, {"token": SECRET + "\n"}) as host:
        host.call("read", "leak", {"secret": SECRET, "forms": forms})
        host.call("read", "leak", {"secret": SECRET, "forms": forms, "fail": True})
        if not ASAN:  # a sanitizer's report must not be lost, so that kind does not catch what is printed
            assert host.wait_log("on stderr: [secret]") and host.wait_log("on stdout: [secret]")
        assert host.wait_log("the secret is [secret], I said [secret]")
        kept = host.raw.decode(errors="replace")
        for form in [SECRET] + forms[:6]:
            assert form not in kept and json.dumps(form)[1:-1] not in kept, form
        assert "c4nary" not in kept and "s3cret" not in kept.replace("[secret]", "")
        for before in (b"", b"u", b"us"):
            core = base64.b64encode(before + raw).decode()[4:-4]
            assert core not in kept, before
        for name in ("environ", "cmdline", "status"):
            assert raw not in open(f"/proc/{host.process.pid}/{name}", "rb").read()
        if not ASAN:
            assert SECRET not in host.printed()


def test_numbers_and_short_secrets():
    with Host("probe", {}, {"token": "47114711"}) as host:
        echoed = host.call("read", "echo", {"args": {"value": {"a": 47114711, "47114711": 1, "b": 4711}}})
        assert echoed["value"]["args"]["value"] == {"a": "[secret]", "[secret]": 1, "b": 4711}
    with Host("probe", {}, {"token": "abc"}) as host:  # too short to be looked for
        assert host.call("read", "echo", {"args": {"value": {"a": "abc"}}})["value"]["args"]["value"] == {"a": "abc"}


def test_webhook_credentials():
    body = b'{"x": 1}'
    sign = hmac.new(b"key-key", body, "sha256").hexdigest()
    with Host("probe", {"user": "ops"}, {"token": "key-key\r\n"}) as host:
        def receive(source, headers):
            return host.call("receive", source, {"headers": headers}, body)

        good = receive("signed", {"x-signature": sign, "x-at": "2026-11-21T04:05:06.789+02:00"})
        assert good["value"]["events"][0]["starts_at_ms"] == 1795226706789
        zero = receive("signed", {"x-signature": sign, "x-at": "0001-01-01T00:00:00Z"})
        assert zero["value"]["events"][0]["starts_at_ms"] == 0
        for wrong in ({}, {"x-signature": sign[:-1] + "x"}, {"x-signature": ""}, {"x-signature": sign + "0"}):
            assert receive("signed", wrong)["error"]["kind"] == "unauthorized"
        pair = base64.b64encode(b"ops:key-key").decode()
        assert receive("basic", {"authorization": "Basic " + pair})["value"] == {"events": [], "truncated": 3}
        for wrong in ("", "Basic", "Basic " + pair[:-4], "Bearer " + pair, "Basic !!!!",
                      "Basic " + base64.b64encode(b"ops").decode(), "Basic " + base64.b64encode(b"ops:key-keY").decode(),
                      "Basic " + base64.b64encode(b"opz:key-key").decode()):
            assert receive("basic", {"authorization": wrong})["error"]["kind"] == "unauthorized"


@pytest.mark.parametrize("body,text", [
    (b"", "empty"), (b"{", "line 1, column 1"), (b'{"a":1,"a":2}', "duplicate"), (b"[" * 100 + b"]" * 100, "deeper than 64"),
    (b'{"a":"\xff"}', "not JSON"), (b'{"a":1} x', "not JSON")])
def test_webhook_bodies(body, text):
    sign = hmac.new(b"key-key", body, "sha256").hexdigest()
    with Host("probe", {}, {"token": "key-key"}) as host:
        answer = host.call("receive", "signed", {"headers": {"x-signature": sign}}, body)
        assert answer["error"]["kind"] == "invalid" and text in answer["error"]["text"], answer


# ---- what a plugin cannot do

@pytest.mark.skipif(ASAN, reason="the leak checker needs some of these calls")
def test_forbidden(tmp_path):
    private = tmp_path / "private"
    private.write_text("x")
    with Host("probe") as host:
        tries = host.call("read", "forbidden", {"args": {"file": str(private)}})["value"]
    limits = {name: tries.pop(name) for name in ("core-limit", "dumpable", "no-new-privs", "environ", "pgid-is-own")}
    assert limits["core-limit"] == 0 and limits["dumpable"] == 0 and limits["no-new-privs"] == 1
    assert limits["pgid-is-own"] is True
    files = {name: tries.pop(name) for name in ("read-file", "write-file", "core-environ")}
    assert set(tries.values()) == {"EPERM"}, tries
    assert not os.path.exists("/tmp/stanch-probe-must-not")
    if "works" in files.values():
        pytest.skip("this kernel has no Landlock")
    assert set(files.values()) == {"EACCES"}


# ---- streams

def stream_server(tmp_path, answer, kind="unix"):
    """One that answers each question by answer(question) -> bytes, or None to hang up at once."""
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "sock"))
        listener.listen(8)
        address = f"unix:{tmp_path}/sock"
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                got = answer(peer.recv(65536))
                if got:
                    try:
                        peer.sendall(got)
                    except OSError:
                        pass

    threading.Thread(target=serve, daemon=True).start()
    return listener, address


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_exchange(tmp_path, kind):
    answers = {b"hello\n": b"world\n", b"big\n": b"x" * 300000, b"none\n": None}
    listener, address = stream_server(tmp_path, answers.get, kind)
    with Host("probe", {"address": address}) as host:
        def say(**args):
            return host.call("read", "say", {"args": args})["value"]

        assert (say()["ended"], say()["answer"]) == ("answered", "world\n")
        assert say(text="big\n")["len"] == 300000
        assert say(text="big\n", max=1000)["ended"] == "lost"
        assert say(text="none\n")["ended"] == "lost"
        elsewhere = say(address="unix:/var/run/docker.sock")
        assert elsewhere["ended"] == "not-sent" and "no setting" in elsewhere["why"]
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        gone = say()
        assert gone["ended"] == "not-sent" and "nothing was sent" in gone["why"]


def test_exchange_that_hangs(tmp_path):
    hold = threading.Event()
    listener, address = stream_server(tmp_path, lambda _: hold.wait(5) and None)
    with Host("probe", {"address": address}) as host:
        answer = host.call("read", "say", {}, deadline_ms=100)
        assert answer["outcome"] == "unknown" and answer["error"]["kind"] == "timeout"
    hold.set()
    listener.close()
    with Host("probe", {"address": "tcp:no-such-host.invalid:99"}) as host:
        assert host.call("read", "say", {})["value"]["ended"] == "not-sent"
