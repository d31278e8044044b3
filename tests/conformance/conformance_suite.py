"""conformance_suite.py: what every plugin for an HTTP API has to stand, in its host, against a hostile server.

    class TestLamp(Conformance):
        plugin = "lamp"
        secrets = {"token": "t0p-s3cret"}
        bad_settings = [({"url": "ftp://x"}, "no URL")]
        read = ("look", {"lamp": "red"})            # an action that reads; or None
        change = ("switch", {"lamp": "red", "on": True})    # a mitigation; or None
        notice = ("say", {"text": "up"})            # an action that notifies; or None
        def settings(self, url): return {"url": url}
        def answer(self, server, request): ...      # the happy side, see hostile.py

A change is planned, applied, verified and undone; faults hit its requests that are no GET or HEAD (`is_change` says
otherwise). What took effect stands in server.effects.
"""
import inspect
import threading

import pytest

from hostile import Hostile, certificates, tls_context
from plugin_host import Host, Refused

KINDS = {401: "unauthorized", 403: "forbidden", 404: "not-found", 409: "stale", 412: "stale", 422: None, 429: "rate",
         500: "remote", 503: "unavailable"}
NEVER = "3600"  # as Retry-After: there is no time for that
BROKEN = ["hangup", "cut", "huge", "headers"]


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


class Conformance:
    plugin = None
    secrets = {}
    bad_settings = []
    bad_args = []
    read = None
    change = None
    notice = None
    ca_setting = None  # the name of a setting with "format":"ca-file"; None: certificates of the test's own are never trusted
    kinds = {}         # status -> kind, where a plugin knows better than the SDK

    def __init_subclass__(cls, **more):
        """What a plugin does not have is not tested, so those tests are not there."""
        super().__init_subclass__(**more)
        absent = {name for name, has in {"reads": cls.read, "changes": cls.change, "notices": cls.notice}.items() if not has}
        for name, test in vars(Conformance).items():
            if name.startswith("test_") and absent & set(inspect.signature(test).parameters):
                setattr(cls, name, None)
            elif name.startswith("test_") and getattr(cls, name) is None:  # a class above had no use for it
                setattr(cls, name, test)

    def settings(self, url):
        return {"url": url}

    def answer(self, server, request):
        raise NotImplementedError

    def is_change(self, request):
        return request.method not in ("GET", "HEAD")

    # ---- fixtures

    @pytest.fixture
    def server(self):
        with Hostile(self.answer) as one:
            yield one

    @pytest.fixture
    def host(self, server):
        with Host(self.plugin, self.settings(server.url), self.secrets) as one:
            yield one
            for secret in self.secrets.values():
                assert str(secret).encode() not in one.raw, "a secret left the host"

    @pytest.fixture
    def reads(self):
        return self.read

    @pytest.fixture
    def changes(self):
        return self.change

    @pytest.fixture
    def notices(self):
        return self.notice

    def ask(self, host, called, action, args, plan=None, key=None, deadline_ms=15000, is_given_up=False, **more):
        given = {"args": args, **more}
        if key or called in ("apply", "undo", "reconcile"):  # as core does; a read with a key is a notice
            given = {"key": key or "key-1", "epoch": 1, **given}
        if plan is not None:
            given["plan"] = plan
        return host.wait(host.start(called, action, given, b"", deadline_ms, is_given_up), deadline_ms / 1000 + 30)

    def ask_once(self, host, *args, **more):
        """As ask, and given up at once."""
        return self.ask(host, *args, is_given_up=True, **more)

    def done(self, host, *args, **more):
        answer = self.ask(host, *args, **more)
        assert answer["outcome"] == "done", answer
        return answer["value"]

    # ---- settings

    def test_bad_settings(self, server):
        for settings, text in [({**self.settings(server.url), "no_such": 1}, "no such setting"), *self.bad_settings]:
            with pytest.raises(Refused) as refused:
                Host(self.plugin, settings, self.secrets)
            assert text in str(refused.value), (settings, refused.value)

    def test_bad_parameters(self, host, server):
        for op, action, args in self.bad_args:
            answer = self.ask(host, op, action, args)
            assert answer["outcome"] == "failed" and answer["error"]["kind"] in ("invalid", "refused"), (args, answer)
            assert not server.seen, "something was sent"

    # ---- reading

    def test_reads(self, host, server, reads):
        self.done(host, "read", *reads)
        assert server.seen and not server.effects

    @pytest.mark.parametrize("status", sorted(KINDS))
    def test_a_read_that_is_refused(self, host, server, reads, status):
        server.fault, server.retry_after = status, NEVER
        answer = self.ask(host, "read", *reads)
        assert answer["outcome"] == "failed", answer
        kind = self.kinds.get(status, KINDS[status])
        assert kind is None or answer["error"]["kind"] == kind, answer
        assert answer["error"]["retry"] is (status in (429, 500, 503)), answer
        assert len(answer["error"]["text"]) > 15

    @pytest.mark.parametrize("fault", [*BROKEN, "malformed"])
    def test_a_read_that_is_broken(self, host, server, reads, fault):
        server.fault = fault
        answer = self.ask_once(host, "read", *reads)
        assert answer["outcome"] == "failed", answer
        server.fault = None
        self.done(host, "read", *reads)  # and it goes on

    @pytest.mark.parametrize("fault", ["slow", "drip"])
    def test_a_read_that_takes_too_long(self, host, server, reads, fault):
        server.fault = fault
        answer = self.ask(host, "read", *reads, deadline_ms=600)
        assert answer["outcome"] in ("failed", "unknown"), answer
        server.fault = None
        self.done(host, "read", *reads)

    def test_cancel(self, host, server, reads):
        server.fault = "slow"
        call = host.start("read", reads[0], {"args": reads[1]}, deadline_ms=1500)
        host.cancel(call)
        assert host.wait(call)["outcome"] in ("failed", "unknown")

    # ---- not reached

    def any_call(self):
        return ("read", *(self.read or self.notice)) if self.read or self.notice else ("plan", *self.change)

    def test_a_connection_that_is_refused(self, server):
        with Host(self.plugin, self.settings("http://127.0.0.1:1"), self.secrets) as host:
            answer = self.ask_once(host, *self.any_call())
        assert answer["outcome"] == "failed" and answer["error"]["kind"] == "unreachable", answer
        assert answer["error"]["retry"] is True

    @pytest.mark.parametrize("which", ["good", "other", "expired", "self-signed"])
    def test_tls(self, tls_files, which):
        with Hostile(self.answer, tls_context(tls_files[which])) as server:
            settings = self.settings(server.url)
            if self.ca_setting:
                settings[self.ca_setting] = str(tls_files["ca"][0])
            with Host(self.plugin, settings, self.secrets) as host:
                answer = self.ask_once(host, *self.any_call())
            is_good = which == "good" and self.ca_setting is not None
            assert answer["outcome"] == ("done" if is_good else "failed"), answer
            assert bool(server.seen) == is_good
            assert is_good or answer["error"]["kind"] == "unreachable", answer

    # ---- changing

    def test_the_way_of_a_change(self, host, server, changes):
        plan = self.done(host, "plan", *changes)
        assert plan["targets"] and not server.effects, "a plan changed something"
        self.done(host, "apply", *changes, plan)
        assert server.effects
        if "verify" in self.ops(host, changes):
            assert self.done(host, "verify", *changes, plan)["holds"] is True
        if "undo" in self.ops(host, changes):
            assert plan.get("undo_by_hand") and plan.get("by_hand")
            self.done(host, "undo", *changes, plan, key="key-2")
            assert self.done(host, "verify", *changes, plan)["holds"] is False

    @staticmethod
    def ops(host, changes):
        return host.declaration["actions"][changes[0]]["ops"]

    @pytest.mark.parametrize("status", sorted(KINDS))
    def test_a_change_that_is_refused(self, host, server, changes, status):
        plan = self.done(host, "plan", *changes)
        server.fault, server.hits, server.retry_after = status, self.is_change, NEVER
        answer = self.ask(host, "apply", *changes, plan)
        assert answer["outcome"] == ("unknown" if status == 500 else "failed"), answer
        kind = self.kinds.get(status, KINDS[status])
        assert kind is None or answer["error"]["kind"] == kind, answer
        assert not server.effects

    @pytest.mark.parametrize("fault", BROKEN)
    def test_a_change_whose_answer_is_broken(self, host, server, changes, fault):
        plan = self.done(host, "plan", *changes)
        server.fault, server.hits = fault, self.is_change
        assert self.ask(host, "apply", *changes, plan)["outcome"] == "unknown"
        sent = [request for request in server.seen if self.is_change(request)]
        assert len(sent) == 1, "a change that may have happened was sent again"

    @pytest.mark.parametrize("fault", ["slow", "drip"])
    def test_a_change_that_takes_too_long(self, host, server, changes, fault):
        plan = self.done(host, "plan", *changes)
        server.fault, server.hits = fault, self.is_change
        assert self.ask(host, "apply", *changes, plan, deadline_ms=3000)["outcome"] == "unknown"

    def test_a_reply_that_is_lost(self, host, server, changes):
        plan = self.done(host, "plan", *changes)
        server.fault, server.hits = "lost", self.is_change
        assert self.ask(host, "apply", *changes, plan)["outcome"] == "unknown"
        assert len(server.effects) == 1
        server.fault = None
        if "reconcile" in self.ops(host, changes):
            assert self.done(host, "reconcile", *changes, plan, op="apply") == {"state": "done"}
        if "verify" in self.ops(host, changes):
            assert self.done(host, "verify", *changes, plan)["holds"] is True

    def test_a_change_that_did_not_happen(self, host, server, changes):
        plan = self.done(host, "plan", *changes)
        if "reconcile" not in self.ops(host, changes):
            pytest.skip("it has no reconcile")
        server.fault, server.hits = "hangup", self.is_change
        assert self.ask(host, "apply", *changes, plan)["outcome"] == "unknown"
        server.fault = None
        assert self.done(host, "reconcile", *changes, plan, op="apply")["state"] in ("not-done", "cannot-tell")

    def test_applied_twice(self, host, server, changes):
        """As the class promises: what is convergent or idempotent has one state, and one effect for a key."""
        kind = host.declaration["actions"][changes[0]]["class"]
        plan = self.done(host, "plan", *changes)
        self.done(host, "apply", *changes, plan)
        state, count = dict(server.state), len(server.effects)
        answer = self.ask(host, "apply", *changes, plan)
        assert answer["outcome"] in ("done", "failed"), answer
        if kind in ("convergent", "idempotent"):
            assert server.state == state
        if kind == "idempotent":
            assert len(server.effects) == count

    # ---- notices: a change to everything but the table of handlers

    def test_a_notice(self, host, server, notices):
        self.done(host, "read", *notices, key="key-1")
        assert len(server.effects) == 1 and len(server.seen) == 1

    @pytest.mark.parametrize("status", sorted(KINDS))
    def test_a_notice_that_is_refused(self, host, server, notices, status):
        server.fault, server.retry_after = status, NEVER
        answer = self.ask(host, "read", *notices, key="key-1")
        assert answer["outcome"] == ("unknown" if status == 500 else "failed"), answer
        kind = self.kinds.get(status, KINDS[status])
        assert kind is None or answer["error"]["kind"] == kind, answer
        assert len(answer["error"]["text"]) > 15 and not server.effects

    @pytest.mark.parametrize("fault", [*BROKEN, "lost", "slow", "drip"])
    def test_a_notice_whose_answer_is_lost(self, host, server, notices, fault):
        """It would be said twice otherwise."""
        server.fault = fault
        deadline_ms = 4000 if fault in ("slow", "drip") else 15000
        assert self.ask(host, "read", *notices, key="key-1", deadline_ms=deadline_ms)["outcome"] == "unknown"
        assert len(server.seen) == 1, "a notice that may have arrived was sent again"
        server.fault = None
        self.done(host, "read", *notices, key="key-2")  # and it goes on

    def test_a_notice_waits_as_it_is_told(self, host, server, notices):
        server.fault, server.hits = 429, lambda request: len(server.seen) == 1
        self.done(host, "read", *notices, key="key-1")
        assert len(server.seen) == 2 and len(server.effects) == 1

    def test_many_at_once(self, host, server):
        """Calls do not get in each other's way."""
        op, action, args = self.any_call()
        calls = [host.start(op, action, {"args": args}, deadline_ms=30000) for _ in range(20)]
        assert all(host.wait(call, 60)["outcome"] == "done" for call in calls)
        assert threading.active_count() < 200
