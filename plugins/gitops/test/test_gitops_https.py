"""gitops over https: git's own http-backend behind TLS. What does not depend on the way to the remote is in test_gitops.py."""
import contextlib
import ssl

import pytest
from gitops_client import FREEZE, Client
from gitrepo import git
from githttps import TOKEN, USER, GitHttps, silent
from hostile import certificates
from plugin_host import Host, Refused


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def web(tmp_path, deploy, tls):
    git(deploy.bare, "config", "http.receivepack", "true")
    with GitHttps(tmp_path, tls["good"]) as one:
        yield one


@contextlib.contextmanager
def client(settings, secrets=None):
    with Host("gitops", {**settings, **FREEZE}, {"token": TOKEN} if secrets is None else secrets, instance="deploy") as host:
        yield Client(host)
        assert TOKEN.encode() not in host.raw, "the token left the host"


@pytest.fixture
def one(web, deploy, tls):
    with client(web.settings(deploy, tls["ca"][0])) as made:
        yield made


def pushes(web):
    return [(method, path) for method, path, *_ in web.seen if method == "POST" and path.endswith("receive-pack")]


def test_revert_verify_undo(one, web, deploy):
    plan = one.plan()
    assert plan["targets"] == [f"git:{web.url}/{deploy.bare.name}#main"] and plan["from"]["commit"] == deploy.bad
    assert deploy.head() == deploy.bad, "a plan changes nothing"
    done = one.apply(plan)
    assert done == {"commit": deploy.head(), "pushed": True} and deploy.tree() == plan["to"]["tree"]
    assert one.holds(plan) is True and one.apply(plan) == {"commit": done["commit"], "already": True}
    assert one.reconcile(plan) == "done"
    one.undo(plan)
    assert deploy.tree() == plan["from"]["tree"] and one.holds(plan) is False
    assert len(pushes(web)) == 2 and {given[2:] for given in web.seen} <= {("", ""), (USER, TOKEN)}
    assert one.ask("read", "head")["commit"] == deploy.head()


def test_a_large_repository_comes_whole(one, deploy):
    deploy.commit({f"many/{i}": f"{i}\n" * 2000 for i in range(300)}, "large")
    plan = one.plan("freeze")
    one.apply(plan, "freeze")
    assert deploy.show("ops/FREEZE") == "no deploys" and one.holds(plan, "freeze")


def test_the_check_says_what_works(one):
    checks = one.checks()
    assert checks["read"][0] is True and checks["push"][0] is True, checks


def test_a_user_in_the_url(web, deploy, tls):
    settings = web.settings(deploy, tls["ca"][0])
    with client({**settings, "url": settings["url"].replace("//", "//bot@")}) as other:
        error = other.plan(expect="failed")
    assert error["kind"] == "unauthorized" and "user bot" in error["text"] and ("bot", TOKEN) in {s[2:] for s in web.seen}


def test_a_branch_that_moved_is_stale(one, deploy):
    plan = one.plan()
    moved = deploy.commit({"other/x": "a fix\n"}, "somebody's fix")
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "stale" and moved[:12] in error["text"] and deploy.head() == moved


def test_a_hook_that_refuses(one, deploy):
    plan = one.plan()
    deploy.hook("pre-receive", "echo 'deploys are closed' >&2; exit 1\n")
    error = one.apply(plan, expect="failed")
    assert error["kind"] == "refused" and "deploys are closed" in error["text"] and deploy.head() == deploy.bad


# ---- whom it trusts ----


@pytest.mark.parametrize("which", ["self-signed", "other", "expired", "no ca"])
def test_a_certificate_that_is_not_good(tmp_path, deploy, tls, which):
    """good: signed by ca_file's, for this name, today. Without ca_file the system's are asked, which do not have it."""
    with GitHttps(tmp_path, tls["good" if which == "no ca" else which]) as web:
        with client(web.settings(deploy, None if which == "no ca" else tls["ca"][0])) as one:
            error = one.plan(expect="failed")
            assert error["kind"] == "unauthorized" and "certificate" in error["text"] and not error["retry"], error
            assert one.checks()["read"][0] is False
        assert web.seen == [], "something was sent"


def test_an_address_is_a_name(web, deploy, tls):
    settings = web.settings(deploy, tls["ca"][0])
    with client({**settings, "url": settings["url"].replace("localhost", "127.0.0.1")}) as one:
        assert one.plan()["from"]["commit"] == deploy.bad


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_tls_is_refused(tmp_path, deploy, tls, version):
    with GitHttps(tmp_path, tls["good"], version, version) as web:
        with client(web.settings(deploy, tls["ca"][0])) as one:
            assert one.plan(expect="failed")["kind"] == "unreachable"
        assert web.seen == []


def test_a_ca_file_that_is_none(web, deploy, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate\n")
    with client(web.settings(deploy, tmp_path / "ca.pem")) as one:
        error = one.plan(expect="failed")
    assert "certificate" in error["text"] and "ca.pem" in error["text"] and web.seen == []


# ---- the token stays where it belongs ----


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(web, deploy, tls, tmp_path, status):
    with GitHttps(tmp_path, tls["good"]) as thief:
        thief.fault = lambda method, path: (401, {"WWW-Authenticate": 'Basic realm="git"'})
        web.fault = lambda method, path: (status, {"Location": thief.url + path})
        with client(web.settings(deploy, tls["ca"][0])) as one:
            error = one.plan(expect="failed")
            assert error["kind"] == "refused" and "redirects are not followed" in error["text"], error
        web.fault = lambda method, path: (status, {"Location": thief.url + path}) if method == "POST" else None
        with client(web.settings(deploy, tls["ca"][0])) as one:
            assert one.plan(expect="failed")["kind"] in ("refused", "unreachable")
        assert thief.seen == [] and TOKEN not in str(thief.seen)


def test_a_token_that_is_wrong(web, deploy, tls):
    with client(web.settings(deploy, tls["ca"][0]), {"token": "another"}) as one:
        error = one.plan(expect="failed")
        assert error["kind"] == "unauthorized" and "token" in error["text"] and not error["retry"]
        assert one.checks()["read"][0] is False
    assert len([given for given in web.seen if given[3] == "another"]) < 10, "it tries without end"


@pytest.mark.parametrize("status,kind", [(403, "unauthorized"), (404, "not-found"), (503, "unreachable")])
def test_what_the_server_says_instead(one, web, deploy, status, kind):
    web.fault = lambda method, path: (status, {})
    error = one.plan(expect="failed")
    assert error["kind"] == kind and str(status) in error["text"], error
    web.fault = lambda method, path: None
    assert one.plan()["from"]["commit"] == deploy.bad


# ---- a push, and its answer ----


@pytest.mark.parametrize("status,outcome,kind", [(403, "failed", "forbidden"), (413, "failed", "refused"),
                                                 (302, "failed", "refused"), (502, "unknown", "unreachable")])
def test_a_push_that_is_not_taken(one, web, deploy, status, outcome, kind):
    plan = one.plan()
    web.fault = lambda method, path: (status, {"Location": "/x"}) if path.endswith("git-receive-pack") and method == "POST" else None
    assert one.apply(plan, expect=outcome)["kind"] == kind
    assert deploy.head() == deploy.bad and len(pushes(web)) == 1, "it was sent again"
    assert one.reconcile(plan) == "not-done"


@pytest.mark.parametrize("fault", ["hangup", "lost"])
def test_a_push_whose_answer_is_lost_is_unknown(one, web, deploy, fault):
    plan = one.plan()
    web.fault = lambda method, path: fault if method == "POST" and path.endswith("git-receive-pack") else None
    one.apply(plan, expect="unknown")
    assert len(pushes(web)) == 1, "it was sent again"
    web.fault = lambda method, path: None
    assert one.reconcile(plan) == ("done" if fault == "lost" else "not-done")
    assert deploy.count() == (4 if fault == "lost" else 3)


def test_a_server_that_says_nothing(deploy, tls):
    with silent() as listening:
        port = listening.getsockname()[1]
        with client({"url": f"https://localhost:{port}/x.git", "branch": "main", "ca_file": str(tls["ca"][0])}) as one:
            error = one.ask("plan", "revert", expect="failed", deadline_ms=2000)
    assert error["kind"] in ("unreachable", "unavailable") and error["retry"] is True


@pytest.mark.parametrize("settings,secrets,part", [
    ({"url": "http://example.org/x.git"}, {"token": "x"}, "url"),
    ({"url": "https://bot:pw@example.org/x.git"}, {"token": "x"}, "password"),
    ({"url": "https://example.org"}, {"token": "x"}, "https://HOST/PATH"),
    ({"url": "https://example.org/x.git"}, {}, "token: missing"),
    ({"url": "https://example.org/x.git"}, {"token": "x", "ssh_key": "y"}, "ssh only"),
    ({"url": "ssh://git@example.org/x.git"}, {"token": "x", "ssh_key": "y"}, "https only")])
def test_bad_settings_are_refused(settings, secrets, part):
    with pytest.raises(Refused) as refused:
        Host("gitops", {"branch": "main", **settings}, secrets)
    assert part in str(refused.value)
