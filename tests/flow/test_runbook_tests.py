"""`stanch runbook test`: the real engine plays a folder's tests in virtual time, with a world that the test itself describes."""
import json
import os
import subprocess
import xml.etree.ElementTree

import pytest
from harness import BUILD, STANCH

CONFIG = '''stanch {
  state_dir = "/nonexistent", socket = "/nonexistent/s", listen = false, plugin_dir = "%s",
  policy = "policy.lua", runbooks = { url = "https://git.invalid/runbooks.git" },
  instances = {
    prometheus "main" { url = "https://prometheus.example", environment = "prod" },
    haproxy "edge" { socket = "unix:/nonexistent", backends = { "shop" }, environment = "prod" },
    unleash "flags" { url = "https://unleash.example", token = secret.file "%s", client_token = secret.file "%s",
                      environments = { "production" }, flags = { "*" }, environment = "prod" },
  },
}
'''
POLICY = '''policy {
  auto = "low", approve = { high = { role = "ic", expires = "15m" } },
  rule { "some may be drained", action = "haproxy.drain", effect = "mitigate", max_reach = 0.4, risk = "low" },
  rule { "more is a decision", plugin = "haproxy", effect = "mitigate", risk = "high" },
}
'''
BOOK = '''local edge, prom = haproxy "edge", prometheus "main"
runbook "heal" {
  summary = "drain it", owner = "team", on = alert { alertname = "Errors", env = "prod", max_age = "10m" },
  uses = { edge.drain, prom.query },
  params = { server = label "server" { one_of = { "s1", "s2" } } },
  symptom = symptom { ask = prom.query { expr = "errors" }, bad = "> 0.05", good = "< 0.01", settle = "2s", hold = "3s", within = "1m" },
  run = function(incident, p)
    ladder {
      rung { function() return edge.drain { backend = "shop", server = p.server, because = "errors there" } end },
      otherwise = function() page("ic", "it did not help") end,
    }
  end,
}
'''
ALERT = '{ alertname = "Errors", env = "prod", server = "s1", lasts = "20m" }'


def world(reach="0.3", helps=True, extra="", drain="errors = 0.001"):
    return f'''function()
    local errors, drains = 0.2, 0
    return {{
      ["main.query"] = function() return errors end,
      ["edge.drain"] = {{ plan = function() return {{ reach = {reach} }} end, apply = function() {drain if helps else ""} end,
                          undo = function() errors = 0.2 end }}, {extra}
    }}
  end'''


def a_test(name="it is drained", alerts=ALERT, people="", expect="", the_world=None, more=""):
    return f'''test "{name}" {{
  alerts = {{ {alerts} }}, people = {{ {people} }}, {more}
  world = {the_world or world()},
  expect = {{ {expect} }},
}}
'''


class Folder:
    def __init__(self, path):
        self.path, self.secret = path, path / "secret"
        (path / "runbooks").mkdir()
        self.write("heal.lua", BOOK)
        (path / "policy.lua").write_text(POLICY)
        (path / "stanch.lua").write_text(CONFIG % (BUILD / "plugins", self.secret, self.secret))

    def write(self, name, text):
        (self.path / "runbooks" / name).write_text(text)

    def cli(self, *args):
        return subprocess.run([STANCH, "runbook", "test", self.path / "runbooks", "--config", self.path / "stanch.lua", *args],
                              capture_output=True, text=True, timeout=300)

    def run(self, *tests, args=(), expect=0):
        self.write("heal_test.lua", "\n".join(tests))
        done = self.cli("--json", *args)
        assert done.returncode == expect, (done.returncode, done.stderr, done.stdout)
        return json.loads(done.stdout)

    def failures(self, *tests, args=()):
        return [text for test in self.run(*tests, args=args, expect=3)["tests"] for text in test["failures"]]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_what_happens_is_what_was_expected(folder):
    report = folder.run(a_test(expect='outcome = "succeeded", actions = { { "edge.drain", server = "s1" } }, asks = 0, '
                                      'in_force = { "edge.drain" }, notes = { "helped" }, severity = "sev3"'))
    (test,) = report["tests"]
    assert test["ok"] and test["name"] == "it is drained" and test["path"] == "heal_test.lua" and test["line"] == 1


@pytest.mark.parametrize("expect, said", [
    ('outcome = "failed"', 'outcome: expected "failed", it is "succeeded"'),
    ('actions = { { "edge.drain", server = "s2" } }', 'actions[1]: expected edge.drain { server = "s2" }; done was: edge.drain'),
    ('actions = {}', "actions: 0 expected, 1 happened"),
    ('asks = { "ic" }', "nobody was asked"),
    ('in_force = {}', "in_force: expected nothing, in force is edge.drain"),
    ('notes = { "no such words" }', 'nothing says "no such words"'),
    ('pages = { "ic" }', "said was: nothing"),
    ('within = "1s"', "within: expected 1s at most"),
    ('check = function(seen) assert(#seen.actions == 7, "seven of them") end', "seven of them"),
])
def test_what_does_not_is_told(folder, expect, said):
    failures = folder.failures(a_test(expect=expect))
    assert any(said in text for text in failures), failures


def test_why_nothing_started(folder):
    failures = folder.failures(a_test(alerts='{ alertname = "Errors", env = "test", server = "s1" }', expect='outcome = "succeeded"'),
                               a_test("old", alerts='{ alertname = "Errors", env = "prod", server = "s1", age = "11m" }',
                                      expect='outcome = "succeeded"'))
    assert 'heal did not match' in failures[0] and "max_age is 10m" in failures[1], failures


def test_what_does_not_help_is_taken_back(folder):
    folder.run(a_test(the_world=world(helps=False), expect='outcome = "succeeded", in_force = {}, pages = { "it did not help" }, '
                      'actions = { "edge.drain", "undo edge.drain" }'))


# ---- people

def test_people_answer(folder):
    wide = world(reach="0.9")
    report = folder.run(
        a_test("approved", people='ada = { answers = "approve", after = "5m" }', the_world=wide,
               expect='outcome = "succeeded", asks = { { role = "ic", outcome = "approved" } }, actions = { "edge.drain" }'),
        a_test("denied", people='ada = "deny"', the_world=wide,
               expect='asks = { { role = "ic", outcome = "denied" } }, actions = {}, in_force = {}'),
        a_test("away, then the next is faster", people='ada = { away_until = "10m" }, bob = { answers = "deny", after = "2m" }',
               the_world=wide, expect='asks = { { outcome = "denied" } }, actions = {}'),
        a_test("of another role", people='ada = { roles = { "scribe" } }', the_world=wide, more='within = "40m",',
               expect='actions = {}, asks = { { role = "ic", outcome = "expired" }, { role = "ic", outcome = "pending" } }'),
        a_test("asked by a function", the_world=wide,
               people='ada = function(q) return q.risk == "high" and "approve" or "deny", "3m", "seen" end',
               expect='asks = { { outcome = "approved", note = "seen" } }, actions = { "edge.drain" }'))
    assert all(test["ok"] for test in report["tests"])


def test_nobody_there(folder):
    failures = folder.failures(a_test(the_world=world(reach="0.9"), more='within = "1h",', expect='outcome = "succeeded"'))
    assert 'it is "running"' in failures[0] or 'it is "parked"' in failures[0], failures


# ---- mistakes of the test itself

@pytest.mark.parametrize("text, said", [
    ("test ", "heal_test.lua:"),
    ('test "x" { alert = {} }', 'heal_test.lua:1: test "x": there is no "alert"'),
    ('test "x" { alerts = { { env = "prod" } } }', "an alert has an alertname"),
    ('test "x" { expect = { outcom = 1 } }', 'expect: there is no "outcom"'),
    ('test "x" {}\ntest "x" {}', "there are two of the name"),
    ("local x = y", "heal_test.lua:1:"),
    ('test "x" { alerts = { { alertname = "A", at = "soon" } } }', "alerts[1].at"),
])
def test_a_mistake_has_its_line(folder, text, said):
    folder.write("heal_test.lua", text)
    done = folder.cli("--json")
    assert done.returncode == 3
    (test,) = json.loads(done.stdout)["tests"]
    assert said in test["failures"][0], test


def test_a_world_without_an_answer(folder):
    failures = folder.failures(a_test(the_world="{}"))
    assert "the world has no answer for main.query" in failures[0]


def test_a_world_with_a_mistake(folder):
    broken = 'function() return { ["main.query"] = function() return nothing.here end } end'
    failures = folder.failures(a_test(the_world=broken))
    assert "main.query" in failures[0] and "heal_test.lua:" in failures[0]


def test_a_world_that_never_ends(folder):
    failures = folder.failures(a_test(the_world='{ ["main.query"] = function() while true do end end }'))
    assert "CPU time" in failures[0] or "computed" in failures[0], failures


def test_runbooks_that_would_be_refused(folder):
    folder.write("heal.lua", BOOK.replace("prom.query }", "prom.quest }", 1))
    assert "the runbooks would be refused" in folder.failures(a_test())[0]


def test_no_tests(folder):
    done = folder.cli()
    assert done.returncode == 5 and "_test.lua" in done.stderr


def test_what_cannot_begin_is_said_once_and_how_to_go_on(folder):
    folder.write("heal_test.lua", a_test())
    config = folder.path / "stanch.lua"
    config.write_text(config.read_text().replace(str(BUILD / "plugins"), "/nonexistent"))
    done = folder.cli("--jobs", "2")
    (line,) = done.stderr.splitlines()
    assert done.returncode != 0 and 'there is no plugin "prometheus"' in line and "--plugins DIR" in line, done.stderr
    policy = folder.path / "policy.lua"
    policy.rename(folder.path / "away.lua")
    done = folder.cli("--jobs", "2")
    (line,) = done.stderr.splitlines()
    assert done.returncode != 0 and line.endswith(f"{policy} could not be read: No such file or directory"), line
    config.unlink()
    done = folder.cli("--jobs", "2")
    (line,) = done.stderr.splitlines()
    assert done.returncode != 0 and str(config) in line and "--config FILE" in line, done.stderr


def test_a_folder_may_bring_its_own_configuration(folder):
    folder.write("heal_test.lua", a_test())
    words = [STANCH, "runbook", "test", folder.path / "runbooks"]
    away = subprocess.run(words, capture_output=True, text=True)
    assert away.returncode != 0 and "/etc/stanch/stanch.lua" in away.stderr
    for name in ("stanch.lua", "policy.lua"):
        (folder.path / name).rename(folder.path / "runbooks" / name)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stderr


# ---- faults and crashes

def test_faults_and_crashes(folder):
    (test,) = folder.run(a_test(expect='outcome = "succeeded"'), args=("--faults", "--crash"))["tests"]
    assert test["plays"] > 30


def test_a_runbook_that_takes_an_answer_for_granted(folder):
    """What only shows when a call fails."""
    folder.write("heal.lua", BOOK.replace('function() return edge.drain { backend = "shop", server = p.server, because = "errors there" } end',
                                          '''function()
        local ok, handle = pcall(edge.drain, { backend = "shop", server = p.server, because = "errors there" })
        note(handle.value.drained and "was drained" or "is draining")
      end'''))
    helped = a_test(expect='actions = { "edge.drain" }')
    folder.run(helped)
    failures = folder.failures(helped, args=("--faults",))
    assert any("attempt to index" in text and "heal.lua:" in text for text in failures), failures


def test_an_action_that_does_not_bear_to_come_twice(folder):
    """Its plugin says that it may be repeated; in this world another server goes with each call."""
    once = a_test(the_world=world(drain="drains = drains + 1; errors = drains == 1 and 0.001 or 0.2"))
    failures = folder.failures(once, args=("--faults",))
    assert failures and all("(apply of edge.drain) twice: another end: " in text for text in failures), failures


# ---- how it is shown

def test_tap_junit_and_people(folder):
    folder.write("heal_test.lua", a_test("good") + a_test("bad # one <&>", expect='outcome = "failed"'))
    junit = folder.path / "junit.xml"
    done = folder.cli("--tap", "--junit", junit)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[:3] == ["TAP version 13", "1..2", "ok 1 - heal_test.lua: good"]
    assert lines[3] == "not ok 2 - heal_test.lua: bad - one <&>" and lines[4].startswith("# outcome: expected")
    suite = xml.etree.ElementTree.parse(junit).getroot()
    assert suite.get("tests") == "2" and suite.get("failures") == "1"
    assert [case.get("name") for case in suite] == ["good", "bad # one <&>"] and suite[1][0].get("message")
    done = folder.cli()
    assert "FAIL heal_test.lua:" in done.stdout and "2 tests, 1 passed, 1 failed" in done.stdout


def test_filter_and_jobs(folder):
    folder.write("heal_test.lua", "\n".join(a_test(f"number {i}") for i in range(7)))
    done = folder.cli("--json", "--jobs", "3")
    assert [test["name"] for test in json.loads(done.stdout)["tests"]] == [f"number {i}" for i in range(7)]
    done = folder.cli("--json", "--filter", "number 4")
    assert [test["name"] for test in json.loads(done.stdout)["tests"]] == ["number 4"]


# ---- nothing real can happen

def test_the_repository_that_production_follows_is_not(folder):
    """The folder is played, with the configuration that a daemon has."""
    config = folder.path / "stanch.lua"
    config.write_text(config.read_text().replace("policy = ", 'runbooks = { url = "/nonexistent/repository", poll = "200ms" }, policy = '))
    folder.run(a_test(expect='outcome = "succeeded", actions = { "edge.drain" }'))


def test_no_secret_is_opened_and_no_host_lives(folder):
    """The secrets are FIFOs: whoever opened one would wait for a writer. While the runbook runs there is no host."""
    os.mkfifo(folder.secret)
    folder.write("heal_test.lua", a_test(expect='outcome = "succeeded"') * 1)
    process = subprocess.Popen([STANCH, "rehearse", "test", folder.path / "runbooks", "--config", folder.path / "stanch.lua"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["tests"][0]["ok"], out
