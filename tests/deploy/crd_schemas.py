"""JSON Schemas of the custom resources that we use, as far as we use them, closed against typos.

The Kubernetes schemas do not hold these kinds; their operators' own do, and those are not to be had
offline. So each is written down here from the operators' API references.
"""

from typing import Any

_STRING = {"type": "string", "minLength": 1}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _many(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


_RULE = _closed(
    {
        "alert": _STRING,
        "record": _STRING,
        "expr": _STRING,
        "for": {"type": "string", "pattern": r"^(\d+(s|m|h))+$"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
    },
    "expr",
)

_SPECS: dict[tuple[str, str], dict[str, Any]] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _closed(
        {
            "selector": _closed({"matchLabels": _STRINGS}, "matchLabels"),
            "endpoints": _many(
                _closed(
                    {
                        "port": _STRING,
                        "path": {"type": "string", "pattern": "^/"},
                        "interval": {"type": "string", "pattern": r"^\d+s$"},
                        "relabelings": _many(
                            _closed({"targetLabel": _STRING, "replacement": _STRING})
                        ),
                    },
                    "port",
                )
            ),
        },
        "selector",
        "endpoints",
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _closed(
        {
            "groups": _many(
                _closed(
                    {"name": _STRING, "interval": _STRING, "rules": _many(_RULE)}, "name", "rules"
                )
            )
        },
        "groups",
    ),
    ("external-secrets.io/v1", "ExternalSecret"): _closed(
        {
            "refreshInterval": _STRING,
            "secretStoreRef": _closed(
                {"kind": {"enum": ["SecretStore", "ClusterSecretStore"]}, "name": _STRING}, "name"
            ),
            "target": _closed({"name": _STRING, "creationPolicy": {"enum": ["Owner"]}}, "name"),
            "data": _many(
                _closed(
                    {
                        "secretKey": _STRING,
                        "remoteRef": _closed({"key": _STRING, "property": _STRING}, "key"),
                    },
                    "secretKey",
                    "remoteRef",
                )
            ),
        },
        "secretStoreRef",
        "target",
        "data",
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _closed(
        {
            "parentRefs": _many(_closed({"name": _STRING, "namespace": _STRING}, "name")),
            "hostnames": _many(_STRING),
            "rules": _many(
                _closed(
                    {
                        "matches": _many(
                            _closed(
                                {
                                    "path": _closed(
                                        {
                                            "type": {"enum": ["Exact", "PathPrefix"]},
                                            "value": {"type": "string", "pattern": "^/"},
                                        },
                                        "type",
                                        "value",
                                    )
                                }
                            )
                        ),
                        "backendRefs": _many(
                            _closed({"name": _STRING, "port": {"type": "integer"}}, "name", "port")
                        ),
                    },
                    "backendRefs",
                )
            ),
        },
        "parentRefs",
        "rules",
    ),
}


def schema(api_version: str, kind: str) -> dict[str, Any] | None:
    """The schema of a whole object, or None for a kind that is not written down here."""
    spec = _SPECS.get((api_version, kind))
    if spec is None:
        return None
    return _closed(
        {
            "apiVersion": {"const": api_version},
            "kind": {"const": kind},
            "metadata": {"type": "object", "required": ["name", "namespace"]},
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )


def inference_service_as_deployment(item: dict[str, Any]) -> dict[str, Any]:
    """An InferenceService's predictor as the Deployment that KServe makes of it.

    Its predictor is a pod spec with a few fields more, so Kubernetes' own schema checks the rest.
    """
    predictor = dict(item["spec"]["predictor"])
    for field, kind in {
        "minReplicas": int,
        "maxReplicas": int,
        "scaleMetric": str,
        "scaleTarget": int,
    }.items():
        assert isinstance(predictor.pop(field, kind()), kind), field
    labels = predictor.pop("labels", {})
    assert predictor["containers"][0]["name"] == "kserve-container"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": item["metadata"],
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": predictor},
        },
    }
