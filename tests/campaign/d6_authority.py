"""D6: who may what. Every route, asked by everybody over both transports, against a table written by hand; random
interleavings of approving, editing, changing the policy and dying, with a judge of every effect that leaves
(tests/unit/run/test_interleavings.c); and labels of hostile alerts on their way to a command line."""
import http.client
import importlib
import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from campaign import Failed, Figure

NAME = "D6"
TITLE = "Authorisation"
TARGETS = ["stanch", "plugin_plugins_alertmanager", "plugin_plugins_exec", "plugin_plugins-test_effects", "unit_run_test_interleavings"]
DEFECTS = {
    "needs-ignored": "whoever is somebody may do everything",
    "expired-token-passes": "a token is good for ever",
    "rules-not-bound": "an approval stays good when other rules of the policy match",
    "approval-for-another-plan": "the plan made again before an effect is not held against the approved one",
}
CHUNK = 500
LEVELS = ("nothing", "read", "respond", "approve", "admin")

# What each route needs, by hand: a route that is missing here fails (T24).
NEEDS = {
    "nothing": "POST /v1/events/{source}  GET /v1/openapi.json  GET /healthz  GET /readyz  GET /metrics",
    "read": """GET /v1/events  GET /v1/events/{id}  GET /v1/events/{id}/why  GET /v1/changes  GET /v1/changes/{id}  GET /v1/incidents
        GET /v1/incidents/{id}  GET /v1/incidents/{id}/timeline  GET /v1/incidents/{id}/report  GET /v1/incidents/{id}/runs  GET /v1/runs  GET /v1/runs/{id}
        GET /v1/approvals  GET /v1/approvals/{id}  GET /v1/mitigations  GET /v1/mitigations/{id}  GET /v1/runbooks  GET /v1/holds  GET /v1/holds/{id}  GET /v1/breakers
        GET /v1/drills  GET /v1/drills/coming  GET /v1/drills/calendar  GET /v1/drills/{id}  GET /v1/drills/{id}/report
        GET /v1/runbooks/{name}  GET /v1/plugins  GET /v1/plugins/{name}  GET /v1/people  GET /v1/whoami  GET /v1/stream
        GET /v1/status  POST /v1/runbooks/lint  POST /v1/policy/explain""",
    "respond": """POST /v1/sources/{name}/test  POST /v1/incidents  PATCH /v1/incidents/{id}  POST /v1/incidents/{id}/timeline
        POST /v1/incidents/{id}/merge  POST /v1/incidents/{id}/runs  POST /v1/runs  POST /v1/runs/{id}/cancel
        POST /v1/incidents/{id}/roles  POST /v1/plugins/{name}/check  POST /v1/stop  POST /v1/holds  POST /v1/holds/release
        POST /v1/drills  POST /v1/drills/{id}/end""",
    "approve": """POST /v1/steps/{run}/{n}/resolve  POST /v1/approvals/{id}  POST /v1/mitigations/{id}/undo
        POST /v1/mitigations/{id}/extend  POST /v1/mitigations/{id}/keep
        POST /v1/resume  POST /v1/breakers/close  POST /v1/runbooks/{name}/accept""",
    "admin": """POST /v1/runbooks/sync  POST /v1/plugins/{name}/enable  POST /v1/store/check  POST /v1/reload""",
}


def needs():
    return {route: level for level, text in NEEDS.items() for route in re.split(r"\s{2,}", text.strip())}


# ---- every route, everybody

def token_line(daemon, name, *words):
    made = json.loads(daemon.cli("token", "new", name, *words, "--json").stdout)
    return made["token"], made["line"].rstrip(",")


def make_callers(world):
    """{who: (headers, what it may, is a bearer over the socket too)}, with a people file that knows them."""
    from harness import lua
    maker = world.daemon()
    lines = [f'person "ada" {lua({"may": "admin"})}', f'person "reader" {lua({"may": "read"})}',
             f'person "me" {lua({"may": "respond", "uid": os.getuid()})}']
    callers = {"nobody": ({}, None), "no bearer": ({"Authorization": "Basic c3RhbmNoOnN0YW5jaA=="}, None),
               "empty": ({"Authorization": "Bearer "}, None), "unknown": ({"Authorization": "Bearer stanch_" + "0" * 64}, None),
               "a proxy's word": ({"X-Forwarded-User": "ada", "Remote-User": "ada"}, None)}
    for level in LEVELS[1:]:
        token, line = token_line(maker, level, "--person", "ada", "--may", level)
        callers[level] = ({"Authorization": f"Bearer {token}"}, level)
        lines.append(line)
    for name, words, may in [("program", (), "read"), ("pusher", ("--may", "respond"), "respond"),
                             ("of a reader", ("--person", "reader", "--may", "admin"), "read"),
                             ("of another source", ("--source", "am"), "nothing"),
                             ("expired", ("--person", "ada", "--may", "admin", "--expires", "1s"), None)]:
        token, line = token_line(maker, name.replace(" ", "-"), *words)
        callers[name] = ({"Authorization": f"Bearer {token}"}, may)
        lines.append(line)
    token, _ = token_line(maker, "revoked", "--person", "ada", "--may", "admin")  # its line was taken out of the file
    callers["revoked"] = ({"Authorization": f"Bearer {token}"}, None)
    world.write("people.lua", "people { " + ",\n".join(lines) + " }\n")
    return callers


def ask(daemon, route, headers, tcp):
    """The status alone: a stream that is opened although it should not does not end."""
    from harness import UnixConnection
    method, path = route.split(" ")
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60) if tcp else UnixConnection(daemon.socket, 60)
    try:
        connection.request(method, re.sub(r"{\w+}", "X-1", path), None if method == "GET" else b"{}",
                           {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def as_expected(status, level, may, is_events_with_token):
    if is_events_with_token:  # it is for events of its source, or for none
        return status == (401 if may is None else 403)
    if level == "nothing":
        return status != 403
    if may is None:
        return status == 401
    if LEVELS.index(may) < LEVELS.index(level):
        return status == 403
    return status not in (401, 403)


def matrix(context):
    from books import AUTO, book, set_to
    from harness import World, wait_for
    table, wrong, cells = needs(), [], 0
    world = World()
    try:
        world.repo.commit({"shift.lua": book(set_to(7))})
        callers = make_callers(world)
        daemon = world.daemon(policy=AUTO, people="people.lua").start()
        described = {f"{method.upper()} {path}" for path, ops in daemon.get("/v1/openapi.json")["paths"].items() for method in ops}
        missing = sorted(described ^ set(table))
        wait_for(lambda: ask(daemon, "GET /v1/incidents", callers["expired"][0], True) in (401, 200) and expired(daemon, callers),
                 "a token to expire") if context.planted != "expired-token-passes" else None
        for route, level in table.items():
            for name, (headers, may) in callers.items():
                for tcp in (True, False):
                    # over the socket, who brings no bearer is the person with this uid
                    is_bearer = headers.get("Authorization", "").startswith("Bearer")
                    own = may if tcp or is_bearer else "respond"
                    if route == "GET /v1/stream" and own:
                        continue  # it does not end; a refusal does
                    status = ask(daemon, route, headers, tcp)
                    cells += 1
                    token = headers.get("Authorization", "").startswith("Bearer stanch_")
                    if not as_expected(status, level, own, token and route.startswith("POST /v1/events/")):
                        wrong.append(f"{route} by {name} over {'TCP' if tcp else 'the socket'}: {status}")
        daemon.api("POST", "/v1/resume", {}, callers["approve"][0])
        daemon.stop()
    finally:
        world.close()
    for text in wrong[:10]:
        context.note(text)
    return missing, cells, wrong


def expired(daemon, callers):
    return ask(daemon, "GET /v1/incidents", callers["expired"][0], True) == 401


# ---- interleavings

def interleave(context, start, count):
    """(how many, applied, what went wrong or None)"""
    done = subprocess.run([context.build / "tests/unit_run_test_interleavings"], capture_output=True, text=True, check=False,
                          env={**os.environ, "STANCH_FROM": str(start), "STANCH_SEEDS": str(count)})
    output = done.stdout + done.stderr
    counted = re.search(r"^(\d+) interleavings from \d+: (\d+) applied", output, re.M)
    if done.returncode == 0 and counted:
        return int(counted.group(1)), int(counted.group(2)), None
    breach = re.search(r"STANCH_SEED=.*", output)
    return 0, 0, breach.group(0) if breach else output[-1500:]


def interleavings(context):
    wanted = context.limit(10000 if context.kind == "dev" else 2000, 200000)
    first = context.seed % 1_000_000_000 if context.long else 1
    starts = range(first, first + wanted, CHUNK)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda start: interleave(context, start, min(CHUNK, first + wanted - start)), starts))
    breaches = [breach for _, _, breach in results if breach]
    for breach in breaches[:5]:
        context.note(breach)
    return wanted, sum(r[0] for r in results), sum(r[1] for r in results), breaches


def run(context):
    missing, cells, wrong = matrix(context)
    if missing:
        raise Failed(f"routes that the table or the API does not know: {', '.join(missing)}")
    wanted, played, applied, breaches = interleavings(context)
    labels, arrived, harms = importlib.import_module("hostile_labels").hostile_labels(context)
    return [
        Figure("routes x callers x transports as the table says", f"{cells - len(wrong)} of {cells}", "all, 1,000 and more",
               not wrong and cells >= 1000),
        Figure("interleavings played", played, f"{wanted}", played == wanted),
        Figure("effects that left", applied, "one in five interleavings", applied >= wanted // 5),
        Figure("effects that nobody had approved so", len(breaches), "0", not breaches),
        Figure("hostile labels tried", labels, "200 and more", labels >= 200),
        Figure("of them: arrived as one argument, as they are", arrived, "100 and more; the others started nothing", arrived >= 100),
        Figure("of them: harms", len(harms), "0", not harms),
    ]
