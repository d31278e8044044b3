"""exec through the daemon: a runbook starts it, a person takes it back, and what the runbook may not give is refused."""
from books import AUTO
from exec_kit import WORKERS, Kit
from harness import default_config, lua, wait_for, world  # noqa: F401 - world is a fixture

BOOK = '''
local ops = exec "ops"
runbook "heal" {
  summary = "more workers", owner = "team", uses = { ops.scale },
  run = function(incident, p)
    local ok, err = pcall(ops.scale, { service = "-web", count = 3, lease = "1h", because = "a test" })
    note("dash: " .. tostring(err))
    ops.scale { service = "web; touch x", count = 3, lease = "1h", because = "a test" }
  end,
}
'''


def test_a_run_scales_and_a_person_takes_it_back(world, tmp_path):  # noqa: F811
    kit = Kit(tmp_path)
    ops = f'''exec "ops" {{ environment = "test", actions = {{ scale = {{
      summary = "set the workers", class = "convergent", risk = "low", command = {lua(kit.script("workers", WORKERS))},
      args = {{ "set", "{{service}}", "{{count}}" }}, plan = {{ args = {{ "get" }} }}, to = "{{count}}",
      params = {{ service = {{ summary = "whose" }}, count = {{ type = "integer" }} }},
      undo = {{ args = {{ "set", "{{service}}", "{{from}}" }} }}, env = {{ STATE = {lua(str(kit.state))} }} }} }} }}'''
    world.repo.commit({"heal.lua": BOOK})
    daemon = world.daemon(default_config(world, policy=AUTO, instances=[ops])).start()
    run = daemon.api("POST", "/v1/runs", {"runbook": "heal", "title": "look"}).json["id"]
    doc = wait_for(lambda: (d := daemon.get(f"/v1/runs/{run}"))["state"] in ("succeeded", "failed") and d, "its end")
    assert doc["state"] == "succeeded", doc
    assert kit.state.read_text() == "3\n" and not (tmp_path / "x").exists()
    notes = [e["data"]["text"] for e in daemon.timeline(doc["incident"]) if e["kind"] == "step.noted"]
    assert "would be an option" in notes[0], notes
    [mitigation] = daemon.get("/v1/mitigations")["items"]
    daemon.cli("undo", mitigation["id"])
    wait_for(lambda: kit.state.read_text() == "5\n", "the undo")
