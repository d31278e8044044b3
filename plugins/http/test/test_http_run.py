"""http through the daemon: an alert starts it, an independent client sees the effect, a person takes it back."""
import json
import os
import re
import sys
import urllib.request

from books import AUTO
from harness import Lua, alert, default_config, lua, wait_for, world  # noqa: F401 - world is a fixture
from hostile import Hostile

sys.path.insert(0, os.path.dirname(__file__))
from pools import ACTIONS, TOKEN, pools  # noqa: E402

BOOK = '''
local lb = http "lb"
runbook "pause-region" {
  summary = "take the region out", owner = "team", uses = { lb.pause, lb.look },
  on = alert { alertname = "RegionDown" },
  params = { region = label "region" { one_of = { "eu", "us" } } },
  run = function(incident, p)
    local ok, err = pcall(lb.pause, { region = "../us", lease = "1h", because = "a test" })
    note("path: " .. tostring(err))
    lb.pause { region = p.region, lease = "1h", because = "it fails" }
    note("serves: " .. tostring(lb.look { region = p.region }.value))
  end,
}
'''


def enabled(server, name):
    """As somebody else would look."""
    request = urllib.request.Request(f"{server.url}/v1/pools/{name}", headers={"Authorization": "Bearer " + TOKEN})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["pool"]["enabled"]


def test_what_the_readme_shows_works(world, tmp_path):  # noqa: F811
    with open(os.path.join(os.path.dirname(__file__), "../README.md")) as file:
        instance, runbook = re.findall(r"```lua\n(.*?)```", file.read(), re.S)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    world.repo.commit({"region.lua": runbook})
    instance = instance.replace("/etc/stanch/lb.token", str(tmp_path / "token"))
    daemon = world.daemon(default_config(world, instances=[instance])).start()
    wait_for(lambda: "region-down" in str(daemon.get("/v1/runbooks")), "the runbook")
    [book] = [b for b in daemon.get("/v1/runbooks")["items"] if b["name"] == "region-down"]
    assert not book.get("error") and not book.get("problems"), book
    assert {"pause", "purge", "pool"} <= set(re.findall(r"\w+", str(daemon.get("/v1/plugins"))))


def test_an_alert_pauses_a_pool_and_a_person_takes_it_back(world, tmp_path):  # noqa: F811
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    with Hostile(pools) as server:
        token = Lua(f'secret.file {lua(str(tmp_path / "token"))}')
        settings = {"environment": "test", "url": server.url + "/v1", "actions": ACTIONS, "token": token}
        instance = 'http "lb" ' + lua(settings)
        world.repo.commit({"pause.lua": BOOK})
        daemon = world.daemon(default_config(world, policy=AUTO, instances=[instance])).start()
        daemon.post_alert(alert("RegionDown", region="eu"))
        run = wait_for(lambda: next((r for r in daemon.get("/v1/runs")["items"]
                                     if r["state"] in ("succeeded", "failed")), None), "the run's end")
        notes = [e["data"]["text"] for e in daemon.timeline(run["incident"]) if e["kind"] == "step.noted"]
        assert run["state"] == "succeeded", notes
        assert "cannot stand in a path" in notes[0] and notes[1] == "serves: false", notes
        assert server.effects == [("eu", {"enabled": False})] and enabled(server, "eu") is False
        [mitigation] = daemon.get("/v1/mitigations")["items"]
        daemon.cli("undo", mitigation["id"])
        wait_for(lambda: enabled(server, "eu"), "the undo")
        assert enabled(server, "us") is True and len(server.effects) == 2
