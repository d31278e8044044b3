"""Roles in an incident, and who may answer: with real people files, tokens and sockets."""
import threading

from books import ASK, book, set_to
from harness import Lua, alert, lua, wait_for
from test_people import bearer, new_token, people_file, person

ALL = ("ada", "grace", "barbara")
HEAL = {"heal.lua": book(set_to(7))}


class House:
    """A daemon with people: ada is on call, grace is the pool, barbara may approve, alan may respond, ci is a program."""

    def __init__(self, world, policy=ASK, people=None, pool=("grace",), files=HEAL, **config):
        world.repo.commit(files)
        self.world, self.policy, self.config = world, policy, config
        daemon = world.daemon()
        people = people or {**dict.fromkeys(ALL, "approve"), "alan": "respond"}
        self.tokens, lines = {}, []
        for name in people:
            self.tokens[name], line = new_token(daemon, f"{name}-phone", "--person", name, "--may", "admin")
            lines.append(line)
        self.tokens["ada-tablet"], line = new_token(daemon, "ada-tablet", "--person", "ada", "--may", "approve")
        self.tokens["ada-watch"], watch = new_token(daemon, "ada-watch", "--person", "ada", "--may", "respond")
        self.tokens["ci"], ci = new_token(daemon, "ci", "--may", "respond")
        roles = {"ic": {"people": Lua('{ "ada" }')}}
        world.write("people.lua", people_file(*(person(name, may=may) for name, may in people.items()), *lines, line, watch,
                                              ci, roles=roles, pool=pool))
        self.daemon = world.daemon(policy=policy, people="people.lua", **config)
        # what tests look at is looked at as ada
        self.daemon.start()
        plain = self.daemon.api
        self.daemon.api = lambda method, path, body=None, headers=None, **more: plain(
            method, path, body, {**bearer(self.tokens["ada-tablet"]), **(headers or {})}, **more)

    def by(self, who, method, path, body=None):
        return self.daemon.api(method, path, body, bearer(self.tokens[who]))

    def cli(self, who, *words, check=True):
        return self.daemon.cli("--server", f"http://127.0.0.1:{self.daemon.port}", *words, check=check,
                               env={"STANCH_TOKEN": self.tokens[who]})

    def question(self, state="pending"):
        return wait_for(lambda: next((a for a in self.daemon.get("/v1/approvals?open=all")["items"]
                                      if a["state"] == state), None), f"a question that is {state}")

    def answer(self, who, question, decision="approve", **more):
        body = {"decision": decision, "plan": question["plan_digest"], **more}
        return self.by(who, "POST", f"/v1/approvals/{question['id']}", body)

    def told(self, kind, incident="INC-1"):
        return [e for e in self.daemon.timeline(incident) if e["kind"] == kind]

    def fire(self):
        run = self.daemon.post_alert(alert())["events"][0]["runs"][0]
        return run, self.question()

    def wait_done(self, run):
        wait_for(lambda: self.daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the run")


def test_who_is_on_call_is_the_ic_and_nobody_else_answers(world):
    house = House(world)
    run, question = house.fire()
    assert house.daemon.get("/v1/incidents/INC-1")["roles"] == {"ic": "person:ada"}
    assigned = house.told("incident.assigned")[0]
    assert assigned["by"] == "stanch" and "person:ada is the ic of INC-1 now: on call" in assigned["text"]
    refused = house.answer("barbara", question)
    assert refused.status == 403 and "which" not in refused.text and "who is person:ada" in refused.text, refused
    assert house.answer("alan", question).status == 403  # may not approve at all: the door says so
    assert house.answer("ci", question).status == 403
    assert house.answer("barbara", question, "deny").status == 403
    refusals = wait_for(lambda: [e for e in [house.told("approval.refused")] if len(e) == 2], "two refusals in the timeline")[0]
    said = [(e["by"], e["data"]["approval"], e["data"]["decision"]) for e in refusals]
    assert said == [("person:barbara", "A-1", "approve"), ("person:barbara", "A-1", "deny")]
    assert world.effects() == []
    assert house.answer("ada", question).status == 200
    house.wait_done(run)


def test_the_ic_hands_over_while_a_question_is_open(world):
    house = House(world)
    run, question = house.fire()
    wrong = house.cli("ada", "incident", "handoff", "INC-1", "--role", "ic", "--to", "adda", check=False)
    assert wrong.returncode == 2 and 'no "adda" in the people file; there is ada, grace, barbara, alan' in wrong.stderr
    assert "may respond; the ic is somebody who may approve" in house.cli(
        "ada", "incident", "handoff", "INC-1", "--role", "ic", "--to", "alan", check=False).stderr
    shown = house.cli("ada", "incident", "handoff", "INC-1", "--role", "ic", "--to", "grace")
    assert "person:grace" in shown.stdout
    moved = house.told("approval.moved")[0]
    assert moved["text"] == "A-1 waits for person:grace now, who is the ic"
    assert house.answer("ada", question).status == 403
    house.daemon.kill9().start()
    assert house.answer("ada", question).status == 403
    assert house.answer("grace", question).status == 200
    house.wait_done(run)


def test_a_role_is_taken_from_who_does_not_answer_with_a_reason(world):
    house = House(world)
    house.fire()
    for who, words, said in [("barbara", ["--reason", "x"], "only one of the pool can take it"), ("grace", [], "say why"),
                             ("alan", ["--reason", "x"], "is for who may approve"), ("ci", ["--role", "comms"], "token:ci is none"),
                             ("ada-watch", [], "of the ic is for who may approve")]:
        done = house.cli(who, "incident", "take", "INC-1", *words, check=False)
        assert done.returncode != 0 and said in done.stderr, (who, done.stderr)
    house.cli("grace", "incident", "take", "INC-1", "--reason", "no answer for ten minutes")
    assert house.told("incident.assigned")[-1]["text"] == (
        "person:grace is the ic of INC-1 now, after person:ada: no answer for ten minutes")
    house.cli("alan", "incident", "take", "INC-1", "--role", "scribe")
    house.cli("grace", "incident", "assign", "INC-1", "--role", "lead", "--to", "alan")
    answer = house.by("grace", "PATCH", "/v1/incidents/INC-1", {"roles": {"comms": "barbara"}, "severity": "sev1"})
    assert answer.status == 200, answer
    assert answer.json["roles"] == {"ic": "person:grace", "scribe": "person:alan", "lead": "person:alan",
                                    "comms": "person:barbara"} and answer.json["severity"] == "sev1"
    assert house.by("barbara", "PATCH", "/v1/incidents/INC-1", {"roles": {"ic": "barbara"}}).status == 403
    assert house.by("alan", "PATCH", "/v1/incidents/INC-1", {"roles": {"ic": "barbara"}}).status == 403
    assert house.by("ada", "PATCH", "/v1/incidents/INC-1", {"roles": {"boss": "ada"}}).status == 400


def test_who_declares_by_hand_is_ic_only_when_nobody_is_on_call(world):
    house = House(world)
    assert house.by("barbara", "POST", "/v1/incidents", {"title": "x"}).json["roles"] == {"ic": "person:ada"}
    house.daemon.stop()
    text = (world.dir / "people.lua").read_text()
    (world.dir / "people.lua").write_text(text.replace('people = { "ada" }', "people = { }"))
    house.daemon.start()
    assert house.by("barbara", "POST", "/v1/incidents", {"title": "y"}).json["roles"] == {"ic": "person:barbara"}
    assert house.by("alan", "POST", "/v1/incidents", {"title": "z"}).json.get("roles", {}) == {}


def press(house, who, question, results):
    results.append(house.answer(who, question).status)


def test_two_press_at_once(world):
    house = House(world)
    run, question = house.fire()
    results = []
    threads = [threading.Thread(target=press, args=(house, who, question, results)) for who in ("ada", "ada-tablet")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200, 409]
    house.wait_done(run)
    assert len(world.effects()) == 1 and len(house.told("approval.granted")) == 1


def strict(**more):
    return "policy " + lua({"auto": "none", "approve": dict.fromkeys(("low", "medium", "high"), {"role": "ic", **more})})


def test_a_quorum_counts_people_not_tokens(world):
    house = House(world, policy=strict(quorum=2))
    run, question = house.fire()
    for who in ("ada", "ada-tablet", "ada"):
        assert house.answer(who, question).json["state"] == "pending"
    assert house.answer("barbara", question).status == 200
    house.wait_done(run)
    assert house.told("approval.granted")[0]["data"]["granted_by"] == ["person:ada", "person:barbara"]


def start_by_hand(house, who):
    run = house.by(who, "POST", "/v1/runs", {"runbook": "heal"}).json["id"]
    return run, house.question()


def test_a_lone_on_call_approves_what_they_started(world):
    house = House(world, policy=strict(not_requester=True), people={"ada": "approve", "alan": "respond"}, pool=("ada",))
    run, question = start_by_hand(house, "ada")
    assert house.answer("ada", question).status == 200
    house.wait_done(run)
    granted = house.told("approval.granted")[0]
    assert granted["text"].startswith("person:ada, who also started R-1: nobody else may approve, approved A-1")


def test_who_started_it_does_not_approve_it_when_somebody_else_could(world):
    house = House(world, policy=strict(not_requester=True))
    run, question = start_by_hand(house, "ada")
    refused = house.answer("ada", question)
    assert refused.status == 403 and "person:ada started R-1" in refused.text
    told = wait_for(lambda: house.told("approval.refused"), "the refusal in the timeline")
    assert "person:ada started R-1" in told[0]["text"]
    house.cli("ada", "incident", "handoff", "INC-1", "--role", "ic", "--to", "barbara")
    assert house.answer("barbara", question).status == 200
    house.wait_done(run)


def test_breaking_the_glass_is_listed(world):
    house = House(world, policy=ASK.replace("policy {", 'policy { break_glass = { people = { "barbara" } },'))
    run, question = house.fire()
    words = ("approve", question["id"], "--yes", "--plan", question["plan_digest"], "--break-glass")
    assert "go together" in house.cli("barbara", *words, check=False).stderr
    assert "not in the policy's break_glass" in house.cli("grace", *words, "--reason", "x", check=False).stderr
    assert house.answer("barbara", question, break_glass=True).status == 400  # no reason
    house.cli("barbara", *words, "--reason", "ada cannot be reached")
    house.wait_done(run)
    forced = house.told("approval.forced")[0]
    assert forced["text"] == "person:barbara broke the glass and approved A-1, which is for the ic: ada cannot be reached"
    assert forced["level"] == "headline"
    listed = house.cli("ada", "approvals", "--forced").stdout
    assert "A-1" in listed and "person:barbara" in listed and "ada cannot be reached" in listed
    assert house.daemon.get("/v1/incidents/INC-1")["roles"] == {"ic": "person:ada"}


def test_what_nobody_answers_goes_to_the_pool_and_answering_takes_the_role(world):
    house = House(world, policy=strict(expires="1s"))
    run = house.daemon.post_alert(alert())["events"][0]["runs"][0]
    question = wait_for(lambda: next((a for a in house.daemon.get("/v1/approvals")["items"] if a["role"] == "pool"), None),
                        "the pool to be asked")
    assert question["of_role"] == "ic"
    assert house.answer("barbara", question).status == 403
    results = []
    threads = [threading.Thread(target=press, args=(house, "grace", question, results)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200, 409]
    house.wait_done(run)
    assert house.daemon.get("/v1/incidents/INC-1")["roles"] == {"ic": "person:grace"}
    assert house.told("incident.assigned")[-1]["text"] == (
        f"person:grace is the ic of INC-1 now, after person:ada: answered {question['id']}, which the pool was asked")
    assert "asked again" in house.told("approval.expired")[0]["text"]


def test_without_a_people_file_all_is_as_it_was(world):
    world.repo.commit(HEAL)
    daemon = world.daemon(policy=ASK).start()
    run = daemon.post_alert(alert())["events"][0]["runs"][0]
    question = wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]
    daemon.cli("incident", "assign", "INC-1", "--role", "ic", "--to", "somebody")
    assert daemon.get("/v1/incidents/INC-1")["roles"] == {"ic": "somebody"}
    forced = daemon.api("POST", f"/v1/approvals/{question['id']}",
                        {"decision": "approve", "plan": question["plan_digest"], "break_glass": True, "note": "x"})
    assert forced.status == 400 and "no people file" in forced.text
    daemon.post(f"/v1/approvals/{question['id']}", {"decision": "approve", "plan": question["plan_digest"]})
    wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] == "succeeded", "the run")
