"""The helpers of sdk.h that check signatures, and those that sign: each used by a real plugin in its host (tests/plugins/kit.c)."""
import base64
import hashlib
import hmac
import os
import time

import pytest

from harness import find_fixtures
from plugin_host import Host
from sdk_kit import read


# ---- of webhooks

BODY = b'{"x": 1}'


def sign(text, key=b"key-key", digest="hex"):
    mac = hmac.new(key, text, hashlib.sha256)
    return mac.hexdigest() if digest == "hex" else base64.b64encode(mac.digest()).decode()


def received(kit, source, headers):
    answer = kit.call("receive", source, {"headers": headers}, BODY)
    return "good" if answer["outcome"] == "done" else answer["error"]["text"]


def test_signature_of_the_body(kit):
    good = sign(BODY)
    for value in ("sha256=" + good, "sha256=" + good.upper(), "sha256=00,sha256=" + good, "sha256=" + good + " sha256=00"):
        assert received(kit, "hub", {"x-hub-signature-256": value}) == "good", value
    for value in ("sha256=" + sign(BODY + b" "), "sha256=" + good[:-1], "sha256=" + good + "0", "sha256="):
        assert received(kit, "hub", {"x-hub-signature-256": value}) != "good", value
    assert "kind" in received(kit, "hub", {"x-hub-signature-256": "sha1=" + good})
    assert "kind" in received(kit, "hub", {"x-hub-signature-256": good})
    assert "missing" in received(kit, "hub", {})
    with Host("kit", {}) as without:
        assert "not set" in received(without, "hub", {"x-hub-signature-256": "sha256=" + sign(BODY, b"")})


def stamped(source, now, at=None):
    """Headers as that sender makes them at `at`, with the time stamp `now` in them."""
    at = now if at is None else at
    if source == "slack":
        return {"x-slack-request-timestamp": str(now), "x-slack-signature": "v0=" + sign(b"v0:%d:" % at + BODY)}
    if source == "rootly":
        return {"x-rootly-signature": f"t={now},v1={sign(b'%d' % at + BODY)}"}
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now),
            "webhook-signature": "v1,AAAA v1," + sign(b"msg_1.%d." % at + BODY, digest="base64")}


@pytest.mark.parametrize("source", ["slack", "rootly", "svix"])
def test_signature_with_a_time(kit, source):
    now = int(time.time())
    for shift in (0, -280, 280):
        assert received(kit, source, stamped(source, now + shift)) == "good"
    for shift in (-320, 320, -now, 10 ** 11):
        assert "too far" in received(kit, source, stamped(source, now + shift))
    assert "wrong" in received(kit, source, stamped(source, now, at=now - 1000))  # a fresh stamp on an old signature
    for bad in ("x", "", "-5", "1e9", "99999999999999"):
        headers = {name: value.replace(str(now), bad) for name, value in stamped(source, now).items()}
        assert received(kit, source, headers) != "good", bad
    for name in stamped(source, now):
        headers = stamped(source, now)
        del headers[name]
        assert "missing" in received(kit, source, headers), name


def test_signature_over_another_id(kit):
    headers = stamped("svix", int(time.time()))
    headers["webhook-id"] = "msg_2"
    assert "wrong" in received(kit, "svix", headers)


# ---- AWS SigV4, against an own verifier

def canonical_query(query):
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def signature_of(command, path, headers, body, secret, region, service):
    """What AWS computes, from the request as it arrived."""
    given = headers["Authorization"]
    signed = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    plain, _, query = path.partition("?")
    canonical = "\n".join([command, plain, canonical_query(query), *[f"{name}:{lower[name]}" for name in signed], "",
                           ";".join(signed), hashlib.sha256(body).hexdigest()])
    date = lower["x-amz-date"]
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return signed, scope, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


FIXTURES = find_fixtures("sigv4")


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the folder shared/fixtures is not beside this tree")
def test_the_verifier_itself():
    """The verifier of these tests agrees with the published test suite."""
    count = 0
    for folder, _, files in os.walk(FIXTURES):
        stem = next((name[:-6] for name in files if name.endswith(".authz")), None)
        if not stem:
            continue
        lines = open(os.path.join(folder, stem + ".req"), encoding="utf-8").read().split("\n")
        command, path = lines[0].rsplit(" ", 1)[0].split(" ", 1)
        end = lines.index("") if "" in lines else len(lines)
        if any(line[:1] in " \t" for line in lines[1:end]):
            continue  # a folded header: not HTTP any more
        headers = dict(line.split(":", 1) for line in lines[1:end])
        if len(headers) != end - 1 or not all(c.isalnum() or c in "/-._~?=&%" for c in path) or "//" in path or "/." in path:
            continue  # repeated headers and paths to be made canonical: nothing that the SDK sends
        body = "\n".join(lines[end + 1:]).encode()
        want = open(os.path.join(folder, stem + ".authz"), encoding="utf-8").read()
        headers["Authorization"] = want
        if "x-amz-security-token" in want and "x-amz-security-token" not in {name.lower() for name in headers}:
            continue  # a token that was added afterwards
        _, _, got = signature_of(command, path, headers, body, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1",
                                 "service")
        assert want.endswith(got), stem
        count += 1
    assert count >= 5


@pytest.mark.parametrize("order", [
    {"path": "/"}, {"path": "/", "method": "POST", "body": "Action=SuspendProcesses&Version=2011-01-01",
                    "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"path": "/rule", "query": {"b": "x y", "a": "1", "Z": "~-_.", "list": ["z", "a"], "empty": ""}},
    {"path": "/a%20b/c", "method": "PUT", "body": "{}", "headers": {"X-Amz-Target": "T.op", "Content-Type": "application/json"}}])
@pytest.mark.parametrize("session", [None, "FQoGZXIvYXdzE+/="])
def test_sigv4(server, order, session):
    secrets = {"token": "wJalrXUtnFEMI/K7MDENG", "key_id": "AKIDEXAMPLE"}
    if session:
        secrets["session"] = session
    with Host("kit", {"url": server.url}, secrets) as host:
        order = {**order, "sigv4": {"region": "eu-central-1", "service": "autoscaling"}}
        assert read(host, "ask", order=order)["status"] == 200
    command, path, headers, body, _ = server.seen[-1]
    signed, scope, signature = signature_of(command, path, headers, body, secrets["token"], "eu-central-1", "autoscaling")
    assert headers["Authorization"].startswith(f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, ")
    assert headers["Authorization"].endswith("Signature=" + signature)
    assert {"host", "x-amz-date"} <= set(signed)
    if session:
        assert headers["X-Amz-Security-Token"] == session and "x-amz-security-token" in signed


def test_sigv4_that_is_refused(server):
    with Host("kit", {"url": server.url}, {"token": "s3cret"}) as host:
        for sign4 in ({"region": "eu-1", "service": "s"}, {"region": "eu:x", "service": "s"}, {"region": "", "service": "s"}):
            assert read(host, "ask", order={"path": "/", "sigv4": sign4})["ended"] == "not-sent"
    assert not server.seen
