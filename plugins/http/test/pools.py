"""pools.py: the API that the tests of http talk to, and the actions that are declared for it.

GET /v1/pools/NAME -> {"enabled": true, "weight": 10}, with an ETag. PUT takes {"enabled"} and knows If-Match. POST /v1/purge
does the same Idempotency-Key only once.
"""
import json
from urllib.parse import urlsplit

TOKEN = "t0p-s3cret-of-the-pools"


def pools(server, request):
    if request.headers.get("authorization") != "Bearer " + TOKEN:
        return 401, {}, {}
    path, body = urlsplit(request.path).path, json.loads(request.body or b"null")
    if path == "/v1/purge":
        return purge(server, request, body)
    name = path.removeprefix("/v1/pools/")
    pool = server.state.setdefault(name, {"enabled": True, "version": 1})
    etag = f'"{pool["version"]}"'
    if request.method in ("PUT", "POST"):
        if request.headers.get("if-match", etag) != etag:
            return 412, {}, {"error": "it was changed"}
        server.effects.append((name, body))
        server.state[name] = {"enabled": body["enabled"], "version": pool["version"] + 1}
        return 204, {}, b""
    return 200, {"ETag": etag}, {"pool": {"enabled": pool["enabled"]}, "name": name}


def purge(server, request, body):
    key = request.headers["idempotency-key"]
    if key not in server.state:
        server.state[key] = body
        server.effects.append(body)
    return 200, {}, {}


PARAMS = {"region": {"pattern": "^.+$", "summary": "which pool"}}
PAUSE = {"summary": "Take a pool out of service", "class": "convergent", "risk": "low", "params": PARAMS,
         "read": {"path": "/pools/{region}", "at": "/pool/enabled"},
         "apply": {"method": "PUT", "path": "/pools/{region}", "json": {"enabled": False}, "expect": [200, 204]},
         "to": False, "if_match": True,
         "undo": {"method": "PUT", "path": "/pools/{region}", "json": {"enabled": "{from}"}}}
LOOK = {"summary": "Whether a pool serves", "effect": "read", "class": "read-only", "params": PARAMS,
        "read": {"path": "/pools/{region}", "at": "/pool/enabled"}}
PURGE = {"summary": "Empty the cache of a service", "class": "idempotent", "risk": "medium", "key_header": "Idempotency-Key",
         "params": {"service": {"enum": ["web", "shop"]}, "depth": {"type": "integer", "minimum": 1}},
         "apply": {"method": "POST", "path": "/purge", "json": {"service": "s-{service}", "depth": "{depth}"}},
         "no_read_because": "a cache has no state that could be read", "no_undo_because": "it fills by itself"}
ACTIONS = {"pause": PAUSE, "look": LOOK, "purge": PURGE}
