"""The pictures of the README, made from real runs: `python -m tests.screenshots` (make screenshots).

The demonstration is started as a process of its own, leaking and fixed, the dashboard attaches to it as it would in a
terminal, and after a while keys are pressed and the screen is written down, as SVG and then as PNG. What is recorded
meanwhile is replayed.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import resvg_py
from textual.pilot import Pilot

from pyobserver import demo
from pyobserver.recording.reader import Recording
from pyobserver.source.live import LiveSource
from pyobserver.source.replay import ReplaySource
from pyobserver.tui.app import ObserverApp
from pyobserver.tui.replay import ReplayApp

FOLDER = Path(__file__).resolve().parent.parent / "screenshots"
SIZE = (132, 36)
WINDOW = 120.0  # seconds that the charts show
WATCHED = 85.0  # seconds before the first picture
WIDTH = 1600  # pixels
FONTS = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSans")

Shots = tuple[tuple[str, tuple[str, ...]], ...]  # names of pictures, and the keys that lead to each

LEAKING: Shots = (
    ("memory", ("2",)),
    ("tasks", ("3",)),
    ("task", ("enter", "enter")),
    ("group", ("escape", "escape", "o")),
    ("tree", ("escape", "4")),
    ("findings", ("f",)),
)
FIXED: Shots = (("fixed-memory", ("2",)), ("fixed-tasks", ("3",)))
REPLAYED: Shots = (("replay", ("3", "left_square_bracket")),)


def font_files() -> list[str]:
    """Where the fonts are; one that is missing is looked for by its name. Raises SystemExit with what to install."""
    found = []
    for name in FONTS:
        answer = subprocess.run(["fc-list", "--format", "%{file}\n"], capture_output=True, text=True).stdout
        files = [file for file in answer.splitlines() if Path(file).stem == name]
        if not files:
            sys.exit(f"the pictures need the font {name} (Debian: apt install fonts-dejavu fontconfig)")
        found.append(files[0])
    return found


def picture(svg: str, path: Path, fonts: list[str]) -> None:
    """Write an SVG screenshot as PNG, every character in the cell where the terminal has it."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    data = resvg_py.svg_to_bytes(
        svg_string=svg,
        width=WIDTH,
        font_files=fonts,
        skip_system_fonts=True,
        monospace_family="DejaVu Sans Mono",
        font_family="DejaVu Sans Mono",
    )
    path.write_bytes(bytes(data))
    print(f"{path.relative_to(FOLDER.parent)}  {len(data) / 1000:.0f} kB", flush=True)


async def shoot(pilot: Pilot[None], app: ObserverApp, name: str, keys: tuple[str, ...], fonts: list[str]) -> None:
    """Press keys, wait until the screen has answered, and write it down."""
    for key in keys:
        await pilot.press(key)
        await asyncio.sleep(1.5)
    await asyncio.sleep(2.5)
    with tempfile.TemporaryDirectory() as folder:
        svg = Path(app.save_screenshot("screen.svg", folder)).read_text(encoding="utf-8")
    picture(svg, FOLDER / f"{name}.png", fonts)


async def session(fixed: bool, shots: Shots, fonts: list[str], into: Path) -> None:
    """One run of the demonstration with the dashboard on it, recorded into a file."""
    service = demo.start(fixed, interval=1.25, limit=100)
    try:
        app = ObserverApp(LiveSource(service.pid, exit_status=service.poll), window=WINDOW)
        app.record_into = into
        async with app.run_test(size=SIZE) as pilot:
            until = time.monotonic() + WATCHED
            while time.monotonic() < until:
                await asyncio.sleep(0.5)
            for name, keys in shots:
                await shoot(pilot, app, name, keys, fonts)
    finally:
        demo.stop(service)


async def replayed(file: Path, shots: Shots, fonts: list[str]) -> None:
    """The recording of a run on the same screens."""
    app = ReplayApp(ReplaySource(Recording(file)), window=WINDOW)
    async with app.run_test(size=SIZE) as pilot:
        for name, keys in shots:
            await shoot(pilot, app, name, keys, fonts)


async def main() -> None:
    """Make all pictures anew."""
    fonts = font_files()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        leaking, fixed = Path(folder) / "leaking.rec", Path(folder) / "fixed.rec"
        await session(False, LEAKING, fonts, leaking)
        await replayed(leaking, REPLAYED, fonts)
        await session(True, FIXED, fonts, fixed)


if __name__ == "__main__":
    asyncio.run(main())
