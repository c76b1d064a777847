"""Sockets that agents have left which were killed go; those that anybody listens at, and what is no socket, stay."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from pyobserver.source import sweep as sweeping
from pyobserver.source.sweep import sweep


def bound(folder: Path, name: str, age: float, listens: bool = False) -> socket.socket:
    """A socket in the file system that was made so many seconds ago."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(folder / name))
    if listens:
        made.listen(1)
    os.utime(folder / name, (time.time() - age,) * 2)
    return made


def test_what_is_removed_and_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only old sockets with an agent's name that refuse a connection."""
    monkeypatch.setattr(sweeping, "agent_folders", lambda pid: [str(tmp_path)])
    opened = [
        bound(tmp_path, "1-2.sock", 600.0),
        bound(tmp_path, "3-4.sock", 600.0, listens=True),
        bound(tmp_path, "5-6.sock", 1.0),
        bound(tmp_path, "other.sock", 600.0),
    ]
    (tmp_path / "7-8.sock").write_text("no socket")
    os.utime(tmp_path / "7-8.sock", (1.0, 1.0))
    (tmp_path / "9-9.sock").symlink_to(tmp_path / "1-2.sock")
    for each in opened[:1] + opened[2:]:
        each.close()
    try:
        assert sweep(os.getpid()) == 1
        left = sorted(each.name for each in tmp_path.iterdir())
        assert left == ["3-4.sock", "5-6.sock", "7-8.sock", "9-9.sock", "other.sock"]
    finally:
        opened[1].close()


def test_where_no_folder_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is no error that there is none, nor that the process has gone."""
    monkeypatch.setattr(sweeping, "agent_folders", lambda pid: [str(tmp_path / "none")])
    assert sweep(os.getpid()) == 0
    monkeypatch.undo()
    assert sweep(1 << 22) == 0
