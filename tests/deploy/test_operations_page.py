"""Every command of the pages says what it needs, and is run if that is to be had here.

`stack` by tests/docker, with the images; `a cluster` with the real kubectl on an API server of
ours; `promtool` where it is installed. What is left is in NOT_RUN.
"""

import os
import shutil
import subprocess

import pytest

from tests.deploy import manifests
from tests.deploy.cluster import running_cluster
from tests.deploy.operations import NEEDS, blocks
from tests.support.processes import ROOT

NOT_RUN = {
    ("Docker Compose", "a registry"): "images of Prometheus, Grafana and CUDA; and a card",
    ("Kubernetes", "a registry"): "builds and pushes; the file that it edits: test_changes.py",
    ("Traces", "a registry"): "builds an image; tests/docker/test_images.py does it",
    ("Kubernetes", "a real cluster"): "a port of a pod, and tar in pods",
    ("Publish a model", "a real cluster"): "a program in a pod, reading our input",
    ("Upgrade", "a real cluster"): "the history that a Deployment's controller writes",
    ("Back up", "a real cluster"): "tar in pods",
}


def test_every_block_is_marked():
    assert [block for block in blocks() if block.needs not in NEEDS] == []
    assert {block.language for block in blocks()} == {"bash"}


def test_commands_that_reach_a_cluster_or_registry_are_marked_so():
    for block in blocks():
        if "kubectl" in block.commands or "exporter.sh" in block.commands:
            assert block.needs in {"a cluster", "a real cluster"}, block.commands
        if any(each in block.commands for each in ("docker push", "--profile monitoring", "gpu")):
            assert block.needs == "a registry", block.commands


def test_what_is_not_run_is_known():
    run_here = {"stack", "a cluster", "promtool"}
    assert {(each.heading, each.needs) for each in blocks() if each.needs not in run_here} == set(
        NOT_RUN
    )


@pytest.mark.parametrize(
    "commands", [block.commands for block in blocks() if block.needs == "promtool"]
)
def test_promtool_commands_succeed(promtool, commands):
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert promtool
    assert done.returncode == 0, done.stderr


@pytest.fixture
def typed(tmp_path):
    """Types commands into a shell above a copy of k8s/, on a cluster of its own."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here")
    top = tmp_path / "top"
    manifests.copy_of_all(top)
    shutil.copy(ROOT / "models.config", top)
    with running_cluster(tmp_path) as cluster:

        def run(commands):
            return subprocess.run(
                ["bash", "-euo", "pipefail", "-c", commands],
                cwd=top,
                env={"PATH": os.environ["PATH"], **cluster.environment},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

        run.cluster = cluster
        yield run


def arguments(cluster):
    """Of the jobs that exporter.sh has made, oldest first."""
    jobs = [job for (kind, _), job in cluster.objects.items() if kind == "jobs"]
    pods = [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]
    return [pod["args"] for pod in pods if pod["args"][0] != "ensure"]


def test_every_command_for_a_cluster_succeeds(typed):
    for block in blocks():
        if block.needs == "a cluster":
            done = typed(block.commands)
            assert done.returncode == 0, f"{block.heading}:\n{done.stdout}\n{done.stderr}"
    assert [each[0] for each in arguments(typed.cluster)] == [
        *("export", "list", "quarantine", "rollback", "export", "quarantine"),
    ]
    scaled = typed.cluster.objects["deployments", "tf-serving"]
    assert scaled["spec"]["replicas"] == 4  # `kubectl apply -k` of "Upgrade" has left it


def test_every_manifest_is_taken_over_every_other_one(typed):
    """By the real kubectl, which computes the change."""
    for folder in ("k8s/", "k8s/overlays/dev", "k8s/", "k8s/overlays/dev"):
        done = typed(f"kubectl apply -k {folder}")
        assert done.returncode == 0, done.stderr
    assert len(typed.cluster.names("jobs")) == 2  # one for each model


def test_a_job_that_is_changed_in_place_is_refused_here_too(typed):
    assert typed("kubectl apply -k k8s/").returncode == 0
    change = "kubectl kustomize k8s/ | sed 's/--weights=/--weight=/' | kubectl apply -f -"
    done = typed(change)
    assert done.returncode == 1
    assert "field is immutable" in done.stderr


def test_exporter_sh_passes_arguments_as_they_are_and_the_exit_code_back(typed):
    typed("kubectl apply -k k8s/")
    typed.cluster.exit_code, typed.cluster.said = 4, "refused\n"
    done = typed("""k8s/exporter.sh export --labels 'a "b" \\c' '$(HOME) $x' "two\nlines" """)
    assert (done.returncode, done.stdout) == (4, "refused\n")
    # $$(HOME) is what Kubernetes makes $(HOME) of.
    expected = ["export", "--labels", 'a "b" \\c', "$$(HOME) $x", "two\nlines"]
    assert arguments(typed.cluster) == [expected]


def test_exporter_sh_exec_starts_a_pod_that_waits_and_takes_it_away(typed):
    typed("kubectl apply -k k8s/")
    done = typed("k8s/exporter.sh --exec tar -C /models -xz < /dev/null")
    assert done.returncode != 0  # no container runs here
    assert any(path.endswith("-pod/exec") for path in posted(typed.cluster)), done.stderr
    assert arguments(typed.cluster) == []
    assert [method for method, _ in typed.cluster.requests].count("DELETE") == 1


def posted(cluster):
    return [path.partition("?")[0] for method, path in cluster.requests if method != "DELETE"]


@pytest.mark.parametrize("words", ["", "--exec"])
def test_exporter_sh_without_a_command_says_how(typed, words):
    done = typed(f"k8s/exporter.sh {words}")
    assert done.returncode == 2
    assert "k8s/exporter.sh COMMAND" in done.stderr


def test_versions_are_brought_along_before_pods_move_to_another_volume(typed):
    """The commands of "Kubernetes": the claim and the CronJob go first, but no Job."""
    (block,) = [each for each in blocks() if "component!=first-model" in each.commands]
    typed("kubectl apply -k k8s/")
    line = block.commands[block.commands.index("kubectl kustomize") :].partition("k8s/exporter.sh")
    before = typed.cluster.names("jobs")
    done = typed(line[0])
    assert "models-shared" in typed.cluster.names("persistentvolumeclaims"), done.stderr
    assert typed.cluster.names("jobs") == before
    template = typed.cluster.objects["cronjobs", "exporter"]["spec"]["jobTemplate"]["spec"]
    pod = template["template"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models-shared"
    (source,) = pod["containers"][0]["envFrom"]
    assert source["configMapRef"]["name"] in typed.cluster.names("configmaps")
    server = typed.cluster.objects["deployments", "tf-serving"]["spec"]["template"]["spec"]
    assert server["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models"


def test_files_that_the_pages_name_exist():
    for block in blocks():
        for word in block.commands.split():
            if word.startswith(("k8s/", "deploy/", "samples/")):
                assert (ROOT / word).exists(), word
