"""What changes when something is applied over something else, or one file is edited."""

import copy

import pytest
import yaml

from tests.deploy import manifests
from tests.deploy.manifests import K8S, identity, immutable, named, of_kind, render

MOVES = ("k8s/", "k8s/overlays/dev", "k8s/overlays/production", "storage-rwx")


def refusals(before, after):
    """Which objects of `after` the API server would refuse over those of `before`."""
    old = {identity(item): immutable(item) for item in before}
    return [
        identity(item)
        for item in after
        if identity(item) in old and immutable(item) != old[identity(item)]
    ]


@pytest.mark.parametrize("before", MOVES)
@pytest.mark.parametrize("after", MOVES)
def test_each_can_be_applied_over_each(rendered, before, after):
    assert refusals(rendered[before], rendered[after]) == []


def test_a_change_that_would_be_refused_is_found(rendered):
    changed = copy.deepcopy(rendered["k8s/"])
    (job,) = of_kind(changed, "Job")
    job["spec"]["template"]["spec"]["containers"][0]["args"].append("--x")
    named(changed, "PersistentVolumeClaim", "models")["spec"]["accessModes"] = ["ReadWriteMany"]
    assert refusals(rendered["k8s/"], changed) == [
        "PersistentVolumeClaim/models",
        identity(job),
    ]


@pytest.mark.parametrize("name", MOVES)
def test_no_manifest_says_how_many_replicas_there_are(rendered, name):
    """A number that one manifest has and the next one lacks falls to one replica."""
    for item in of_kind(rendered[name], "Deployment"):
        assert "replicas" not in item["spec"]


@pytest.mark.parametrize("setting", ["MODEL=ResNet50", "WEIGHTS=none"])
def test_another_model_is_another_job(rendered, tmp_path, setting):
    folder = manifests.copy_of_all(tmp_path)
    path, key = folder / "base/kustomization.yaml", setting.partition("=")[0]
    lines = path.read_text().splitlines()
    changed = [f"      - {setting}" if f"- {key}=" in line else line for line in lines]
    path.write_text("\n".join(changed))
    after = render(folder)
    assert jobs(after) != jobs(rendered["k8s/"])
    assert refusals(rendered["k8s/"], after) == []


def test_a_registry_and_a_version_are_set_in_one_file_and_reach_every_exporter(rendered, tmp_path):
    """As `kustomize edit set image` in components/images writes it."""
    folder = manifests.copy_of_all(tmp_path)
    path = folder / "components/images/kustomization.yaml"
    content = yaml.safe_load(path.read_text())
    for image in content["images"]:
        image |= {"newName": image["name"].replace("sightserve", "registry.local/us")}
        image["newTag"] = "9.9.9"
    path.write_text(yaml.safe_dump(content))
    overlay = folder / "overlays/for-test"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../production]\ncomponents: [../../components/exporter-cronjob]\n"
    )
    after = render(overlay)
    ours = {
        (owner.partition("-")[0], container["image"])
        for owner, template in manifests.pod_templates(after)
        for container in manifests.containers(template)
        if "tensorflow" not in container["image"]
    }
    exporter = "registry.local/us/exporter:9.9.9"
    assert ours == {
        ("Deployment/gateway", "registry.local/us/gateway:9.9.9"),
        ("CronJob/exporter", exporter),
        ("Job/exporter", exporter),
    }
    assert len(of_kind(after, "CronJob")) == 2
    assert jobs(after) != jobs(rendered["k8s/overlays/production"])


def jobs(objects):
    return [identity(item) for item in of_kind(objects, "Job")]


def test_the_job_and_the_cron_job_are_one_template(rendered):
    for name in MOVES:
        (job,) = of_kind(rendered[name], "Job")
        template = named(rendered[name], "CronJob", "exporter")["spec"]
        assert job["spec"] == template["jobTemplate"]["spec"]
        assert template["suspend"] is True


def test_the_job_goes_on_for_longer_than_a_network_is_gone(rendered):
    (job,) = of_kind(rendered["k8s/"], "Job")
    waits = [min(10 * 2**number, 360) for number in range(job["spec"]["backoffLimit"])]
    assert 20 * 60 <= sum(waits) < job["spec"]["activeDeadlineSeconds"]


@pytest.mark.parametrize("component", [None, "kserve", "exporter-cronjob"])
def test_the_model_s_name_is_read_from_models_config_alone(tmp_path, component):
    folder = manifests.copy_of_all(tmp_path)
    path = folder / "model-server/models.config"
    path.write_text(path.read_text().replace("classifier", "flowers"))
    overlay = folder / "overlays/for-test"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../../base]\n"
        + (f"components: [../../components/{component}]\n" if component else "")
    )
    objects = render(overlay)
    server = next(pods(objects, "tf-serving"))
    assert server["livenessProbe"]["httpGet"]["path"] == "/v1/models/flowers"
    assert environment(server)["MODEL_NAME"] == "flowers"
    assert environment(next(pods(objects, "gateway")))["GATEWAY_MODEL_NAME"] == "flowers"
    for container in pods(objects, "exporter"):
        assert environment(container)["MODEL_NAME"] == "flowers"
        assert "--name=$(MODEL_NAME)" in container["args"]
    assert "classifier" not in yaml.safe_dump(objects)


def pods(objects, name):
    """The first container of each pod template of one of our three programs."""
    for owner, template in manifests.pod_templates(objects):
        if owner.partition("/")[2].startswith(name):
            yield template["spec"]["containers"][0]


def environment(container):
    return {each["name"]: each["value"] for each in container["env"]}


def test_a_bucket_is_reached_through_the_policies_and_nothing_else_is(rendered):
    before = named(rendered["k8s/overlays/production"], "NetworkPolicy", "tf-serving")["spec"]
    after = named(rendered["production with object-store"], "NetworkPolicy", "tf-serving")["spec"]
    exporter = named(rendered["k8s/overlays/production"], "NetworkPolicy", "exporter")["spec"]
    assert "egress" not in before
    assert after["egress"] == exporter["egress"]
    assert {port["port"] for rule in after["egress"] for port in rule["ports"]} == {53, 443}
    assert (after["ingress"], after["policyTypes"]) == (before["ingress"], before["policyTypes"])


def test_the_documented_components_are_those_that_there_are():
    table = (K8S.parent / "docs/operations.md").read_text()
    assert [name for name in manifests.COMPONENTS if f"components/{name}`" not in table] == [
        "gateway-api",
        "kserve",
    ]
    assert "`k8s/components/gpu`, `kserve`, `gateway-api`" in table
