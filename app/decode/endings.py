"""Why a worker ended before its image was done, and what its client is told.

time       more CPU than one image may take        422
deadline   the request's time is over              504; 422 if the image is to blame
abandoned  nobody waits for it any more            nobody hears it
pressure   it held a place that others waited for  429
memory     the system ran out of memory            413
crash      the decoder broke                       422
"""

from __future__ import annotations

from typing import Final

from app.decode.workforce import Member
from app.errors import (
    DeadlineExceededError,
    GatewayError,
    ImageTooCostlyError,
    ImageTooLargeError,
    OverloadedError,
)

SLOW_SECONDS: Final = 0.4
"""Of CPU. A photo of 12 megapixels takes 30 ms, the largest PNG that is allowed a second."""
_WALL_FACTOR: Final = 3
"""A decode that has had a third of a processor, or less, ends at so many times its limit."""
_DEADLINE_MARGIN_SECONDS: Final = 0.2
"""A slow job ends a little before its deadline, so that the image is blamed and not the gateway."""
_SIGKILL: Final = -9
_SIGXCPU: Final = -24


def reason_to_end(
    member: Member, cpu_seconds: float, now: float, *, limit_seconds: float
) -> str | None:
    """Why a worker's job has to end now, if it has to.

    Args:
        member: a worker with a job.
        cpu_seconds: what the job has used.
        now: on the pool's clock.
        limit_seconds: CPU that one image may use.
    """
    job, seconds = member.job, now - member.started_at
    if job is None:
        return None
    if cpu_seconds > limit_seconds or seconds > _WALL_FACTOR * limit_seconds:
        return "time"
    if job.is_over and seconds > SLOW_SECONDS:
        return "abandoned"
    margin = _DEADLINE_MARGIN_SECONDS if member.is_slow else 0.0
    return "deadline" if now > job.deadline - margin else None


def own_reason(exit_code: int) -> str:
    """Why a worker ended that nobody here has killed."""
    if exit_code == _SIGKILL:
        return "memory"  # the system's out-of-memory killer
    return "time" if exit_code == _SIGXCPU else "crash"


def error_for(reason: str, *, is_slow: bool, cpu_seconds: float) -> GatewayError:
    """What the client is told.

    Args:
        reason: one of the above.
        is_slow: the image has had its fair part of the processor.
        cpu_seconds: the limit of the reason `time`.
    """
    if reason == "memory":
        return ImageTooLargeError("decoding the image took more memory than there is")
    if reason == "crash":
        return ImageTooCostlyError("decoding the image ended its worker")
    if reason == "pressure":
        return OverloadedError(
            "the image takes long to decode and others wait", refusal="slow_image"
        )
    if reason == "deadline" and is_slow:
        return ImageTooCostlyError("decoding the image takes longer than the request's deadline")
    if reason == "deadline":
        return DeadlineExceededError("the image was not decoded within the deadline")
    return ImageTooCostlyError(f"decoding the image takes more than {cpu_seconds:g} seconds")
