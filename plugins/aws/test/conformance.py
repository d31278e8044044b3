"""The aws plugin passes the conformance suite."""
from conformance_suite import Conformance, tls_files  # noqa: F401
from fake_aws import Aws


class TestAws(Conformance):
    plugin = "aws"
    secrets = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    bad_settings = [({}, "settings.url: missing"), ({"url": "ftp://x", "region": "eu-west-1"}, "no URL"),
                    ({"url": "http://127.0.0.1:1"}, "settings.region: missing"),
                    ({"url": "http://127.0.0.1:1", "region": "eu-west-1", "groups": []}, "groups")]
    bad_args = [("plan", "freeze", {"group": "web", "processes": ["Launch"]})]
    read = ("state", {"group": "web"})
    change = ("freeze", {"group": "web"})
    ca_setting = "ca_file"

    def settings(self, url):
        return {"url": url, "region": "eu-west-1"}

    def is_change(self, request):
        return b"Action=DescribeAutoScalingGroups" not in request.body

    def answer(self, server, request):
        aws = Aws(server.state, server.effects)
        if not server.state:
            aws.add_group("web")
        status, text = aws.respond(request.method, request.path, list(request.headers.items()), request.body)
        assert not aws.problems, aws.problems
        return status, {"Content-Type": "text/xml"}, text.encode()
