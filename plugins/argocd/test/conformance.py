"""The argocd plugin passes the conformance suite, by its freeze."""
from conformance_suite import Conformance, tls_files  # noqa: F401
from fake_argocd import TOKEN, Argocd, application


class TestArgocd(Conformance):
    plugin = "argocd"
    secrets = {"token": TOKEN}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x"}, "no URL"),
                    ({"url": "http://127.0.0.1:1", "applications": []}, "applications")]
    read = ("state", {"application": "shop"})
    change = ("freeze", {"application": "shop"})
    ca_setting = "ca_file"

    def answer(self, server, request):
        if not server.state:
            server.state["shop"] = application(automated={"prune": True, "enabled": None})
        status, value = Argocd(server.state, server.effects).respond(*request)
        return status, {}, value
