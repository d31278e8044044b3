"""Who takes part in a drill, and how they come in: its address, tokens of the people file, roles, the proxy, the stream."""
import base64
import http.client
import json
import os
import re
import signal
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest

from books import ASK
from harness import PATIENCE_S, Answer, Lua, UnixConnection, free_port, lua, wait_for
from servers import Haproxy
from test_exercise import OUTAGE, process_of
from test_people import bearer, person
from test_roles import HEAL, House, strict

QUIET = (OUTAGE % "approve").replace('at = "30s"', 'at = "90m"')  # nothing happens but what people do


class DrillHouse(House):
    """The people of test_roles.py, and a drill that they come into over TCP."""

    def __init__(self, world, drill=OUTAGE % "approve", drills=None, **more):
        self.port = free_port()
        super().__init__(world, files={**HEAL, "drills/outage.lua": drill},
                         drills={"listen": f"127.0.0.1:{self.port}", **(drills or {})}, **more)

    def begin(self, **more):
        answer = self.by("ada", "POST", "/v1/drills", {"name": "outage", "speed": 60, **more})
        assert answer.status == 201, answer
        return answer.json

    def ask(self, method, path, body=None, headers=None, port=None):
        """Somebody from elsewhere."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def inside(self, who, method, path, body=None):
        answer = self.ask(method, path, body, bearer(self.tokens[who]))
        assert answer.headers["x-stanch-drill"] == "D-1 exercise", "whatever becomes of it, it says that this is a drill"
        return answer

    def question(self):
        return wait_for(lambda: self.inside("ada", "GET", "/v1/approvals").json["items"], "a question in the drill")[0]

    def answer(self, who, question, decision="approve", **more):
        return self.inside(who, "POST", f"/v1/approvals/{question['id']}", {"decision": decision, "plan": question["plan_digest"], **more})

    def told(self, kind, incident="INC-1"):
        return [e for e in self.inside("ada", "GET", f"/v1/incidents/{incident}/timeline?limit=1000").json["items"] if e["kind"] == kind]

    def wait_done(self, run):
        wait_for(lambda: self.inside("ada", "GET", f"/v1/runs/{run}").json["state"] == "succeeded", "the run of the drill")

    def end(self):
        answer = self.by("ada", "POST", "/v1/drills/D-1/end", {"why": "enough"})
        assert answer.status == 200, answer
        return self.daemon.get("/v1/drills/D-1/report")

    def socket(self):
        return self.daemon.socket.with_name("drill.sock")


def add_to_people(world, *lines):
    before = (world.dir / "people.lua").read_text().rstrip().removesuffix("}")
    world.write("people.lua", f"{before}, {', '.join(lines)} }}\n")


# ---- who is who

def test_roles_and_tokens_count_as_they_do_in_earnest(world):
    house = DrillHouse(world)
    assert house.begin()["socket"] == str(house.socket())
    assert house.daemon.get("/v1/status")["drill"]["port"] == house.port
    question = house.question()
    assert house.inside("ada", "GET", "/v1/incidents/INC-1").json["roles"] == {"ic": "person:ada"}, "who is on call"
    nobody = house.ask("POST", f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
    assert nobody.status == 401 and "needs a token" in nobody.text
    assert house.ask("GET", "/v1/whoami", headers=bearer("stanch_" + "0" * 64)).status == 401
    assert house.ask("POST", "/v1/events/am", {}, bearer(house.world.token)).status in (401, 404), "no event comes in"
    for who, said in [("ci", "for who may approve"), ("alan", "for who may approve"), ("ada-watch", "for who may approve"), ("barbara", "who is person:ada")]:
        refused = house.answer(who, question)
        assert refused.status == 403 and said in refused.text, (who, refused)
    assert house.answer("ada", question).status == 200
    house.wait_done("R-1")
    assert house.inside("barbara", "PATCH", "/v1/incidents/INC-1", {"state": "resolved", "reason": "good again"}).status == 200
    ended = wait_for(lambda: (d := house.daemon.get("/v1/drills/D-1"))["state"] == "ended" and d, "its end")
    report = house.daemon.get("/v1/drills/D-1/report")
    assert ended["met"] == ended["of"] and report["waits"][0]["by"] == ["IC ada"], report
    assert [e["by"] for e in house.daemon.timeline("-") if e["kind"] == "drill.started"] == ["person:ada"]
    assert house.daemon.get("/v1/approvals?open=all")["items"] == [] and world.effects() == []


def test_who_started_a_run_does_not_approve_it(world):
    house = DrillHouse(world, QUIET, policy=strict(not_requester=True))
    house.begin()
    run = house.inside("ada", "POST", "/v1/runs", {"runbook": "heal"})
    assert run.status in (201, 202), run
    question = house.question()
    refused = house.answer("ada", question)
    assert refused.status == 403 and f"person:ada started {run.json['id']}" in refused.text
    assert house.inside("ada", "PATCH", "/v1/incidents/INC-1", {"roles": {"ic": "barbara"}}).status == 200
    assert house.answer("barbara", question).status == 200
    house.wait_done(run.json["id"])
    assert house.told("approval.granted")[0]["data"]["granted_by"] == ["person:barbara"]


def test_breaking_the_glass_is_listed_there_too(world):
    house = DrillHouse(world, policy=ASK.replace("policy {", 'policy { break_glass = { people = { "barbara" } },'))
    house.begin()
    question = house.question()
    assert house.answer("barbara", question).status == 403
    assert house.answer("grace", question, break_glass=True, note="x").status == 403
    assert house.answer("barbara", question, break_glass=True, note="ada cannot be reached").status == 200
    house.wait_done("R-1")
    assert house.told("approval.forced")[0]["text"].startswith("person:barbara broke the glass and approved A-1")
    forced = house.daemon.cli("--server", f"http://127.0.0.1:{house.port}", "approvals", "--forced", env={"STANCH_TOKEN": house.tokens["ada"]})
    assert "person:barbara" in forced.stdout and "DRILL D-1 exercise: this is not real" in forced.stderr
    assert house.cli("ada", "approvals", "--forced").stdout.count("barbara") == 0, "in earnest nobody broke it"


def test_a_token_lasts_as_long_as_a_clock_says(world):
    """A drill is sixty times as fast, and the tokens of people are not its own."""
    house = DrillHouse(world, QUIET)
    made = house.daemon.cli_json("token", "new", "brief", "--person", "alan", "--may", "respond", "--expires", "5m")
    short = house.daemon.cli_json("token", "new", "short", "--person", "alan", "--may", "respond", "--expires", "1s")
    add_to_people(world, made["line"].rstrip(","), short["line"].rstrip(","))
    house.daemon.stop().start()
    house.begin()
    began = house.inside("ada", "POST", "/v1/incidents", {"title": "now"}).json["created_ms"]
    wait_for(lambda: house.inside("ada", "POST", "/v1/incidents", {"title": "later"}).json["created_ms"] > began + 360_000,
             "six minutes of the drill", every=0.5)
    inside = house.ask("GET", "/v1/whoami", headers=bearer(made["token"]))
    assert inside.status == 200 and inside.json == {"name": "person:alan", "may": "respond"}, inside
    wait_for(lambda: house.ask("GET", "/v1/whoami", headers=bearer(short["token"])).status == 401, "the other one to expire")


def test_a_proxy_signs_people_on(world):
    """One and the same HAProxy before both: it knows its users, and proves itself by the same secret."""
    secret = "a secret between the two"
    world.write("secrets/proxy", secret + "\n", 0o600)
    house = DrillHouse(world, proxy={"secret": Lua(f'secret.file {lua(world.dir / "secrets/proxy")}')})
    front = free_port()
    haproxy = f"""
userlist staff
    user ada insecure-password sesame
    user stranger insecure-password sesame
frontend people
    bind 127.0.0.1:{front}
    http-request auth realm stanch unless {{ http_auth(staff) }}
    http-request set-var(txn.user) req.hdr(authorization),regsub("^Basic ",""),b64dec,field(1,:)
    http-request del-header Authorization
    http-request set-header X-Stanch-Proxy "{secret}"
    http-request set-header X-Forwarded-User %[var(txn.user)]
    default_backend drill
backend drill
    server one 127.0.0.1:{house.port}
"""
    with Haproxy({"unused": {"s1": 1}}, haproxy):
        house.begin()
        signed_on = lambda user, method, path, body=None: house.ask(method, path, body, {"Authorization": basic(user), "X-Forwarded-User": "barbara"}, front)
        assert signed_on("ada", "GET", "/v1/whoami").json == {"name": "person:ada", "may": "approve"}
        assert signed_on("stranger", "GET", "/v1/whoami").status == 403
        question = house.question()
        granted = signed_on("ada", "POST", f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
        assert granted.status == 200 and granted.headers["x-stanch-drill"] == "D-1 exercise"
    assert house.told("approval.granted")[0]["data"]["granted_by"] == ["person:ada"]
    direct = [house.ask("GET", "/v1/whoami", headers={"X-Forwarded-User": "ada", **more}) for more in ({}, {"X-Stanch-Proxy": "another secret of all"})]
    assert [answer.status for answer in direct] == [401, 401]
    shown = Path(f"/proc/{process_of(house.daemon)}/cmdline").read_bytes() + Path(f"/proc/{process_of(house.daemon)}/environ").read_bytes()
    house.end()
    kept = b"".join(path.read_bytes() for path in (world.dir / "state").rglob("*") if path.is_file())
    assert secret.encode() not in shown + kept + house.daemon.log().encode()


def basic(user):
    return "Basic " + base64.b64encode(f"{user}:sesame".encode()).decode()


# ---- the doors

@contextmanager
def stream_of(path, headers):
    """(the answer, its entries) of the live stream behind a socket."""
    connection = UnixConnection(path, PATIENCE_S)
    connection.request("GET", "/v1/stream", headers={"Accept": "text/event-stream", "Last-Event-ID": "0", **headers})
    response = connection.getresponse()

    def entries():
        while line := response.readline():
            if line.startswith(b"data:"):
                yield json.loads(line[5:])
    try:
        yield response, entries()
    finally:
        connection.close()


def test_its_stream_tells_of_it_and_of_nothing_else(world):
    house = DrillHouse(world)
    house.begin()
    with stream_of(house.socket(), bearer(house.tokens["ada"])) as (answer, entries):
        assert (answer.status, answer.getheader("X-Stanch-Drill")) == (200, "D-1 exercise")
        assert answer.getheader("Content-Type").startswith("text/event-stream")
        seen = []
        for entry in entries:
            seen.append(entry["kind"])
            if entry["kind"] == "incident.declared":
                assert entry["data"]["title"] == "DRILL: TestAlert: s1 is bad"
            if entry["kind"] == "approval.requested":
                break
        assert "incident.declared" in seen and not [kind for kind in seen if kind.startswith("drill.")]
        house.end()
        assert all(entry["kind"] for entry in entries), "it ends with the drill"
    kinds = house.daemon.kinds("-")
    assert "drill.ended" in kinds and "incident.declared" not in kinds and house.daemon.get("/v1/incidents?open=all")["items"] == []
    refused = UnixConnection(house.daemon.socket, PATIENCE_S)
    refused.request("GET", "/v1/status", headers=bearer(house.tokens["ada"]))
    assert refused.getresponse().getheader("X-Stanch-Drill") is None, "what is real does not say that it is a drill"
    refused.close()


def test_its_doors_are_closed_when_it_is_over(world):
    house = DrillHouse(world)
    add_to_people(world, person("root", uid=os.getuid(), may="respond"))
    house.daemon.stop().start()
    token = {"STANCH_TOKEN": house.tokens["ada"]}
    before = house.daemon.cli("--drill", "status", check=False)
    assert before.returncode != 0 and f"no drill answers on {house.socket()}: is one under way (`stanch drills`)" in before.stderr
    house.begin()
    inside = house.daemon.cli("--drill", "whoami")
    assert "person:root" in inside.stdout and inside.stderr == "DRILL D-1 exercise: this is not real\n"
    both = house.daemon.cli("--drill", "--server", f"http://127.0.0.1:{house.port}", "status", check=False, env=token)
    assert both.returncode == 2 and "--drill goes by the socket; a drill elsewhere has an address of its own: --server URL" in both.stderr
    elsewhere = house.daemon.cli("--server", f"http://127.0.0.1:{house.port}", "whoami", env=token)
    assert "person:ada" in elsewhere.stdout and elsewhere.stderr == "DRILL D-1 exercise: this is not real\n"
    house.end()
    wait_for(lambda: process_of(house.daemon) is None, "its process to end")
    assert not house.socket().exists()
    with pytest.raises(OSError):
        house.ask("GET", "/healthz")
    after = house.daemon.cli("--drill", "status", check=False)
    assert after.returncode == before.returncode and after.stderr == before.stderr
    assert house.begin()["id"] == "D-2", "the next one opens them again"
    assert house.ask("GET", "/v1/whoami", headers=bearer(house.tokens["ada"])).headers["x-stanch-drill"] == "D-2 exercise"


def test_an_address_that_is_taken_is_said_and_nothing_has_begun(world):
    house = DrillHouse(world)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.port))
        taken.listen()
        refused = house.by("ada", "POST", "/v1/drills", {"name": "outage"})
        assert refused.status >= 400 and str(house.port) in refused.json["detail"], refused
    assert house.daemon.get("/v1/drills?open=all")["items"] == [] and house.daemon.get("/v1/status").get("drill") is None
    wait_for(lambda: process_of(house.daemon) is None, "its process to end")
    assert house.begin()["state"] == "running"


def test_a_token_that_is_taken_back_opens_no_drill_either(world):
    house = DrillHouse(world, QUIET)
    house.begin()
    assert house.inside("ci", "GET", "/v1/whoami").status == 200
    people = world.dir / "people.lua"
    without, count = re.subn(r', \w+ "ci" \{[^}]*\}', "", people.read_text())
    assert count == 1, people.read_text()
    people.write_text(without)
    house.daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: house.inside("ci", "GET", "/v1/whoami").status == 401, "the token to be of no use")
    assert house.inside("ada", "GET", "/v1/whoami").status == 200
    assert house.end()["ended"]
