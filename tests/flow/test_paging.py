"""People are told of questions and pages, through a PagerDuty and a receiver of webhooks that are faked; the daemon is real."""
import hashlib
import hmac
import json
import subprocess
import threading

import pytest

from books import ASK, AUTO, book, set_to
from harness import PATIENCE_S, STANCH, Lua, alert, lua, wait_for
from servers import Origin

URL = "https://stanch.example"
KEY, SECRET = "0123456789abcdef0123456789abcdef", "the-secret-of-webhooks"


class Pager(Origin):
    """PagerDuty and a receiver in one: what was accepted, in order, is in .events. `fault`: what is answered instead, a
    status, or an event to wait for."""

    def __init__(self, port=0):
        self.events, self.fault, self.refused, self.lock = [], None, 0, threading.Lock()
        super().__init__(self.say, port)

    def say(self, handler, body):
        fault = self.fault
        if hasattr(fault, "wait"):
            self.refused += 1
            fault.wait(60)
            fault = 500
        with self.lock:
            if fault:
                self.refused += 1
                return fault, {}, "{}"
            event = json.loads(body)
            if handler.path == "/hook":
                stamp = handler.headers["X-Stanch-Timestamp"].encode()
                want = hmac.new(SECRET.encode(), b"v1:" + stamp + b":" + body, hashlib.sha256).hexdigest()
                assert handler.headers["X-Stanch-Signature"] == "v1=" + want
                self.events.append((event["event"], event["key"], event))
                return 204, {}, ""
            assert event["routing_key"] == KEY, event
            self.events.append((event["event_action"], event["dedup_key"], event))
            return 202, {}, json.dumps({"status": "success", "dedup_key": event["dedup_key"]})

    def told(self, key=None):
        return [e[0] for e in list(self.events) if key in (None, e[1])]

    def first(self, action, key):
        return next((e[2] for e in list(self.events) if e[:2] == (action, key)), None)


@pytest.fixture
def pager():
    with Pager() as one:
        yield one


def paging(world, pager, *via, url=URL):
    """Settings of a daemon that pages."""
    key = world.write("secrets/pd", KEY, 0o600)
    secret = world.write("secrets/hook", SECRET, 0o600)
    instances = {"pd": f'pagerduty "pd" {lua({"url": pager.url, "routing_key": Lua(f"secret.file {lua(key)}")})}',
                 "hook": f'webhook "hook" {lua({"url": pager.url + "/hook", "secret": Lua(f"secret.file {lua(secret)}")})}'}
    return {"instances": [instances[one] for one in via], "paging": {"via": list(via), "url": url}}


def start(world, pager, body, *via, policy=ASK, more="", **config):
    world.repo.commit({"heal.lua": book(body, more=more)})
    return world.daemon(policy=policy, **paging(world, pager, *(via or ("pd",))), **config).start()


def pending(daemon):
    return wait_for(lambda: daemon.get("/v1/approvals")["items"], "a question")[0]


def decide(daemon, question, decision):
    answer = daemon.api("POST", f"/v1/approvals/{question['id']}", {"decision": decision, "plan": question["plan_digest"]})
    assert answer.status == 200, answer


def kinds_until(daemon, kind):
    """The kinds of all entries up to the first of this one, which is waited for."""
    seen = []
    with daemon.stream(last_event_id=0) as events:
        for _, _, entry in events:
            seen.append(entry["kind"])
            if entry["kind"] == kind:
                return seen
    raise AssertionError(f"the stream ended without {kind}: {seen}")


def test_a_question_pages_with_its_link_and_ends_with_its_answer(world, pager):
    daemon = start(world, pager, set_to(7), "pd", "hook")
    daemon.post_alert(alert(severity="sev2"))
    question = pending(daemon)
    wait_for(lambda: pager.first("trigger", "A-1") and pager.first("asked", "A-1"), "both to be told")
    page = pager.first("trigger", "A-1")
    assert page["links"][0]["href"] == f"{URL}/approvals/A-1" and page["payload"]["severity"] == "error"
    details = page["payload"]["custom_details"]
    assert details["plan_digest"] == question["plan_digest"] and details["risk"] == question["risk"]
    assert details["answer"] == "stanch approve A-1, or stanch deny A-1" and details["runbook"] == "heal"
    assert (details["incident"], details["run"], details["because"]) == ("INC-1", "R-1", "it is failing")
    assert details["targets"] and details["from"] is not None and details["to"] is not None and "expires" in details
    assert page["payload"]["summary"].startswith("INC-1: A-1 asks the ic: fx.set_convergent? ")
    asked = pager.first("asked", "A-1")
    assert asked["link"] == f"{URL}/approvals/A-1" and asked["details"]["answer"] == details["answer"]
    assert asked["severity"] == "sev2" and asked["summary"] == page["payload"]["summary"]
    decide(daemon, question, "approve")
    wait_for(lambda: pager.first("resolve", "A-1") and pager.first("closed", "A-1"), "both to hear that it is over")
    assert pager.told("A-1") == sorted(pager.told("A-1"), key=lambda e: e in ("resolve", "closed")), "first asked, then over"
    assert pager.first("closed", "A-1")["details"]["state"] in ("granted", "consumed")
    wait_for(lambda: daemon.kinds("INC-1").count("notice.closed") == 2, "both to be noted")
    assert daemon.kinds("INC-1").count("notice.told") == 2


def policy(**more):
    """Asks whatever the risk."""
    return "policy " + lua({"auto": "none", "approve": {risk: {"role": "ic", **more} for risk in ("low", "medium", "high")}})


def test_an_expired_question_ends_its_page_and_pages_anew(world, pager):
    daemon = start(world, pager, set_to(7), policy=policy(expires="1s"))
    daemon.post_alert(alert())
    wait_for(lambda: "resolve" in pager.told("A-1"), "the first one to expire")
    wait_for(lambda: "trigger" in pager.told("A-2"), "the question that is asked anew to page anew")


def test_who_does_not_answer_is_told_once_more(world, pager):
    reminds = policy(expires="1h").replace("policy {", 'policy { remind = "59m59s",')
    daemon = start(world, pager, set_to(7), "pd", "hook", policy=reminds)
    daemon.post_alert(alert())
    question = pending(daemon)
    wait_for(lambda: pager.told("A-1").count("trigger") == 2 and "reminded" in pager.told("A-1"), "both to tell it again")
    assert pager.first("reminded", "A-1")["summary"].startswith("INC-1: A-1 still asks the ic: ")
    wait_for(lambda: daemon.kinds("INC-1").count("notice.told") == 4, "both to be noted")
    daemon.kill9().start()
    decide(daemon, question, "approve")
    wait_for(lambda: pager.first("resolve", "A-1") and pager.first("closed", "A-1"), "both to hear that it is over")
    assert pager.told("A-1").count("reminded") == 1 and pager.told("A-1").count("trigger") == 2


def test_a_denial_ends_the_page(world, pager):
    daemon = start(world, pager, set_to(7))
    daemon.post_alert(alert())
    question = pending(daemon)
    wait_for(lambda: pager.told("A-1") == ["trigger"], "the page")
    decide(daemon, question, "deny")
    wait_for(lambda: pager.told("A-1") == ["trigger", "resolve"], "its end")


def test_one_of_two_who_approve_acknowledges(world, pager):
    daemon = start(world, pager, set_to(7), policy=policy(quorum=2))
    daemon.post_alert(alert())
    question = pending(daemon)
    wait_for(lambda: pager.told("A-1") == ["trigger"], "the page")
    decide(daemon, question, "approve")
    wait_for(lambda: pager.told("A-1") == ["trigger", "acknowledge"], "it to be acknowledged")
    decide(daemon, question, "deny")
    wait_for(lambda: pager.told("A-1") == ["trigger", "acknowledge", "resolve"], "its end")


def test_a_runbook_pages_until_its_incident_is_over(world, pager):
    daemon = start(world, pager, 'page("comms", "nothing pre-baked helped"); note "after"', "pd", "hook", policy=AUTO)
    daemon.post_alert(alert())
    wait_for(lambda: pager.first("trigger", "P-1") and pager.first("page", "P-1"), "both to be told")
    page = pager.first("trigger", "P-1")
    assert page["payload"]["summary"] == "INC-1: the comms is paged: nothing pre-baked helped"
    assert page["links"][0]["href"] == f"{URL}/incidents/INC-1"
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run, which waits for no page")
    assert daemon.api("PATCH", "/v1/incidents/INC-1", {"state": "resolved", "reason": "over"}).status == 200
    wait_for(lambda: "resolve" in pager.told("P-1") and "closed" in pager.told("P-1"), "both to hear that it is over")
    assert "page.closed" in daemon.kinds("INC-1")


def test_an_outage_delays_nothing_and_is_said(world, pager):
    pager.fault = 500
    daemon = start(world, pager, 'page("ic", "x"); ' + set_to(7), policy=AUTO)
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run to go on")
    status = wait_for(lambda: (lambda p: p if p["failing"] else None)(daemon.get("/v1/status")["paging"]), "it to be said")
    assert status["via"][0]["state"] == "failing" and "500" in status["via"][0]["why"] and status["waiting"] == 1
    assert "pd cannot page people" in daemon.cli("status").stdout
    assert daemon.api("GET", "/readyz").status == 200, "stanch takes and handles events all the same"
    assert "stanch_paging_failing 1\n" in daemon.api("GET", "/metrics").text
    wait_for(lambda: pager.refused >= 2, "it to be tried again")
    pager.fault = None
    wait_for(lambda: pager.told("P-1") == ["trigger"], "the page to arrive")
    assert kinds_until(daemon, "paging.recovered").count("paging.failing") == 1
    assert not daemon.get("/v1/status")["paging"]["failing"]


def test_a_pager_that_hangs_holds_up_nobody_else(world, pager):
    let_go = threading.Event()
    with Pager() as other:
        pager.fault = let_go
        secret = world.write("secrets/hook", SECRET, 0o600)
        settings = paging(world, pager, "pd")
        settings["instances"].append(
            f'webhook "hook" {lua({"url": other.url + "/hook", "secret": Lua(f"secret.file {lua(secret)}")})}')
        settings["paging"]["via"].append("hook")
        world.repo.commit({"heal.lua": book(set_to(7))})
        daemon = world.daemon(policy=ASK, **settings).start()
        daemon.post_alert(alert())
        question = pending(daemon)
        wait_for(lambda: pager.refused == 1 and other.told("A-1") == ["asked"], "the other one to be told")
        decide(daemon, question, "approve")
        wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
        wait_for(lambda: other.told("A-1") == ["asked", "closed"], "the other one to hear the end")
        pager.fault = None
        let_go.set()
        wait_for(lambda: pager.told("A-1") in ([], ["trigger", "resolve"]) and
                 not daemon.get("/v1/status")["paging"]["waiting"], "the first one to be through")


def test_what_was_not_told_before_a_kill_is_told_after_it(world, pager):
    pager.fault = 500
    daemon = start(world, pager, 'page("ic", "x"); ' + set_to(7))
    daemon.post_alert(alert())
    pending(daemon)
    wait_for(lambda: pager.refused, "a try")
    daemon.kill9()
    pager.fault = None
    daemon.start()
    wait_for(lambda: pager.told("A-1") == ["trigger"] and pager.told("P-1") == ["trigger"], "both after the restart")
    wait_for(lambda: daemon.kinds("INC-1").count("notice.told") == 2, "both to be noted")
    daemon.kill9().start()
    decide(daemon, pending(daemon), "approve")
    wait_for(lambda: "resolve" in pager.told("A-1"), "its end")
    assert pager.told("A-1") == ["trigger", "resolve"] and pager.told("P-1") == ["trigger"], "what was told is not told again"


def test_what_ended_while_stanch_was_down_or_silent_is_told_at_the_start(world, pager):
    daemon = start(world, pager, set_to(7))
    daemon.post_alert(alert())
    question = pending(daemon)
    wait_for(lambda: daemon.kinds("INC-1").count("notice.told") == 1, "the page to be noted")
    pager.fault = 500
    decide(daemon, question, "deny")
    wait_for(lambda: "paging.failing" in daemon.kinds("-"), "a try, and that it failed to be said")
    daemon.kill9()
    pager.fault = None
    daemon.start()
    wait_for(lambda: pager.told("A-1") == ["trigger", "resolve"], "its end")
    assert kinds_until(daemon, "paging.recovered").count("paging.failing") == 1, "said by the earlier life"


def test_what_is_refused_for_good_is_given_up_and_said(world, pager):
    pager.fault = 400
    daemon = start(world, pager, set_to(7))
    daemon.post_alert(alert())
    wait_for(lambda: "notice.failed" in daemon.kinds("INC-1"), "it to be given up")
    text = next(e["text"] for e in daemon.timeline("INC-1") if e["kind"] == "notice.failed")
    assert text.startswith("pd could not be told of A-1, it is not tried again: ") and "400" in text
    assert pager.refused == 3 and daemon.get("/v1/status")["paging"]["waiting"] == 0


def test_many_at_once_are_told_together(world, pager):
    count = 40
    daemon = start(world, pager, 'page("ic", "server " .. p.server)', policy=AUTO,
                   more='params = { server = label "server" { } },', limits={"storm": {"enter": 1000, "leave": 1}})
    daemon.post_alert(*[alert(server=f"s{i}") for i in range(count)])
    wait_for(lambda: daemon.kinds("INC-1").count("notice.told") == count, "all to be told")
    own = [e for e in pager.events if e[1].startswith("P-")]
    many = [e for e in pager.events if e[1].startswith("many-")]
    assert len(own) == 10 and 1 <= len(many) <= 5 and len({e[1] for e in many}) == 1
    details = [e[2]["payload"]["custom_details"] for e in many]
    assert sum(d["count"] for d in details) == count - 10
    assert many[0][2]["links"][0]["href"] == f"{URL}/approvals"
    daemon.kill9().start()
    assert daemon.api("PATCH", "/v1/incidents/INC-1", {"state": "resolved", "reason": "over"}).status == 200
    wait_for(lambda: daemon.kinds("INC-1").count("notice.closed") == count, "all to end")
    assert pager.told(many[0][1]).count("resolve") == 1, "the page for many ends with the last of them"


def test_no_secret_and_no_link_that_leads_nowhere(world, pager):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=ASK, **paging(world, pager, "pd", url=None)).start()
    daemon.post_alert(alert())
    wait_for(lambda: pager.told("A-1") == ["trigger"], "the page")
    assert "links" not in pager.first("trigger", "A-1")
    decide(daemon, pending(daemon), "approve")
    wait_for(lambda: "resolve" in pager.told("A-1"), "its end")
    said = daemon.log() + json.dumps(daemon.timeline("INC-1")) + json.dumps(daemon.get("/v1/status"))
    assert KEY not in said


def test_without_paging_nothing_is_kept_for_it(world, pager):
    world.repo.commit({"heal.lua": book('page("ic", "x"); ' + set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
    kinds = daemon.kinds("INC-1")
    assert "page.requested" in kinds and not [k for k in kinds if k.startswith("notice.")]
    assert "paging" not in daemon.get("/v1/status")


def test_an_instance_that_left_the_configuration_keeps_nothing_open(world, pager):
    daemon = start(world, pager, set_to(7), "pd", "hook")
    daemon.post_alert(alert())
    wait_for(lambda: daemon.kinds("INC-1").count("notice.told") == 2, "both to be told")
    daemon.stop()
    daemon = world.daemon(policy=ASK, **paging(world, pager, "pd")).start()
    decide(daemon, pending(daemon), "deny")
    wait_for(lambda: pager.told("A-1").count("resolve") == 1, "the other one to hear of it")
    daemon.kill9().start()
    wait_for(lambda: daemon.kinds("INC-1").count("notice.dropped") == 1, "the one that left to be forgotten")
    assert "closed" not in pager.told("A-1")


@pytest.mark.parametrize("via,text", [(["fx"], 'paging.via: effects "fx" cannot page'),
                                      (["no"], 'paging.via: there is no instance "no"'),
                                      ([], "via"), (["pd", "pd"], "in via twice")])
def test_mistakes_are_found_before_anything_starts(world, pager, via, text):
    settings = paging(world, pager, "pd")
    settings["paging"]["via"] = via
    daemon = world.daemon(**settings)
    for words in (["--check"], []):
        done = subprocess.run([STANCH, "serve", *words, "--config", daemon.config_path], capture_output=True, text=True,
                              timeout=PATIENCE_S, env=daemon.env)
        assert done.returncode != 0 and text in done.stderr, done
