"""`sightserve serve` from its words to its end."""

from __future__ import annotations

import tempfile
import time
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sightserve.serve import engines, live, tuned, wording
from sightserve.serve.errors import TargetError
from sightserve.serve.ports import Ports
from sightserve.serve.processes import Processes, Say
from sightserve.serve.publishing import Choices, Publisher
from sightserve.serve.stack import MODEL_SERVER, different, start, wait_until_ready
from sightserve.serve.targets import DIGITS, Target, all_published, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be served, and how."""

    words: Sequence[str]
    models: Path
    ports: Ports
    choices: Choices = field(default_factory=Choices)
    engine: str = engines.AUTO
    """What computes, as asked for."""
    tuned: Path | None = None
    """A folder that `tune` has written."""
    is_live: bool = True
    """Show a view that is drawn again and again, if this is a terminal."""
    is_opened: bool = False
    """Open the page in a browser."""


def serve(request: Request, console: Console) -> None:
    """Publish, start, wait, and stay until something ends.

    Raises:
        ServeError: something failed.
        StopRequestedError: somebody said stop.
    """
    settings = tuned.read(request.tuned)
    engine = engines.find(tuned.engine_of(settings, request.engine))
    targets = different([one for word in request.words for one in find(word, request.models)])
    targets = [_chosen(target, request.choices, targets) for target in targets]
    request.ports.check_free()
    if request.ports.is_open:
        name = "HOST=" if wording.is_make() else "--host "
        console.print(
            f"[yellow]{name}{request.ports.host}: whoever reaches this machine may ask "
            "the gateway; docs/security.md says how to ask for API keys.[/yellow]"
        )
    served = _published(targets, request, console)
    is_live = request.is_live and console.is_terminal
    folder = tempfile.TemporaryDirectory(prefix="sightserve-")
    with (
        folder as path,
        Processes(_commands(console), Path(path) if is_live else None) as processes,
    ):
        _commands(console)(f"engine: {engine}")
        settings = replace(settings, engine=engine.name)
        _run(processes, served, settings, request, console, Path(path), is_live=is_live)


def _run(
    processes: Processes,
    served: Sequence[Target],
    settings: tuned.Tuned,
    request: Request,
    console: Console,
    folder: Path,
    *,
    is_live: bool,
) -> None:
    ports, url = request.ports, request.ports.gateway_url
    start(processes, served, ports, folder, _warnings(console), settings.engine, settings)
    waiting = "waiting for the model ..."
    with console.status(waiting) if is_live else nullcontext() as status:
        wait_until_ready(
            processes,
            url,
            lambda reason: status.update(f"{waiting} {escape(reason)}") if status else None,
        )
    chosen = engines.chosen(processes.output(MODEL_SERVER))
    _say_where([target.name for target in served], url, ports, console, chosen)
    if request.is_opened:
        webbrowser.open(url)
    if is_live:
        live.watch(url, console, folder, processes.check)
    while True:
        processes.check()
        time.sleep(0.2)


def _chosen(target: Target, choices: Choices, targets: Sequence[Target]) -> Target:
    """The target under the name that was asked for.

    Raises:
        TargetError: options that go with one model file meet several models, or none.
    """
    of_one = [
        ("--name", choices.name),
        ("--labels", choices.labels),
        ("--preprocess", choices.preprocess),
    ]
    said = [option for option, value in of_one if value]
    if not said:
        return target
    if len(targets) > 1 or target.kind == "published":
        raise TargetError(f"{', '.join(said)}: for one model that is published now; name it alone")
    if target.kind in {"digits", "application"} and said != ["--name"]:
        raise TargetError(f"{', '.join(said)}: {target.source} brings its own")
    return Target(target.kind, choices.name or target.name, target.base_path, target.source)


def _published(targets: Sequence[Target], request: Request, console: Console) -> list[Target]:
    publisher = Publisher(_commands(console))
    if not targets and not (targets := all_published(request.models)):
        return [publisher.publish_default(request.models, request.choices.weights)]
    for target in targets:
        publisher.publish(target, request.choices)
    return list(targets)


def _commands(console: Console) -> Say:
    return lambda line: console.print(line, style="dim", markup=False, soft_wrap=True)


def _warnings(console: Console) -> Say:
    return lambda line: console.print(line, style="yellow", markup=False, soft_wrap=True)


def _say_where(
    names: Sequence[str],
    url: str,
    ports: Ports,
    console: Console,
    chosen: Mapping[str, engines.Engine],
) -> None:
    """Print the page, lines to paste, and which engine computes where the server has chosen."""
    first = names[0]
    sample = "samples/seven.png" if first == DIGITS else "samples/cat.jpg"
    if not Path(sample).exists():
        sample = "photo.jpg"
    verb = "is" if len(names) == 1 else "are"
    console.print(
        f"\n[bold green]Ready.[/bold green] {', '.join(names)} {verb} served; "
        "Ctrl-C stops everything.\n\n"
        f"  the page       [bold]{url}/[/bold]\n"
        f"  classify       curl -F file=@{sample} {url}/classify\n"
        f'  model server   curl -d \'{{"signature_name": "top_k_encoded", "instances": '
        f'[{{"image_bytes": {{"b64": "\'$(base64 < {sample} | tr -d "\\n")\'"}}}}]}}\' '
        f"http://127.0.0.1:{ports.rest}/v1/models/{first}:predict\n"
        f"  latencies      curl {url}/stats     Prometheus: {url}/metrics     API: {url}/docs",
        *(f"  engine         {escape(f'{name}: {chosen[name]}')}" for name in chosen),
        "",
        sep="\n",
        soft_wrap=True,
    )
