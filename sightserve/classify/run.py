"""The flow of the command, readable from top to bottom."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sightserve.classify import inputs
from sightserve.classify.errors import ClassifyError, UsageError
from sightserve.classify.formats import FormatName, formatted_as
from sightserve.classify.local import local_gateway
from sightserve.classify.output import opened
from sightserve.classify.summary import Summary
from sightserve.client import (
    CannotConnectError,
    Client,
    InvalidParameterError,
    Item,
    SightserveError,
    TransportError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnknownModelError,
)
from sightserve.client.progress import Counter
from sightserve.client.reporting import shown

_RETRIES: Final = 10
_NO_FILES_FAULT: Final = (
    UnauthorizedError,
    UnknownModelError,
    InvalidParameterError,
    CannotConnectError,
)
"""Every other file would get the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command was told."""

    paths: Sequence[str]
    lists: Sequence[str]
    is_recursive: bool
    url: str | None
    local: str | None
    api_key: str | None
    timeout: float
    concurrency: int
    format: FormatName
    output: Path | None
    is_quiet: bool
    options: dict[str, Any]
    """Of `Client.classify`."""


def classify_files(request: Request) -> int:
    """Classify everything; how many images failed.

    Raises:
        ClassifyError: it could not be done at all.
    """
    skipped = inputs.Skipped()
    summary = Summary()
    with ExitStack() as stack:
        write = stack.enter_context(opened(request.output))
        url = request.url if request.local is None else _started(request.local, stack)
        client = stack.enter_context(_client(request, url))
        _check(client)
        started_at = time.monotonic()
        _classify(client, request, summary, skipped, write)
        seconds = time.monotonic() - started_at
    if not request.is_quiet:
        for line in summary.lines(seconds, skipped):
            sys.stderr.write(f"{line}\n")
    return summary.failed


def _classify(
    client: Client, request: Request, summary: Summary, skipped: inputs.Skipped, write: Any
) -> None:
    text = formatted_as(request.format)
    total = inputs.count(
        lambda unseen: _names(request, unseen),
        is_counted=_shows_progress(request) and not request.lists,
    )
    with shown(_shows_progress(request)) as tell:
        counter = Counter(tell, None, total)
        with closing(_items(client, request, skipped)) as items:
            for item in items:
                if isinstance(item.error, _NO_FILES_FAULT):
                    raise ClassifyError(_where(item, summary))
                if not summary.done:
                    write(text.head())
                summary.add(item)
                write(text.item(item))
                counter.add(item)
        if not summary.done:
            raise UsageError(_nothing(skipped))
        write(text.tail())


def _items(client: Client, request: Request, skipped: inputs.Skipped) -> Any:
    return client.classify_many(
        map(_source, _names(request, skipped)),
        concurrency=request.concurrency,
        timeout=request.timeout,
        **request.options,
    )


def _names(request: Request, skipped: inputs.Skipped) -> Iterator[str]:
    return inputs.names(
        request.paths, request.lists, is_recursive=request.is_recursive, skipped=skipped
    )


class _StandardInput:
    """The image that comes in by the pipe; called by its name in results."""

    def read(self) -> bytes:
        """All of it."""
        return sys.stdin.buffer.read()

    def __str__(self) -> str:
        return inputs.STDIN


def _source(name: str) -> Any:
    return _StandardInput() if name == inputs.STDIN else name


def _started(model: str, stack: ExitStack) -> str:
    gateway: AbstractContextManager[str] = local_gateway(model)
    return stack.enter_context(gateway)


def _client(request: Request, url: str | None) -> Client:
    try:
        return Client(url, api_key=request.api_key, timeout=request.timeout, retries=_RETRIES)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check(client: Client) -> None:
    """Somebody answers there, before a thousand files have to find out."""
    try:
        client.ready()
    except (TransportError, UnexpectedAnswerError) as error:
        raise ClassifyError(
            f"{error}; start one with `sightserve serve MODEL`, or use --local MODEL"
        ) from error
    except SightserveError:
        return  # it answers; what it has against us, it will say of each image


def _where(item: Item, summary: Summary) -> str:
    after = f" (after {summary.done:,} images)" if summary.done else ""
    return f"{item.error}{after}"


def _nothing(skipped: inputs.Skipped) -> str:
    others = f": {skipped.suffixes.total():,} other files" if skipped.suffixes else ""
    hint = "; --recursive enters the folders inside" if skipped.folders else ""
    return f"there is no image to classify{others}{hint}"


def _shows_progress(request: Request) -> bool:
    is_table_there = request.output is None and sys.stdout.isatty()
    return not request.is_quiet and sys.stderr.isatty() and not is_table_there
