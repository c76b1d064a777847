"""What is where in the target: the functions that the new thread calls, room for the stub, and what is dangerous."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence

from . import stub
from .elf import MappedObject, mapped_objects
from .errors import PREPARE_HELP, AttachError
from .machines import MACHINES, Machine, why_not_served
from .procfs import Mapping, Memory, mappings

PYTHON_FUNCTIONS = tuple(name for name in stub.CALLED if name.startswith("Py"))
C_FUNCTIONS = ("pthread_create", "pthread_self", "pthread_detach", "__errno_location")
_LIBC = re.compile(r"^(libc[.-]|libpthread[.-]|ld-musl|libc\.musl)")
_LOADER = re.compile(r"^ld[.-]")
_PAGE = 4096  # the smallest there is
_AWAY = 64 << 20  # bytes kept free beside the context: the kernel and malloc put new mappings beside old ones


class Anatomy:
    """The mapped objects of one process. Raises AttachError when it cannot be served."""

    def __init__(self, pid: int, memory: Memory) -> None:
        self.pid = pid
        self.memory = memory
        self.maps = mappings(pid)
        self.objects = mapped_objects(memory, self.maps)
        self.libc = [o for o in self.objects if is_libc(o.name)]
        self.loader = [o for o in self.objects if is_loader(o.name)]
        self.python = self._find_python()
        self.machine = self._served_machine()
        self.functions = self._find_functions()
        known = {id(o) for o in (*self.libc, *self.loader)}
        # Another provider of malloc may hold locks of its own while its code runs.
        self.foreign_malloc = [o for o in self.objects if id(o) not in known and o.symbol("malloc")]
        self.restorers = self._find_restorers()

    def _find_python(self) -> MappedObject:
        likely = sorted(self.objects, key=lambda o: "python" not in o.name)
        for candidate in likely:
            if candidate.symbol("PyGILState_Ensure"):
                return candidate
        raise AttachError(
            "not_python",
            f"process {self.pid} is not a CPython that can be attached to",
            "nothing that it has mapped exports PyGILState_Ensure",
            "pyobserver ps lists the Python processes",
        )

    def _served_machine(self) -> Machine:
        machine = MACHINES.get(self.python.machine)
        why = why_not_served(machine)
        if any("musl" in o.name for o in self.libc):
            why = why or "its C library is musl, for which no place to attach safely has been proven"
        elif not self.libc:
            why = why or "it has no C library mapped: a static executable"
        if machine is None or why:
            raise AttachError("unsupported", f"process {self.pid} cannot be attached to", why, PREPARE_HELP)
        return machine

    def _find_functions(self) -> dict[str, int]:
        found = {name: self.python.symbol(name) for name in PYTHON_FUNCTIONS}
        for name in C_FUNCTIONS:
            found[name] = next((a for a in (o.symbol(name) for o in self.libc) if a), None)
        missing = [name for name, address in found.items() if not address]
        if missing:
            raise AttachError(
                "unsupported",
                f"process {self.pid} cannot be attached to",
                f"no symbol {', '.join(missing)}",
                PREPARE_HELP,
            )
        return {name: address for name, address in found.items() if address}

    def _find_restorers(self) -> frozenset[int]:
        """Where signal handlers return to: in the C library, or in what the kernel maps."""
        found = set()
        spans = [span for each in self.libc for span in each.spans]
        for span in (*spans, *(mapping for mapping in self.maps if mapping.path == "[vdso]")):
            if "x" not in span.permissions:
                continue
            code, wanted = self.memory.read(span.start, span.end - span.start), self.machine.restorer
            at = code.find(wanted)
            while at >= 0:
                found.add(span.start + at)
                at = code.find(wanted, at + 1)
        return frozenset(found)

    def refresh_maps(self) -> None:
        """Read the mappings again: stacks grow, threads come."""
        self.maps = mappings(self.pid)

    def object_at(self, address: int) -> MappedObject | None:
        """Return the object whose code is at `address`."""
        return next((o for o in self.objects if o.contains(address)), None)

    def mapping_at(self, address: int) -> Mapping | None:
        """Return the mapping that `address` lies in."""
        return next((m for m in self.maps if m.start <= address < m.end), None)

    def cave(self) -> int:
        """Return an address for the stub: zero padding behind executable code, preferably not in the C library.

        Our own bytes from an earlier attach count as free. Nothing ever executes there: it is past the file's code.
        """
        ours = self.machine.stub
        found: list[tuple[bool, int]] = []
        for each in self.objects:
            for segment in each.segments:
                if not segment.executable:
                    continue
                end = each.bias + segment.address + segment.file_size
                top = (end + _PAGE - 1) & ~(_PAGE - 1)
                start = (end + 31) & ~15
                mapped = any(s.start < top <= s.end and "xp" in s.permissions for s in each.spans)
                if mapped and top - start >= len(ours.image):
                    found.append((each in self.libc or each in self.loader, start))
        for _, start in sorted(found):
            present = self.memory.read(start, len(ours.image))
            if present.startswith(ours.magic) or not any(present):
                return start
        raise AttachError(
            "unsupported",
            f"process {self.pid} cannot be attached to",
            "no padding behind any code has room",
            PREPARE_HELP,
        )

    def free_range(self, size: int) -> int:
        """Return a free address deep inside the largest gap; the mapping is made only if it is still free."""
        gaps: list[tuple[int, int]] = []
        before = 0x10000
        for mapping in self.maps:
            low = max(before, 1 << 32)
            if mapping.start < self.machine.user_end and mapping.start - low > size + _AWAY:
                gaps.append((low, mapping.start))
            before = max(before, mapping.end)
        if not gaps:
            raise AttachError("failed", f"process {self.pid} has no free range of addresses")
        low, high = max(gaps, key=lambda gap: gap[1] - gap[0])
        return (low + int((high - low) * random.uniform(0.3, 0.7))) & ~(os.sysconf("SC_PAGE_SIZE") - 1)


def is_libc(name: str) -> bool:
    """Whether a file of this name belongs to the C library."""
    return bool(_LIBC.match(name))


def is_loader(name: str) -> bool:
    """Whether a file of this name is the loader; musl's is its C library."""
    return bool(_LOADER.match(name)) and "musl" not in name


def points_into(words: Sequence[int], each: MappedObject) -> bool:
    """Whether any word is an address in the object's code."""
    return any(each.contains(word) for word in words)
