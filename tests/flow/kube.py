"""A real Kubernetes API server with its controllers on a real etcd, for tests: no kubelet, so no container runs.

    with Cluster() as cluster:
        cluster.deploy("shop", "web", "registry/web:1")
        cluster.get("/apis/apps/v1/namespaces/shop/deployments/web")

tests/kubernetes builds the programs (tests/run does, before the tests). Pods become Ready here by a thread that says so in
their status, as a kubelet would, unless their image has "broken" in its name. It comes up in about fifteen seconds: make one
for a whole file.
"""
import http.client
import json
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from harness import LASTING, SOURCE, free_port, wait_for
from hostile import certificates
from servers import Server

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
RIGHTS = {  # what the plugin's README asks for
    "rollback": [(["deployments"], "apps", ["get", "patch"]), (["replicasets"], "apps", ["list"])],
    "freeze_hpa": [(["horizontalpodautoscalers"], "autoscaling", ["get", "patch"]),
                   (["deployments/scale", "statefulsets/scale"], "apps", ["get"])],
    "scale": [(["deployments", "statefulsets"], "apps", ["get"]),
              (["deployments/scale", "statefulsets/scale"], "apps", ["patch"]),
              (["horizontalpodautoscalers"], "autoscaling", ["list"])],
    "pause_keda": [(["scaledobjects"], "keda.sh", ["get", "patch"])],
    "shift_route": [(["httproutes"], "gateway.networking.k8s.io", ["get", "patch"]),
                    (["virtualservices"], "networking.istio.io", ["get", "patch"])],
}


def programs():
    """The folder of kube-apiserver; the test is skipped when it was not built."""
    done = subprocess.run([SOURCE / "tests/kubernetes"], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


class Etcd(Server):
    def __init__(self):
        self.scratch()
        self.port, peer = free_port(), free_port()
        url, peers = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peer}"
        super().__init__("etcd", ["etcd", "--data-dir", self.dir / "data", "--listen-client-urls", url,
                                  "--advertise-client-urls", url, "--listen-peer-urls", peers, "--initial-advertise-peer-urls",
                                  peers, "--initial-cluster", f"default={peers}", "--unsafe-no-fsync"])

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read()).get("health") == "true"
        finally:
            connection.close()


class Controllers(Server):
    patience = 60

    def __init__(self, cluster, folder):
        self.scratch()
        self.cluster = cluster
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
                  "clusters": [{"name": "c", "cluster": {"server": cluster.url, "certificate-authority": str(cluster.ca)}}],
                  "users": [{"name": "c", "user": {"token": cluster.admin}}],
                  "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}
        (self.dir / "kubeconfig").write_text(json.dumps(config))
        self.port = free_port()
        super().__init__("controllers", [
            folder / "kube-controller-manager", "--kubeconfig", self.dir / "kubeconfig", "--leader-elect=false",
            "--controllers=deployment,replicaset,garbagecollector,horizontalpodautoscaling", "--port=0",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}", "--cert-dir", self.dir / "certs",
            "--horizontal-pod-autoscaler-sync-period=1s", "--concurrent-gc-syncs=1"])

    def is_ready(self):
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        finally:
            connection.close()


class Cluster(Server):
    admin, stanch = "admin-of-the-cluster", "t0ken-of-stanch"
    patience = 120

    def __init__(self, *users):
        """users: names whose tokens are "token-of-NAME"; they may do nothing until `allow`."""
        folder = programs()
        if not shutil.which("etcd"):
            pytest.skip("there is no etcd here (Debian: etcd-server)")
        self.scratch()
        self.etcd = self.controllers = None
        self.over = threading.Event()
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        made = certificates(self.dir)
        self.ca = made["ca"][0]
        self.context = ssl.create_default_context(cafile=self.ca)
        self.client_certificate(self.dir)
        tokens = [f'{self.admin},admin,1,"system:masters"', f"{self.stanch},stanch,2"]
        tokens += [f"token-of-{name},{name},{10 + i}" for i, name in enumerate(users)]
        (self.dir / "tokens.csv").write_text("\n".join(tokens) + "\n")
        key = self.dir / "sa.key"
        for command in (["genrsa", "-out", key, "2048"], ["rsa", "-in", key, "-pubout", "-out", self.dir / "sa.pub"]):
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
        try:
            self.etcd = Etcd()
            super().__init__("kube-apiserver", [
                folder / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd.port}", "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--cert-dir={self.dir / 'certs'}",
                f"--tls-cert-file={made['good'][0]}", f"--tls-private-key-file={made['good'][1]}",
                f"--client-ca-file={self.ca}", "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self.dir / 'sa.pub'}", f"--service-account-signing-key-file={key}",
                f"--token-auth-file={self.dir / 'tokens.csv'}", "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none"])
            LASTING.update({self.process.pid, self.etcd.process.pid})
            self.controllers = Controllers(self, folder)
            LASTING.add(self.controllers.process.pid)
        except BaseException:
            self.__exit__()
            raise
        self.kubelet = threading.Thread(target=self._be_kubelet, daemon=True)
        self.kubelet.start()

    def client_certificate(self, folder):
        """A certificate of the user "stanch-by-cert", signed by the same authority."""
        self.certificate, self.key = folder / "client.pem", folder / "client.key"
        for command in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", folder / "client.csr",
                         "-subj", "/CN=stanch-by-cert"],
                        ["x509", "-req", "-in", folder / "client.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                         "-CAcreateserial", "-days", "2", "-out", self.certificate]):
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)

    def is_ready(self):
        return self.request("GET", "/readyz")[0] == 200

    def __exit__(self, *_):
        self.over.set()
        for server in (self.controllers, self, self.etcd):
            if server and hasattr(server, "process"):
                LASTING.discard(server.process.pid)
                if server is not self:
                    Server.__exit__(server)
        if hasattr(self, "process"):
            Server.__exit__(self)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- the API, with nothing of Stanch in between

    def request(self, method, path, body=None, kind="application/json", token=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Authorization": f"Bearer {token or self.admin}", "Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def api(self, method, path, body=None, kind="application/json", expect=(200, 201, 202)):
        status, value = self.request(method, path, body, kind)
        assert status in expect, (method, path, status, value)
        return value

    def get(self, path):
        return self.api("GET", path)

    def merge(self, path, body):
        return self.api("PATCH", path, body, MERGE_PATCH)

    def _be_kubelet(self):
        while not self.over.wait(0.1):
            try:
                pods = self.get("/api/v1/pods")["items"]
            except (OSError, AssertionError, http.client.HTTPException):
                continue
            for pod in pods:
                if "conditions" in pod["status"] or "broken" in pod["spec"]["containers"][0]["image"]:
                    continue
                place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
                ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
                try:
                    self.request("PATCH", place, ready, MERGE_PATCH)
                except OSError:
                    pass

    # ---- things to work on

    def namespace(self, name):
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, expect=(201, 409))
        return name

    def allow(self, user, namespace, actions):
        """Let a user do what these actions need."""
        rules = [{"apiGroups": [group], "resources": names, "verbs": verbs}
                 for action in actions for names, group, verbs in RIGHTS[action]]
        place = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        self.api("POST", place + "/roles", {"metadata": {"name": user}, "rules": rules})
        self.api("POST", place + "/rolebindings", {
            "metadata": {"name": user}, "roleRef": {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]})

    def define(self, group, version, kind, plural):
        """A resource without a schema, as the fields are not what is tried."""
        note = {"api-approved.kubernetes.io": "unapproved, a test"} if group.endswith(".k8s.io") else {}
        self.api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "metadata": {"name": f"{plural}.{group}", "annotations": note},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                     "versions": [{"name": version, "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
                         "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
        wait_for(lambda: self.request("GET", f"/apis/{group}/{version}/{plural}")[0] == 200, f"{plural} to be served")

    def deploy(self, namespace, name, image, annotations=None, replicas=2, wait=True, **spec):
        """Make a Deployment, or give it another template as a deploy does."""
        place = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        template = {"metadata": {"labels": {"app": name}, "annotations": annotations},
                    "spec": {"containers": [{"name": "app", "image": image}]}}
        if self.request("GET", f"{place}/{name}")[0] == 404:
            self.api("POST", place, {"metadata": {"name": name}, "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}})
        else:
            self.merge(f"{place}/{name}", {"spec": {"template": template, **spec}})
        if wait:
            wait_for(lambda: self.is_rolled_out(namespace, name), f"{name} to be rolled out")
        return name

    def deployment(self, namespace, name):
        return self.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")

    def is_rolled_out(self, namespace, name):
        found = self.deployment(namespace, name)
        status, wanted = found["status"], found["spec"]["replicas"]
        return status.get("observedGeneration") == found["metadata"]["generation"] and all(
            status.get(key, 0) == wanted for key in ("replicas", "updatedReplicas", "availableReplicas"))

    def image(self, namespace, name):
        return self.deployment(namespace, name)["spec"]["template"]["spec"]["containers"][0]["image"]

    def images_that_run(self, namespace, name):
        pods = self.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{name}")["items"]
        return {pod["spec"]["containers"][0]["image"] for pod in pods}

    def replicasets(self, namespace, name):
        """{revision: name}"""
        found = self.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets?labelSelector=app%3D{name}")["items"]
        return {int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]): one["metadata"]["name"]
                for one in found}

    def scale(self, namespace, name, replicas):
        self.merge(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", {"spec": {"replicas": replicas}})

    def autoscale(self, namespace, name, minimum, maximum, annotations=None, version="v1"):
        """An HPA of the same name."""
        self.api("POST", f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers", {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"minReplicas": minimum, "maxReplicas": maximum, "targetCPUUtilizationPercentage": 70,
                     "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}})

    def hpa(self, namespace, name, version="v1"):
        return self.get(f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers/{name}")
