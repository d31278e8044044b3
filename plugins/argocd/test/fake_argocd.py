"""Argo CD's application API for tests, stateful, written from its API description."""
import copy
import json
import urllib.parse

TOKEN = "argocd-token-of-stanch"
REVISIONS = ["a1" * 20, "b2" * 20, "c3" * 20]


def entry(number, revision):
    return {"id": number, "revision": revision, "source": {"repoURL": "https://git.example/deploy", "path": "shop"}}


def application(name="shop", automated=None, annotations=None):
    policy = {"syncOptions": ["CreateNamespace=true"]}
    if automated is not None:
        policy["automated"] = automated
    return {"metadata": {"name": name, "namespace": "argocd", "annotations": annotations or {}},
            "spec": {"project": "web", "syncPolicy": policy},
            "status": {"history": [entry(n, revision) for n, revision in enumerate(REVISIONS)],
                       "sync": {"status": "Synced"}, "health": {"status": "Healthy"},
                       "operationState": {"phase": "Succeeded"}}}


class Argocd:
    """apps: {name: application}; effects: what was changed. `polls` reads see an operation under way."""

    def __init__(self, apps, effects, polls=1):
        self.apps, self.effects, self.polls, self.pending = apps, effects, polls, {}
        self.phase, self.refuse = "Succeeded", {}

    def respond(self, method, target, headers, body):
        path = urllib.parse.urlsplit(target).path
        parts = [urllib.parse.unquote(part) for part in path.split("/")[4:]]
        given = json.loads(body) if body else {}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return self.error(401, 16, "invalid session")
        if not parts:
            return 200, {"items": list(self.apps.values())}
        app = self.apps.get(parts[0])
        if not path.startswith("/api/v1/applications") or app is None:
            return self.error(404, 5, "not found")
        if method in self.refuse:
            return self.error(self.refuse[method], 9, "refused, says the test")
        if method == "GET":
            self.advance(app)
            return 200, app
        assert given["name"] == parts[0]
        if method == "PATCH":
            return self.patch(app, given)
        if method == "POST" and parts[1:] == ["rollback"]:
            return self.rollback(app, given)
        return self.error(405, 12, "no such method")

    @staticmethod
    def error(status, code, text):
        return status, {"code": code, "error": text, "message": text}

    def advance(self, app):
        pending = self.pending.get(app["metadata"]["name"])
        if not pending:
            return
        if pending["polls"] > 0:
            pending["polls"] -= 1
            return
        del self.pending[app["metadata"]["name"]]
        app["status"]["operationState"] = {"phase": self.phase, "message": "as the test says"}
        if self.phase == "Succeeded" and not pending["dry"]:
            history = app["status"]["history"]
            target = next(e for e in history if e["id"] == pending["id"])
            history.append({**copy.deepcopy(target), "id": history[-1]["id"] + 1})
            del history[:-app["spec"].get("revisionHistoryLimit", 10)]

    def rollback(self, app, given):
        automated = app["spec"]["syncPolicy"].get("automated")
        if automated is not None and automated.get("enabled") is not False:
            return self.error(400, 9, "rollback cannot be initiated when auto-sync is enabled")
        if app["status"]["operationState"]["phase"] == "Running":
            return self.error(400, 9, "another operation is already in progress")
        if given["id"] not in [e["id"] for e in app["status"]["history"]]:
            return self.error(404, 5, "no such deployment")
        app["status"]["operationState"] = {"phase": "Running"}
        self.pending[app["metadata"]["name"]] = {"id": given["id"], "dry": given["dryRun"], "polls": self.polls}
        if not given["dryRun"]:
            self.effects.append(("rollback", given["id"]))
        return 200, app

    def patch(self, app, given):
        assert given["patchType"] == "json"
        for step in json.loads(given["patch"]):
            *way, last = step["path"].split("/")[1:]
            place = app
            for part in way:
                place = place[part]
            if step["op"] == "test" and place.get(last, "-") != step["value"]:
                return self.error(400, 3, "testing path failed")
            if step["op"] == "remove":
                del place[last]
            if step["op"] == "add":
                place[last] = step["value"]
        self.effects.append(("automated", app["spec"]["syncPolicy"].get("automated")))
        return 200, app
