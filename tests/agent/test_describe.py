"""What a task runs is named also when it has ended, and nothing leads to its function any more."""

from __future__ import annotations

import asyncio.tasks
import email
import json.decoder
import types

import pytest

from pyobserver.agent.describe import Place


@pytest.mark.parametrize("module", [asyncio.tasks, json.decoder, email], ids=lambda module: module.__name__)
def test_the_module_of_a_code_is_found_by_its_file(module: types.ModuleType) -> None:
    """By the module's last name or, of a package, its folder's; thousands of others are not opened for it."""
    code = compile("async def f(): pass", module.__file__ or "", "exec").co_consts[0]
    assert Place(code, "f", "").module() == module.__name__


def test_the_module_of_a_code_may_not_be_loaded() -> None:
    """Then it has no name."""
    code = compile("async def f(): pass", "/nowhere/decoder.py", "exec").co_consts[0]
    assert Place(code, "f", "").module() == ""
