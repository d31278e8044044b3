"""The doors of the real daemon, with everything behind them: the stream, the command line's whole story, the switch,
what an outsider on the TCP port can and cannot do, and the store with the daemon dead."""
import json
import os
import re
import socket

from books import ASK, AUTO, book, set_to
from harness import alert, wait_for


def start(world, policy=AUTO):
    world.repo.commit({"heal.lua": book(set_to(7))})
    return world.daemon(policy=policy).start()


def ended(daemon, run="R-1"):
    return wait_for(lambda: daemon.get(f"/v1/runs/{run}")["state"] in ("succeeded", "failed"), f"{run} to end")


def test_the_stream_tells_every_entry_once_and_resumes(world):
    daemon = start(world)
    seen = []
    with daemon.stream() as events:
        daemon.post_alert(alert())
        for id, event, entry in events:
            seen.append(int(id))
            assert event == "entry" and entry["seq"] == int(id)
            if entry["kind"] == "run.succeeded":
                break
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    daemon.stop().start()
    again = []
    with daemon.stream(last_event_id=seen[1]) as events:
        for id, _, _ in events:
            again.append(int(id))
            if int(id) == seen[-1]:
                break
    assert again == seen[2:]


def test_over_tcp_an_outsider_gets_events_health_and_metrics_only(world):
    daemon = start(world)
    openapi = daemon.api("GET", "/v1/openapi.json", tcp=True).json
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            if operation["x-may"] == "nothing":
                continue
            answer = daemon.api(method.upper(), re.sub(r"{\w+}", "X-1", path), None if method == "get" else {}, tcp=True)
            assert answer.status == 403, (method, path, answer)
            assert answer.headers["content-type"] == "application/problem+json"
            assert "Unix socket" in answer.json["detail"]
    assert daemon.api("GET", "/healthz", tcp=True).status == 200
    assert daemon.api("GET", "/readyz", tcp=True).json["ready"] is True
    metrics = daemon.api("GET", "/metrics", tcp=True).text
    assert re.search(r"^stanch_ready 1$", metrics, re.M) and re.search(r"^stanch_journal_commits_total \d", metrics, re.M)
    assert os.stat(daemon.socket).st_mode & 0o777 == 0o660
    assert os.stat(daemon.socket.parent).st_mode & 0o007 == 0
    unsigned = daemon.api("POST", "/v1/events/am", {"x": 1}, tcp=True)
    assert unsigned.status == 401 and unsigned.json["code"] == "unauthorized", unsigned


def test_hostile_bytes_leave_the_daemon_as_it_was(world):
    daemon = start(world)
    before = len(daemon.get("/v1/events")["items"])
    head = b"POST /v1/events/am HTTP/1.1\r\nHost: x\r\n"
    for text, status in [(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
                         (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
                         (b"Content-Length: 99999999\r\n\r\n", 413),
                         (b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 415)]:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as sock:
            sock.sendall(head + text)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while some := sock.recv(65536):
                answer += some
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
        problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        assert problem["status"] == status and problem["detail"] and problem["where"]
    assert len(daemon.get("/v1/events")["items"]) == before


def test_the_command_line_tells_and_changes_the_whole_story(world):
    daemon = start(world, policy=ASK)
    daemon.post_alert(alert())
    question = wait_for(lambda: daemon.cli_json("approvals"), "a question")[0]
    card = daemon.cli("approvals", "show", question["id"]).stdout
    assert question["plan_digest"] in card and "it is failing" in card
    stale = daemon.cli("approve", question["id"], "--yes", "--plan", "0" * 64, check=False)
    assert stale.returncode == 6, stale
    daemon.cli("approve", question["id"], "--yes", "--plan", question["plan_digest"])
    ended(daemon)
    assert "R-1" in daemon.cli("run", "list").stdout and "succeeded" in daemon.cli("run", "show", "R-1").stdout
    daemon.cli("incident", "note", "INC-1", "all is well")
    daemon.cli("incident", "set", "INC-1", "--severity", "sev2")
    assert "M-1" in daemon.cli("mitigations").stdout
    daemon.cli("undo", "M-1", "--reason", "mended")
    assert [e["op"] for e in world.effects()] == ["apply", "undo"]
    daemon.cli("incident", "resolve", "INC-1", "--reason", "over")
    assert daemon.cli("incident", "list").stdout == "no open incidents\n"
    story = daemon.cli("timeline", "show", "INC-1").stdout
    told = [story.index(word) for word in ("INC-1", "asks the ic", "fx.set", "succeeded", "all is well", "taken back", "over")]
    assert told == sorted(told), story
    assert "nothing altered" in daemon.cli("timeline", "verify").stdout
    assert "nothing altered" in daemon.cli("timeline", "verify", "INC-1").stdout
    for noun in ("event", "incident", "run", "plugin", "runbook"):
        assert len(daemon.cli(noun, "list", *(["--all"] if noun == "incident" else [])).stdout.splitlines()) >= 2, noun
    assert daemon.cli("incident", "show", "INC-99", check=False).returncode == 5


def test_the_switch_set_by_hand_holds_when_the_daemon_comes_back(world):
    daemon = start(world)
    state_dir = daemon.get("/v1/status")["state_dir"]
    daemon.kill9()
    done = daemon.cli("stop", "too hot", "--state-dir", state_dir)
    assert "by hand" in done.stdout
    daemon.start()
    status = daemon.cli("status").stdout
    assert "STOPPED" in status and "too hot" in status
    daemon.post_alert(alert())
    assert world.effects() == []
    assert "not stopped" in daemon.cli("resume").stdout
    assert not os.path.exists(os.path.join(state_dir, "stop"))
    assert world.effects() == []  # what came in meanwhile does not start by itself


def test_a_dead_daemon_s_store_is_read(world):
    daemon = start(world)
    daemon.post_alert(alert())
    ended(daemon)
    state_dir = daemon.get("/v1/status")["state_dir"]
    alive = daemon.cli("timeline", "show", "INC-1", "--all").stdout
    daemon.kill9()
    assert daemon.cli("timeline", "show", "INC-1", "--all", "--store", state_dir).stdout == alive
    assert "nothing altered" in daemon.cli("timeline", "verify", "--store", state_dir).stdout
    in_force = daemon.cli("mitigations", "--offline", state_dir, "--json")
    assert [m["id"] for m in json.loads(in_force.stdout)] == ["M-1"]
    exported = daemon.cli("timeline", "export", "--store", state_dir).stdout.splitlines()
    assert "checkpoint" in json.loads(exported[-1]) and json.loads(exported[0])["seq"] == 1
    assert daemon.cli("timeline", "rebuild", "--store", state_dir, "--check").returncode == 0
    assert daemon.cli("timeline", "verify", "--store", state_dir + "/none", check=False).returncode != 0
