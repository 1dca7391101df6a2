"""What docs and manifests promise holds in every rendering, and the checks do find faults."""

import copy

import pytest

from tests.deploy import manifests, policy, policy_wiring


def test_every_rendering_keeps_the_policy(rendered):
    wrong = {name: found for name, each in rendered.items() if (found := policy.problems(each))}
    assert wrong == {}


def test_production_has_what_the_base_leaves_out(rendered):
    kinds = [manifests.identity(item) for item in rendered["k8s/overlays/production"]]
    for expected in (
        "HorizontalPodAutoscaler/gateway",
        "HorizontalPodAutoscaler/tf-serving",
        "PodDisruptionBudget/gateway",
        "PodDisruptionBudget/tf-serving",
        "ServiceMonitor/gateway",
        "ServiceMonitor/tf-serving",
        "PrometheusRule/sightserve",
        "ExternalSecret/gateway-api-keys",
        "Ingress/gateway",
    ):
        assert expected in kinds


def test_production_pods_of_one_rollout_spread_over_zones_and_nodes(rendered):
    for name in ("gateway", "tf-serving"):
        spec = spec_of(rendered["k8s/overlays/production"], name)
        constraints = spec["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in constraints] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        for each in constraints:
            assert each["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
            assert each["matchLabelKeys"] == ["pod-template-hash"]
        assert "affinity" not in spec  # it would count the old pods too


def test_gateway_reaches_the_model_server_and_nothing_reaches_anything_else(rendered):
    flows = set(policy_wiring.allowed_flows(rendered["k8s/overlays/production"]))
    assert flows == {("gateway", "tf-serving", "grpc")}


def test_gateway_sees_every_model_server_pod(rendered):
    service = manifests.named(rendered["k8s/"], "Service", "tf-serving")
    deployment = manifests.named(rendered["k8s/"], "Deployment", "gateway")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert service["spec"]["clusterIP"] == "None"
    assert environment["GATEWAY_MODEL_SERVER_URL"] == "grpc://dns:tf-serving:8500"


def spec_of(objects, name):
    return manifests.named(objects, "Deployment", name)["spec"]["template"]["spec"]


def container_of(objects, name):
    return spec_of(objects, name)["containers"][0]


def policy_of(objects, name):
    return manifests.named(objects, "NetworkPolicy", name)["spec"]


FAULTS = {
    "no label": lambda o: manifests.named(o, "Service", "gateway")["metadata"].pop("labels"),
    "latest": lambda o: container_of(o, "gateway").update(image="sightserve/gateway:latest"),
    "no tag": lambda o: container_of(o, "gateway").update(image="registry:5000/gateway"),
    "no memory limit": lambda o: container_of(o, "gateway")["resources"]["limits"].pop("memory"),
    "request over limit": lambda o: container_of(o, "tf-serving")["resources"]["requests"].update(
        cpu="4"
    ),
    "root": lambda o: spec_of(o, "tf-serving")["securityContext"].update(runAsNonRoot=False),
    "no seccomp": lambda o: spec_of(o, "gateway")["securityContext"].pop("seccompProfile"),
    "writable root": lambda o: container_of(o, "gateway")["securityContext"].pop(
        "readOnlyRootFilesystem"
    ),
    "capabilities": lambda o: container_of(o, "gateway")["securityContext"].pop("capabilities"),
    "escalation": lambda o: container_of(o, "gateway")["securityContext"].update(
        allowPrivilegeEscalation=True
    ),
    "host network": lambda o: spec_of(o, "gateway").update(hostNetwork=True),
    "host path": lambda o: spec_of(o, "gateway")["volumes"].append(
        {"name": "x", "hostPath": {"path": "/"}}
    ),
    "token": lambda o: spec_of(o, "gateway").pop("automountServiceAccountToken"),
    "service links": lambda o: spec_of(o, "gateway").pop("enableServiceLinks"),
    "no startup probe": lambda o: container_of(o, "tf-serving").pop("startupProbe"),
    "liveness asks the model": lambda o: container_of(o, "gateway")["livenessProbe"][
        "httpGet"
    ].update(path="/readyz"),
    "readiness asks the process": lambda o: container_of(o, "gateway")["readinessProbe"][
        "httpGet"
    ].update(path="/livez"),
    "no preStop": lambda o: container_of(o, "tf-serving").pop("lifecycle"),
    "preStop shorter than a DNS cache": lambda o: container_of(o, "tf-serving")["lifecycle"][
        "preStop"
    ]["exec"].update(command=["sleep", "30"]),
    "short grace": lambda o: spec_of(o, "gateway").update(terminationGracePeriodSeconds=10),
    "pods taken away": lambda o: manifests.named(o, "Deployment", "gateway")["spec"]["strategy"][
        "rollingUpdate"
    ].update(maxUnavailable=1),
    "selector": lambda o: manifests.named(o, "Service", "tf-serving")["spec"]["selector"].update(
        {"app.kubernetes.io/name": "tfserving"}
    ),
    "budget selector": lambda o: manifests.named(o, "PodDisruptionBudget", "gateway")["spec"][
        "selector"
    ]["matchLabels"].update({"app.kubernetes.io/name": "gate"}),
    "service port": lambda o: manifests.named(o, "Service", "gateway")["spec"]["ports"][0].update(
        targetPort="web"
    ),
    "probe port": lambda o: container_of(o, "gateway")["startupProbe"]["httpGet"].update(
        port="web"
    ),
    "ingress port": lambda o: manifests.named(o, "Ingress", "gateway")["spec"]["rules"][0]["http"][
        "paths"
    ][0]["backend"]["service"]["port"].update(name="https"),
    "monitor port": lambda o: manifests.named(o, "ServiceMonitor", "tf-serving")["spec"][
        "endpoints"
    ][0].update(port="metrics"),
    "config key": lambda o: manifests.server_config(o)["data"].pop("batching.config"),
    "start script": lambda o: manifests.server_config(o)["data"].pop("model-server.sh"),
    "probe script": lambda o: manifests.server_config(o)["data"].pop("model-state.sh"),
    "claim": lambda o: manifests.of_kind(o, "PersistentVolumeClaim")[0]["metadata"].update(
        name="model"
    ),
    "settings": lambda o: manifests.of_kind(o, "CronJob")[0]["spec"]["jobTemplate"]["spec"][
        "template"
    ]["spec"]["containers"][0]["envFrom"][0]["configMapRef"].update(name="exporter"),
    "account": lambda o: spec_of(o, "gateway").update(serviceAccountName="default"),
    "open ingress": lambda o: container_of(o, "gateway")["env"].remove(
        {"name": "GATEWAY_API_KEYS_FILE", "value": "/keys/keys.txt"}
    ),
    "keys elsewhere": lambda o: container_of(o, "gateway")["volumeMounts"][0].update(
        mountPath="/k"
    ),
    "autoscaler target": lambda o: manifests.named(o, "HorizontalPodAutoscaler", "gateway")["spec"][
        "scaleTargetRef"
    ].update(name="gate"),
    "replicas fight": lambda o: manifests.named(o, "Deployment", "gateway")["spec"].update(
        replicas=3
    ),
    "no default deny": lambda o: policy_of(o, "default-deny").update(policyTypes=["Ingress"]),
    "open server": lambda o: policy_of(o, "tf-serving").update(
        ingress=[{"ports": [{"port": "grpc"}]}]
    ),
    "cut off": lambda o: policy_of(o, "gateway").update(egress=[]),
    "wrong flow": lambda o: (
        policy_of(o, "tf-serving")["ingress"].append(
            {"from": [{"podSelector": {}}], "ports": [{"port": "grpc"}]}
        )
        or policy_of(o, "exporter")["egress"].append(
            {"to": [{"podSelector": {}}], "ports": [{"port": "grpc"}]}
        )
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(rendered, fault):
    objects = copy.deepcopy(rendered["k8s/overlays/production"])
    FAULTS[fault](objects)
    assert policy.problems(objects) != []
