"""`sightserve classify`: files in, labels out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import typer

PANEL: Final = "Ask"

FormatOption = Literal["table", "json", "jsonl", "csv"]


def run(  # noqa: PLR0913 - the command's options
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH|DIR|GLOB|-…",
            help="Images, folders of images, quoted patterns; - is one image on standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            help="The gateway's. Default: http://127.0.0.1:8000.",
            envvar="SIGHTSERVE_URL",
            show_default=False,
        ),
    ] = None,
    local: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Ask no gateway: start one with this model for the run.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many classes of each image. Default: 5, or as many as the model gives.",
            show_default=False,
        ),
    ] = None,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out classes that are less probable.")
    ] = 0.0,
    model: Annotated[
        str | None,
        typer.Option(help="The model's name. Default: the gateway's.", show_default=False),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=0, help="That version. Default: the served one.", show_default=False),
    ] = None,
    version_label: Annotated[
        str | None,
        typer.Option(help="The version with that label, such as canary.", show_default=False),
    ] = None,
    output_format: Annotated[
        FormatOption | None,
        typer.Option(
            "--format",
            "-f",
            help="Default: as --output's suffix says, else table.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write there, complete or not at all.",
            show_default=False,
        ),
    ] = None,
    from_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            help="Also the paths in this file, one a line; - is standard input.",
            show_default=False,
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Enter folders inside folders.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="How many images are asked for at a time.")
    ] = 16,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds for each image, retries included.")
    ] = 30.0,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="SIGHTSERVE_API_KEY",
            help="Better in the environment, where other users do not see it.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary.")
    ] = False,
) -> None:
    """Classify image files through a gateway.

    One bad file does not stop the rest. Exit code: 1 if any failed,
    2 for a wrong command line, 3 if nothing could be asked, 130 after Ctrl-C.
    """
    from sightserve.classify.errors import ClassifyError, TerminatedError  # noqa: PLC0415 - httpx
    from sightserve.classify.run import Request, classify_files  # noqa: PLC0415 - as above

    def terminated(*_: object) -> NoReturn:
        raise TerminatedError

    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not (paths or from_file):
        _end("nothing to classify: give image files, folders, or --from-file LIST", 2)
    if version is not None and version_label is not None:
        _end("--version and --version-label cannot be given together", 2)
    if (paths or []).count("-") + (from_file or []).count("-") > 1:
        _end("standard input can be read once only", 2)
    request = Request(
        paths=paths or [],
        lists=from_file or [],
        is_recursive=recursive,
        url=url,
        local=local,
        api_key=api_key,
        timeout=timeout,
        concurrency=concurrency,
        format=output_format or _format_of(output),
        output=output,
        is_quiet=quiet,
        options={
            "top_k": top_k,
            "min_probability": min_probability or None,
            "model": model,
            "version": version,
            "version_label": version_label,
        },
    )
    try:
        failed = classify_files(request)
    except ClassifyError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end(_interrupted(output), 130)
    except TerminatedError:
        _end(_interrupted(output), 143)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stdout = None  # or Python would flush into the pipe
        raise typer.Exit(1) from None
    if failed:
        raise typer.Exit(1)


def _format_of(output: Path | None) -> FormatOption:
    suffixes: dict[str, FormatOption] = {".json": "json", ".jsonl": "jsonl", ".csv": "csv"}
    return suffixes.get(output.suffix.lower(), "table") if output is not None else "table"


def _interrupted(output: Path | None) -> str:
    return "interrupted" if output is None else f"interrupted, {output} was not written"


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"sightserve classify: {message}", err=True)
    raise typer.Exit(code)
