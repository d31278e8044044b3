"""The plugin tests/plugins/kit.c in its host, and a server for it."""
import pytest
from plugin_host import Host
from sdk_kit import Server


@pytest.fixture
def server():
    one = Server()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def host(server):
    with Host("kit", {"url": server.url}, {"token": "t0p-s3cret"}) as one:
        yield one


@pytest.fixture(scope="module")
def kit():
    with Host("kit", {}, {"token": "key-key"}) as one:
        yield one
