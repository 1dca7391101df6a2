"""Rules and dashboard ask for what the running stack exposes, and Prometheus can evaluate them."""

import json
import shutil
import subprocess

import httpx
import pytest
import yaml

from tests.docker import metric_names
from tests.docker.load import Load
from tests.docker.stack import SEVEN, classify
from tests.support.processes import ROOT, answers, free_ports, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

MONITORING = ROOT / "deploy/monitoring"
METRICS = {"gateway": "metrics", "tf-serving": "monitoring/prometheus/metrics"}
WHERE_CONFIGURED = ("gateway_shadow_", "gateway_split_", "gateway_api_keys_", "kube_")
"""Series of shadows, splits, API keys and Kubernetes, which the stack has not by default."""
PORTS = {"gateway": 8000, "tf-serving": 8501}


def dashboard_expressions():
    dashboard = json.loads((MONITORING / "grafana/dashboards/sightserve.json").read_text())
    return {
        f"{panel['title']} {target['refId']}": _with_everything_chosen(target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }


def _with_everything_chosen(expression):
    """As Grafana asks when no model or version is chosen."""
    for variable, value in {"$__rate_interval": "20s", "$model": ".*", "$version": ".*"}.items():
        expression = expression.replace(variable, value)
    return expression


def rules():
    groups = yaml.safe_load((MONITORING / "prometheus/rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def busy(stack):
    """The stack after good and bad requests, so that every series has begun."""
    assert classify(stack.url(), SEVEN).status_code == 200
    assert classify(stack.url(), b"no picture").status_code >= 400
    return stack


def test_every_metric_and_label_that_is_asked_for_is_exposed(busy):
    exposed = {"up": {"job", "instance"}}
    for service, path in METRICS.items():
        samples = metric_names.scrape(f"{busy.url(service, PORTS[service])}/{path}")
        exposed |= metric_names.labels_by_name(samples)
    exposed |= {rule["record"]: {"__none__"} for rule in rules() if "record" in rule}
    asked = dashboard_expressions() | {
        rule.get("alert", rule.get("record")): rule["expr"] for rule in rules()
    }
    unknown = [
        f"{where}: {name}{sorted(labels)}"
        for where, expression in asked.items()
        for name, labels in metric_names.used(expression)
        if not name.startswith(WHERE_CONFIGURED)
        and (name not in exposed or not labels <= exposed[name])
    ]
    assert unknown == []


def test_a_metric_that_nobody_exposes_would_be_found():
    found = dict(metric_names.used('sum by (route) (rate(gateway_nonsense_total{status="5"}[5m]))'))
    assert found == {"gateway_nonsense_total": {"route", "status"}}


def test_prometheus_scrapes_the_stack_and_answers_every_panel(busy, tmp_path):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus program here")
    config = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "prometheus/rules.yml")]
    for job in config["scrape_configs"]:  # outside the network the names mean nothing
        del job["dns_sd_configs"]
        name = job["job_name"]
        target = busy.url(name, PORTS[name]).removeprefix("http://")
        job["static_configs"] = [{"targets": [target]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    command = [
        program,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), seconds=60, what="ready")
        with Load([busy.url()], SEVEN, per_second=10):
            wait_until(
                lambda: empty_panels(f"http://127.0.0.1:{port}") == [],
                seconds=60,
                what="an answer for every panel",
            )
        firing = query(f"http://127.0.0.1:{port}", 'ALERTS{alertstate="firing"}')
        assert [each["metric"]["alertname"] for each in firing] == []
    finally:
        process.terminate()
        process.wait(timeout=30)


def query(url, expression):
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10)
    body = answer.json()
    assert body["status"] == "success", body
    return body["data"]["result"]


def empty_panels(url):
    """The panels without data, but for those of what is not configured."""
    return [
        title
        for title, expression in dashboard_expressions().items()
        if not any(name in expression for name in WHERE_CONFIGURED) and not query(url, expression)
    ]
