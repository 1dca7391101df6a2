"""An example of each answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

_REQUEST_ID: Final = "5f0c8a1e9d2b4c7f8a6e3d1b0c9f7e52"
_TIMING: Final = {"decode": 1.9, "queue": 0.2, "inference": 16.1, "total": 18.9}
_CLASSIFIED: Final[dict[str, Any]] = {
    "model": {"name": "digits", "version": 3},
    "predictions": [
        {"class_index": 7, "label": "seven", "id": None, "probability": 0.981},
        {"class_index": 1, "label": "one", "id": None, "probability": 0.012},
    ],
    "image": {"format": "JPEG", "width": 4000, "height": 3000},
    "timing_ms": _TIMING,
}
_MODEL: Final[dict[str, Any]] = {
    "name": "digits",
    "is_default": True,
    "model_servers": 1,
    "versions": [{"version": 3, "state": "AVAILABLE", "available_at": 1, "default_at": 1}],
}
_PROBLEM_TYPE: Final = "/problems/invalid-image"

RESULTS: Final[dict[str, Any]] = {
    "classify": {"request_id": _REQUEST_ID, **_CLASSIFIED},
    "classify_batch": {
        "request_id": _REQUEST_ID,
        "results": [
            {"file": "a.jpg", **_CLASSIFIED},
            {
                "file": "b.jpg",
                "problem": {
                    "type": _PROBLEM_TYPE,
                    "title": "The image cannot be decoded",
                    "status": 422,
                    "detail": "the image is truncated or damaged",
                },
            },
        ],
        "timing_ms": {"total": 41.2},
    },
    "list_models": {"models": [_MODEL]},
    "get_model": _MODEL
    | {"versions": [{**_MODEL["versions"][0], "labels": ["zero", "one", "two"]}]},
    "livez": {"status": "alive"},
    "readyz": {"status": "ready", "models": [{"name": "digits", "version": 3}]},
    "healthz": {
        "status": "ready",
        "detail": None,
        "draining": False,
        "models": [{"name": "digits", "ready": True, "version": 3, "detail": None}],
        "images_in_progress": 3,
        "bytes_in_progress": 181_204,
    },
    "metrics": (
        "# HELP gateway_images_total Images answered, by model and version.\n"
        "# TYPE gateway_images_total counter\n"
        'gateway_images_total{model="digits",version="3"} 1234.0\n'
    ),
    "stats": {
        "window_seconds": 300.0,
        "uptime_seconds": 812.4,
        "requests_per_second": 12.5,
        "images_in_progress": 3,
        "answered": 1234,
        "refused": 5,
        "failed": 2,
        "last_problems": [
            {
                "at": "2026-01-30T05:00:00.123Z",
                "status": 422,
                "type": _PROBLEM_TYPE,
                "detail": "the image is truncated or damaged",
                "request_id": _REQUEST_ID,
            }
        ],
        "stages": [
            {
                "model": "digits",
                "version": 3,
                "stage": "total",
                "count": 10,
                "mean": 19.4,
                "p50": 18.9,
                "p95": 24.1,
                "p99": 24.6,
                "max": 24.6,
            }
        ],
    },
}
"""By operation id."""

DETAILS: Final[dict[str, str]] = {
    "bad-request": "the form has no field file; the form has: picture",
    "unauthorized": "send an API key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
    "model-not-found": "model flowers is not served",
    "model-version-not-found": "version 99 of model digits is not served",
    "request-timeout": "the body did not arrive within the deadline",
    "image-too-large": "the image has more than 64,000,000 pixels",
    "payload-too-large": "the body may have at most 20,000,000 bytes",
    "url-too-long": "the request line is too long",
    "unsupported-media-type": "send the images as multipart/form-data (field files)",
    "misdirected-request": "this gateway does not answer for that host",
    "invalid-image": "the image is truncated or damaged",
    "image-too-costly": "decoding the image takes too long",
    "invalid-parameter": "topk: is no parameter of this route; did you mean top_k?",
    "overloaded": "too much work is waiting",
    "rate-limited": "this key may send 100 images per second",
    "headers-too-large": "the headers may have at most 32,768 bytes together",
    "model-server-error": "the model server failed",
    "model-unusable": "model flowers takes no images",
    "refused-by-model-server": "the model server refused the request",
    "model-not-ready": "digits: no version is AVAILABLE",
    "model-server-unavailable": "no model server can be reached",
    "too-many-connections": "too many connections are open",
    "deadline-exceeded": "the request's deadline passed",
}
"""An example of `detail` by problem's slug; what has none answers none."""

PARAMETERS: Final = {"invalid-parameter": "topk"}
REQUEST_ID: Final = _REQUEST_ID
