"""Auto Scaling and STS for tests: stateful, with a signature check of its own (hmac and hashlib, nothing else), and
what the service's own description says about parameters when that is at hand."""
import datetime
import hashlib
import hmac
import http.server
import json
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape

from harness import find_fixtures

DESCRIPTION = find_fixtures("specs") / "aws-autoscaling-service-2.json"
NAMESPACE = "http://autoscaling.amazonaws.com/doc/2011-01-01/"


# ---- SigV4 ----

def sha(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query):
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    again = [tuple(urllib.parse.quote(urllib.parse.unquote(text), safe="-_.~") for text in pair) for pair in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(again))


def signature(secret, method, path, query, headers, signed, body, scope, stamp):
    """headers: [(name, value)]; signed: names in lower case; scope: DATE/REGION/SERVICE/aws4_request"""
    lines = [f"{name}:{','.join(' '.join(v.split()) for n, v in headers if n.lower() == name)}\n" for name in signed]
    canonical = "\n".join([method, path, canonical_query(query), "".join(lines), ";".join(signed), sha(body)])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, sha(canonical.encode())])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return mac(key, text).hex()


AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)$")


class Refusal(Exception):
    def __init__(self, status, code, text=""):
        super().__init__(code)
        self.status, self.code, self.text = status, code, text


def check_signature(keys, method, target, headers, body, region):
    """keys: {id: (secret, token or None)}. Raises Refusal as AWS would answer."""
    given = {name.lower(): value for name, value in headers}
    found = AUTHORIZATION.match(given.get("authorization", ""))
    if not found:
        raise Refusal(403, "MissingAuthenticationToken", "no signature")
    key_id, scope, signed, claimed = found.groups()
    if key_id not in keys:
        raise Refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    secret, token = keys[key_id]
    if given.get("x-amz-security-token") != token:
        raise Refusal(403, "InvalidClientTokenId", "the session token does not belong to the key")
    signed = signed.split(";")
    must = {"host", "x-amz-date"} | {name for name in given if name in ("content-type", "x-amz-security-token")}
    stamp = given["x-amz-date"]
    now = datetime.datetime.now(datetime.timezone.utc)
    at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    path, _, query = target.partition("?")
    want = signature(secret, method, path, query, headers, signed, body, scope, stamp)
    if signed != sorted(signed) or not must <= set(signed) or scope != f"{stamp[:8]}/{region}/autoscaling/aws4_request":
        raise Refusal(403, "IncompleteSignature", f"signed {signed}, scope {scope}")
    if abs((now - at).total_seconds()) > 300:
        raise Refusal(403, "RequestExpired")
    if not hmac.compare_digest(want, claimed):
        raise Refusal(403, "SignatureDoesNotMatch")


# ---- parameters, by the service's description ----

def check_params(params):
    """What the description of the service requires of a query: names, and members that must be there."""
    if not DESCRIPTION.exists():
        return
    spec = json.loads(DESCRIPTION.read_text())
    action = spec["operations"].get(params["Action"])
    assert action and params["Version"] == spec["metadata"]["apiVersion"], params
    shape = spec["shapes"][action["input"]["shape"]]
    for name in shape.get("required", []):
        assert params.get(name), f"{name} is required"
    for name, value in params.items():
        member = shape["members"].get(name.split(".")[0])
        if name in ("Action", "Version"):
            continue
        assert member, f"{name} is no member of {action['input']['shape']}"
        kind = spec["shapes"][member["shape"]]
        if kind["type"] == "list":
            assert re.fullmatch(r"\w+\.member\.[1-9]\d*", name), name
            kind = spec["shapes"][kind["member"]["shape"]]
        assert kind["type"] != "boolean" or value in ("true", "false"), (name, value)
        assert kind.get("min", 0) <= len(value) <= kind.get("max", 4096), (name, value)


# ---- the service ----

def members(params, prefix):
    found = [(int(name.rpartition(".")[2]), value) for name, value in params.items() if name.startswith(prefix + ".")]
    assert [n for n, _ in sorted(found)] == list(range(1, len(found) + 1)), params
    return [value for _, value in sorted(found)]


ALL = ["Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck",
       "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"]


class Aws:
    """What the service knows and answers. groups: {name: {"suspended": {process: reason}, ...}}. `effects` is what was
    really changed."""

    def __init__(self, groups=None, effects=None):
        self.keys = {"AKIDEXAMPLE": ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)}
        self.region = "eu-west-1"
        self.groups = {} if groups is None else groups
        self.effects = [] if effects is None else effects
        self.asked, self.problems, self.sts_answers, self.expires = [], [], [], set()

    def add_group(self, name, suspended=(), desired=4, low=2, high=10, instances=4):
        self.groups[name] = {"suspended": {p: f"User suspended at 2026 ({p})" for p in suspended}, "desired": desired,
                             "min": low, "max": high, "instances": instances}

    def suspended(self, name):
        return sorted(self.groups[name]["suspended"])

    @staticmethod
    def refusal(status, code, text=""):
        return status, (f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
                        f"<Message>{escape(text)}</Message></Error><RequestId>7f1</RequestId></ErrorResponse>")

    def respond(self, method, target, headers, body, fault=lambda action, params: None):
        """(status, text); None: no answer. headers: [(name, value)]; fault: what is answered instead, or None."""
        params = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
        action, given = params.get("Action", ""), {name.lower(): value for name, value in headers}
        self.asked.append((action, params, given))
        if action == "AssumeRoleWithWebIdentity":
            return self.sts_answers.pop(0)
        try:
            check_signature(self.keys, method, target, headers, body, self.region)
            if AUTHORIZATION.match(given["authorization"])[1] in self.expires:
                raise Refusal(403, "ExpiredToken", "The security token included in the request is expired")
            check_params(params)
        except Refusal as why:
            return self.refusal(why.status, why.code, why.text)
        except AssertionError as why:
            self.problems.append(str(why))
            return self.refusal(400, "ValidationError", str(why))
        return fault(action, params) or (200, self.answer(action, params))

    def answer(self, action, params):
        if action == "DescribeAutoScalingGroups":
            names = members(params, "AutoScalingGroupNames") or list(self.groups)
            inner = "".join(self.describe(name) for name in names if name in self.groups)
            result = f"<{action}Result><AutoScalingGroups>{inner}</AutoScalingGroups></{action}Result>"
        else:
            group, names = self.groups[params["AutoScalingGroupName"]], members(params, "ScalingProcesses") or ALL
            for name in names:
                if action == "SuspendProcesses":
                    group["suspended"][name] = "User suspended at 2026-11-21T08:00:00Z"
                else:
                    group["suspended"].pop(name, None)
            self.effects.append((action, sorted(names)))
            result = ""
        return (f'<?xml version="1.0"?>\n<{action}Response xmlns="{NAMESPACE}">\n  {result}\n  <ResponseMetadata>'
                f"<RequestId>7c6e177f</RequestId></ResponseMetadata>\n</{action}Response>\n")

    def describe(self, name):
        group = self.groups[name]
        suspended = "".join(f"<member><ProcessName>{p}</ProcessName><SuspensionReason>{escape(r)}</SuspensionReason>"
                            "</member>" for p, r in group["suspended"].items())
        instances = "".join(f"<member><InstanceId>i-{n:08x}</InstanceId><LifecycleState>InService</LifecycleState>"
                            "<HealthStatus>Healthy</HealthStatus></member>" for n in range(group["instances"]))
        return (f"<member><AutoScalingGroupName>{escape(name)}</AutoScalingGroupName><MinSize>{group['min']}</MinSize>"
                f"<MaxSize>{group['max']}</MaxSize><DesiredCapacity>{group['desired']}</DesiredCapacity>"
                f"<LoadBalancerNames/><Instances>{instances}</Instances>"
                f"<SuspendedProcesses>{suspended}</SuspendedProcesses></member>")

class FakeAws(Aws):
    """It, listening. `faults` is a list of (action, what): the next request of that action meets it, in order."""

    def __init__(self):
        super().__init__()
        self.faults, self.hold = [], threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    fake.serve(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        assert not self.problems, self.problems

    def serve(self, handler, body):
        said = self.respond(handler.command, handler.path, list(handler.headers.items()), body, self.fail)
        if said == "nothing":
            return
        data = said[1] if isinstance(said[1], bytes) else said[1].encode()
        handler.send_response(said[0])
        handler.send_header("Content-Type", "text/xml")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def fail(self, action, params):
        fault = next((f for f in self.faults if f[0] == action), None)
        if not fault:
            return None
        self.faults.remove(fault)
        how = fault[1]
        if callable(how):
            return how()
        if how == "hang":
            self.hold.wait(60)
        if how == "lost-after":
            self.answer(action, params)
        if isinstance(how, str):
            return "nothing"
        return how if isinstance(how[1], bytes) else self.refusal(*how)
