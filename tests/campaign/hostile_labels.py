"""hostile_labels.py: labels that an outsider chose, from the webhook to the arguments of a command and to the card that a person
reads (PROMISES.md T9, T29). What arrives is the label itself, as one argument, or nothing runs at all."""
import json
import os
import random
import stat

from books import AUTO
from harness import World, alert, lua, wait_for, webhook

WANTED = 220
ARGV = """#!/usr/bin/python3
import json, os, sys
print(json.dumps({"argv": [os.fsencode(word).hex() for word in sys.argv[1:]], "env": sorted(os.environ)}))
"""
BOOK = '''local ops = exec "ops"
runbook "tell" {
  summary = "For tests", owner = "team-test", on = alert { alertname = "Hostile" }, uses = { ops.tell },
  limits = { group_within = "0s" },
  params = { label = label "instance" {} },
  run = function(incident, p) note(ops.tell { label = p.label }.value.argv[1]) end,
}
'''

SHELL = ["; touch {pwned}", "$(touch {pwned})", "`touch {pwned}`", "| touch {pwned}", "&& touch {pwned}", "> {pwned}", "\n touch {pwned}",
         "'; touch {pwned} #", '"; touch {pwned} #', "${{IFS}}touch${{IFS}}{pwned}", "|| touch {pwned}", "& touch {pwned} &", "<({pwned})",
         "\\`touch {pwned}\\`", "%0atouch {pwned}", "{{{{touch,{pwned}}}}}", "$'\\x74ouch {pwned}'", "\r\ntouch {pwned}"]
OPTIONS = ["-rf", "--help", "-", "--", "-o/etc/passwd", "--config={pwned}", "-\u200bx", "@{pwned}"]
PATHS = ["../../../etc/passwd", "/etc/shadow", "....//....//etc", "%2e%2e%2f", "..\\..\\", "file:///etc/passwd", "\\\\host\\share", "~root", "*"]
QUERIES = ["' OR 1=1 --", '"; DROP TABLE entry; --', "1; ATTACH DATABASE '{pwned}' AS x", "' UNION SELECT 1", "admin'--", "*)(uid=*", "{{$gt:''}}"]
TEMPLATES = ["{{label}}", "{{key}}", "{{from}}", "{{instance}}", "{{{{label}}}}", "${{7*7}}", "{{{{7*7}}}}", "<%= 7 %>", "#{{7}}", "%s%n%x", "%(x)s", "$LABEL", "$1", "!!"]
LUA = ["\"]] .. os.execute('touch {pwned}')", "]==] os.exit() --", "\\27Lua", "require 'os'", "error()", "\\u{{0}}"]
WEB = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "&lt;b&gt;", "</td><td>", "http://169.254.169.254/latest", "[x](javascript:1)"]
SCREEN = ["\x1b[2J", "\x1b]0;title\x07", "\x1b[31mapproved\x1b[0m", "a\bb", "\u202eevil\u202c", "\u2066x\u2069", "a\u0000b", "\x7f", "\x9b2J", "x\ry", "A\u030a" * 20,
          "\ufeffx", "\u2028", "approved by ada\n", "\ud7ff", "\U0001f600" * 10]
PROTOCOL = ["x\r\nHost: evil", "a\r\n\r\nGET / HTTP/1.1", "show servers state; disable server x", "a\nset weight b/s 0", "a;b", "a,b", "a b", "a\tb", "{\"t\":\"answer\"}",
            "null", "true", "0", "-1", "1e999", "9" * 400, "[]", "{}", "\"", "\\", "", " ", "NaN"]


def all_labels(pwned):
    fixed = [text.replace("{pwned}", pwned).replace("{{", "{").replace("}}", "}")
             for group in (SHELL, OPTIONS, PATHS, QUERIES, TEMPLATES, LUA, WEB, SCREEN, PROTOCOL) for text in group]
    dice = random.Random(6)
    pieces = ["$(", ")", "`", "'", '"', "\\", ";", "|", "&", "\n", "\r", "\x1b[", "{", "}", "%", "..", "/", "-", "\u202e", "<", ">", "x", " ", "touch " + pwned]
    made = ["".join(dice.choice(pieces) for _ in range(dice.randrange(1, 12))) for _ in range(WANTED)]
    return fixed + made[:max(0, WANTED - len(fixed))] + ["x" * n for n in (999, 1000, 1001, 5000, 60000)]


def start(world):
    argv = world.dir / "argv"
    argv.write_text(ARGV)
    argv.chmod(argv.stat().st_mode | stat.S_IXUSR)
    ops = {"actions": {"tell": {"summary": "s", "effect": "read", "class": "read-only", "prints": "json", "command": str(argv),
                                "args": ["{label}"], "params": {"label": {"maxLength": 10000}}}}}
    world.repo.commit({"tell.lua": BOOK})
    return world.daemon(policy=AUTO, instances=[f'exec "ops" {lua(ops)}'], incidents={"correlate": ["nth"]},
                        limits={"events_per_s": 100000, "storm": {"enter": 100000}}).start()


def judge(daemon, label, event, harms):
    """Did it arrive as it is (then 1), or was it refused before anything ran?"""
    runs = event["runs"]
    if not runs:
        return 0
    over = wait_for(lambda: (run := daemon.get(f"/v1/runs/{runs[0]}"))["state"] in ("succeeded", "failed", "held") and run,
                    f"the run of {label[:80]!r}")
    told = [e["data"]["text"] for e in daemon.timeline(over["incident"])
            if e["kind"] == "step.noted" and e["run"] == runs[0]]
    if over["state"] == "succeeded" and told != [label.encode().hex()]:
        harms.append(f"{label[:80]!r} arrived as {bytes.fromhex(told[0]) if told else None!r}")
    if over["state"] != "succeeded" and told:
        harms.append(f"{label[:80]!r} was refused and ran: {told}")
    return over["state"] == "succeeded"


def hostile_labels(context):
    """(how many, how many of them arrived, what went wrong)"""
    harms, count, arrived = [], 0, 0
    world = World()
    try:
        daemon = start(world)
        pwned = str(world.dir / "pwned")
        for n, label in enumerate(all_labels(pwned)):
            answer = daemon.api("POST", "/v1/events/am", alert_body(label, n), {"Authorization": f"Bearer {world.token}"}, tcp=True)
            count += 1
            if answer.status == 202:
                arrived += judge(daemon, label, answer.json["events"][0], harms)
            elif answer.status not in (400, 413):
                harms.append(f"{label[:80]!r}: {answer}")
        shown = daemon.cli("run", "list").stdout + daemon.cli("incident", "list").stdout
        if any(ord(c) < 32 and c != "\n" or ord(c) in (0x7f, 0x9b, 0x202e) for c in shown):
            harms.append("a control character reached a terminal")
        if os.path.exists(pwned):
            harms.append("a label became a command")
        daemon.stop()
    finally:
        world.close()
    for harm in harms[:10]:
        context.note(harm)
    return count, arrived, harms


def alert_body(label, n):
    return json.dumps(webhook(alert("Hostile", instance=label, nth=str(n)))).encode()
