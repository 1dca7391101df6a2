"""`sightserve bench`: how much a service answers, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import typer

PANEL: Final = "Look"

_FAILED_REQUESTS: Final = 1
_USAGE: Final = 2
_MOST_CLIENTS: Final = 512
_MOST_LOAD: Final = 200


def run(  # noqa: PLR0913 - the command's options
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="The service: http://127.0.0.1:8000. Without a path: /classify.",
            show_default=False,
        ),
    ],
    *,
    image: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE|FOLDER", help="Pictures to send in turn; repeatable.", show_default=False
        ),
    ],
    clients: Annotated[
        str,
        typer.Option(metavar="N,N,…", help="How many ask at a time, each until it is answered."),
    ] = "1,8,32",
    loads: Annotated[
        str,
        typer.Option(
            metavar="%,%,…",
            help="Then requests at these parts of the rate that was found, in percent; 0: none.",
        ),
    ] = "30,50,70,90",
    seconds: Annotated[
        float, typer.Option(min=0.2, max=3600, help="For each number of clients and each load.")
    ] = 10.0,
    body: Annotated[
        Literal["raw", "multipart"],
        typer.Option(help="The picture as the body, or as the form field `file`."),
    ] = "raw",
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds for one answer; later is a failure.")
    ] = 30.0,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="SIGHTSERVE_API_KEY",
            help="Better in the environment, where other users do not see it.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Load a running service with pictures: requests/s, latencies, failures.

    First closed loops, then open ones, whose latencies count from when a request was due. Ask your
    own service only: this is as much load as it bears. Exit code: 1 if any request failed,
    2 for a wrong command line, 3 if nothing could be measured, 130 after Ctrl-C.

    [bold]Examples[/bold]

      sightserve bench http://127.0.0.1:8000 --image photo.jpg

      sightserve bench http://127.0.0.1:8000 --image photos/ --clients 1,64 --seconds 30 --json
    """
    import json  # noqa: PLC0415 - the help must not wait

    from rich.console import Console  # noqa: PLC0415 - as above

    from sightserve.bench.errors import BenchError  # noqa: PLC0415 - as above
    from sightserve.bench.output import show  # noqa: PLC0415 - as above
    from sightserve.bench.progress import told  # noqa: PLC0415 - as above
    from sightserve.bench.run import Plan, has_failures, load_test  # noqa: PLC0415 - as above

    plan = Plan(
        url=url,
        images=image,
        body=body,
        clients=_numbers("--clients", clients, _MOST_CLIENTS),
        loads=[] if loads.strip() == "0" else _numbers("--loads", loads, _MOST_LOAD),
        seconds=seconds,
        timeout=timeout,
        api_key=api_key,
    )
    try:
        with told(plan, is_quiet=quiet) as tell:
            result = load_test(plan, tell)
    except BenchError as error:
        _end(str(error), error.exit_code)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        show(result, Console(highlight=False))
    if has_failures(result):
        raise typer.Exit(_FAILED_REQUESTS)


def _numbers(option: str, text: str, most: int) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= most for word in words):
        _end(f"{option} {text}: write numbers from 1 to {most}, such as 1,8", _USAGE)
    return [int(word) for word in words]


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"sightserve bench: {message}", err=True)
    raise typer.Exit(code)
