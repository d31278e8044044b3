"""worlds.py: what is measured stands in: a daemon that acts, the references' servers, Debian's webhook."""
import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

from harness import BUILD, Lua, World, free_port, lua, wait_for

PROGRAMS = BUILD / "bench"
POLICY = 'policy { auto = "low", conflicts = "allow" }\n'


def runbook(steps=1, alertname="Hit.*"):
    """Hits the bench's server so many times, one after the other, each time another target."""
    return f'''local hit = target "hit"
runbook "hit" {{
  summary = "Hits the bench's server",
  owner = "team-bench",
  on = alert {{ alertname = matches "{alertname}" }},
  uses = {{ hit.hit }},
  params = {{ name = label "instance" {{}} }},
  limits = {{ at_once = 10000 }},
  run = function(incident, p)
    for step = 1, {steps} do
      hit.hit {{ name = p.name .. "s" .. step, because = "it is measured" }}
    end
  end,
}}
'''


@contextmanager
def scratch():
    """A directory beside those of the daemons' stores: the references write where Stanch does."""
    world = World()
    try:
        yield world
    finally:
        world.close()


@contextmanager
def daemon(runbook=runbook(), policy=POLICY, log="warn", people=None):
    """A daemon with three instances: the source, the plugin that hits, and Prometheus's. people: text of the people file."""
    with scratch() as world:
        world.target_port = free_port()
        world.repo.commit({"hit.lua": runbook})
        world.write("policy.lua", policy)
        if people:
            world.write("people.lua", people)
        url = f"http://127.0.0.1:{world.target_port}"
        config = "stanch " + lua({
            "state_dir": world.dir / "state", "socket": world.dir / "run" / "control.sock",
            "listen": f"127.0.0.1:{world.port}", "plugin_dir": world.plugin_dir,
            "runbooks": {"url": world.repo.path, "poll": "1h"}, "policy": "policy.lua",
            "people": "people.lua" if people else None, "instances": [Lua(f'alertmanager "am" {{ token = secret.file {lua(world.token_file)} }}'),
                          Lua(f'target "hit" {{ url = {lua(url)} }}'),
                          Lua(f'prometheus "prom" {{ url = {lua(url)} }}')],
            "limits": {"events_per_s": 1000000, "max_runs": 10000, "max_queued": 10000, "storm": {"enter": 1000000}}}) + "\n"
        yield world.daemon(config, env={"STANCH_LOG": log}).start()


@contextmanager
def server(kind):
    """The reference's server; yields its port."""
    with scratch() as world:
        process = subprocess.Popen([PROGRAMS / "bench_server", kind, world.dir / "appended"], stdout=subprocess.PIPE,
                                   text=True)
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


@contextmanager
def hook():
    """Debian's webhook, whose hook runs a C program that posts to the target; yields its port and the target's."""
    with scratch() as world:
        port, target_port = free_port(), free_port()
        hooks = [{"id": "am", "execute-command": str(PROGRAMS / "bench_post"), "pass-arguments-to-command": [
            {"source": "string", "name": str(target_port)},
            {"source": "payload", "name": "alerts.0.labels.instance"}]}]
        path = world.write("hooks.json", json.dumps(hooks))
        process = subprocess.Popen(["webhook", "-hooks", path, "-ip", "127.0.0.1", "-port", str(port)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: is_listening(port), "webhook to listen")
            yield port, target_port
        finally:
            process.terminate()
            process.wait()


def is_listening(port):
    wanted = f":{port:04X} "
    return any(wanted in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines())
