"""When each problem is answered, in words: for the page of its type and for the docs."""

from __future__ import annotations

from typing import Final

WHEN: Final[dict[str, str]] = {
    "bad-request": (
        "no image in the request, a form that cannot be parsed, bytes that are no HTTP/1.1"
    ),
    "unauthorized": "the gateway asks for API keys, and the request shows none or a wrong one",
    "model-not-found": "the model server has no such model",
    "model-version-not-found": "the model has no such version or version label",
    "not-found": "nothing at this path",
    "method-not-allowed": "the path does not take this method",
    "request-timeout": (
        "headers or body did not arrive in time, or slower than `GATEWAY_MIN_BODY_BYTES_PER_SECOND`"
    ),
    "image-too-large": (
        "more pixels than `GATEWAY_MAX_IMAGE_PIXELS`, or decoding would take more memory than "
        "`GATEWAY_MAX_IMAGE_MEMORY_BYTES`: the header says so before a pixel is decoded, and "
        "`detail` has both figures"
    ),
    "payload-too-large": "more bytes or files than allowed",
    "url-too-long": "a request line longer than `GATEWAY_MAX_REQUEST_LINE_BYTES`",
    "unsupported-media-type": "the body is neither a form nor JSON nor an image type",
    "misdirected-request": "the Host header names a host that `GATEWAY_ALLOWED_HOSTS` does not",
    "invalid-image": "not an image of a known format, truncated or damaged",
    "image-too-costly": (
        "decoding takes more CPU time than `GATEWAY_DECODE_TIMEOUT_SECONDS`, or ended the "
        "process that tried"
    ),
    "invalid-parameter": (
        "a parameter's value is not allowed, the route has no such parameter, or a JSON body is "
        "not as documented; the member `parameter` names it"
    ),
    "overloaded": (
        "more work waits than can be done within the deadline; also when the model server's "
        "own threads or queues are full (RESOURCE_EXHAUSTED), which is not retried: retries "
        "feed an overload"
    ),
    "rate-limited": (
        "this client has sent more images than its rate limit allows, however idle the service is"
    ),
    "headers-too-large": (
        "more headers or trailers than `GATEWAY_MAX_HEADER_BYTES` and `GATEWAY_MAX_HEADER_FIELDS`"
    ),
    "internal-error": "a defect of the gateway; the log has it under the request id",
    "model-server-error": (
        "the model server failed, or answered nonsense: wrong shapes, numbers that are no "
        "probabilities, more than an answer may have"
    ),
    "model-unusable": "the model takes no images, or needs settings in the models file",
    "refused-by-model-server": "the model server calls the gateway's request wrong",
    "model-not-ready": (
        "the model is loading, no model server that answers has it while others do not "
        "answer, or the gateway is about to stop"
    ),
    "model-server-unavailable": ("no model server can be reached, even after a retry, or all hang"),
    "too-many-connections": (
        "every connection of `GATEWAY_MAX_CONNECTIONS` has a request in progress"
    ),
    "deadline-exceeded": "the deadline passed",
}
"""By slug; code stands between backticks."""
