"""Prism (npm, installed once by tests/npm): holds requests against a vendor's own API description.

    with Prism("argocd.json") as vendor:
        assert vendor.refuses(method, target, headers, body) == []

Prism looks at path, method, parameters and body. What it lets through is refused here: a parameter of a query, or a member
of a body, that the description does not know. What the vendor would answer does not matter and is cut off.
"""
import json
import os
import re
import urllib.parse
from pathlib import Path

import pytest
from harness import LASTING, find_fixtures, free_port
from npm import npm
from servers import Server, http_get

PACKAGE = "@stoplight/prism-cli@5.14.2"
METHODS = ("get", "put", "post", "delete", "patch")


def close_schemas(value):
    """An object that lists its members has no others."""
    if isinstance(value, list):
        for one in value:
            close_schemas(one)
    elif isinstance(value, dict):
        if isinstance(value.get("properties"), dict) and not {"additionalProperties", "allOf", "anyOf", "oneOf"} & set(value):
            value["additionalProperties"] = False
        for one in value.values():
            close_schemas(one)


class Prism(Server):
    patience = 120

    def __init__(self, name, amend=lambda description: None):
        """name: of a file in shared/fixtures/specs; the tests are skipped when it is not there. amend: changes the
        description where what it says in words stands in no schema."""
        path = find_fixtures("specs") / name
        if not path.exists():
            pytest.skip(f"there is no shared/fixtures/specs/{name} here, the vendor's API description")
        home, node = npm(PACKAGE), npm("--node")
        self.scratch()
        self.description = json.loads(path.read_text())
        for way in self.description["paths"].values():
            for method in set(way) & set(METHODS):
                way[method]["responses"] = {"200": {"description": "an answer"}}
        close_schemas(self.description.get("definitions", self.description.get("components", {}).get("schemas")))
        amend(self.description)
        (self.dir / "description.json").write_text(json.dumps(self.description))
        self.port = free_port()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "NODE_ENV": "production"}
        super().__init__("prism", [node, Path(home) / "node_modules/@stoplight/prism-cli/dist/index.js", "mock", "--errors",
                                   "-h", "127.0.0.1", "-p", self.port, self.dir / "description.json"])
        LASTING.add(self.process.pid)

    def __exit__(self, *_):
        LASTING.discard(self.process.pid)
        super().__exit__()

    def is_ready(self):
        return http_get(self.port, "/")[0] > 0

    def operation(self, method, target):
        """(path, operation) of the description; the path with the fewest places wins."""
        path = urllib.parse.urlsplit(target).path
        found = [(template.count("{"), template, way[method.lower()])
                 for template, way in self.description["paths"].items() if method.lower() in way
                 and re.fullmatch(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template)), path)]
        return min(found)[1:] if found else (None, None)

    def refuses(self, method, target, headers, body):
        """What is wrong with that request, as a list of texts."""
        template, operation = self.operation(method, target)
        if not operation:
            return [f"{method} {target}: there is no such operation"]
        shared = self.description["paths"][template].get("parameters", [])
        known = {one["name"] for one in [*shared, *operation.get("parameters", [])] if one.get("in") == "query"}
        query = urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query, keep_blank_values=True)
        wrong = [f"{method} {target}: there is no parameter {name}" for name, _ in query if name not in known]
        passed = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length", "connection")}
        status, text = http_get(self.port, target, passed, method, body or None)
        return wrong + ([] if status == 200 else [f"{method} {target} {body!r}: {status} {text}"])
