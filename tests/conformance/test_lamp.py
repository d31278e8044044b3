"""The plugin of the SDK's README passes the conformance suite."""
import json

from conformance_suite import Conformance, tls_files  # noqa: F401


class TestLamp(Conformance):
    plugin = "lamp"
    secrets = {"token": "t0p-s3cret-of-the-lamp"}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x"}, "no URL"), ({"url": 7}, "not a string")]
    read = ("look", {"lamp": "red"})
    change = ("switch", {"lamp": "red", "on": True})

    def answer(self, server, request):
        name = request.path.rpartition("/")[2]
        if request.headers.get("authorization") != "Bearer t0p-s3cret-of-the-lamp":
            return 401, {}, {}
        if request.method == "PUT":
            server.state[name] = json.loads(request.body)["on"]
            server.effects.append((name, server.state[name]))
        return 200, {}, {"on": server.state.get(name, False)}
