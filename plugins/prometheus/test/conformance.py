"""The prometheus plugin passes the conformance suite."""
import json
from urllib.parse import parse_qs

from conformance_suite import Conformance, tls_files  # noqa: F401


class TestPrometheus(Conformance):
    plugin = "prometheus"
    secrets = {"token": "t0p-s3cret-of-prometheus"}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x"}, "no URL"),
                    ({"url": "http://127.0.0.1", "user": "me"}, "password")]
    bad_args = [("read", "query", {"expr": "up", "at": "yesterday"}), ("read", "range", {"expr": "up", "since": "x", "step": "1s"})]
    read = ("query", {"expr": "vector(1)"})

    def answer(self, server, request):
        assert request.headers["authorization"] == "Bearer t0p-s3cret-of-prometheus"
        assert parse_qs(request.body.decode())["query"] == ["vector(1)"]
        value = {"metric": {}, "value": [1700000000, "1"]}
        return 200, {}, json.dumps({"status": "success", "data": {"resultType": "vector", "result": [value]}}).encode()
