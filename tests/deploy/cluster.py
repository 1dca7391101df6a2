"""An API server as far as kubectl needs one: it stores objects, and every pod has run at once.

    with running_cluster() as cluster:
        subprocess.run(["kubectl", ...], env=cluster.environment)
        cluster.objects[("jobs", "exporter-1")]

It checks what a real one refuses most: changes of what is immutable. Everything else that a cluster
does (scheduling, admission, logs and exec of real containers) it does not do.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.deploy.manifests import Object, immutable

KINDS = {
    "v1": {
        "namespaces": "Namespace",
        "serviceaccounts": "ServiceAccount",
        "configmaps": "ConfigMap",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "services": "Service",
        "pods": "Pod",
    },
    "apps/v1": {"deployments": "Deployment"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
}


class Cluster:
    """What has been applied, by (plural, name), and what kubectl has asked for."""

    def __init__(self, url: str, folder: Path) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.exit_code = 0
        self.said = "done\n"
        config = folder / "kubeconfig"
        config.write_text(json.dumps(_kubeconfig(url)))
        self.environment = {"KUBECONFIG": str(config), "HOME": str(folder)}

    def names(self, plural: str) -> list[str]:
        """The names of the objects of one kind."""
        return sorted(name for kind, name in self.objects if kind == plural)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Serve on a port of its own until the block ends; kubectl's settings and cache in `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    cluster = Cluster(f"http://127.0.0.1:{server.server_port}", folder)
    server.cluster = cluster  # type: ignore[attr-defined] - how handlers reach it
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _kubeconfig(url: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "fake", "user": {}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "current-context": "fake",
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _cluster(self) -> Cluster:
        return self.server.cluster  # type: ignore[attr-defined, no-any-return]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: Any) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _refuse(self, status: int, reason: str, message: str) -> None:
        self._answer(
            status,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": reason,
                "message": message,
                "code": status,
            },
        )

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null")

    def _where(self) -> tuple[str, str, str]:
        """The plural, the name and the subresource of the path."""
        parts = urlparse(self.path).path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        return (*rest, "", "", "")[:3]  # type: ignore[return-value] - three of at least three

    def do_GET(self) -> None:
        self._cluster.requests.append(("GET", self.path))
        path = urlparse(self.path).path
        if (found := _discovery(path)) is not None:
            self._answer(200, found)
            return
        plural, name, sub = self._where()
        if path == "/openapi/v2":
            self._answer(200, "")  # a description of nothing: kubectl then checks nothing by it
        elif plural == "pods":
            self._pods(name, sub)
        elif sub == "scale":
            self._answer(200, _scale(self._cluster.objects[plural, name]))
        elif name and (plural, name) in self._cluster.objects:
            self._answer(200, self._cluster.objects[plural, name])
        elif name or not any(plural in kinds for kinds in KINDS.values()):
            self._refuse(404, "NotFound", f'{plural} "{name}" not found')
        else:
            self._list(plural)

    def _list(self, plural: str) -> None:
        wanted = _selector(self.path)
        only = _selector(self.path, "fieldSelector").get("metadata.name")
        items = [
            item
            for (kind, name), item in self._cluster.objects.items()
            if kind == plural
            and only in {None, name}
            and wanted.items() <= item["metadata"].get("labels", {}).items()
        ]
        kind = next(kinds[plural] for kinds in KINDS.values() if plural in kinds)
        version = next(each for each, kinds in KINDS.items() if plural in kinds)
        self._answer(200, {"kind": f"{kind}List", "apiVersion": version, "items": items})

    def _pods(self, name: str, sub: str) -> None:
        if sub == "log":
            self._answer(200, self._cluster.said)
            return
        job = name.removesuffix("-pod") if name else _selector(self.path).get("job-name", "")
        (container,) = self._cluster.objects["jobs", job]["spec"]["template"]["spec"]["containers"]
        item = _pod(job, None if "command" in container else self._cluster.exit_code)
        listed = {"kind": "PodList", "apiVersion": "v1", "items": [item]}
        self._answer(200, item if name else listed)

    def do_POST(self) -> None:
        self._cluster.requests.append(("POST", self.path))
        plural, _, sub = self._where()
        if sub:
            self._refuse(501, "NotImplemented", f"no {sub} here")
            return
        item = self._body()
        self._store(plural, item, 201)

    def do_PATCH(self) -> None:
        self._cluster.requests.append(("PATCH", self.path))
        plural, name, sub = self._where()
        before = self._cluster.objects[plural, name]
        after = _merged(before, self._body())
        if sub == "scale":
            self._cluster.objects[plural, name] = _controlled(plural, after)
            self._answer(200, _scale(after))
            return
        if immutable(after) != immutable(before):
            self._refuse(422, "Invalid", f'{plural} "{name}" is invalid: field is immutable')
        else:
            self._store(plural, after, 200)

    def do_DELETE(self) -> None:
        self._cluster.requests.append(("DELETE", self.path))
        plural, name, _ = self._where()
        item = self._cluster.objects.pop((plural, name))
        self._answer(200, item)

    def _store(self, plural: str, item: Object, status: int) -> None:
        stored = _controlled(plural, copy.deepcopy(item))
        self._cluster.objects[plural, item["metadata"]["name"]] = stored
        self._answer(status, stored)


def _controlled(plural: str, item: Object) -> Object:
    """With what the API server and the controllers add: everything has gone well at once."""
    metadata = item["metadata"]
    metadata |= {"uid": metadata["name"], "resourceVersion": "1", "generation": 1}
    if plural == "jobs":
        item["spec"]["selector"] = {"matchLabels": {"job-name": metadata["name"]}}
        item["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    if plural == "deployments":
        count = item["spec"].setdefault("replicas", 1)
        names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        item["status"] = {"observedGeneration": 1} | dict.fromkeys(names, count)
    return item


def _selector(path: str, kind: str = "labelSelector") -> dict[str, str]:
    (text,) = parse_qs(urlparse(path).query).get(kind, [""])
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _scale(item: Object) -> Object:
    names = {key: item["metadata"][key] for key in ("name", "namespace")}
    count = item["spec"]["replicas"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": names,
        "spec": {"replicas": count},
        "status": {"replicas": count},
    }


def _pod(job: str, exit_code: int | None) -> Object:
    """Without an exit code it runs."""
    state: Object = {"running": {}}
    if exit_code is not None:
        state = {"terminated": {"exitCode": exit_code}}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": f"{job}-pod", "namespace": "sightserve", "labels": {"job-name": job}},
        "spec": {"containers": [{"name": "exporter"}]},
        "status": {
            "phase": {None: "Running", 0: "Succeeded"}.get(exit_code, "Failed"),
            "containerStatuses": [{"name": "exporter", "state": state}],
        },
    }


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386; lists of named things are merged by name, as Kubernetes does."""
    if isinstance(patch, dict) and isinstance(old, dict):
        found = dict(old)
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                found.pop(key, None)
            else:
                found[key] = _merged(found.get(key), value)
        return found
    if isinstance(patch, list) and isinstance(old, list) and _are_named([*patch, *old]):
        by_name = {item["name"]: item for item in old}
        for item in patch:
            by_name[item["name"]] = _merged(by_name.get(item["name"], {}), item)
        return list(by_name.values())
    return patch


def _are_named(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)


def _discovery(path: str) -> Any:
    groups = [_group(version) for version in KINDS if "/" in version]
    known = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/openapi/v3": {"paths": {}},
    } | {f"/api{'s' * ('/' in version)}/{version}": _resources(version) for version in KINDS}
    return known.get(path)


def _group(version: str) -> Object:
    known = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [known], "preferredVersion": known}


def _resources(version: str) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": plural != "namespaces",
                "kind": kind,
                "verbs": verbs,
            }
            for plural, kind in KINDS[version].items()
        ]
        + [
            {
                "name": "deployments/scale",
                "singularName": "",
                "namespaced": True,
                "group": "autoscaling",
                "version": "v1",
                "kind": "Scale",
                "verbs": ["get", "patch", "update"],
            }
        ]
        * (version == "apps/v1"),
    }
