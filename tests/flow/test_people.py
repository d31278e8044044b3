"""People and tokens: who is somebody, over the socket and over TCP; what entries say; what stays secret."""
import base64
import http.client
import json
import os
import re
import signal
import ssl
import subprocess

from books import AUTO, book, set_to
from harness import Lua, alert, free_port, lua, wait_for, webhook
from servers import Haproxy


def people_file(*blocks, **more):
    return "people { " + ", ".join([*blocks, *(f"{key} = {lua(value)}" for key, value in more.items())]) + " }\n"


def person(name, **keys):
    return f"person {lua(name)} {lua(keys)}"


def new_token(daemon, name, *words):
    """As an operator makes one: (the token, its line for the people file)."""
    made = daemon.cli_json("token", "new", name, *words)
    return made["token"], made["line"].rstrip(",")


def start(world, *blocks, **more):
    world.write("people.lua", people_file(*blocks, **more))
    return world.daemon(policy=AUTO, people="people.lua").start()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_token_from_the_command_line_opens_the_api_over_tcp(world):
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    daemon = world.daemon(policy=AUTO)
    token, line = new_token(daemon, "phone", "--person", "ada", "--may", "respond")
    reader, reader_line = new_token(daemon, "wall")
    old, old_line = new_token(daemon, "old", "--person", "ada", "--expires", "1s")
    daemon = start(world, person("ada", may="approve"), person("root", uid=os.getuid(), may="admin"), line, reader_line,
                   old_line)
    answer = daemon.api("POST", "/v1/incidents", {"title": "by phone"}, bearer(token), tcp=True)
    assert answer.status == 201, answer
    declared = daemon.timeline(answer.json["id"])[0]
    assert declared["kind"] == "incident.declared" and declared["by"] == "person:ada"
    assert daemon.api("GET", "/v1/incidents", headers=bearer(reader), tcp=True).status == 200
    refused = daemon.api("POST", "/v1/stop", {"reason": "x"}, bearer(reader), tcp=True)
    assert refused.status == 403 and "token:wall may read here, and POST /v1/stop is for who may respond" in refused.text
    beyond = daemon.api("POST", "/v1/resume", {}, bearer(token), tcp=True)
    assert beyond.status == 403, beyond
    wait_for(lambda: daemon.api("GET", "/v1/incidents", headers=bearer(old), tcp=True).status == 401, "the token to expire")
    assert "has expired" in daemon.api("GET", "/v1/incidents", headers=bearer(old), tcp=True).text
    outside = daemon.cli("incident", "list", "--json", env={"STANCH_TOKEN": token})
    assert json.loads(outside.stdout)
    over_tcp = daemon.cli("--server", f"http://127.0.0.1:{daemon.port}", "whoami", env={"STANCH_TOKEN": token}).stdout
    assert "person:ada" in over_tcp and "respond" in over_tcp
    check_refusals(daemon)
    check_secrets(world, daemon, token, reader, old)


def check_refusals(daemon):
    """Each is an entry once, with who, what and why."""
    wanted = {("token:wall", "POST /v1/stop"), ("person:ada", "POST /v1/resume"), ("nobody", "GET /v1/incidents")}
    seen = lambda: {(e["by"], e["data"]["what"]) for e in daemon.timeline("-") if e["kind"] == "access.refused"}
    wait_for(lambda: wanted <= seen(), "the entries")


def check_secrets(world, daemon, *tokens):
    shown = daemon.log() + json.dumps(daemon.timeline("-")) + json.dumps(daemon.get("/v1/people")) + daemon.cli("people").stdout
    daemon.stop()
    stored = b"".join(path.read_bytes() for path in (world.dir / "state").rglob("*") if path.is_file())
    for token in tokens:
        assert token not in shown and token.encode() not in stored
        assert token.removeprefix("stanch_") not in shown


def test_over_the_socket_the_uid_says_who(world):
    world.repo.commit({"shift.lua": book(set_to(7))})
    daemon = start(world, person("ada", uid=os.getuid(), may="respond"))
    assert daemon.get("/v1/whoami") == {"name": "person:ada", "may": "respond"}
    assert daemon.post("/v1/incidents", {"title": "x"})["id"] == "INC-1"
    assert daemon.timeline("INC-1")[0]["by"] == "person:ada"
    refused = daemon.cli("resume", check=False)
    assert refused.returncode != 0 and "is for who may approve" in refused.stderr
    daemon.stop()
    daemon = start(world, person("ada", uid=os.getuid() + 1, may="admin"))
    nobody = daemon.cli("incident", "list", check=False)
    assert nobody.returncode != 0 and f"uid {os.getuid()} of this machine is nobody" in nobody.stderr
    assert daemon.api("GET", "/readyz").status == 200


def test_alerts_need_no_person(world):
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    daemon = start(world, person("ada", uid=os.getuid(), may="read"))
    run = daemon.post_alert(alert("shift"))["events"][0]["runs"][0]
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the run")


def test_a_wrong_people_file_is_said_before_anything_starts(world):
    for blocks, said in [((person("a", uid=1), person("b", uid=1)), 'person "a" and "b" have the same uid'),
                         (('token "t" { may = "approve" }',), "hash: missing"),
                         ((person("a", mya="read"),), 'there is no such key; did you mean "may"?')]:
        world.write("people.lua", people_file(*blocks))
        daemon = world.daemon(people="people.lua")
        done = daemon.cli("config", "check", daemon.config_path, check=False)
        assert done.returncode != 0 and said in done.stderr and re.search(r"people\.lua", done.stderr), done


def test_what_is_read_again_counts_at_once_or_not_at_all(world):
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    ada = person("ada", uid=os.getuid(), may="admin")
    token, line = new_token(world.daemon(policy=AUTO), "phone", "--person", "ada", "--may", "respond")
    daemon = start(world, ada, line)
    ask = lambda: daemon.api("GET", "/v1/whoami", headers=bearer(token), tcp=True).status
    assert ask() == 200
    world.write("people.lua", people_file(ada))
    world.write("policy.lua", "policy { auto = 'never' }")
    refused = daemon.cli("reload", check=False)
    assert refused.returncode != 0 and "policy.lua has 1 mistake, the first in line 1: expected" in refused.stderr
    assert ask() == 200  # neither was taken
    wait_for(lambda: daemon.kinds("-").count("reload.refused") == 1, "the refusal's entry")
    world.write("policy.lua", "policy { auto = 'none' }")
    assert daemon.cli_json("reload")["people"] == 1
    assert ask() == 401
    told = [(e["kind"], e["by"]) for e in daemon.timeline("-")]
    assert ("policy.loaded", "person:ada") in told and ("people.loaded", "person:ada") in told, told
    run = daemon.post_alert(alert("shift"))["events"][0]["runs"][0]
    asked = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")
    assert asked[0]["run"] == run
    world.write("people.lua", people_file(ada, line))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask() == 200, "the file to be read again")


def test_an_approval_is_void_when_the_policy_was_changed_meanwhile(world):
    """PROMISES.md 1.4: the rules that matched are bound; the new policy is asked before anything runs."""
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    rule = "rule {{ 'first', action = 'set_*', risk = '{}' }}"
    daemon = world.daemon(policy="policy { auto = 'low', %s }" % rule.format("high")).start()
    daemon.post_alert(alert("shift"))
    asked = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]
    world.write("policy.lua", "policy { auto = 'low', %s }" % rule.format("medium"))
    daemon.cli("reload")
    daemon.post(f"/v1/approvals/{asked['id']}", {"decision": "approve", "plan": asked["plan_digest"]})
    again = wait_for(lambda: [a for a in daemon.get("/v1/approvals")["items"] if a["id"] != asked["id"]], "a new question")[0]
    assert again["rules"][0]["risk"] == "medium" and not daemon.get("/v1/mitigations")["items"]
    daemon.post(f"/v1/approvals/{again['id']}", {"decision": "approve", "plan": again["plan_digest"]})
    wait_for(lambda: daemon.get("/v1/mitigations")["items"], "the mitigation")


def test_a_proxy_that_signs_people_on_through_a_real_haproxy(world):
    """HAProxy ends TLS, knows its users, and takes away what they send under the proxy's names."""
    secret = "a secret between the two"
    world.repo.commit({"shift.lua": book(set_to(7))})
    world.write("secrets/proxy", secret + "\n", 0o600)
    world.write("people.lua", people_file(person("ada", may="respond"), person("me", uid=os.getuid(), may="admin")))
    daemon = world.daemon(policy=AUTO, people="people.lua", proxy={"secret": Lua(f'secret.file {lua(world.dir / "secrets/proxy")}')})
    port, pem = free_port(), make_certificate(world)
    front = f"""
userlist staff
    user ada insecure-password sesame
    user stranger insecure-password sesame
frontend people
    bind 127.0.0.1:{port} ssl crt {pem}
    http-request auth realm stanch unless {{ http_auth(staff) }}
    http-request set-var(txn.user) req.hdr(authorization),regsub("^Basic ",""),b64dec,field(1,:)
    http-request del-header Authorization
    http-request set-header X-Stanch-Proxy "{secret}"
    http-request set-header X-Forwarded-User %[var(txn.user)]
    default_backend stanch
backend stanch
    server one 127.0.0.1:{world.port}
"""
    with Haproxy({"unused": {"s1": 1}}, front):
        daemon.start()
        ask = lambda user, method="GET", path="/v1/whoami", body=None, **headers: over_tls(port, pem, user, method, path, body, headers)
        assert json.loads(ask("ada")[1]) == {"name": "person:ada", "may": "respond"}
        status, text = ask("ada", "POST", "/v1/incidents", {"title": "from afar"}, **{"X-Forwarded-User": "me"})
        assert status == 201 and daemon.timeline(json.loads(text)["id"])[0]["by"] == "person:ada"
        assert ask("stranger")[0] == 403 and ask("nobody")[0] == 401
        status, text = ask("ada", "POST", "/v1/resume", {})
        assert status == 403 and "person:ada may respond" in text
    direct = daemon.api("GET", "/v1/whoami", headers={"X-Forwarded-User": "ada"}, tcp=True)
    assert direct.status == 401, direct  # around the proxy a header is only a header
    assert secret not in daemon.log() + json.dumps(daemon.timeline("-"))


def test_a_proxy_secret_that_is_none_is_refused(world):
    world.write("people.lua", people_file(person("me", uid=os.getuid(), may="admin")))
    world.write("secrets/proxy", "short\n", 0o600)
    proxy = {"secret": Lua(f'secret.file {lua(world.dir / "secrets/proxy")}')}
    daemon = world.daemon(people="people.lua", proxy=proxy)
    done = daemon.cli("config", "check", daemon.config_path, check=False)
    assert done.returncode != 0 and "proxy.secret: expected 16 to 1000 characters, not 5" in done.stderr, done


def make_certificate(world):
    """One file with key and certificate, as HAProxy wants it."""
    pem = world.dir / "front.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{pem}.key", "-out", f"{pem}.crt"],
                   check=True, capture_output=True)
    pem.write_text((world.dir / "front.pem.crt").read_text() + (world.dir / "front.pem.key").read_text())
    return pem


def over_tls(port, pem, user, method, path, body, headers):
    context = ssl.create_default_context(cafile=f"{pem}.crt")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    credential = base64.b64encode(f"{user}:sesame".encode()).decode()
    connection.request(method, path, None if body is None else json.dumps(body),
                       {"Authorization": f"Basic {credential}", "Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_token_for_events_of_one_source_is_for_nothing_else(world):
    """It stands for the source's own credential; the event is stored like any other."""
    world.repo.commit({"shift.lua": book(set_to(7), on='alert { alertname = "shift" }')})
    maker = world.daemon(policy=AUTO)
    token, line = new_token(maker, "alerts", "--source", "am")
    old, old_line = new_token(maker, "old", "--source", "am", "--expires", "1s")
    other, other_line = new_token(maker, "other", "--source", "other")
    assert "no --person, no --may" in maker.cli("token", "new", "x", "--source", "am", "--may", "read", check=False).stderr
    second = f"alertmanager \"other\" {{ token = secret.file {lua(world.token_file)} }}"
    world.write("people.lua", people_file(person("ada", uid=os.getuid(), may="admin"), line, old_line, other_line))
    daemon = world.daemon(policy=AUTO, people="people.lua", instances=[second]).start()
    run = daemon.post_alert(alert("shift", nth="1"), token=token)["events"][0]["runs"][0]
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the run")
    daemon.post_alert(alert("shift", nth="2"))  # its own credential is one, too
    send = lambda source, with_token: daemon.api("POST", f"/v1/events/{source}", webhook(alert("shift", nth="3")), bearer(with_token), tcp=True)
    assert send("other", token).status == 403 and "token:alerts is not for events of the source" in send("other", token).text
    assert send("am", other).status == 403 and send("am", "stanch_" + "0" * 64).status == 401
    wait_for(lambda: send("am", old).status == 401, "the token to expire")
    assert daemon.api("GET", "/v1/incidents", headers=bearer(token), tcp=True).status == 403
    assert "am" in daemon.cli("people").stdout
