"""`doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

PANEL: Final = "Look"

_PROBLEM: Final = 1


def run(
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also ask this gateway: http://127.0.0.1:8000."),
    ] = None,
    model_server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Also ask this model server at its REST port: http://127.0.0.1:8501. Repeatable: "
            "then the served versions are compared.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Ask the model servers for this model; repeatable. Default: those that the "
            "gateway serves and those below --base-path.",
        ),
    ] = None,
    base_path: Annotated[
        Path,
        typer.Option(
            metavar="DIR", envvar="EXPORTER_BASE_PATH", help="Folder of the published models."
        ),
    ] = Path("models"),
    timeout_seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=600,
            help="For one answer of a server or program; three times that for all.",
        ),
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,  # noqa: FBT002 - a typer flag
    quiet: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--quiet", "-q", help="Print problems only.")
    ] = False,
) -> None:
    """Look at this machine, installation and service: what is wrong, and how to mend it.

    Exits with 0 where there is no problem, else with 1.

    [bold]Examples[/bold]

      sightserve doctor

      sightserve doctor --url http://127.0.0.1:8000 --model-server http://127.0.0.1:8501
    """
    import json  # noqa: PLC0415 - the help must not wait

    from rich.console import Console  # noqa: PLC0415 - as above

    from sightserve.doctor.checks import diagnose  # noqa: PLC0415 - as above
    from sightserve.doctor.output import show, to_json  # noqa: PLC0415 - as above
    from sightserve.doctor.surroundings import Surroundings  # noqa: PLC0415 - as above

    for given in (*(model_server or []), *([url] if url else [])):
        if not given.startswith(("http://", "https://")):
            raise typer.BadParameter(f"{given}: write http://HOST:PORT (of a model server, REST)")
    findings = diagnose(
        Surroundings(
            base_path=base_path,
            url=url,
            model_servers=tuple(model_server or ()),
            models=tuple(model or ()),
            timeout_seconds=timeout_seconds,
        )
    )
    has_problem = any(each.level == "problem" for each in findings)
    if as_json:
        typer.echo(json.dumps(to_json(findings), indent=2))
    elif not quiet or has_problem:
        shown = [each for each in findings if not quiet or each.level == "problem"]
        show(shown, Console())
    raise typer.Exit(_PROBLEM if has_problem else 0)
