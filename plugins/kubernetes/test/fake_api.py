"""A Kubernetes API server's manners for what the real one here (1.20) is not: newer API versions, faults. Objects by path,
JSON patch with tests, dry runs, resourceVersion, Status for errors. Written from what the real one answered."""
import copy
import json
import urllib.parse

TOKEN = "t0ken-of-stanch"


def status(code, reason, message):
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason,
                  "details": {}, "code": code}


class Api:
    """objects: {path: object}; effects: what was changed. versions: of the group autoscaling."""

    def __init__(self, objects, effects, versions=("v2", "v1")):
        self.objects, self.effects, self.versions = objects, effects, versions

    def add(self, path, value):
        value["metadata"] = {"name": path.rpartition("/")[2], "uid": "u-" + path, "resourceVersion": "1", "generation": 1,
                             **value.get("metadata", {})}
        self.objects[path] = value

    def respond(self, method, target, headers, body):
        parts = urllib.parse.urlsplit(target)
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return status(401, "Unauthorized", "Unauthorized")
        if parts.path == "/apis/autoscaling":
            return 200, {"kind": "APIGroup", "name": "autoscaling",
                         "versions": [{"groupVersion": f"autoscaling/{one}", "version": one} for one in self.versions],
                         "preferredVersion": {"version": self.versions[0]}}
        if method == "POST" and parts.path.endswith("/selfsubjectaccessreviews"):
            return 201, {**json.loads(body), "status": {"allowed": True}}
        found = self.objects.get(parts.path.removesuffix("/scale"))
        if method == "GET" and found is None:
            items = [one for path, one in self.objects.items() if path.rpartition("/")[0] == parts.path]
            is_list = items or parts.path.endswith("s")
            return (200, {"items": items, "metadata": {}}) if is_list else status(404, "NotFound", f"{parts.path} not found")
        if method == "GET":
            return 200, found
        if method == "PATCH" and headers.get("content-type") == "application/json-patch+json":
            return self.patch(parts, found, json.loads(body))
        return status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")

    def patch(self, parts, found, steps):
        made = copy.deepcopy(found)
        for step in steps:
            *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
            place = made
            for part in way:
                place = place[int(part) if isinstance(place, list) else part]
            if step["op"] == "test" and place.get(last, "-") != step["value"]:
                return status(422, "Invalid", "the server rejected our request due to an error in our request")
            if step["op"] == "remove":
                del place[last]
            if step["op"] in ("add", "replace"):
                place[last] = step["value"]
        if "dryRun=All" not in parts.query:
            made["metadata"]["resourceVersion"] = str(int(made["metadata"]["resourceVersion"]) + 1)
            self.objects[parts.path.removesuffix("/scale")] = made
            self.effects.append([step for step in steps if step["op"] != "test"])
        return 200, made


HPA = "/apis/autoscaling/{}/namespaces/shop/horizontalpodautoscalers/web"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"


def shop(objects, effects, versions=("v2", "v1")):
    """A Deployment of 3 and its HPA, 2 to 10."""
    api = Api(objects, effects, versions)
    if not objects:
        api.add(DEPLOYMENT, {"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {}},
                             "status": {"replicas": 3, "observedGeneration": 1}})
        api.add(HPA.format(versions[0]), {"spec": {"minReplicas": 2, "maxReplicas": 10, "scaleTargetRef": {
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}, "status": {"currentReplicas": 3}})
    return api
