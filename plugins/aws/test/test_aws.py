"""The aws plugin against a stateful fake that checks each signature with its own HMAC."""
import datetime
import json
import os

import fake_aws
import pytest
from fake_aws import DESCRIPTION, FakeAws
from harness import find_fixtures
from plugin_host import Host, Refused
from servers import closed_port

KEY = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SECRETS = [KEY["secret_access_key"], "temporary-secret", "temporary-token", "web-token"]
DEFAULTS = ["AZRebalance", "AlarmNotification", "ScheduledActions"]
VECTORS = find_fixtures("sigv4")
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@pytest.fixture
def aws():
    with FakeAws() as fake:
        fake.add_group("web")
        yield fake


class Client:
    def __init__(self, host):
        self.host = host

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=10000, is_given_up=False, **more):
        given = {"args": args, "key": "k1", "epoch": 1, **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.call(called, action, given, b"", deadline_ms, is_given_up)
        for secret in SECRETS:
            assert secret not in json.dumps(answer)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def freeze(self, called, plan=None, group="web", processes=None, **more):
        args = {"group": group, **({"processes": processes} if processes else {})}
        return self.ask(called, "freeze", args, plan, **more)


def start(fake, secrets=None, commands=None, **settings):
    return Host("aws", {"url": fake.url, "region": "eu-west-1", **settings}, KEY if secrets is None else secrets,
                instance="prod", commands=commands)


@pytest.fixture
def client(aws):
    with start(aws) as host:
        yield Client(host)
        for secret in SECRETS:
            assert secret not in "\n".join(host.logs) and secret not in host.printed()


# ---- the fake's own signature check ----


@pytest.mark.skipif(not VECTORS.exists(), reason="the folder shared/fixtures is not beside this tree")
@pytest.mark.parametrize("name", ["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla", "post-vanilla-query",
                                  "post-x-www-form-urlencoded"])
def test_the_check_agrees_with_the_vectors(name):
    head, _, body = (VECTORS / name / f"{name}.req").read_text().partition("\n\n")
    first, *rest = head.splitlines()
    method, target, _ = first.split(" ")
    headers = [tuple(line.split(":", 1)) for line in rest]
    path, _, query = target.partition("?")
    wanted = (VECTORS / name / f"{name}.authz").read_text().strip()
    _, scope, signed, claimed = fake_aws.AUTHORIZATION.match(wanted).groups()
    made = fake_aws.signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", method, path, query, headers,
                              signed.split(";"), body.encode(), scope, "20150830T123600Z")
    assert made == claimed


def test_a_wrong_secret_is_refused(aws):
    with start(aws, {**KEY, "secret_access_key": "another-secret-key"}) as host:
        error = Client(host).freeze("plan", expect="failed")
    assert error["kind"] == "unauthorized" and "SignatureDoesNotMatch" in error["text"]


def test_required_members_are_looked_at():
    if not DESCRIPTION.exists():
        pytest.skip("the folder shared/fixtures is not beside this tree")
    with pytest.raises(AssertionError, match="AutoScalingGroupName is required"):
        fake_aws.check_params({"Action": "SuspendProcesses", "Version": "2011-01-01"})
    with pytest.raises(AssertionError, match="no member"):
        fake_aws.check_params({"Action": "SuspendProcesses", "Version": "2011-01-01", "AutoScalingGroupName": "a", "X": "1"})


# ---- the way of one mitigation ----


def test_freeze_and_undo(aws, client):
    plan = client.freeze("plan")
    assert plan["targets"] == ["aws:prod/web"] and plan["no_change"] is False and plan["reach"] is None
    assert plan["from"] == {"processes": {name: "running" for name in DEFAULTS}}
    assert plan["to"] == {"processes": {name: "suspended" for name in DEFAULTS}}
    assert plan["undo"] == {"resume": DEFAULTS}
    assert plan["impact"] == ("web (desired 4 of 2 to 10, 4 in service): suspends AZRebalance, AlarmNotification, "
                              "ScheduledActions, so that these no longer change it")
    assert plan["by_hand"] == ("aws autoscaling suspend-processes --region eu-west-1 --auto-scaling-group-name 'web' "
                               "--scaling-processes AZRebalance AlarmNotification ScheduledActions")
    assert plan["undo_by_hand"] == plan["by_hand"].replace("suspend-", "resume-")
    assert plan["observed"]["desired"] == "4" and plan["observed"]["in_service"] == 4
    assert aws.effects == []
    assert client.freeze("reconcile", plan, op="apply") == {"state": "not-done"}
    assert client.freeze("apply", plan) == {"group": "web", "suspended": DEFAULTS}
    assert aws.suspended("web") == DEFAULTS and aws.effects == [("SuspendProcesses", DEFAULTS)]
    assert client.freeze("verify", plan)["holds"] is True
    assert client.freeze("reconcile", plan, op="apply") == {"state": "done"}
    assert client.freeze("reconcile", plan, op="undo") == {"state": "not-done"}
    assert client.freeze("undo", plan) == {"group": "web", "resumed": DEFAULTS}
    assert aws.suspended("web") == []
    assert client.freeze("reconcile", plan, op="undo") == {"state": "done"}
    assert client.freeze("undo", plan)["already"] is True
    assert len(aws.effects) == 2


def test_undo_resumes_only_what_this_run_suspended(aws, client):
    aws.add_group("web", suspended=["AlarmNotification", "HealthCheck"])
    before = dict(aws.groups["web"]["suspended"])
    plan = client.freeze("plan")
    assert plan["from"]["processes"]["AlarmNotification"] == "suspended"
    assert plan["undo"] == {"resume": ["AZRebalance", "ScheduledActions"]}
    assert plan["observed"]["suspended"]["HealthCheck"].startswith("User suspended")
    client.freeze("apply", plan)
    aws.groups["web"]["suspended"]["InstanceRefresh"] = "somebody else, meanwhile"
    client.freeze("undo", plan)
    assert aws.groups["web"]["suspended"] == {**before, "InstanceRefresh": "somebody else, meanwhile"}


def test_no_change(aws, client):
    aws.add_group("web", suspended=DEFAULTS)
    plan = client.freeze("plan")
    assert plan["no_change"] is True and plan["undo"] == {"resume": []} and "suspended already" in plan["impact"]
    assert client.freeze("apply", plan)["already"] is True
    assert client.freeze("undo", plan)["already"] is True
    assert aws.effects == [] and aws.suspended("web") == DEFAULTS


def test_apply_twice_changes_once(aws, client):
    plan = client.freeze("plan")
    client.freeze("apply", plan)
    assert client.freeze("apply", plan)["already"] is True
    assert len(aws.effects) == 1


def test_apply_insists_on_what_was_approved(aws, client):
    plan = client.freeze("plan")
    aws.groups["web"]["suspended"]["AZRebalance"] = "somebody"
    assert client.freeze("apply", plan, expect="failed")["kind"] == "stale"
    assert aws.effects == []
    assert client.freeze("reconcile", plan, op="apply") == {"state": "cannot-tell"}


def test_launch_and_terminate_only_when_the_settings_allow(aws, client):
    error = client.freeze("plan", processes=["Terminate"], expect="failed")
    assert error["kind"] == "refused" and "allow_launch_terminate" in error["text"] and aws.asked == []
    with start(aws, allow_launch_terminate=True) as host:
        plan = Client(host).freeze("plan", processes=["Terminate", "Launch", "Terminate"])
    assert plan["undo"] == {"resume": ["Launch", "Terminate"]} and "WARNING" in plan["impact"]
    assert "WARNING" in client.freeze("plan", processes=["ReplaceUnhealthy"])["impact"]


def test_only_groups_that_the_settings_name(aws):
    aws.add_group("db")
    with start(aws, groups=["db"]) as host:
        client = Client(host)
        client.freeze("plan", group="db")
        asked = len(aws.asked)
        for called in ("plan", "apply", "undo"):
            plan = {"to": {"processes": {"AZRebalance": "suspended"}}, "undo": {"resume": ["AZRebalance"]}}
            assert client.freeze(called, plan, expect="failed")["kind"] == "refused"
        assert client.ask("read", "state", {"group": "web"}, expect="failed")["kind"] == "refused"
        assert len(aws.asked) == asked


def test_state(aws, client):
    aws.add_group("a b'<&>", suspended=["Launch"], desired=3, instances=2)
    state = client.ask("read", "state", {"group": "a b'<&>"})
    assert (state["desired"], state["min"], state["max"], state["instances"], state["in_service"]) == ("3", "2", "10", 2, 2)
    assert list(state["suspended"]) == ["Launch"]
    plan = client.freeze("plan", group="a b'<&>")
    assert "--auto-scaling-group-name 'a b'\\''<&>' " in plan["by_hand"]


def test_verify_waits_for_what_lags(aws, client):
    plan = client.freeze("plan")
    aws.faults.append(("DescribeAutoScalingGroups", lambda: aws.groups["web"]["suspended"].clear()))
    aws.faults.append(("DescribeAutoScalingGroups",
                       lambda: aws.groups["web"]["suspended"].update({p: "now" for p in DEFAULTS})))
    assert client.freeze("verify", plan)["holds"] is True
    aws.groups["web"]["suspended"].clear()
    assert client.freeze("verify", plan, deadline_ms=5000)["holds"] is False


# ---- what goes wrong ----

DESCRIBE, SUSPEND, RESUME = "DescribeAutoScalingGroups", "SuspendProcesses", "ResumeProcesses"
MATRIX = [  # how the change is answered, outcome, kind, effects
    ((400, "ResourceInUse", "busy"), "failed", "conflict", 0),
    ((403, "AccessDenied", "not authorized to perform: autoscaling:SuspendProcesses"), "failed", "forbidden", 0),
    ((400, "ValidationError", "1 validation error"), "failed", "invalid", 0),
    ((500, "InternalFailure", "?"), "unknown", "remote", 0),
    ((502, b"<html>bad gateway</html>"), "unknown", "remote", 0),
    ((409, b"no"), "failed", "stale", 0),
    ((412, b"no"), "failed", "stale", 0),
    ((422, b"no"), "failed", "remote", 0),
    ((404, b"no"), "failed", "not-found", 0),
    ((401, b"no"), "failed", "unauthorized", 0),
    ((200, b"it worked, trust me"), "unknown", "protocol", 0),
    ((200, b"<SuspendProcessesResponse>"), "unknown", "protocol", 0),
    ((200, b"<OtherResponse/>"), "unknown", "protocol", 0),
    ("lost-before", "unknown", "unreachable", 0),
    ("lost-after", "unknown", "unreachable", 1),
    ("hang", "unknown", None, 0),
]


@pytest.mark.parametrize("how,outcome,kind,effects", MATRIX, ids=[str(row[0])[:40] for row in MATRIX])
def test_when_the_change_fails(aws, client, how, outcome, kind, effects):
    plan = client.freeze("plan")
    aws.faults.append((SUSPEND, how))
    error = client.freeze("apply", plan, expect=outcome, deadline_ms=2500 if how == "hang" else 10000)
    assert kind is None or error["kind"] == kind, error
    assert len(aws.effects) == effects
    state = client.freeze("reconcile", plan, op="apply")["state"]
    assert state == ("done" if effects else "not-done")


@pytest.mark.parametrize("how", ["lost-before", "hang", (500, "InternalFailure", "?"), (200, b"<a"), (502, b"")],
                         ids=str)
def test_a_read_that_fails_inside_of_a_change_is_no_unknown(aws, client, how):
    plan = client.freeze("plan")
    aws.faults.extend([(DESCRIBE, how)] * 30)
    # a tenth of it is what is left to say what happened: of a machine that is loaded, too
    client.freeze("apply", plan, expect="failed", is_given_up=how != "hang")
    assert aws.effects == [] and SUSPEND not in [action for action, *_ in aws.asked]


def test_a_read_inside_of_a_change_is_asked_again(aws, client):
    plan = client.freeze("plan")
    aws.faults.append((DESCRIBE, "lost-before"))
    client.freeze("apply", plan)
    assert len(aws.effects) == 1


@pytest.mark.parametrize("how", [(500, "ResourceContention", "pending update"), (400, "Throttling", "Rate exceeded"),
                                 (503, "ServiceUnavailable", "?"), (400, "RequestLimitExceeded", "?")], ids=str)
def test_contention_and_throttling_are_asked_again(aws, client, how):
    plan = client.freeze("plan")
    aws.faults.extend([(SUSPEND, how), (SUSPEND, how)])
    client.freeze("apply", plan)
    assert len(aws.effects) == 1 and aws.suspended("web") == DEFAULTS
    assert [action for action, *_ in aws.asked].count(SUSPEND) == 3


def test_contention_without_end_is_failed(aws, client):
    plan = client.freeze("plan")
    aws.faults.extend([(SUSPEND, (500, "ResourceContention", "pending update"))] * 30)
    error = client.freeze("apply", plan, expect="failed", is_given_up=True)
    assert error["kind"] == "conflict" and error["retry"] is True and aws.effects == []


def test_no_such_group(client):
    assert client.freeze("plan", group="nobody", expect="failed")["kind"] == "not-found"


def test_nobody_listens():
    with closed_port() as port, Host("aws", {"url": f"http://127.0.0.1:{port}", "region": "eu-west-1"}, KEY) as host:
        plan = {"to": {"processes": {"AZRebalance": "suspended"}}, "undo": {"resume": ["AZRebalance"]}}
        assert Client(host).freeze("apply", plan, expect="failed", is_given_up=True)["kind"] == "unreachable"


GOOD = ("<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member>"
        "<AutoScalingGroupName>web</AutoScalingGroupName><MinSize>1</MinSize>%s</member></AutoScalingGroups>"
        "</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>")
LAUGHS = "<!DOCTYPE r [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + i)} '{('&' + chr(97 + i) + ';') * 10}'>" for i in range(9)) + "]>" + GOOD % "<X>&j;</X>"
BAD_XML = {
    "laughs": LAUGHS.encode(),
    "an entity": ("<!DOCTYPE r [<!ENTITY x 'haha'>]>" + GOOD % "<X>&x;</X>").encode(),
    "a type alone": ("<!DOCTYPE r>" + GOOD % "").encode(),
    "file": ("<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + GOOD % "<X>&x;</X>").encode(),
    "utf16": ("<?xml version='1.0' encoding='utf-16'?><!DOCTYPE r []>" + GOOD % "").encode("utf-16"),
    "no entity": (GOOD % "<X>&x;</X>").encode(),
    "deep": (GOOD % ("<a>" * 40 + "</a>" * 40)).encode(),
    "very deep": b"<a>" * 100000,
    "twice": (GOOD % "<X>1</X><X>2</X>").encode(),
    "bytes": bytes(range(256)) * 100,
    "latin": (GOOD % "<X>\xff</X>").encode("latin-1"),
    "cut": (GOOD % "")[:-5].encode(),
    "empty": b"",
    "too large": (GOOD % ("<X>" + "x" * (9 << 20) + "</X>")).encode(),
}


def test_good_xml(aws, client):
    aws.faults.append((DESCRIBE, (200, (GOOD % "<!-- a --><X><![CDATA[&x;]]></X>").encode())))
    assert client.freeze("plan")["observed"]["min"] == "1"


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml(aws, client, name):
    aws.faults.extend([(DESCRIBE, (200, BAD_XML[name]))] * 30)
    error = client.freeze("plan", expect="failed", is_given_up=True)
    assert error["kind"] in ("protocol", "unreachable"), error
    assert "root:" not in error["text"] and "haha" not in error["text"]
    aws.faults.clear()
    client.freeze("plan")


# ---- credentials ----


def sts_text(key_id="ASIATEMPORARY", token="temporary-token", seconds=3600):
    ends = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()
    return (f'<AssumeRoleWithWebIdentityResponse xmlns="{STS_NAMESPACE}"><AssumeRoleWithWebIdentityResult><Credentials>'
            f"<AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>temporary-secret</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{ends}</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


@pytest.fixture
def web_identity(aws, tmp_path):
    file = tmp_path / "token"
    file.write_text("web-token-1")
    aws.keys["ASIATEMPORARY"] = ("temporary-secret", "temporary-token")
    with start(aws, {}, web_identity_token=str(file), role_arn="arn:aws:iam::1:role/stanch", sts_url=aws.url) as host:
        yield Client(host), file


def asked_sts(aws):
    return [(params, headers) for action, params, headers in aws.asked if action.startswith("Assume")]


def test_web_identity(aws, web_identity):
    client, file = web_identity
    aws.sts_answers += [(200, sts_text(seconds=30)), (200, sts_text())]
    client.freeze("plan")
    params, headers = asked_sts(aws)[0]
    assert params["WebIdentityToken"] == "web-token-1" and params["RoleArn"] == "arn:aws:iam::1:role/stanch"
    assert params["RoleSessionName"] == "stanch" and "authorization" not in headers
    file.write_text("web-token-2")
    os.utime(file, (1, 1))
    plan = client.freeze("plan")  # that key ends within a minute: another one, for the token as it is now
    assert asked_sts(aws)[1][0]["WebIdentityToken"] == "web-token-2"
    client.freeze("apply", plan)
    assert len(asked_sts(aws)) == 2 and aws.suspended("web") == DEFAULTS


@pytest.mark.parametrize("answer,kind", [
    ((400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>bad</Message></Error></ErrorResponse>"),
     "unauthorized"),
    ((403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"), "unauthorized"),
    ((500, "<html/>"), "unavailable"), ((200, "<a/>"), "protocol"), ((200, "nothing"), "protocol"),
    ((200, sts_text(seconds=-5)), "unauthorized"), ((200, sts_text(key_id="")), "unauthorized")])
def test_no_key_is_failed_and_changes_nothing(aws, web_identity, answer, kind):
    client, _ = web_identity
    aws.sts_answers += [answer] * 20
    plan = {"to": {"processes": {"AZRebalance": "suspended"}}, "undo": {"resume": ["AZRebalance"]}}
    assert client.freeze("apply", plan, expect="failed", is_given_up=True)["kind"] == kind
    assert aws.effects == [] and {action for action, *_ in aws.asked} == {"AssumeRoleWithWebIdentity"}


def test_a_key_that_aws_refuses_is_replaced_once(aws, web_identity):
    client, _ = web_identity
    aws.sts_answers += [(200, sts_text())] * 3
    client.freeze("plan")
    aws.expires.add("ASIATEMPORARY")
    assert client.freeze("plan", expect="failed")["kind"] == "unauthorized"
    assert len(asked_sts(aws)) == 2


@pytest.fixture
def script(tmp_path):
    def make(text):
        file = tmp_path / "key"
        file.write_text("#!/bin/sh\n" + text)
        file.chmod(0o755)
        return str(file)
    return make


def printed(seconds=3600, **more):
    ends = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()
    return json.dumps({"Version": 1, "AccessKeyId": "ASIATEMPORARY", "SecretAccessKey": "temporary-secret",
                       "SessionToken": "temporary-token", "Expiration": ends, **more})


def test_credential_process(aws, script, tmp_path):
    aws.keys["ASIATEMPORARY"] = ("temporary-secret", "temporary-token")
    command = script(f"echo \"$1 $PROFILE_NAME\" >> {tmp_path}/runs\ncat {tmp_path}/answer\n")
    (tmp_path / "answer").write_text(printed(seconds=30))
    with start(aws, {}, [command], credential_process=command, credential_args=["--profile=x y"],
               credential_environment={"PROFILE_NAME": "p"}) as host:
        client = Client(host)
        client.freeze("plan")
        (tmp_path / "answer").write_text(printed())
        client.freeze("apply", client.freeze("plan"))
        assert aws.suspended("web") == DEFAULTS
        assert (tmp_path / "runs").read_text() == "--profile=x y p\n" * 2


@pytest.mark.parametrize("text", ["echo temporary-secret; echo temporary-secret >&2; exit 3", "echo '{}'", "echo no",
                                  f"echo '{json.dumps({'Version': 1})}'", f"echo '{printed(seconds=-1)}'",
                                  "kill -9 $$", "head -c 100000 /dev/zero"])
def test_a_credential_process_that_fails(aws, script, text):
    command = script(text)
    with start(aws, {}, [command], credential_process=command) as host:
        error = Client(host).freeze("plan", expect="failed")
        assert error["kind"] == "unauthorized" and "temporary" not in error["text"] + "".join(host.logs)
    assert aws.asked == []


def test_a_session_token_is_sent_and_signed(aws):
    aws.keys["ASIASTATIC"] = ("temporary-secret", "temporary-token")
    secrets = {"access_key_id": "ASIASTATIC", "secret_access_key": "temporary-secret", "session_token": "temporary-token"}
    with start(aws, secrets) as host:
        Client(host).freeze("plan")


@pytest.mark.parametrize("secrets,settings,part", [
    ({}, {}, "one credential was expected"),
    ({"access_key_id": "AKIDEXAMPLE"}, {}, "set both or none"),
    ({"session_token": "one-of-these"}, {"credential_process": "/bin/true"}, "session_token"),
    (KEY, {"credential_process": "/bin/true"}, "one credential was expected"),
    ({}, {"credential_process": "true"}, "credential_process"),
    ({}, {"web_identity_token": "/etc/hostname", "role_arn": "arn:x"}, "sts_url"),
    (KEY, {"region": "eu west"}, "region"),
    (KEY, {"groups": []}, "groups"),
    (KEY, {"group": ["web"]}, "group"),
    (KEY, {"credential_environment": {"A": 1}}, "credential_environment.A"),
])
def test_settings_that_make_no_sense(aws, secrets, settings, part):
    with pytest.raises(Refused, match=part):
        start(aws, secrets, **settings)


# ---- check ----


def rows(host):
    answer = host.call("check", "check", {})
    assert answer["outcome"] == "done", answer
    return answer["value"]["ok"], {row["name"]: (row["ok"], row["text"]) for row in answer["value"]["checks"]}


def test_check(aws, script):
    with start(aws, groups=["web", "gone"]) as host:
        ok, found = rows(host)
        assert not ok and found["group web"][0] and not found["group gone"][0]
        aws.faults.append((DESCRIBE, (403, "AccessDenied", "not authorized")))
        ok, found = rows(host)
        assert not ok and "permission" in found["autoscaling:DescribeAutoScalingGroups"][1]
    with start(aws, {**KEY, "access_key_id": "AKIDNOBODY"}) as host:
        assert "no such key" in rows(host)[1]["autoscaling:DescribeAutoScalingGroups"][1]
    command = script("exit 1")
    with start(aws, {}, [command], credential_process=command) as host:
        ok, found = rows(host)
        assert not ok and "run it by hand" in found["credential"][1]
    with start(aws) as host:
        assert rows(host)[0]


def test_the_form_is_escaped(aws, client):
    aws.add_group("a+b/c=d&e f")
    plan = client.freeze("plan", group="a+b/c=d&e f")
    client.freeze("apply", plan, group="a+b/c=d&e f")
    assert aws.suspended("a+b/c=d&e f") == DEFAULTS
