"""What the manifests ask for fits where the docs say that it does."""

import math

from tests.deploy import manifests
from tests.deploy.policy_pods import quantity
from tests.support.processes import ROOT

NODE = {"cpu": 2.0, "memory": 4 * 2**30}
# Of kind with one node, the most that Kubernetes itself requests there: API server 250m, controller
# manager 200m, scheduler 100m, etcd 100m, network 100m, two DNS servers 100m each; and 290 MiB.
SYSTEM = {"cpu": 0.95, "memory": 290 * 2**20}
# What the kubelet keeps free before it evicts pods.
RESERVED = {"cpu": 0.0, "memory": 100 * 2**20}


def requested(objects, *, surging):
    """CPU cores and bytes: every pod of the first start, or of a rollout of all Deployments."""
    total = {"cpu": 0.0, "memory": 0.0}
    for item in manifests.of_kind(objects, "Deployment", "Job"):
        is_job = item["kind"] == "Job"
        if surging and is_job:
            continue
        pods = item["spec"].get("replicas", 1) + (
            item["spec"]["strategy"]["rollingUpdate"]["maxSurge"] if surging else 0
        )
        for container in item["spec"]["template"]["spec"]["containers"]:
            for resource in total:
                total[resource] += pods * quantity(container["resources"]["requests"][resource])
    return total


def free_after(total):
    return {each: NODE[each] - SYSTEM[each] - RESERVED[each] - total[each] for each in NODE}


def test_a_first_start_fits_two_cpus_and_four_gibibytes(rendered):
    """The exporter and what waits for it, at the same time: otherwise neither would go on."""
    for name in ("k8s/", "k8s/overlays/dev"):
        assert min(free_after(requested(rendered[name], surging=False)).values()) >= 0, name


def test_a_rollout_of_everything_fits_too(rendered):
    """A new pod beside each old one. A Job waits meanwhile; rollouts do not wait for Jobs."""
    for name in ("k8s/", "k8s/overlays/dev"):
        assert min(free_after(requested(rendered[name], surging=True)).values()) >= 0, name


def test_more_than_fits_would_be_found(rendered):
    two_nodes = requested(rendered["k8s/"], surging=False)
    doubled = {each: 2.5 * amount for each, amount in two_nodes.items()}
    assert max(free_after(doubled).values()) < 0


def test_the_figures_in_the_docs_are_the_sums(rendered):
    at_first = requested(rendered["k8s/"], surging=False)
    twice = requested(rendered["k8s/"], surging=True)
    first = f"requests {at_first['cpu']:.2f} CPU and {gibibytes(at_first)} GiB"
    later = f"{twice['cpu'] / 2:.1f} CPU and {gibibytes(twice, 2)} GiB afterwards"
    for page in ("README.md", "docs/operations.md"):
        text = " ".join((ROOT / page).read_text().split())
        assert first in text, first
        assert later in text, later


def gibibytes(total, share=1):
    """Rounded up to a tenth."""
    return math.ceil(total["memory"] / share / 2**30 * 10) / 10
