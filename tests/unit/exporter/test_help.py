"""The help of every command: in words, on 80 columns, with an example that the command takes."""

import re
import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from exporter.cli.app import create_app
from tests.support import doc_commands

GROUP = typer.main.get_command(create_app())
COMMANDS = list(GROUP.commands)
PARAMETERS = [
    pytest.param(parameter, id=f"{name} {parameter.opts[0]}")
    for name, command in GROUP.commands.items()
    for parameter in command.params
]
COLUMNS = 80


def examples(name):
    """The example lines of a command, as words."""
    lines = [line.strip() for line in (GROUP.commands[name].help or "").splitlines()]
    begins = f"python -m exporter {name} "
    return [shlex.split(line) for line in lines if f"{line} ".startswith(begins)]


def help_of(*words, option="--help"):
    result = CliRunner().invoke(create_app(), [*words, option], env={"COLUMNS": str(COLUMNS)})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_that_people_come_for_is_first():
    assert COMMANDS[0] == "export"
    assert COMMANDS[1:] == sorted(COMMANDS[1:])
    listed = re.findall(r"^│ (\w+) ", help_of(), flags=re.MULTILINE)
    assert listed[0] == "export"
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_what_a_parameter_does_is_said(parameter):
    said = re.findall(r"[\w./-]+", (parameter.help or "").lower())
    name = set(re.findall(r"[a-z]+", " ".join([parameter.name, *parameter.opts]).lower()))
    assert len(said) >= 3, parameter.help
    assert set(said) - name - {"a", "an", "of", "the"}, parameter.help
    assert parameter.help.endswith("."), parameter.help


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_its_own_examples(name):
    assert examples(name), "no example"
    for words in examples(name):
        assert doc_commands.read(words)


@pytest.mark.parametrize("option", ["--json", "--quiet", "-q"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_told_how_to_talk(name, option):
    assert doc_commands.read([*examples(name)[0], option])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_option_asks_for_the_same_help(name):
    assert help_of(name, option="-h") == help_of(name)


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=shlex.join)
def test_the_help_fits_on_80_columns(words):
    assert max(map(len, help_of(*words).splitlines())) <= COLUMNS


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_cut(name):
    text = help_of(name)
    longest = [max(each.opts, key=len) for each in GROUP.commands[name].params]
    options = [option for option in longest if option.startswith("-")]
    missing = [option for option in options if not re.search(rf"{option}(?![\w-])", text)]
    assert missing == []
