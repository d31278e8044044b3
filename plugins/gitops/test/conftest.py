"""A repository with a bad deploy, a real sshd to reach it by, and an instance of the plugin for it."""
import contextlib

import pytest
from gitops_client import FREEZE, Client, settings_of
from gitrepo import Deploy, Sshd
from plugin_host import Host


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    missing = Sshd.missing()
    if missing:
        pytest.skip(missing)
    with Sshd(tmp_path_factory.mktemp("sshd")) as one:
        yield one


@pytest.fixture
def deploy(tmp_path):
    one = Deploy(tmp_path)
    one.commit({"app/version": "1\n", "app/old": "kept\n", "other/x": "x\n"}, "first")
    one.good = one.commit({"app/version": "2\n"}, "Deploy 2")
    one.bad = one.commit({"app/version": "3\n", "app/old": None, "app/new/file": "new\n"}, "Deploy 3")
    yield one
    one.check()


@pytest.fixture
def connect(request, deploy):
    """connect(remote, **settings): a client, ended with the test."""
    with contextlib.ExitStack() as stack:
        def make(remote="directory", state_dir=None, secrets=None, **more):
            settings, keys = settings_of(deploy, remote, request)
            settings = {name: value for name, value in {**settings, **FREEZE, **more}.items() if value is not None}
            return Client(stack.enter_context(Host("gitops", settings, keys if secrets is None else secrets,
                                                   instance="deploy", state_dir=state_dir)))
        yield make
