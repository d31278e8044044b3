import contextlib

import pytest
from harness import world  # noqa: F401 (a fixture)
from kube import Cluster
from plugin_host import Host


@pytest.fixture(scope="session")
def cluster():
    with Cluster("viewer", "rotated") as one:
        one.define("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
        one.define("gateway.networking.k8s.io", "v1beta1", "HTTPRoute", "httproutes")
        one.define("networking.istio.io", "v1beta1", "VirtualService", "virtualservices")
        yield one


class Client:
    """The operations of one instance, with their outcome checked."""

    def __init__(self, host, namespace):
        self.host, self.namespace = host, namespace

    def ask(self, called, action, args, plan=None, expect="done", deadline_ms=15000, **more):
        given = {"args": args, "key": "k1", "epoch": 1, "because": "it burns", **more}
        if plan is not None:
            given["plan"] = plan
        answer = self.host.wait(self.host.start(called, action, given, deadline_ms=deadline_ms), deadline_ms / 1000 + 30)
        assert answer["outcome"] == expect, answer
        return answer["value"] if expect == "done" else answer["error"]

    def plan(self, action, expect="done", **args):
        return self.ask("plan", action, args, expect=expect)

    def check(self):
        found = self.host.call("check", "check", deadline_ms=60000)["value"]
        return found["ok"], {row["name"]: (row["ok"], row["text"]) for row in found["checks"]}


@contextlib.contextmanager
def connect(cluster, *namespaces, token=None, url=None, secrets=None, **settings):
    token = token or cluster.stanch
    given = {"url": url or cluster.url, "namespaces": list(namespaces), **settings}
    if not url:
        given["ca_file"] = str(cluster.ca)
    with Host("kubernetes", given, {"token": token} if secrets is None else secrets, instance="prod") as host:
        yield Client(host, namespaces[0])
        assert token.encode() not in host.raw, "the token left the host"


ALL = ("rollback", "freeze_hpa", "pause_keda", "scale", "shift_route")


@pytest.fixture
def space(cluster, request):
    """A namespace of the test's own, where the user stanch has the rights that the README names, and no others."""
    name = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    name = f"{name}-{abs(hash(request.node.name)) % 100000}"
    cluster.namespace(name)
    cluster.allow("stanch", name, ALL)
    return name


@pytest.fixture
def prod(cluster, space):
    with connect(cluster, space) as one:
        yield one
