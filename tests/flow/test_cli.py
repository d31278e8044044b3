"""The command line, against a daemon that says what the test wants: what it asks for, prints, and exits with."""
import http.server
import json
import os
import pty
import re
import select
import socketserver
import subprocess
import threading
import time
from pathlib import Path

import pytest

from books import book, set_to

SOURCE = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))
STANCH = Path(os.environ.get("STANCH_BIN", SOURCE / "build/bin/stanch"))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class FakeDaemon:
    """Answers by method and path; keeps what it was asked."""

    def __init__(self, directory):
        self.socket = str(directory / "control.sock")
        self.answers, self.asked = {}, []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append((self.command, self.path, body, dict(self.headers)))
                status, value = fake.answers.get((self.command, self.path.split("?")[0]), (404, fake.problem(
                    404, "not-found", "no such thing here")))
                if callable(value):
                    value = value()
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = answer

            def address_string(self):
                return "unix"

            def log_message(self, *args):
                pass

        self.server = Server(self.socket, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def problem(status, code, detail, **more):
        return {"type": f"/problems/{code}", "title": "x", "status": status, "code": code, "detail": detail, **more}

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def cli(self, *args, env=None, input=None):
        return subprocess.run([STANCH, "--socket", self.socket, *args], capture_output=True, text=True, timeout=60,
                              input=input, stdin=subprocess.DEVNULL if input is None else None,
                              env={**os.environ, "TERM": "xterm", **(env or {})})

    def on_terminal(self, *args, typed=b"", env=None):
        """Run with a terminal for stdin, stdout and stderr; returns (exit code, bytes)."""
        leader, follower = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        process = subprocess.Popen([STANCH, "--socket", self.socket, *args], stdin=follower, stdout=follower,
                                   stderr=follower, env={**environment, "TERM": "xterm", **(env or {})},
                                   start_new_session=True)
        os.close(follower)
        if typed:
            os.write(leader, typed)
        seen, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    some = os.read(leader, 65536)
                except OSError:
                    break
                if not some:
                    break
                seen += some
        os.close(leader)
        return process.wait(60), seen


@pytest.fixture
def fake(tmp_path):
    daemon = FakeDaemon(tmp_path)
    yield daemon
    daemon.close()


APPROVAL = {
    "id": "A-1", "state": "pending", "about": "action", "role": "ic", "incident": "INC-1", "run": "R-1",
    "step": "R-1/2", "instance": "edge", "action": "drain", "args": {"server": "eu1"}, "risk": "medium",
    "because": "errors come from eu1", "why": "one server would be left", "rules": ["drain asks"],
    "expires_ms": int(time.time() * 1000) + 600000, "plan_digest": "d" * 64, "choices": ["approve", "deny"],
    "symptom": {"value": 0.3, "as_of": "2026-01-01T00:00:00Z"},
    "plan": {"targets": ["haproxy:edge/checkout/eu1"], "from": {"state": "ready"}, "to": {"state": "drain"},
             "impact": "serving capacity 3 -> 2 servers", "reach": 0.333, "undo": {"state": "ready"},
             "undo_by_hand": "echo set server checkout/eu1 state ready | socat", "by_hand": "echo drain | socat"},
}


def test_lists_are_tables_for_people_and_json_for_programs(fake):
    fake.answers["GET", "/v1/incidents"] = 200, {"items": [
        {"id": "INC-2", "state": "investigating", "severity": "sev1", "title": "Errors", "created_ms": 1},
        {"id": "INC-1", "state": "resolved", "severity": "sev3", "title": "Ünïcode läßt grüßen"}], "next": None}
    done = fake.cli("incident", "list")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "SEV", "AGE", "TITLE"]
    assert lines[1].startswith("INC-2  investigating  sev1")
    assert lines[1].index("Errors") == lines[2].index("Ünïcode") == lines[0].index("TITLE")
    assert "\x1b" not in done.stdout
    assert [item["id"] for item in json.loads(fake.cli("incident", "list", "--json").stdout)] == ["INC-2", "INC-1"]
    fake.answers["GET", "/v1/incidents"] = 200, {"items": [], "next": None}
    assert fake.cli("incident", "list").stdout == "no open incidents\n"


def test_pages_are_read_up_to_the_limit(fake):
    pages = iter([{"items": [{"id": f"R-{n}"} for n in range(1000)], "next": 7}, {"items": [{"id": "R-x"}], "next": None}])
    fake.answers["GET", "/v1/runs"] = 200, lambda: next(pages)
    assert len(json.loads(fake.cli("run", "list", "--limit", "1500", "--json").stdout)) == 1001
    assert [path for _, path, _, _ in fake.asked] == ["/v1/runs?limit=1000", "/v1/runs?limit=500&before=7"]


@pytest.mark.parametrize("args, method, path, body", [
    (["incident", "declare", "T", "--severity", "sev2"], "POST", "/v1/incidents", {"title": "T", "severity": "sev2"}),
    (["incident", "set", "INC-1", "--role", "ic=ann"], "PATCH", "/v1/incidents/INC-1", {"roles": {"ic": "ann"}}),
    (["incident", "note", "INC-1", "x"], "POST", "/v1/incidents/INC-1/timeline", {"kind": "note", "text": "x"}),
    (["incident", "decide", "INC-1", "x"], "POST", "/v1/incidents/INC-1/timeline", {"kind": "decide", "text": "x"}),
    (["incident", "merge", "INC-1", "INC-2"], "POST", "/v1/incidents/INC-1/merge", {"into": "INC-2"}),
    (["incident", "resolve", "INC-1", "--reason", "ok"], "PATCH", "/v1/incidents/INC-1",
     {"state": "resolved", "reason": "ok"}),
    (["incident", "resolve", "INC-1", "--because", "ok"], "PATCH", "/v1/incidents/INC-1",
     {"state": "resolved", "reason": "ok"}),
    (["incident", "resolve", "INC-1"], "PATCH", "/v1/incidents/INC-1", {"state": "resolved"}),
    (["run", "start", "rb", "--param", "n=3", "--param", "s=eu1"], "POST", "/v1/runs",
     {"runbook": "rb", "params": {"n": 3, "s": "eu1"}}),
    (["run", "cancel", "R-1"], "POST", "/v1/runs/R-1/cancel", {}),
    (["step", "resolve", "R-3/2", "did-not"], "POST", "/v1/steps/R-3/2/resolve", {"happened": "did-not"}),
    (["approve", "A-1", "--yes", "--plan", "abc"], "POST", "/v1/approvals/A-1", {"decision": "approve", "plan": "abc"}),
    (["deny", "A-1", "--note", "no"], "POST", "/v1/approvals/A-1", {"decision": "deny", "note": "no"}),
    (["answer", "A-1", "keep"], "POST", "/v1/approvals/A-1", {"decision": "keep"}),
    (["runbook", "sync"], "POST", "/v1/runbooks/sync", {}),
    (["plugin", "enable", "edge"], "POST", "/v1/plugins/edge/enable", {}),
    (["stop", "storm"], "POST", "/v1/stop", {"reason": "storm"}),
    (["resume"], "POST", "/v1/resume", {}),
    (["stop", "--instance", "edge", "--for", "2h", "--because", "moved"], "POST", "/v1/stop",
     {"reason": "moved", "level": "instance", "name": "edge", "for_ms": 7200000}),
    (["stop", "--target", "haproxy:edge/shop/s1"], "POST", "/v1/stop",
     {"reason": "no reason given", "level": "target", "name": "haproxy:edge/shop/s1"}),
    (["hold", "haproxy:edge/shop/s1", "--for", "20m", "--because", "me"], "POST", "/v1/holds",
     {"target": "haproxy:edge/shop/s1", "for_ms": 1200000, "reason": "me"}),
    (["hold", "t"], "POST", "/v1/holds", {"target": "t"}),
    (["release", "t", "--of", "person:bob"], "POST", "/v1/holds/release", {"target": "t", "of": "person:bob"}),
    (["resume", "--runbook", "heal"], "POST", "/v1/resume", {"level": "runbook", "name": "heal"}),
])
def test_words_become_a_request(fake, args, method, path, body):
    fake.answers[method, path] = 200, {"id": "X-1", "state": "done"}
    done = fake.cli(*args)
    assert done.returncode == 0, done.stderr
    assert [(m, p, json.loads(b)) for m, p, b, _ in fake.asked] == [(method, path, body)]


def test_plugin_check(fake):
    """One row for each thing that was looked at; what cannot be asked does not hide the others."""
    good = {"name": "reach it", "ok": True, "text": "answered 200"}
    bad = {"name": "may push", "ok": False, "text": "no: give it the right"}
    fake.answers["GET", "/v1/plugins"] = 200, {"next": None, "items": [
        {"name": "one", "state": "up", "check": {}}, {"name": "none", "state": "up"}, {"name": "two", "state": "up", "check": {}},
        {"name": "down", "state": "down"}]}
    fake.answers["POST", "/v1/plugins/one/check"] = 200, {"instance": "one", "ok": True, "checks": [good]}
    fake.answers["POST", "/v1/plugins/two/check"] = 200, {"instance": "two", "ok": False, "checks": [good, bad]}
    fake.answers["POST", "/v1/plugins/down/check"] = 503, fake.problem(503, "unavailable", "it is down")
    done = fake.cli("plugin", "check")
    assert done.returncode == 7 and "2 of 3 instances" in done.stderr, done
    rows = [line.split(None, 2) for line in done.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["one", "ok"], ["two", "ok"], ["two", "missing"], ["down", "missing"]]
    assert "it is down" in rows[3][2] and "give it the right" in rows[2][2]
    said = json.loads(fake.cli("plugin", "check", "--json").stdout)
    assert [one["ok"] for one in said] == [True, False, False]
    done = fake.cli("plugin", "check", "one")
    assert done.returncode == 0 and done.stdout.splitlines()[1].startswith("one")
    assert fake.cli("plugin", "check", "down").returncode == 7


def test_an_event_is_posted_as_it_is(fake, tmp_path):
    fake.answers["POST", "/v1/events/am"] = 202, {"delivery": "d", "events": [
        {"id": "E-1", "state": "firing", "repeat": False, "incident": "INC-1", "runs": ["R-1"]}]}
    (tmp_path / "body").write_bytes(b"{ not json \xff")
    done = fake.cli("event", "send", str(tmp_path / "body"), "--source", "am", "--header", "Authorization: Bearer t")
    assert done.stdout == "E-1 firing, INC-1, run R-1\n"
    _, _, body, headers = fake.asked[0]
    assert body == b"{ not json \xff" and headers["Authorization"] == "Bearer t"


@pytest.mark.parametrize("status, code, exit_code", [
    (400, "invalid", 2), (401, "unauthorized", 4), (403, "forbidden", 4), (404, "not-found", 5), (409, "stale", 6),
    (409, "stopped", 6), (413, "too-large", 2), (422, "refused", 3), (429, "rate", 7), (500, "internal", 1),
    (503, "busy", 7), (503, "disk-full", 8), (503, "store", 8), (500, "corrupt", 9), (502, "remote", 7), (422, "script", 3)])
def test_problems_become_words_and_exit_codes(fake, status, code, exit_code):
    fake.answers["GET", "/v1/runs/R-1"] = status, fake.problem(status, code, "what is wrong", where="title")
    done = fake.cli("run", "show", "R-1")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr == "stanch: title: what is wrong\n"


def test_wrong_words_are_said_before_anything_is_asked(fake):
    for args, said in [(["incident", "frob"], "no command"), (["incident", "show"], "expected: stanch incident show INC"),
                       (["run", "list", "--yes"], "takes no --yes"), (["--frob"], "unrecognized option"),
                       (["approve", "A-1", "--yes"], "--plan DIGEST"), (["step", "resolve", "R-3", "happened"], "R-3/2"),
                       (["run", "start", "x", "--param", "novalue"], "NAME=VALUE"), (["event", "send", "-"], "--source"),
                       (["stop", "--instance", "a", "--runbook", "b"], "one of --instance, --runbook and --target"),
                       (["stop", "--target", "a", "--target", "b"], "one of --instance, --runbook and --target"),
                       (["stop", "--for", "2h"], "--for goes with"), (["stop", "--instance", ""], "says no name"),
                       (["stop", "--instance", "a", "--for", "soon"], "--for"), (["completion", "tcsh"], "bash, zsh or fish")]:
        done = fake.cli(*args)
        assert done.returncode == 2 and said in done.stderr, (args, done)
    assert fake.asked == []


def test_no_daemon_is_said(tmp_path):
    done = subprocess.run([STANCH, "--socket", tmp_path / "none", "incident", "list"], capture_output=True, text=True)
    assert done.returncode == 7
    assert "no daemon answers on" in done.stderr and "No such file or directory" in done.stderr


def test_every_command_has_help_and_readme_has_every_exit_code():
    text = subprocess.run([STANCH, "--help"], capture_output=True, text=True, check=True).stdout
    nouns = {line.split()[0] for line in text.splitlines() if re.match(r"  [a-z]", line)}
    assert {"serve", "event", "incident", "run", "approve", "undo", "timeline", "stop", "completion"} <= nouns
    for noun in nouns - {"serve"}:
        assert noun in subprocess.run([STANCH, noun, "--help"], capture_output=True, text=True, check=True).stdout
    codes = set(re.findall(r"STANCH_ERR\(\w+, \d+, (\d+)", (SOURCE / "core/base/err.def").read_text()))
    documented = set(re.findall(r"^\| (\d) \|", (SOURCE / "core/cli/README.md").read_text(), re.M))
    assert codes | {"0"} == documented
    for code in documented:
        assert re.search(rf"\b{code} [a-z]", text), code


def test_the_policy_explains_itself(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    policy = """policy { auto = "low", approve = { high = { role = "lead", quorum = 2 } },
  rule { "payments never alone", target = "payments*", risk = "high" },
  rule { "fx is routine", action = "effects.set_*", environment = "*", risk = "low" },
  rule { "at night", severity = "sev1", risk = "medium" },
}
"""
    daemon = world.daemon(policy=policy).start()
    said = daemon.cli("policy", "explain", "fx.set_convergent", "--target", "s1", "--severity", "sev1").stdout
    assert "runs" in said and "within auto (low)" in said, said
    rows = {line.split()[0]: line for line in said.splitlines() if line[:1].isdigit()}
    assert 'no target is one of "payments*"' in rows["2"] and "decides" in rows["3"] and "matches" in rows["4"], said
    told = json.loads(daemon.cli("policy", "explain", "fx.set_convergent", "--target", "payments/a", "--json").stdout)
    assert (told["verdict"], told["risk"], told["role"], told["quorum"]) == ("asks", "high", "lead", 2)
    assert [rule["verdict"] for rule in told["rules"]] == ["decides", "matches", "no"]
    assert told["rules"][2]["because"] == 'severity is not said, the rule is for ["sev1"]'
    for words, says in ((("fx",), "INSTANCE.ACTION"), (("nobody.drain",), "no plugin instance"), (("fx.fly",), "no action"),
                        (("fx.get",), "changes nothing"), (("fx.set_convergent", "--severity", "P1"), "sev1 (worst)"),
                        (("fx.set_convergent", "--reach", "2"), "0 to 1"), (("fx.set_convergent", "--effect", "x"), "neither")):
        wrong = daemon.cli("policy", "explain", *words, check=False)
        assert wrong.returncode in (2, 5) and says in wrong.stderr, (words, wrong)
    assert not any("policy" in kind for kind in daemon.kinds("-"))  # nothing was recorded


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_noun(shell, tmp_path):
    text = subprocess.run([STANCH, "completion", shell], capture_output=True, text=True, check=True).stdout
    for word in ("incident", "declare", "approvals", "mitigations", "timeline", "socket"):
        assert word in text
    if shell == "bash":
        script = text + '\nCOMP_WORDS=(stanch incident res) COMP_CWORD=2; _stanch; echo "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("resolve\n", "")


# On a terminal.

def test_colour_only_on_a_terminal_and_not_with_no_color(fake):
    fake.answers["GET", "/v1/runs"] = 200, {"items": [{"id": "R-1", "state": "failed"}], "next": None}
    assert b"\x1b[31mfailed" in fake.on_terminal("run", "list")[1]
    assert b"\x1b" not in fake.on_terminal("run", "list", env={"NO_COLOR": "1"})[1]
    assert b"\x1b" not in fake.on_terminal("run", "list", env={"TERM": "dumb"})[1]
    assert "\x1b" not in fake.cli("run", "list").stdout


HOSTILE = [chr(c) for c in range(1, 32)] + [chr(0x7f)] + [chr(c) for c in range(0x80, 0xa0)] + \
    [chr(c) for c in (0xad, 0x61c, 0x180e, *range(0x200b, 0x2010), *range(0x2028, 0x202f), *range(0x2060, 0x2070),
                      0xfeff, 0xfff9, 0xfffa, 0xfffb, 0xe0001, 0xe0041)] + \
    ["\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\x1bP+q\x1b\\", "\r\nroot# ", "a\x08b"]


def test_nothing_from_outside_moves_the_cursor(fake):
    """T29: 0 control bytes reach the terminal, whatever stands in a label, a title, a plan or an error."""
    nasty = "x".join(HOSTILE)
    entry = {"seq": 1, "at_ms": 1700000000000, "by": nasty, "run": nasty, "level": "headline", "text": nasty}
    nouns = {"id": nasty, "state": nasty, "title": nasty, "name": nasty, "why": nasty, "summary": nasty,
             "labels": {nasty: nasty}, "source": nasty, "args": [nasty], "undo_by_hand": nasty}
    page = {"items": [nouns], "next": None}
    for noun in ("incidents", "runs", "events", "plugins", "mitigations", "approvals"):
        fake.answers["GET", f"/v1/{noun}"] = 200, page
    fake.answers["GET", "/v1/runbooks"] = 200, {**page, "book": {"commit": nasty, "why": nasty}}
    fake.answers["GET", "/v1/runbooks/x"] = 200, nouns
    fake.answers["GET", "/v1/events/x"] = 200, nouns
    fake.answers["GET", "/v1/incidents/x/timeline"] = 200, {"items": [entry], "next": None}
    fake.answers["GET", "/v1/approvals/x"] = 200, {**APPROVAL, "plan": {"impact": nasty, "to": {nasty: 1}}, "why": nasty}
    fake.answers["GET", "/v1/status"] = 200, {"ready": False, "why": [nasty], "stopped": {"reason": nasty, "by": nasty}}
    fake.answers["GET", "/v1/runs/x"] = 500, fake.problem(500, "internal", nasty)
    commands = [["incident", "list"], ["run", "list"], ["event", "list"], ["event", "show", "x"], ["plugin", "list"],
                ["mitigations"], ["approvals"], ["approvals", "show", "x"], ["runbook", "list"], ["runbook", "show", "x"],
                ["timeline", "show", "x"], ["status"], ["run", "show", "x"]]
    for command in commands + [command + ["--json"] for command in commands]:
        code, seen = fake.on_terminal(*command, env={"NO_COLOR": "1"})
        text = seen.replace(b"\r\n", b"\n").decode()
        assert len(text) > 50, (command, code, text)
        bad = [hex(ord(c)) for c in text if (c != "\n" and (ord(c) < 32 or 0x7f <= ord(c) < 0xa0)) or c in HOSTILE[31:]]
        assert not bad, (command, bad)
        assert "\nroot#" not in text or command == ["runbook", "show", "x"]  # a source has lines


def test_approving_shows_the_plan_and_sends_the_digest_that_was_shown(fake):
    fake.answers["GET", "/v1/approvals/A-1"] = 200, APPROVAL
    fake.answers["POST", "/v1/approvals/A-1"] = 200, {**APPROVAL, "state": "granted"}
    code, seen = fake.on_terminal("approve", "A-1", typed=b"y\n", env={"NO_COLOR": "1"})
    text = seen.decode()
    assert code == 0, text
    for word in ("edge.drain", "haproxy:edge/checkout/eu1", '"drain"', "serving capacity 3 -> 2 servers", "33.3 %",
                 "set server checkout/eu1 state ready", "errors come from eu1", "medium", "drain asks", "as_of",
                 "d" * 64, "A-1: granted"):
        assert word in text, word
    assert re.search(r"expires in +[0-9]+m[0-9]+s", text), text
    assert json.loads(fake.asked[-1][2]) == {"decision": "approve", "plan": "d" * 64}


def test_anything_but_yes_approves_nothing(fake):
    fake.answers["GET", "/v1/approvals/A-1"] = 200, APPROVAL
    for typed in (b"n\n", b"\n", b"yess\n", b"\x04"):
        code, _ = fake.on_terminal("approve", "A-1", typed=typed)
        assert code == 6
    assert fake.cli("approve", "A-1", input="y\n").returncode == 3  # nobody was there to read it
    assert fake.on_terminal("approve", "A-1", "--plan", "other", typed=b"y\n")[0] == 6
    assert {method for method, *_ in fake.asked} == {"GET"}


def test_the_story_is_told_by_time_and_indented_by_run(fake):
    at = 1700000000000
    fake.answers["GET", "/v1/incidents/INC-1/timeline"] = 200, {"items": [
        {"seq": 1, "at_ms": at, "by": "stanch", "level": "headline", "text": "INC-1 declared", "kind": "x"},
        {"seq": 2, "at_ms": at + 120, "by": "run:R-1", "run": "R-1", "level": "headline", "text": "Sent edge.drain"},
        {"seq": 3, "at_ms": at + 200000, "by": "person:ann", "level": "headline", "text": "person:ann noted: ok"}], "next": None}
    assert fake.cli("timeline", "show", "INC-1").stdout.splitlines() == [
        "2023-11-14 (UTC)",
        "22:13:20.000    +0.00s  stanch     INC-1 declared",
        "22:13:20.120    +0.12s  R-1          Sent edge.drain",
        "22:16:40.000    +3m20s  ann        ann noted: ok"]
    assert "level=headline" in fake.asked[0][1]
    fake.cli("timeline", "show", "INC-1", "--all")
    assert "level=headline" not in fake.asked[-1][1]


def test_an_undo_that_did_not_happen_is_no_success(fake):
    fake.answers["POST", "/v1/mitigations/M-1/undo"] = 200, {"id": "M-1", "state": "in-force", "undo_by_hand": "type this"}
    done = fake.cli("undo", "M-1")
    assert done.returncode == 7 and "by hand: type this" in done.stderr


def test_lint_sends_the_folder_and_says_file_and_line(fake, tmp_path):
    (tmp_path / "rb/lib").mkdir(parents=True)
    (tmp_path / "rb/a.lua").write_text("runbook {}")
    (tmp_path / "rb/lib/b.lua").write_text("x")
    (tmp_path / "rb/notes.txt").write_text("no")
    fake.answers["POST", "/v1/runbooks/lint"] = 200, {"ok": False, "runbooks": [], "warnings": [], "errors": [
        {"path": "lib/b.lua", "line": 1, "text": "syntax error"}]}
    done = fake.cli("runbook", "lint", str(tmp_path / "rb"))
    assert done.returncode == 3 and "lib/b.lua:1: error: syntax error" in done.stdout
    assert sorted(f["path"] for f in json.loads(fake.asked[0][2])["files"]) == ["a.lua", "lib/b.lua"]


# The switch, with the daemon dead.

def test_stop_works_with_the_daemon_dead(tmp_path):
    def stop(*args, **env):
        return subprocess.run([STANCH, "--socket", tmp_path / "none", "stop", *args], capture_output=True, text=True,
                              env={**os.environ, **env})
    done = stop("too hot", "--state-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "stop").read_text())
    assert said["reason"] == "too hot" and said["by"] and said["at"].endswith("Z")
    assert (tmp_path / "stop").stat().st_mode & 0o777 == 0o600
    assert stop("again", STANCH_STATE_DIR=str(tmp_path)).returncode == 0
    assert json.loads((tmp_path / "stop").read_text())["reason"] == "too hot"  # who was first stands in it
    done = stop("x", "--state-dir", str(tmp_path / "nowhere"))
    assert done.returncode == 1 and "nowhere" in done.stderr and "no daemon answers" in done.stderr


def test_stop_sets_the_switch_when_the_daemon_is_in_trouble_but_not_when_it_says_no(fake, tmp_path):
    fake.answers["POST", "/v1/stop"] = 403, fake.problem(403, "forbidden", "not you")
    assert fake.cli("stop", "x", "--state-dir", str(tmp_path)).returncode == 4
    assert not (tmp_path / "stop").exists()
    fake.answers["POST", "/v1/stop"] = 503, fake.problem(503, "disk-full", "no space")
    assert fake.cli("stop", "x", "--state-dir", str(tmp_path)).returncode == 0
    assert (tmp_path / "stop").exists()
