"""Prometheus' own tools accept rules and configuration, and every alert is tested and explained."""

import json
import re
import subprocess
import time

import pytest
import yaml

from tests.support.processes import ROOT

PROMETHEUS = ROOT / "deploy/monitoring/prometheus"


def alerts():
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "rules.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
)
def test_promtool_is_content(promtool, command):
    done = subprocess.run(
        [promtool, *command],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_firing_in_the_rule_tests():
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    firing = {
        case["alertname"]
        for test in tests
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert firing == {rule["alert"] for rule in alerts()}


def test_every_alert_says_what_to_do():
    page_of_alerts = (ROOT / "docs/alerts.md").read_text()
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page, anchor) == ("docs/alerts.md", rule["alert"].lower())
        assert f"\n## {rule['alert']}\n" in page_of_alerts


def test_dashboard_is_what_grafana_provisions():
    grafana = ROOT / "deploy/monitoring/grafana"
    dashboard = json.loads((grafana / "dashboards/sightserve.json").read_text())
    (source,) = yaml.safe_load((grafana / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((grafana / "provisioning/dashboards/sightserve.yml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert (
        f"./deploy/monitoring/grafana/dashboards:{provider['options']['path']}:ro"
        in compose["volumes"]
    )
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert {target["datasource"]["uid"] for target in targets} == {source["uid"]}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_rules_and_dashboard_ask_for_metrics_that_the_gateway_has():
    """Without a stack: by name. tests/docker/test_monitoring.py asks a running one, labels too."""
    from app.metrics.gateway import Metrics  # noqa: PLC0415

    typed = re.findall(
        r"^# TYPE (\w+) ", Metrics(time.monotonic).exposition().decode(), re.MULTILINE
    )
    dashboard = (ROOT / "deploy/monitoring/grafana/dashboards/sightserve.json").read_text()
    text = (PROMETHEUS / "rules.yml").read_text() + dashboard
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in re.findall(r"(?<![\w:])gateway_[a-z_0-9]+", text)
    }
    only_with_api_keys = {"gateway_api_keys_stale"}
    assert asked - set(typed) - only_with_api_keys == set()


def test_autoscalers_ask_for_metrics_that_the_gateway_has_and_the_adapter_passes_on():
    from app.metrics.gateway import Metrics  # noqa: PLC0415

    exposed = Metrics(time.monotonic).exposition().decode()
    adapter = yaml.safe_load((ROOT / "deploy/monitoring/prometheus-adapter.yaml").read_text())
    passed_on = {rule["seriesQuery"].partition("{")[0] for rule in adapter["rules"]["custom"]}
    asked = set()
    for path in (ROOT / "k8s/overlays/production").glob("*-horizontalpodautoscaler.yaml"):
        for metric in yaml.safe_load(path.read_text())["spec"]["metrics"]:
            if metric["type"] != "Resource":
                asked.add(metric[metric["type"].lower()]["metric"]["name"])
    assert asked == passed_on == {"gateway_images_in_progress", "gateway_saturation"}
    for name in asked:
        assert f"\n# TYPE {name} gauge" in exposed
