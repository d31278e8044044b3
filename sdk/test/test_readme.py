"""The README's plugin, built from the README's own blocks with the README's own command, and called."""
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plugin_host import Host, Refused

SOURCE = os.environ["STANCH_SOURCE"]
README = open(os.path.join(SOURCE, "sdk/README.md")).read()
TOKEN = "lamp-token-4711"


class Lamps(BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_lamp(self, value=None):
        lamps, name = self.server.lamps, self.path.rsplit("/", 1)[1]
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.answer(401, {"error": "who are you?"})
        if name not in lamps:
            return self.answer(404, {"error": "no such lamp"})
        if value is not None:
            lamps[name] = value
        return self.answer(200, {"on": lamps[name]})

    def do_GET(self):
        self.handle_lamp()

    def do_PUT(self):
        self.handle_lamp(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["on"])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def lamp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lamp")
    code = "\n".join(re.findall(r"```c\n(.*?)```", README, re.S))
    (folder / "lamp.c").write_text(code)
    command = re.search(r"^    (cc .*)$", README, re.M).group(1)
    command = command.replace("sdk/", SOURCE + "/sdk/")
    subprocess.run(command + " -Wall -Wextra -Werror", shell=True, check=True, cwd=folder)
    return str(folder / "lamp.so")


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lamps)
    server.lamps = {"red": False}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_template_is_the_readme():
    code = "\n".join(re.findall(r"```c\n(.*?)```", README, re.S))
    assert open(os.path.join(SOURCE, "sdk/template/lamp.c")).read().endswith(code)


def test_every_operation(lamp, service):
    with Host(lamp, {"url": service.url}, {"token": TOKEN + "\n"}, instance="kitchen") as host:
        args = {"lamp": "red", "on": True}
        plan = host.call("plan", "switch", {"args": args})["value"]
        assert plan["targets"] == ["lamp:kitchen/red"]
        assert (plan["from"], plan["to"], plan["undo"]) == ({"on": False}, {"on": True}, {"on": False})
        assert plan["by_hand"].startswith("curl -X PUT") and plan["no_change"] is False
        given = {"args": args, "plan": plan, "key": "K", "epoch": 1}
        assert host.call("apply", "switch", given)["outcome"] == "done"
        assert service.lamps["red"] is True
        assert host.call("verify", "switch", given)["value"] == {"holds": True, "seen": {"on": True}}
        assert host.call("read", "look", {"args": {"lamp": "red"}})["value"] == {"on": True}
        assert host.call("undo", "switch", given)["outcome"] == "done"
        assert service.lamps["red"] is False
        missing = host.call("read", "look", {"args": {"lamp": "blue"}})
        assert missing["outcome"] == "failed" and missing["error"]["kind"] == "not-found"
        event = host.call("receive", "webhook", {"source": "webhook", "headers": {"authorization": "Bearer " + TOKEN}},
                          b'{"lamp":"red"}')["value"]["events"][0]
        assert event["name"] == "LampBroke" and event["labels"] == {"lamp": "red"} and event["state"] == "firing"
        refused = host.call("receive", "webhook", {"headers": {"authorization": "Bearer x"}}, b"{}")
        assert refused["error"]["kind"] == "unauthorized"
        broken = host.call("receive", "webhook", {"headers": {"authorization": "bearer " + TOKEN}}, b'{"lamp":')
        assert broken["error"]["kind"] == "invalid" and "line 1" in broken["error"]["text"]


def test_a_service_that_is_gone(lamp, service):
    service.shutdown()
    service.server_close()
    with Host(lamp, {"url": service.url}) as host:
        answer = host.call("apply", "switch", {"args": {"lamp": "red", "on": True}, "plan": {"from": {"on": False}}})
        assert answer["outcome"] == "failed" and answer["error"]["kind"] == "unreachable", answer
        assert answer["error"]["retry"] is True


def test_a_setting_is_missing(lamp):
    with pytest.raises(Refused, match="settings.url: missing; a string was expected: the lamp service"):
        Host(lamp)
