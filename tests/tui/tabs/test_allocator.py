"""The screen of one allocator says what it is made of, and that its numbers are those of the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.model.readings import Holding
from pyobserver.source.story import Story
from pyobserver.tui.tabs.allocator import AllocatorScreen

from ..dashboard import Dashboard, dashboard, played


def on_screen(opened: Dashboard) -> AllocatorScreen:
    screen = opened.app.screen
    assert isinstance(screen, AllocatorScreen), opened.text()
    return screen


async def test_python_by_size_class_with_its_collector() -> None:
    """Blocks in use and room for more, and how often the garbage collector runs; Enter leads on to the tasks."""
    async with dashboard(played(seconds=120), "enter") as opened:
        text = " ".join(on_screen(opened).text().split())
        for part in (
            "Python objects",
            "freed by the program, but still held",
            "±",
            "64 B 412,881 415,000 99 % 26.4 MB 136 kB",
            "Garbage collector",
            "2 399 0.8 2",
            "91,233 objects collected, 0 uncollectable",
        ):
            assert part in text, text
        await opened.press("enter")
        await opened.until(lambda: opened.app.tab.title == "Processes/Tasks")


async def test_the_c_heap_by_arena() -> None:
    """In use and free, the largest free chunk, and what could be given back, against what is fragmented."""
    async with dashboard(None, "down", "enter") as opened:
        text = " ".join(on_screen(opened).text().split())
        for part in ("Arenas: 2, of 2 heaps", " main ", "arena 1", "Trimmable"):
            assert part in text, text
        assert "19.0 MB is free and resident: 5.70 MB in whole pages" in text
        assert "13.3 MB in fragments, which cannot" in text


@pytest.mark.parametrize(
    ("downs", "parts"),
    [
        (2, ("Large blocks", "12 blocks of 8.00 MB")),
        (3, ("a native library", "anonymous memory at 7f2a10000000", "smaller ones")),
        (4, ("Thread stacks", "main thread", "thread 4712")),
        (5, ("libarrow.so.1500", "3.00 MB")),
        (6, ("Shared memory",)),
    ],
)
async def test_what_the_others_hold(downs: int, parts: tuple[str, ...]) -> None:
    """Blocks by size, mappings, threads, and files with their share."""
    async with dashboard(None, *["down"] * downs, "enter") as opened:
        text = " ".join(on_screen(opened).text().split())
        for part in parts:
            assert part in text, text


async def test_it_follows_what_is_new_and_fits_a_small_terminal() -> None:
    """The numbers go on while one looks, on 24 lines of 80, and Esc leads back to the row."""
    async with dashboard(played(Story(per_minute=30)), "enter", size=(80, 24)) as opened:
        before = on_screen(opened).text()
        await opened.play(30)
        await opened.until(lambda: on_screen(opened).text() != before)
        for part in ("in use", "held", "kept", "growth", "Blocks of"):
            opened.line(part)
        await opened.press("escape")
        assert opened.app.tab.title == "Memory Allocators"
        assert opened.cursor() == "python"


async def test_what_is_not_known_says_why() -> None:
    """Another malloc has no arenas here, and the reason is on the screen."""
    source = played()
    reading = source.story.memory(60)
    unknown = replace(reading, c_heap=None, unavailable={"c_heap": "jemalloc takes the place of glibc's malloc"})
    source.store.add_memory(unknown)
    async with dashboard(source, "down", "enter") as opened:
        text = on_screen(opened).text()
        assert "jemalloc takes the place" in text
        assert "Arenas" not in text


async def test_long_paths_keep_their_end() -> None:
    """What tells libraries apart is the end of their paths, and a line is a line."""
    source = played()
    reading = source.story.memory(60)
    long = Holding("files", "/srv/" + "deep/" * 30 + "libfinal.so.1", 1, 10, 10, 10)
    source.store.add_memory(replace(reading, holdings=(long,)))
    async with dashboard(source, *["down"] * 5, "enter", size=(80, 24)) as opened:
        assert "…" in opened.line("deep/libfinal.so.1")
        assert "Share (PSS)" in opened.text()
        await opened.press("escape", "up", "enter")
        assert "Share (PSS)" not in opened.text()


async def test_without_a_reading_it_says_so() -> None:
    """The screen outlives a target whose memory could never be read."""
    async with dashboard(played(), "down", "enter") as opened:
        screen = on_screen(opened)
        screen.present(replace(screen._snapshot, memory=None), screen._view)
        assert "could not be read" in screen.text()
