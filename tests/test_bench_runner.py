"""The runner of the benches finds them, runs each in its own process, and tells when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from .bench.__main__ import benches, main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `speeds` with a good bench, a bad one, one that breaks, and a module that is none."""
    package = tmp_path / "speeds"
    package.mkdir()
    (package / "good.py").write_text("def main():\n    print('ratio 1.0', flush=True)\n")
    (package / "bad.py").write_text("def main():\n    return 1\n")
    (package / "broken.py").write_text("def main():\n    raise RuntimeError('no')\n")
    (package / "shared.py").write_text("raise SystemExit('imported')\n")
    (package / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return package


def test_a_bench_is_a_module_with_main(folder: Path) -> None:
    """Shared code next to the benches is neither run nor imported."""
    assert benches(folder) == ["bad", "broken", "good"]


def test_one_bench_runs_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its output appears under its heading, behind the noise of the machine."""
    assert main(["good"], folder, "speeds") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("machine: ")
    assert lines.index("ratio 1.0") > next(n for n, line in enumerate(lines) if line.startswith("=== good"))
    assert lines[-1].split()[0] == "ok"


def test_a_failed_bench_does_not_stop_the_others_but_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The summary has all of them, and the status is 1."""
    assert main([], folder, "speeds") == 1
    summary = capfd.readouterr().out.splitlines()[-3:]
    assert [line.split()[0] for line in summary] == ["FAILED", "FAILED", "ok"]


def test_an_unknown_name_says_which_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error runs nothing."""
    with pytest.raises(SystemExit, match="2"):
        main(["goood"], folder, "speeds")
    assert "there are: bad, broken, good" in capsys.readouterr().err
