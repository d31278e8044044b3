"""The webhook plugin against a receiver that checks what arrives as README.md says."""
import contextlib
import hashlib
import hmac
import json
import re
import time
from pathlib import Path

import pytest
from plugin_host import Host, Refused
from servers import Origin

SECRET, FORMER = "the-secret-of-webhooks", "the-secret-of-last-year"
README = (Path(__file__).parents[1] / "README.md").read_text()


def documented():
    """The receiver's check as it stands in README.md."""
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    names = {}
    exec(code, names)  # noqa: S102: the documentation is what is tested
    return names["is_from_stanch"]


class Receiver(Origin):
    def __init__(self):
        self.queue = []
        super().__init__(lambda handler, body: self.queue.pop(0) if self.queue else (204, {}, ""))

    def last(self):
        _, path, headers, body = self.requests[-1]
        return path, {k.lower(): v for k, v in headers.items()}, body


@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


@contextlib.contextmanager
def client(url, secrets=None, **settings):
    secrets = {"secret": SECRET, **(secrets or {})}
    with Host("webhook", {"url": url, **settings}, secrets, instance="hook") as host:
        def ask(expect="done", intent="i-1", **args):
            given = {"event": "asked", "key": "A-7", "summary": "drain s1?", **args}
            answer = host.wait(host.start("read", "send", {"args": given, "key": intent}, deadline_ms=8000), 40)
            assert answer["outcome"] == expect, answer
            return answer["value"] if expect == "done" else answer["error"]
        ask.host = host
        yield ask
        for secret in secrets.values():
            assert secret.encode() not in host.raw, "a secret left the host"


def test_what_is_sent(receiver):
    with client(receiver.url + "/hooks/stanch?team=x", {"token": "gateway-token"}) as ask:
        assert ask(severity="sev1", link="https://stanch.example/approvals/A-7", details={"risk": "high", "n": [1, None]}) == {
            "status": 204}
    path, headers, body = receiver.last()
    assert path == "/hooks/stanch?team=x" and receiver.requests[-1][0] == "POST"
    said = json.loads(body)
    assert abs(time.time() - int(headers["x-stanch-timestamp"])) < 300
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("at"))
    assert said == {"version": 1, "id": "i-1", "from": "hook", "event": "asked", "key": "A-7", "summary": "drain s1?",
                    "severity": "sev1", "link": "https://stanch.example/approvals/A-7",
                    "details": {"risk": "high", "n": [1, None]}}
    assert headers["x-stanch-delivery"] == "i-1" and headers["authorization"] == "Bearer gateway-token"
    assert headers["content-type"] == "application/json"


def test_the_signature_is_as_documented(receiver):
    is_from_stanch = documented()
    with client(receiver.url) as ask:
        ask(summary="gr\u00fc\u00df \U0001f525 \"quoted\" \u2028 %s %n")
    _, headers, body = receiver.last()
    stamp = headers["x-stanch-timestamp"]
    want = hmac.new(SECRET.encode(), b"v1:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    assert headers["x-stanch-signature"] == "v1=" + want
    assert is_from_stanch(headers, body, SECRET.encode())
    assert not is_from_stanch(headers, body, b"another secret"), "another secret"
    assert not is_from_stanch(headers, body + b" ", SECRET.encode()), "another body"
    assert not is_from_stanch({**headers, "x-stanch-timestamp": str(int(stamp) + 1)}, body, SECRET.encode())
    old = str(int(stamp) - 3600)
    signed = hmac.new(SECRET.encode(), b"v1:" + old.encode() + b":" + body, hashlib.sha256).hexdigest()
    replay = {**headers, "x-stanch-timestamp": old, "x-stanch-signature": "v1=" + signed}
    assert not is_from_stanch(replay, body, SECRET.encode()), "an hour old"


def test_both_secrets_sign_while_they_are_changed(receiver):
    is_from_stanch = documented()
    with client(receiver.url, {"former_secret": FORMER}) as ask:
        ask()
    _, headers, body = receiver.last()
    assert headers["x-stanch-signature"].count("v1=") == 2
    assert is_from_stanch(headers, body, SECRET.encode()) and is_from_stanch(headers, body, FORMER.encode())


@pytest.mark.parametrize("which", ["secret", "former_secret"])
def test_a_secret_that_can_be_guessed_is_refused(which):
    with pytest.raises(Refused, match=f"settings.{which}: 5 bytes can be guessed"):
        Host("webhook", {"url": "http://127.0.0.1:1"}, {"secret": SECRET, which: "short"})


def test_asked_again_it_is_the_same_delivery(receiver):
    receiver.queue = [(429, {"Retry-After": "1"}, ""), (503, {}, "")]
    with client(receiver.url) as ask:
        ask(intent="i-9")
    assert [r[3] for r in receiver.requests] == [receiver.requests[0][3]] * 3
    assert {r[2]["X-Stanch-Delivery"] for r in receiver.requests} == {"i-9"}


@pytest.mark.parametrize("status,kind", [(400, "remote"), (410, "remote"), (301, "remote"), (404, "not-found")])
def test_refused(receiver, status, kind):
    receiver.queue = [(status, {"Location": "http://127.0.0.1:1/"}, "no such room")]
    with client(receiver.url) as ask:
        assert ask("failed")["kind"] == kind
    assert len(receiver.requests) == 1, "redirects are not followed: the body is signed, not addressed"


def test_check(receiver):
    with client(receiver.url) as ask:
        answer = ask.host.wait(ask.host.start("check", "check", {}, deadline_ms=5000), 20)
    assert answer["value"]["ok"] is True, answer
    assert receiver.requests == [], "a check tells nobody anything"
