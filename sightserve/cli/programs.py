"""The other programs under this command's name: exporter, gateway, model server.

They run as they do by themselves, with their own help, errors and exit codes.
"""

from __future__ import annotations

import pkgutil
import runpy
import sys
from typing import Any, Final

_SERVERS: Final = {
    "gateway": "The gateway by itself.",
    "model-server": "The embedded model server by itself, with tensorflow_model_server's flags.",
}
_PROGRAM: Final = "sightserve"
_PANEL: Final = "Parts"


def names() -> list[str]:
    """The exporter's commands, where it is installed, and the servers."""
    return [*exporter_names(), *_SERVERS]


def exporter_names() -> list[str]:
    """The exporter's commands; none where its command line cannot be imported."""
    try:
        from exporter.cli import commands  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError:
        return []
    found = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    return sorted(found, key=lambda name: (name != "export", name))


def command(name: str) -> Any:
    """A command of another program, to be shown in the help; None if there is none of that name."""
    import typer.main  # noqa: PLC0415 - the rest of this module needs none of it

    app = typer.Typer()
    if name in _SERVERS:
        app.command(name, help=_SERVERS[name], rich_help_panel=_PANEL)(lambda: None)
        shown: Any = typer.main.get_command(app)
        shown.rich_help_panel = _PANEL
        return shown
    if name not in exporter_names():
        return None
    try:
        from exporter.cli.app import create_app  # noqa: PLC0415 - half a second, and of an extra

        group: Any = typer.main.get_command(create_app())
    except ModuleNotFoundError:  # the help does not show what cannot run
        return None
    return group.commands[name]


def run(words: list[str]) -> bool:
    """Be the program whose command this is, if it is one's; does not come back then."""
    name = words[1] if len(words) > 1 else ""
    if name in _SERVERS:
        sys.argv = [f"{_PROGRAM} {name}", *words[2:]]
        runpy.run_module(f"{_server(name)}.__main__", run_name="__main__", alter_sys=False)
        return True
    if name in exporter_names():
        from exporter import interruption  # noqa: PLC0415 - of an extra

        with interruption.told():
            from exporter.cli.app import main  # noqa: PLC0415 - half a second

            main(_PROGRAM)
        return True
    return False


def _server(name: str) -> str:
    if name == "gateway":
        from app import __name__ as package  # noqa: PLC0415 - of an extra
    else:
        from serving import __name__ as package  # noqa: PLC0415 - of an extra
    return package
