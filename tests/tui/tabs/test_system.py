"""The tab of the system says how close the process is to being killed for memory."""

from __future__ import annotations

from dataclasses import replace

from pyobserver.model.readings import MemoryPressure
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.tui.tabs.system import pressure_facts, thread_facts
from tests.model import made
from tests.model.made import Clock

from ..dashboard import dashboard, played


def test_pressure_is_marked_where_it_hurts() -> None:
    """What was killed, and waiting for memory, are told by a sign too; what is not told is left out."""
    source = played()
    facts = {each.label: each for each in pressure_facts(source.store.snapshot())}
    assert (facts["its group"].value, facts["its group"].style) == ("12 × at the limit", "")
    assert facts["memory pressure"].value == "0.0 % of 10 s tasks of its group waited"
    source.store.set_pressure(MemoryPressure("/x", None, None, 3, 2, "host", 0.4, 0.1, 80.0, 2.0))
    facts = {each.label: each for each in pressure_facts(source.store.snapshot())}
    assert facts["its group"].value == "▲ 2 × killed, 3 × out of memory"
    assert facts["memory pressure"].value == "▲ 40.0 % of 10 s tasks of the machine waited"
    assert facts["its group"].style == facts["memory pressure"].style == "limit"
    source.store.set_pressure(MemoryPressure("", None, None, None, None, "", None, None, None, None))
    assert not pressure_facts(source.store.snapshot())


def test_greenlets_are_said_to_be_those_that_were_found() -> None:
    """Nothing is said of them where there are none."""
    store = Store(Clock())
    made.put(store, [{"id": 1}])
    assert "greenlets" not in [fact.label for fact in thread_facts(store.snapshot())]
    made.put(store, [{"id": number, "kind": schema.KIND_GREENLET} for number in (2, 3)])
    (told,) = [fact for fact in thread_facts(store.snapshot()) if fact.label == "greenlets"]
    assert told.value.startswith("2 found; there may be more")


async def test_pressure_is_on_the_screen() -> None:
    """With what it uses, and among the limits."""
    async with dashboard(None, "1", size=(118, 40)) as opened:
        for part in ("OOM score 667", "12 × at the limit", "of its group waited"):
            opened.line(part)


async def test_the_total_says_how_much_is_its_own() -> None:
    """Of workers that were forked most is shared: USS and PSS stand with the total."""
    source = played()
    source.store.add_memory(replace(source.story.memory(60), uss=40_000_000, pss=55_000_000))
    async with dashboard(source, "end", size=(150, 36)) as opened:
        line = opened.line("Total (RSS)  resident")
        assert "40.0 MB its own (USS), 55.0 MB with its share of the rest (PSS)" in line
