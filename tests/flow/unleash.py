"""A real Unleash (npm, installed once by tests/npm) on a real PostgreSQL, for tests.

    with Unleash() as unleash:
        unleash.flag("new-basket", strategies=[rollout(100)], on=True)
        unleash.is_on("new-basket")          # as the admin sees it
        unleash.applications("new-basket")   # as an application gets it

It comes up in about ten seconds and serves several worlds: make one for a whole file.
"""
import json
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from harness import LASTING, free_port
from npm import npm
from servers import Server, http_get

POSTGRES = Path("/usr/lib/postgresql/15/bin")
PACKAGE = "unleash-server@7.5.1"


class Postgres(Server):
    def __init__(self):
        folder = self.scratch()
        self.port = free_port()
        if os.geteuid() == 0:  # it refuses to run as root
            self.user = "postgres"
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        made = subprocess.run([POSTGRES / "initdb", "-A", "trust", "-U", "postgres", "-N", "-D", folder / "data"],
                              user=self.user, cwd=folder, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        super().__init__("postgres", [POSTGRES / "postgres", "-D", folder / "data", "-p", self.port, "-k", folder,
                                      "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"])

    def is_ready(self):
        return subprocess.run([POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def kill(self):
        self.process.send_signal(signal.SIGQUIT)  # at once, but its shared memory is given back
        self.process.wait()


def rollout(percent, **more):
    """A strategy that lets in that share of the users."""
    return {"name": "flexibleRollout", "parameters": {"rollout": str(percent), "stickiness": "default",
                                                      "groupId": "g"}, **more}


class Unleash(Server):
    admin, client = "*:*.stanch-admin-secret", "default:production.stanch-client-secret"
    patience = 180

    def __init__(self):
        if not (POSTGRES / "postgres").exists():
            pytest.skip("there is no PostgreSQL 15 here (Debian: postgresql-15)")
        home, node = npm(PACKAGE), npm("--node")
        self.scratch()
        self.database = Postgres()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.dir), "NODE_ENV": "production",
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{self.database.port}/postgres", "DATABASE_SSL": "false",
            "INIT_ADMIN_API_TOKENS": self.admin, "INIT_CLIENT_API_TOKENS": self.client, "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.port), "CHECK_VERSION": "false", "SEND_TELEMETRY": "false",
        }
        try:
            super().__init__("unleash", [node, Path(home) / "node_modules/unleash-server/dist/server.js"])
        except BaseException:
            self.database.__exit__()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        LASTING.update({self.process.pid, self.database.process.pid})

    def __exit__(self, *_):
        LASTING.difference_update({self.process.pid, self.database.process.pid})
        super().__exit__()
        self.database.__exit__()

    def is_ready(self):
        return http_get(self.port, "/health")[0] == 200

    def api(self, method, path, body=None, token=None, expect=(200, 201, 202)):
        """The JSON of an answer (None when it is none). Nothing of Stanch is in between."""
        status, text = http_get(self.port, path, {"Authorization": token or self.admin, "Content-Type":
                                                  "application/json"}, method, None if body is None else json.dumps(body))
        assert status in expect, (method, path, status, text)
        return json.loads(text) if text[:1] in "{[" and text else None

    def flag(self, name, on=False, strategies=({},), environment="production", project="default", **more):
        """A new flag; {} is a strategy for everybody."""
        path = f"/api/admin/projects/{project}/features"
        self.api("POST", path, {"name": name, **more})
        for strategy in strategies:
            self.api("POST", f"{path}/{name}/environments/{environment}/strategies", strategy or rollout(100))
        self.turn(name, on, environment, project)
        return name

    def turn(self, name, on, environment="production", project="default"):
        word = "on" if on else "off"
        self.api("POST", f"/api/admin/projects/{project}/features/{name}/environments/{environment}/{word}")

    def there(self, name, environment="production", project="default"):
        """{"enabled", "strategies", ...} as the admin sees it."""
        found = self.api("GET", f"/api/admin/projects/{project}/features/{name}")
        return next(one for one in found["environments"] if one["name"] == environment)

    def is_on(self, name, environment="production"):
        return self.there(name, environment)["enabled"]

    def applications(self, name):
        """Whether the flag is on for applications; None when they don't get it."""
        found = self.api("GET", "/api/client/features", token=self.client)["features"]
        return next((one["enabled"] for one in found if one["name"] == name), None)

    def deeds(self, name):
        """What happened to the flag's environments, oldest first, as Unleash's own log of events has it."""
        events = self.api("GET", f"/api/admin/events/{name}")["events"]
        return [one["type"].removeprefix("feature-environment-") for one in reversed(events)
                if one["type"].startswith("feature-environment-")]

    def personal_token(self, user, role):
        """A personal token. role: 1 admin, 2 editor, 3 viewer."""
        import http.cookiejar
        import urllib.request
        password = "Long-enough-4-Unleash!"
        self.api("POST", "/api/admin/user-admin", {"username": user, "password": password, "rootRole": role,
                                                   "sendEmail": False})
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

        def post(path, body):
            request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                             {"Content-Type": "application/json"})
            return json.loads(browser.open(request, timeout=30).read())

        post("/auth/simple/login", {"username": user, "password": password})
        return post("/api/admin/user/tokens", {"description": "t", "expiresAt": "2090-01-01T00:00:00Z"})["secret"]
