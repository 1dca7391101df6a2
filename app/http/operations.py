"""What each route can answer besides its result: the one table, for the OpenAPI document.

A problem is named by its error (`problems.PROBLEM_TYPES` has its status and slug). What refuses
requests before they are routed can refuse any of them: EVERY. A gateway without keys or limits
never answers 401 or its kind of 429; the document is one for all.
"""

from __future__ import annotations

from typing import Final

from app import errors
from app.http.problems import PROBLEM_TYPES, ProblemType

_Errors = tuple[type[errors.GatewayError], ...]

EVERY: Final[_Errors] = (
    errors.RequestError,
    errors.RequestTimeoutError,
    errors.UrlTooLongError,
    errors.InvalidParameterError,
    errors.HeadersTooLargeError,
    errors.OverloadedError,
    errors.GatewayError,
    errors.TooManyConnectionsError,
)
_GUARDED: Final[_Errors] = (
    errors.UnauthorizedError,
    errors.MisdirectedRequestError,
    errors.RateLimitedError,
)
"""By keys, hosts and limits; probes are not."""
_FROM_THE_MODEL_SERVER: Final[_Errors] = (
    errors.ModelError,
    errors.ModelServerError,
    errors.RefusedByModelServerError,
    errors.ModelServerUnavailableError,
    errors.ModelNotReadyError,
)
_BODY: Final[_Errors] = (errors.PayloadTooLargeError, errors.UnsupportedMediaTypeError)
_CLASSIFY: Final[_Errors] = (
    *_BODY,
    *_FROM_THE_MODEL_SERVER,
    errors.ModelNotFoundError,
    errors.ModelVersionNotFoundError,
    errors.ImageTooLargeError,
    errors.InvalidImageError,
    errors.ImageTooCostlyError,
    errors.DeadlineExceededError,
)

_ABOUT_A_VERSION: Final[_Errors] = (
    *_FROM_THE_MODEL_SERVER,
    errors.ModelNotFoundError,
    errors.ModelVersionNotFoundError,
    errors.DeadlineExceededError,
)

_OWN: Final[dict[str, _Errors]] = {
    "classify": (*_GUARDED, *_CLASSIFY),
    "classify_batch": (*_GUARDED, *_BODY),  # the rest stands in the results
    "list_models": _GUARDED,
    "get_model": (*_GUARDED, *_FROM_THE_MODEL_SERVER, errors.ModelNotFoundError),
    "livez": (),
    "readyz": (errors.ModelNotReadyError,),
    "healthz": _GUARDED,
    "metrics": _GUARDED,
    "stats": _GUARDED,
    "v2_server_metadata": _GUARDED,
    "v2_server_live": (),
    "v2_server_ready": (errors.ModelNotReadyError,),
    "v2_model_metadata": (*_GUARDED, *_ABOUT_A_VERSION),
    "v2_model_version_metadata": (*_GUARDED, *_ABOUT_A_VERSION),
    "v2_model_ready": (*_GUARDED, *_ABOUT_A_VERSION),
    "v2_model_version_ready": (*_GUARDED, *_ABOUT_A_VERSION),
    "v2_infer": (*_GUARDED, *_CLASSIFY),
    "v2_infer_version": (*_GUARDED, *_CLASSIFY),
}


def problems_of(operation_id: str) -> list[ProblemType]:
    """The problems that an operation can answer, by status; what is unknown is guarded at least."""
    found = (*EVERY, *_OWN.get(operation_id, _GUARDED))
    kinds = [PROBLEM_TYPES[error] for error in dict.fromkeys(found)]
    return sorted(kinds, key=lambda kind: (kind.status, kind.slug))
