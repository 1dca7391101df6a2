"""Every overlay renders, and the API server of two recent Kubernetes versions would take it."""

import copy

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy import crd_schemas, manifests
from tests.deploy.project import VERSION
from tests.support.processes import ROOT

VERSIONS = ("1.35", "1.37")


def errors(objects, version):
    found = []
    for item in objects:
        who = manifests.identity(item)
        schema = crd_schemas.schema(item["apiVersion"], item["kind"])
        checked = item
        if item["kind"] == "InferenceService":
            checked = crd_schemas.inference_service_as_deployment(item)
        try:
            if schema is not None:
                jsonschema.validate(item, schema)
            else:
                kubernetes_validate.validate(checked, version, strict=True)
        except jsonschema.ValidationError as error:
            found.append(f"{who}: {error.json_path}: {error.message}")
        except kubernetes_validate.utils.SchemaNotFoundError as error:
            found.append(f"{who}: {error.message}")
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(rendered, version):
    wrong = {name: found for name, each in rendered.items() if (found := errors(each, version))}
    assert wrong == {}


def test_a_misspelt_field_is_found(rendered):
    objects = copy.deepcopy(rendered["k8s/"])
    container = manifests.named(objects, "Deployment", "gateway")["spec"]["template"]["spec"]
    container["containers"][0]["readinesProbe"] = {}
    assert len(errors(objects, VERSIONS[0])) == 1


def test_a_misspelt_field_of_a_custom_resource_is_found(rendered):
    objects = copy.deepcopy(rendered["k8s/overlays/production"])
    monitor = manifests.named(objects, "ServiceMonitor", "gateway")
    monitor["spec"]["endpoints"][0]["intervall"] = "15s"
    assert len(errors(objects, VERSIONS[0])) == 1


def test_everything_lives_in_our_namespace(rendered):
    for name, objects in rendered.items():
        for item in objects:
            if item["kind"] != "Namespace":
                assert item["metadata"].get("namespace") == "sightserve", (name, item["kind"])


def test_the_default_needs_no_operator(rendered):
    groups = {item["apiVersion"].partition("/")[0] for item in rendered["k8s/"]}
    assert groups == {"v1", "apps", "batch"}


@pytest.mark.parametrize("name", ["k8s/", "k8s/overlays/production", "exporter-cronjob"])
def test_our_images_carry_the_version_of_the_project(rendered, name):
    images = {
        container["image"]
        for _, template in manifests.pod_templates(rendered[name])
        for container in manifests.containers(template)
    }
    ours = {image for image in images if image.startswith("sightserve/")}
    assert ours == {f"sightserve/gateway:{VERSION}", f"sightserve/exporter:{VERSION}"}


def test_the_version_of_the_project_is_repeated_in_one_file():
    places = [
        *(path for path in manifests.K8S.rglob("*") if path.is_file()),
        *(ROOT / name for name in ("Dockerfile", "docker-compose.yml", ".env.example")),
        ROOT / "docs/operations.md",
    ]
    repeated = [path for path in places if VERSION in path.read_text()]
    assert repeated == [manifests.K8S / "components/images/kustomization.yaml"]


def test_production_rules_are_those_of_compose(rendered):
    rules = yaml.safe_load((ROOT / "deploy/monitoring/prometheus/rules.yml").read_text())
    production = rendered["k8s/overlays/production"]
    assert manifests.named(production, "PrometheusRule", "sightserve")["spec"] == rules


def test_one_kind_per_file():
    for path in manifests.K8S.rglob("*.yaml"):
        if path.name not in {"kustomization.yaml", "kustomizeconfig.yaml"}:
            (item,) = yaml.safe_load_all(path.read_text())
            kind = item["kind"].lower()
            assert kind in path.stem.replace("-", ""), f"{path} holds a {kind}"
