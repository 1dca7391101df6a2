"""What every pod must fulfil by itself. Each check yields sentences about what is wrong."""

import re

from tests.deploy.manifests import Object, Problems, containers, identity, of_kind, pod_templates

_DEPLOYED = ("Deployment", "InferenceService")  # long-running: probes and drain are due
# A Service's endpoints forget a pod in seconds. A name is asked for every 5 s and cached by nodes
# for 30 s; what is sent until then may take 10 s.
_PRE_STOP_SECONDS = {"gateway": 5, "tf-serving": 5 + 30 + 10}
_DRAIN_SECONDS = {"gateway": 5 + 30, "tf-serving": 45 + 30}  # preStop + the server's own drain


def labels(objects: list[Object]) -> Problems:
    """The recommended labels, on objects and pods."""
    wanted = {"app.kubernetes.io/name", "app.kubernetes.io/part-of"}
    for each in objects:
        if each["kind"] in {"Namespace", "ConfigMap"}:
            continue
        if missing := wanted - set(each["metadata"].get("labels", {})):
            yield f"{identity(each)} lacks {sorted(missing)}"


def images(objects: list[Object]) -> Problems:
    """Every image is pinned to a version."""
    for owner, template in pod_templates(objects):
        for each in containers(template):
            name, _, tag = each["image"].rpartition(":")
            if not name or "/" in tag or tag == "latest" or not re.search(r"\d", tag):
                yield f"{owner}: image {each['image']} is not pinned"


def resources(objects: list[Object]) -> Problems:
    """CPU and memory, requested and limited, and the request not above the limit."""
    for owner, template in pod_templates(objects):
        for each in containers(template):
            given = each.get("resources", {})
            for amount in ("cpu", "memory"):
                request = given.get("requests", {}).get(amount)
                limit = given.get("limits", {}).get(amount)
                if request is None or limit is None:
                    yield f"{owner}/{each['name']}: {amount} needs a request and a limit"
                elif quantity(request) > quantity(limit):
                    yield f"{owner}/{each['name']}: {amount} request {request} > limit {limit}"


def quantity(text: str | int) -> float:
    """Kubernetes' notation as a number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|k|M|G)?", str(text))
    assert match, f"not a quantity: {text}"
    factors = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
    return float(match[1]) * factors.get(match[2] or "", 1.0)


def restricted(objects: list[Object]) -> Problems:
    """The Pod Security Standard "restricted", and a read-only root besides."""
    for owner, template in pod_templates(objects):
        spec = template["spec"]
        pod = spec.get("securityContext", {})
        for host in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(host):
                yield f"{owner}: {host}"
        for volume in spec.get("volumes", []):
            allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
            if not set(volume) - {"name"} <= allowed:
                yield f"{owner}: volume {volume['name']} is of a kind that is not allowed"
        for each in containers(template):
            yield from _restricted_container(f"{owner}/{each['name']}", pod, each)


def _restricted_container(who: str, pod: Object, container: Object) -> Problems:
    own = container.get("securityContext", {})
    both = pod | own
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield f"{who}: may run as root"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield f"{who}: no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield f"{who}: may gain privileges"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
        yield f"{who}: keeps capabilities"
    if own.get("readOnlyRootFilesystem") is not True:
        yield f"{who}: writable root"


def isolation(objects: list[Object]) -> Problems:
    """No API token; no environment made of Services (GATEWAY_PORT would break the gateway)."""
    for owner, template in pod_templates(objects):
        if template["spec"].get("automountServiceAccountToken") is not False:
            yield f"{owner}: mounts an API token"
        if template["spec"].get("enableServiceLinks") is not False:
            yield f"{owner}: gets service links"


def probes(objects: list[Object]) -> Problems:
    """Startup, readiness and liveness; liveness never asks for the model."""
    for owner, template in pod_templates(objects):
        if not owner.startswith(_DEPLOYED):
            continue
        main = template["spec"]["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe not in main:
                yield f"{owner}: no {probe}"
        if main.get("livenessProbe") == main.get("readinessProbe"):
            yield f"{owner}: liveness is readiness: an outage would restart every pod"
        if "gateway" in owner and _path(main.get("readinessProbe")) != "/readyz":
            yield f"{owner}: readiness is not /readyz"
        if "gateway" in owner and _path(main.get("livenessProbe")) != "/livez":
            yield f"{owner}: liveness is not /livez"


def _path(probe: Object | None) -> str | None:
    return (probe or {}).get("httpGet", {}).get("path")


def drain(objects: list[Object]) -> Problems:
    """A preStop wait, a grace period that covers the drain, and no pod less during a rollout."""
    for each in of_kind(objects, "Deployment"):
        strategy = each["spec"].get("strategy", {}).get("rollingUpdate", {})
        if strategy.get("maxUnavailable") != 0:
            yield f"{identity(each)}: a rollout may take pods away (maxUnavailable)"
    for owner, template in pod_templates(objects):
        if not owner.startswith(_DEPLOYED):
            continue
        spec, name = template["spec"], owner.partition("/")[2]
        command = (
            spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {})
        ).get("command", [])
        if command[:1] != ["sleep"] or float(command[1]) < _PRE_STOP_SECONDS[name]:
            yield f"{owner}: no preStop wait, or a short one"
        if spec.get("terminationGracePeriodSeconds", 30) < _DRAIN_SECONDS[name]:
            yield f"{owner}: grace period is shorter than the drain"
