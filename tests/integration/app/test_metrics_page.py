"""docs/metrics.md is true: every metric, its type and its labels, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from protocol.codes import Code
from serving.monitoring import Metrics as ModelServerMetrics
from tests.support.api_keys import KEY
from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway
from tests.support.processes import ROOT, wait_until

OF_HISTOGRAMS = {"le"}


def documented(chapter):
    """Type and labels by name, of one chapter of the page."""
    page = (ROOT / "docs/metrics.md").read_text()
    text = page.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w:]+)` \| (\w+) \| ([^|]*)\|", text, re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed(text):
    """The same of an exposition; a metric without a sample would have no labels to compare."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    labels = {name: set() for name in kinds if not name.endswith("_created")}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            base = re.sub(r"_(bucket|sum|count)$", "", sample.name)
            for name in (sample.name, base, sample.name.removesuffix("_total")):
                if name in labels:
                    labels[name] |= set(sample.labels) - OF_HISTOGRAMS
                    break
            else:
                assert sample.name.endswith("_created"), sample.name
    return {name: (kinds[name], found) for name, found in labels.items()}


def test_the_gateways_metrics(fake, photo, keys_file):
    fake.models["demo"] = {1: FakeVersion(), 2: FakeVersion()}
    fake.version_labels = {("demo", "stable"): 1}
    with running_gateway(
        fake.url,
        api_keys_file=keys_file,
        cache_bytes=1_000_000,
        split="gone:100%",
        shadow="stable:100%",
    ) as gateway:
        gateway.client.headers["X-API-Key"] = KEY
        assert gateway.classify(photo).status_code == 200
        assert gateway.classify(b"nonsense").status_code == 422

        def text():
            return gateway.client.get("/metrics").text

        wait_until(lambda: "gateway_shadow_seconds_count{" in text(), "the shadow has answered")
        assert exposed(text()) == documented("The gateway")


def test_the_model_servers_metrics():
    metrics = ModelServerMetrics(is_served=lambda _: True)
    metrics.observe_request(
        model_name="m", code=Code.OK, api="Predict", entrypoint="GRPC", seconds=0
    )
    metrics.observe_runtime(model_name="m", api="Predict", seconds=0)
    metrics.observe_examples(model_name="m", count=1)
    metrics.observe_warmup(model_path="/m/1", code=Code.OK, seconds=0)
    metrics.observe_load(model_path="/m/1", is_loaded=True, seconds=0)
    assert exposed(metrics.exposition()) == documented("The model server")


def test_the_pages_queries_are_promql(promtool, tmp_path):
    page = (ROOT / "docs/metrics.md").read_text()
    blocks = "".join(re.findall(r"^```promql\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    queries = [line for line in blocks.splitlines() if not line.startswith("#")]
    assert queries
    rules = [{"record": f"query:{number}", "expr": each} for number, each in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "page", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
