"""Questions over HTTP and to programs, each with its deadline and a bounded answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from sightserve.doctor.report import one_line

WEIGHTS_URL: Final = "https://storage.googleapis.com/tensorflow/keras-applications/"
"""Where Keras downloads the weights of its applications."""

_MAX_ANSWER_BYTES: Final = 1_000_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class NoAnswerError(Exception):
    """Nothing that can be used came back; the text says what instead."""


def get_json(
    url: str, *, timeout_seconds: float, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """The status and the JSON of an answer.

    Raises:
        NoAnswerError: no connection, no answer in time, too long an answer, or no JSON.
    """
    is_local = (urlsplit(url).hostname or "") in _LOOPBACK
    ends = time.monotonic() + timeout_seconds
    body = b""
    try:
        with (
            httpx.Client(timeout=timeout_seconds, trust_env=not is_local) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > ends:
                    raise NoAnswerError("its answer does not end")
            return response.status_code, json.loads(body)
    except httpx.TimeoutException as error:
        raise NoAnswerError(f"no answer within {timeout_seconds:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswerError(one_line(str(error)) or type(error).__name__) from error
    except ValueError as error:
        raise NoAnswerError(f"it answers, but no JSON: {body[:40]!r}") from error


def is_reachable(url: str, *, timeout_seconds: float) -> bool:
    """Whether any HTTP answer comes, through the proxies of the environment."""
    try:
        httpx.head(url, timeout=timeout_seconds)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return True


def ask_program(
    command: Sequence[str], *, environment: Mapping[str, str], timeout_seconds: float
) -> str:
    """What a program prints.

    Raises:
        NoAnswerError: it fails, with the first line of its complaint, or does not end in time.
    """
    process = subprocess.Popen(  # noqa: S603 - docker and kubectl, found on PATH
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
        start_new_session=True,  # so that its own children end with it
    )
    try:
        printed, complaint = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise NoAnswerError(f"no answer within {timeout_seconds:g} s") from error
    if process.returncode:
        lines = (complaint or printed).splitlines()
        raise NoAnswerError(one_line(lines[-1]) if lines else f"exit code {process.returncode}")
    return printed.strip()
