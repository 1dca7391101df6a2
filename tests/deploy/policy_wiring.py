"""What must fit together: selectors, ports, names, autoscalers, network policies."""

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import (
    Object,
    Problems,
    containers,
    identity,
    of_kind,
    pod_templates,
    selects,
)

# The components that use them say: yours.
_OUTSIDE = {"training", "model-store-credentials", "gateway-api-keys"}


def selectors(objects: list[Object]) -> Problems:
    """Every selector matches pods; Deployments select their own."""
    templates = dict(pod_templates(objects))
    for each in of_kind(objects, "Deployment"):
        own = each["spec"]["template"]["metadata"]["labels"]
        if not selects(each["spec"]["selector"]["matchLabels"], own):
            yield f"{identity(each)}: selector does not match its own pods"
    for item, selector in _pod_selectors(objects):
        matched = [who for who, pod in templates.items() if selects(selector, _labels(pod))]
        if selector and not matched:
            yield f"{item}: {selector} selects no pod"


def _labels(template: Object) -> dict[str, str]:
    return template.get("metadata", {}).get("labels", {})


def _pod_selectors(objects: list[Object]) -> Iterator[tuple[str, dict[str, str]]]:
    for each in objects:
        spec, who = each.get("spec", {}), identity(each)
        if each["kind"] == "Service":
            yield who, spec["selector"]
        if each["kind"] == "PodDisruptionBudget":
            yield who, spec["selector"]["matchLabels"]
        if each["kind"] == "NetworkPolicy":
            yield who, spec["podSelector"].get("matchLabels", {})
            for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
                for peer in [*rule.get("from", []), *rule.get("to", [])]:
                    if "namespaceSelector" not in peer and "podSelector" in peer:
                        yield who, peer["podSelector"].get("matchLabels", {})


def ports(objects: list[Object]) -> Problems:
    """Service and policy ports exist in the pods that they point at; probes' ports likewise."""
    templates = list(pod_templates(objects))
    for each in of_kind(objects, "Service"):
        pods = [pod for _, pod in templates if selects(each["spec"]["selector"], _labels(pod))]
        for port in each["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if not all(target in _container_ports(pod) for pod in pods):
                yield f"{identity(each)}: no container port {target}"
    for owner, template in templates:
        for each in containers(template):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = each.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in _container_ports(template):
                    yield f"{owner}: {probe} asks port {port}, which no container has"
    yield from _backend_ports(objects)


def _container_ports(template: Object) -> set[Any]:
    found: set[Any] = set()
    for each in containers(template):
        for port in each.get("ports", []):
            found |= {port["containerPort"], port.get("name")}
    return found


def _backend_ports(objects: list[Object]) -> Problems:
    """Routes and monitors name Service ports that exist."""
    offered = {
        (each["metadata"]["name"], port[key])
        for each in of_kind(objects, "Service")
        for port in each["spec"]["ports"]
        for key in ("name", "port")
    }
    for who, service, port in _wanted_ports(objects):
        if (service, port) not in offered:
            yield f"{who}: no port {port} at {service}"


def _wanted_ports(objects: list[Object]) -> Iterator[tuple[str, str, str | int]]:
    for each in of_kind(objects, "Ingress"):
        for rule in each["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                wanted = path["backend"]["service"]
                yield identity(each), wanted["name"], wanted["port"]["name"]
    for each in of_kind(objects, "HTTPRoute"):
        for rule in each["spec"]["rules"]:
            for wanted in rule["backendRefs"]:
                yield identity(each), wanted["name"], wanted["port"]
    for each in of_kind(objects, "ServiceMonitor"):
        for endpoint in each["spec"]["endpoints"]:
            yield identity(each), each["metadata"]["name"], endpoint["port"]


def references(objects: list[Object]) -> Problems:
    """Config maps, claims, accounts and secrets that are named are there, files included."""
    yield from _secrets(objects)
    configs = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    claims = {each["metadata"]["name"] for each in of_kind(objects, "PersistentVolumeClaim")}
    accounts = {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}
    for owner, template in pod_templates(objects):
        spec = template["spec"]
        if spec.get("serviceAccountName") not in accounts:
            yield f"{owner}: no service account {spec.get('serviceAccountName')}"
        for volume in spec.get("volumes", []):
            config = volume.get("configMap", {}).get("name")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if config and config not in configs:
                yield f"{owner}: no config map {config}"
            elif config:
                yield from _missing_files(owner, template, volume["name"], configs[config])
            if claim and claim not in claims | _OUTSIDE:
                yield f"{owner}: no claim {claim}"
        for each in containers(template):
            named = {
                source.get("configMapRef", {}).get("name") for source in each.get("envFrom", [])
            }
            for config in sorted(filter(None, named - configs.keys())):
                yield f"{owner}: no config map {config}"
            mounts = {mount["name"] for mount in each.get("volumeMounts", [])}
            if missing := mounts - {volume["name"] for volume in spec.get("volumes", [])}:
                yield f"{owner}: mounts {sorted(missing)}, which are no volumes"


def _secrets(objects: list[Object]) -> Problems:
    known = {each["spec"]["target"]["name"] for each in of_kind(objects, "ExternalSecret")}
    yield from _open_doors(objects)
    for owner, template in pod_templates(objects):
        for each in containers(template):
            for variable in [*each.get("env", []), *each.get("envFrom", [])]:
                source = variable.get("secretRef") or variable.get("valueFrom", {}).get(
                    "secretKeyRef", {}
                )
                if source and source["name"] not in known | _OUTSIDE:
                    yield f"{owner}: no secret {source['name']}"


def _open_doors(objects: list[Object]) -> Problems:
    """What leads in from outside leads to a gateway that asks for keys, from a Secret."""
    for each in of_kind(objects, "Ingress", "HTTPRoute"):
        for owner, template in pod_templates(objects):
            if owner != "Deployment/gateway":
                continue
            (container,) = template["spec"]["containers"]
            files = [
                variable["value"]
                for variable in container["env"]
                if variable["name"] == "GATEWAY_API_KEYS_FILE"
            ]
            secrets = {
                volume["name"]
                for volume in template["spec"]["volumes"]
                if volume.get("secret", {}).get("secretName") == "gateway-api-keys"
            }
            folders = [
                mount["mountPath"]
                for mount in container["volumeMounts"]
                if mount["name"] in secrets
            ]
            if [f"{folder}/keys.txt" for folder in folders] != files or not files:
                yield f"{identity(each)}: the gateway asks for no key: anybody may call"


def _missing_files(owner: str, template: Object, volume: str, files: dict[str, str]) -> Problems:
    """What containers, and the scripts among the files, name below the mount and is not there."""
    for each in containers(template):
        for mount in each.get("volumeMounts", []):
            if mount["name"] == volume:
                text = "\n".join([*_words(each), *files.values()])
                for name in re.findall(rf"{mount['mountPath']}/([\w.-]+)", text):
                    if name not in files:
                        yield f"{owner}: {name} is not in the config map"


def _words(container: Object) -> Iterator[str]:
    """Of every command that is run in a container."""
    yield from [*container.get("command", []), *container.get("args", [])]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield from container.get(probe, {}).get("exec", {}).get("command", [])


def scaling(objects: list[Object]) -> Problems:
    """Autoscalers point at Deployments that leave the number of replicas to them."""
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        target = each["spec"]["scaleTargetRef"]
        found = [
            item
            for item in of_kind(objects, target["kind"])
            if item["metadata"]["name"] == target["name"]
        ]
        if not found:
            yield f"{identity(each)}: no {target['kind']}/{target['name']}"
        elif "replicas" in found[0]["spec"]:
            yield f"{identity(each)}: the Deployment sets replicas too, and every apply resets them"
        if each["spec"].get("minReplicas", 1) < 2:
            yield f"{identity(each)}: one replica is an outage on every node drain"


def network(objects: list[Object]) -> Problems:
    """Default deny, and only gateway → model server between our pods. Nothing without policies."""
    policies = of_kind(objects, "NetworkPolicy")
    if not policies:
        return
    if not any(
        each["spec"]["podSelector"] == {}
        and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not each["spec"].get("ingress")
        and not each["spec"].get("egress")
        for each in policies
    ):
        yield "no policy denies everything by default"
    flows = set(allowed_flows(objects))
    wanted = {("gateway", "tf-serving", "grpc")}
    for flow in sorted(wanted - flows):
        yield f"{flow[0]} cannot reach {flow[1]} on {flow[2]}"
    for flow in sorted(flows - wanted):
        yield f"{flow[0]} may reach {flow[1]} on {flow[2]}"
    for each in policies:
        if "ingress" in each["spec"] and any(
            not rule.get("from") for rule in each["spec"]["ingress"]
        ):
            yield f"{identity(each)}: anybody may enter"
        if "egress" in each["spec"] and any(not rule.get("to") for rule in each["spec"]["egress"]):
            yield f"{identity(each)}: may call anybody"


def allowed_flows(objects: list[Object]) -> Iterator[tuple[str, str, str]]:
    """(from, to, port) between our own pods: both ends must allow it."""
    pods = {
        template["metadata"]["labels"]["app.kubernetes.io/name"]: template["metadata"]["labels"]
        for _, template in pod_templates(objects)
    }
    policies = of_kind(objects, "NetworkPolicy")
    for source, source_labels in pods.items():
        for target, target_labels in pods.items():
            outgoing = _open_ports(policies, source_labels, target_labels, "egress", "to")
            incoming = _open_ports(policies, target_labels, source_labels, "ingress", "from")
            for port in outgoing & incoming:
                yield source, target, port


def _open_ports(
    policies: list[Object], own: dict[str, str], peer: dict[str, str], direction: str, key: str
) -> set[str]:
    found: set[str] = set()
    for each in policies:
        spec = each["spec"]
        if not selects(spec["podSelector"].get("matchLabels", {}), own):
            continue
        for rule in spec.get(direction, []):
            for other in rule.get(key, []):
                if "namespaceSelector" in other or "podSelector" not in other:
                    continue
                if selects(other["podSelector"].get("matchLabels", {}), peer):
                    found |= {str(port["port"]) for port in rule.get("ports", [])}
    return found
