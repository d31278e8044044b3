"""An incident is resolved once its symptom stayed good: the real daemon, and a real Prometheus that it is asked of."""
import pytest
from books import AUTO
from harness import alert, wait_for
from servers import Origin, Prometheus

ERRORS = {"ratio": "0"}


@pytest.fixture
def prometheus():
    ERRORS["ratio"] = "0"
    with Origin(lambda *_: f"errors_ratio {ERRORS['ratio']}\n" if ERRORS["ratio"] else "") as exporter:
        with Prometheus({"scrape_configs": [{
                "job_name": "t", "scrape_interval": "1s", "scrape_timeout": "1s",
                "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}]}) as server:
            yield server


BOOK = '''local prom, fx = prometheus "main", effects "fx"
runbook "look" {
  summary = "Look at the errors", owner = "team-shop",
  on      = alert { alertname = "TestAlert" },
  uses    = { prom.query, fx.set_convergent },
  SYMPTOM
  run = function(incident, p) BODY end,
}
'''
SYMPTOM = '''symptom = symptom { ask = prom.query { expr = "errors_ratio" }, bad = "> 0.05", good = "< 0.01",
                      settle = "0s", hold = "0s", within = "1s", every = "100ms" },'''


def start(world, prometheus, soak_for="3s", body='note "seen"', symptom=SYMPTOM):
    world.repo.commit({"look.lua": BOOK.replace("SYMPTOM", symptom).replace("BODY", body)})
    daemon = world.daemon(policy=AUTO, incidents={"soak_for": soak_for},
                          instances=[f'prometheus "main" {{ url = "{prometheus.url}" }}']).start()
    daemon.post_alert(alert())
    wait_for(lambda: daemon.get("/v1/runs/R-1")["state"] == "succeeded", "the run")
    return daemon


def shows(prometheus, ratio):
    """The exporter tells another ratio; None: nothing any more."""
    ERRORS["ratio"] = ratio
    wait_for(lambda: [r["value"][1] for r in prometheus.query("errors_ratio")] == ([ratio] if ratio else []),
             f"a scrape of {ratio}")


def incident(daemon):
    return daemon.get("/v1/incidents/INC-1")


def said(daemon, kind):
    return [e for e in daemon.timeline("INC-1") if e["kind"] == kind]


def test_good_for_the_soak_is_resolved_and_says_what_was_measured(world, prometheus):
    shows(prometheus, "0")
    daemon = start(world, prometheus)
    told = daemon.cli("incident", "resolve", "INC-1").stdout
    assert "monitoring" in told and "to be good for 3s" in told, told
    daemon.kill9().start()
    wait_for(lambda: incident(daemon)["state"] == "resolved", "the soak")
    [resolved] = said(daemon, "incident.resolved")
    [asked] = said(daemon, "incident.watched")
    assert resolved["by"] == asked["by"] and resolved["at_ms"] - asked["at_ms"] >= 3000, resolved
    assert "good for 3s in" in resolved["text"] and "look: 0" in resolved["text"] and "good is < 0.01" in resolved["text"], resolved
    assert not said(daemon, "incident.unsettled")
    assert daemon.cli("incident", "resolve", "INC-1", check=False).returncode == 6
    assert daemon.post("/v1/store/check")["ok"]  # all of it is told by the entries


@pytest.mark.parametrize("ratio, what", [("0.25", "look: 0.25, which is bad"), (None, "look: no data")])
def test_what_is_not_good_begins_it_anew_and_is_said(world, prometheus, ratio, what):
    shows(prometheus, "0")
    daemon = start(world, prometheus, soak_for="1m")  # so it is asked every 3 s
    daemon.cli("incident", "resolve", "INC-1")
    since = wait_for(lambda: incident(daemon)["soaked"]["since_ms"], "a good sample")
    shows(prometheus, ratio)
    [news] = wait_for(lambda: said(daemon, "incident.unsettled"), "what is not good")
    assert what in news["text"] and news["by"] == "stanch", news
    assert incident(daemon)["state"] == "monitoring" and incident(daemon)["soaked"]["since_ms"] == 0
    daemon.cli("stop", "too hot")  # to look is no automation
    daemon.kill9().start()
    shows(prometheus, "0")
    wait_for(lambda: incident(daemon)["soaked"]["since_ms"] > since, "it to begin anew")
    assert "good for" in incident(daemon)["soaking"] and "of 1m: look: 0.0 (good is < 0.01)" in incident(daemon)["soaking"]
    assert incident(daemon)["state"] == "monitoring" and len(said(daemon, "incident.unsettled")) == 1


def test_a_reason_resolves_at_once(world, prometheus):
    shows(prometheus, "0.25")
    daemon = start(world, prometheus)
    assert "monitoring" in daemon.cli("incident", "resolve", "INC-1").stdout
    assert "resolved" in daemon.cli("incident", "resolve", "INC-1", "--because", "the meter lies").stdout
    assert said(daemon, "incident.resolved")[0]["text"].endswith("resolved INC-1: the meter lies")


def test_without_a_symptom_somebody_says_why(world, prometheus):
    daemon = start(world, prometheus, symptom="")
    refused = daemon.cli("incident", "resolve", "INC-1", check=False)
    assert refused.returncode == 6 and "declares a symptom" in refused.stderr and "--because" in refused.stderr, refused
    assert incident(daemon)["state"] != "resolved"
    daemon.cli("incident", "resolve", "INC-1", "--because", "seen with my own eyes")
    daemon.cli("incident", "declare", "a false alarm")  # nothing ran for it: there is nothing that could be measured
    assert "resolved" in daemon.cli("incident", "resolve", "INC-2").stdout


def test_what_is_in_force_is_said_first(world, prometheus):
    shows(prometheus, "0")
    daemon = start(world, prometheus, body='fx.set_convergent { target = "s1", value = 7, because = "it fails" }')
    refused = daemon.cli("incident", "resolve", "INC-1", check=False)
    assert refused.returncode == 6 and "M-1" in refused.stderr, refused
    daemon.cli("undo", "M-1", "--reason", "mended")
    daemon.cli("incident", "resolve", "INC-1")
    wait_for(lambda: incident(daemon)["state"] == "resolved", "the soak")
