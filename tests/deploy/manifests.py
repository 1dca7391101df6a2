"""Rendered Kubernetes objects, and small questions about them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT

K8S = ROOT / "k8s"

# What people apply, and what they add to the base.
PLAIN = ("", "overlays/dev", "overlays/production")
COMPONENTS = sorted(each.name for each in (K8S / "components").iterdir())

Object = dict[str, Any]
Problems = Iterator[str]


def render(folder: Path) -> list[Object]:
    """What `kubectl apply -k FOLDER` would send."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def render_with(components: tuple[str, ...], scratch: Path, on: str = "base") -> list[Object]:
    """The base, or an overlay, with components, through an overlay made for it."""
    overlay = copy_of_all(scratch) / "overlays/for-test"
    overlay.mkdir()
    listed = ", ".join(f"../../components/{name}" for name in components)
    (overlay / "kustomization.yaml").write_text(
        f"resources: [../../{on}]\ncomponents: [{listed}]\n"
    )
    return render(overlay)


def copy_of_all(scratch: Path) -> Path:
    """The folder k8s, to be changed."""
    return shutil.copytree(K8S, scratch / "k8s")


def named(objects: list[Object], kind: str, name: str) -> Object:
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
    return found[0]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def server_config(objects: list[Object]) -> Object:
    """The ConfigMap of the model server's files."""
    (found,) = (each for each in of_kind(objects, "ConfigMap") if "models.config" in each["data"])
    return found


def identity(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def immutable(item: Object) -> Any:
    """The part of an object that the API server lets nobody change."""
    spec = item.get("spec", {})
    if item["kind"] == "Job":
        return {key: spec[key] for key in spec.keys() - {"ttlSecondsAfterFinished", "suspend"}}
    if item["kind"] == "PersistentVolumeClaim":
        return {key: spec[key] for key in spec.keys() - {"resources"}}
    if item["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}:
        return spec["selector"]
    if item["kind"] == "Service":
        return spec.get("clusterIP")
    return None


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod template as (whose, {"metadata", "spec"})."""
    for each in objects:
        kind, spec = each["kind"], each.get("spec", {})
        if kind in {"Deployment", "Job", "StatefulSet", "DaemonSet"}:
            yield identity(each), spec["template"]
        elif kind == "CronJob":
            yield identity(each), spec["jobTemplate"]["spec"]["template"]
        elif kind == "InferenceService":
            predictor = spec["predictor"]
            labels = predictor.get("labels", {}) | {
                "serving.kserve.io/inferenceservice": each["metadata"]["name"]
            }
            yield identity(each), {"metadata": {"labels": labels}, "spec": predictor}


def containers(template: Object) -> list[Object]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())
