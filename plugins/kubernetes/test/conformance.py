"""The kubernetes plugin passes the conformance suite, by its freeze_hpa and its scale."""
from conformance_suite import Conformance, tls_files  # noqa: F401
from fake_api import DEPLOYMENT, TOKEN, shop


class TestKubernetes(Conformance):
    plugin = "kubernetes"
    secrets = {"token": TOKEN}
    ca_setting = "ca_file"
    bad_settings = [({"namespaces": ["shop"]}, "settings.url: missing"),
                    ({"url": "http://127.0.0.1:1"}, "settings.namespaces: missing"),
                    ({"url": "ftp://x", "namespaces": ["shop"]}, "no URL"),
                    ({"url": "http://127.0.0.1:1", "namespaces": ["../x"]}, "namespaces")]
    bad_args = [("plan", "freeze_hpa", {"hpa": "web", "namespace": "kube-system"}),
                ("read", "deployment", {"deployment": "web", "namespace": "shop2"})]
    read = ("deployment", {"deployment": "web"})
    change = ("freeze_hpa", {"hpa": "web"})

    def settings(self, url):
        return {"url": url, "namespaces": ["shop"]}

    def is_change(self, request):
        return request.method == "PATCH" and "dryRun" not in request.path

    def answer(self, server, request):
        status, value = shop(server.state, server.effects).respond(*request)
        return status, {"Content-Type": "application/json"}, value


class TestScale(TestKubernetes):
    """Of what no HPA scales, and whose controller is quick."""
    read = ("hpa", {"hpa": "web"})
    change = ("scale", {"name": "web", "replicas": 4})

    def answer(self, server, request):
        answer = super().answer(server, request)
        for path in [path for path in server.state if "autoscaling" in path]:
            server.state[path]["spec"]["scaleTargetRef"]["name"] = "another"
        web = server.state[DEPLOYMENT]
        web["status"] = {"replicas": web["spec"]["replicas"], "availableReplicas": web["spec"]["replicas"],
                         "observedGeneration": 1}
        return answer
