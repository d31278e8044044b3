"""What lint says of runbooks that load and yet do not do what they seem to: with its file, its line and what to do."""
import os
import shutil
from pathlib import Path

from books import AUTO, book, set_to

SOURCE = Path(os.environ["STANCH_SOURCE"])

EXEC = '''exec "ops" { actions = { restart = {
  summary = "Restart the workers", class = "unprotected", risk = "high", command = "/bin/true", args = { "restart" },
  no_plan_because = "a restart has no state to read", no_undo_because = "what was restarted stays restarted" } } }'''
DB = 'policy { auto = "high", autonomy_changed = "auto", rule { "hands off", instance = "ops", risk = "forbidden" } }\n'
RESTART = '''local ops = exec "ops"
runbook "restart" {
  summary = "Restart", owner = "o",
  on = { alert { alertname = "A" }, alert { alertname = "B", labels = { alertname = "C" } } },
  uses = { ops.restart },
  params = { service = label "service",
             zone = label "zone" },
  run = function(incident, p)
    ops.restart { because = p.service .. " hangs" }
  end,
}
'''


def lint(world, daemon, **files):
    folder = world.dir / "linted"
    for name, text in files.items():
        world.write(f"linted/{name}.lua", text)
    found = daemon.cli_json("runbook", "lint", str(folder))
    assert found["ok"], found["errors"]
    said = daemon.cli("runbook", "lint", str(folder)).stdout
    return [f"{w['path']}:{w['line']}: {w['text']}" for w in found["warnings"]], said


def test_each_is_said_with_its_place(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=DB, instances=[EXEC]).start()
    warnings, said = lint(world, daemon, restart=RESTART)
    assert sorted(warnings) == sorted([
        'restart.lua:2: runbook "restart": it can mitigate (ops.restart), but declares no symptom: nothing can tell whether it '
        'helped',
        'restart.lua:2: runbook "restart": uses: ops.restart cannot be taken back (what was restarted stays restarted): use one '
        'that can, or write into `because` how a person goes back',
        'restart.lua:2: runbook "restart": uses: whether ops.restart took effect is never looked at: its plugin cannot read it '
        'back, and there is no symptom; declare one, and ask for it with verify()',
        'restart.lua:7: runbook "restart": params.zone: `run` never looks at it: use it as p.zone, or leave it out',
        'restart.lua:2: runbook "restart": on[2]: label alertname must be "B", not "C": no event can match; leave one of the two '
        'out',
        'restart.lua:2: runbook "restart": uses: ops.restart is refused whenever it is asked for: the policy\'s rule "hands off" '
        '(line 1) forbids it, always; use another action, or change the policy',
    ])
    assert "restart.lua:7" in said and "6 warnings" in said
    commit = world.repo.commit({"restart.lua": RESTART})  # a warning refuses nothing
    assert daemon.post("/v1/runbooks/sync")["commit"] == commit


def test_what_is_good_is_not_warned_of(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    assert lint(world, daemon, heal=book(set_to(7)))[0] == []


def test_the_examples_lint_without_a_warning(world):
    world.repo.commit({"heal.lua": book(set_to(7))})
    shared = ['prometheus "main" { url = "http://127.0.0.1:9", environment = "prod" }']
    token = f'secret.file "{world.token_file}"'
    sets = {
        ("checkout/checkout.lua", "rollback/rollback.lua", "flag-kill/flag-kill.lua"): [
            'haproxy "edge-eu" { socket = "unix:/nowhere.sock", backends = { "checkout" }, environment = "prod" }',
            'gitops "deploy" { url = "https://127.0.0.1:9/deploy.git", branch = "main", '
            f'token = {token}, freeze_file = "FREEZE", environment = "prod" }}',
            f'unleash "prod" {{ url = "http://127.0.0.1:9", token = {token}, client_token = {token}, '
            'environments = { "production" }, flags = { "checkout-*" }, environment = "prod" }'],
        ("bad-deploy/bad-deploy.lua",): [
            f'kubernetes "prod" {{ url = "http://127.0.0.1:9", token = {token}, namespaces = {{ "shop" }}, '
            'actions = { "rollback", "freeze_hpa" }, environment = "prod" }'],
    }
    for number, (names, instances) in enumerate(sets.items()):
        daemon = world.daemon(policy=AUTO, instances=shared + instances).start(ready=False)
        shutil.rmtree(world.dir / "linted", ignore_errors=True)
        warnings, said = lint(world, daemon, **{Path(name).stem: (SOURCE / "runbooks" / name).read_text() for name in names})
        assert warnings == [] and f"{len(names)} runbooks, 0 errors, 0 warnings" in said
        daemon.stop()


def test_a_name_that_is_no_text_is_refused(world):
    """No file is left out in silence, whatever is wrong with it."""
    world.repo.commit({"heal.lua": book(set_to(7))})
    daemon = world.daemon(policy=AUTO).start()
    folder = world.dir / "wrong"
    (folder / "lib").mkdir(parents=True)
    (folder / "heal.lua").write_text(book(set_to(7)))
    for name, text, why in ((b"lib/\xff.lua", b"", "is not UTF-8"), (b"lib/a.lua", b"return '\xff'", "lib/a.lua is not UTF-8")):
        path = os.fsencode(folder) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(text)
        done = daemon.cli("runbook", "lint", str(folder), check=False)
        assert done.returncode == 2 and why in done.stderr
        os.unlink(path)
    assert "1 files, 1 runbooks" in daemon.cli("runbook", "lint", str(folder)).stdout
    assert "could not be read" in daemon.cli("runbook", "lint", str(folder / "none"), check=False).stderr
