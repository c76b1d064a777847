"""The command line finds its commands."""

from __future__ import annotations

import argparse
import inspect

import pytest

from pyobserver.arguments import parse
from pyobserver.cli import COMMANDS, command


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_a_function_that_takes_the_options(name: str) -> None:
    """The table names a module that has it, and it says in its first line what it does."""
    function = command(name)
    assert list(inspect.signature(function).parameters) == ["options"]
    assert function.__doc__


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"pick"}))
def test_what_can_be_written_is_in_the_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the table is known to the options, which can explain it."""
    with pytest.raises(SystemExit) as ended:
        parse([name, "--help"])
    assert ended.value.code == 0
    assert f"pyobserver {name}" in capsys.readouterr().out


def test_without_a_command_there_is_one() -> None:
    """Nothing written means to pick a process."""
    options = parse([])
    assert isinstance(options, argparse.Namespace) and options.command in COMMANDS
