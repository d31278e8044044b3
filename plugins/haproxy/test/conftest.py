"""One real HAProxy for the tests of this folder, and an instance that talks to it."""
import pytest
from edge_kit import client
from servers import Haproxy, Origin


@pytest.fixture(scope="session")
def origins():
    with Origin("a") as a, Origin("b") as b, Origin("c") as c:
        yield {"a": a, "b": b, "c": c}


@pytest.fixture(scope="session")
def shared_proxy(origins):
    """One HAProxy for most tests: `shop` with three servers, put back as it was after each test."""
    ports = {name: origin.port for name, origin in origins.items()}
    with Haproxy({
        "shop": {"s1": f"127.0.0.1:{ports['a']} weight 100", "s2": f"127.0.0.1:{ports['b']} weight 100",
                 "s3": f"127.0.0.1:{ports['c']} weight 50"},
        "spare": {"m1": ports["a"], "m2": f"127.0.0.1:{ports['b']} backup"},
        "front": {"f1": ports["a"], "f2": ports["b"]},  # a frontend has this name too
        "fixed": {"x1": ports["a"], "x2": ports["b"]},
        "lone": {"only": ports["a"]},
        "void": {},
    }) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy):
    yield shared_proxy
    for backend, servers in {"shop": {"s1": 100, "s2": 100, "s3": 50}, "spare": {"m1": 1, "m2": 1},
                             "front": {"f1": 1, "f2": 1}, "lone": {"only": 1}}.items():
        for server, weight in servers.items():
            shared_proxy.ask(f"set server {backend}/{server} state ready")
            shared_proxy.ask(f"set server {backend}/{server} weight {weight}")


@pytest.fixture
def edge(proxy):
    with client(proxy.socket) as one:
        yield one
