"""The readings of a process, as frozen values: sizes in bytes, times in seconds, None for what is not known.

Texts in here are cleaned already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .actions import Prospects


@dataclass(frozen=True)
class Identity:
    """What does not change while a process runs one program."""

    pid: int
    pid_inside: int  # its pid in its own namespace: the same, except in a container
    parent: int
    started_at: float  # Unix time
    command: tuple[str, ...]
    executable: str | None
    cwd: str | None
    root: str | None  # its root directory; "/" unless it was put into another
    host: str
    uid: int
    user: str
    python: str | None  # "3.11.7"; "3.11" where only that is known
    implementation: str | None  # "cpython", "pypy"; None when it does not look like Python
    free_threaded: bool


@dataclass(frozen=True)
class Limit:
    """One line of /proc/PID/limits; None is unlimited."""

    name: str  # "Max open files"
    soft: int | None
    hard: int | None
    unit: str  # "bytes", "files", "processes", "us", ...


@dataclass(frozen=True)
class ProcessReading:
    """One cheap reading of the process as a whole."""

    taken_at: float
    rss: int | None
    rss_anon: int | None
    rss_file: int | None
    rss_shmem: int | None
    swap: int | None
    peak_rss: int | None
    vms: int | None
    threads: int | None
    fds: int | None
    fd_limit: int | None  # None is unlimited or not known
    cpu_seconds: float
    minor_faults: int
    major_faults: int
    voluntary_switches: int | None
    involuntary_switches: int | None
    oom_score: int | None
    state: str  # the kernel's letter: R S D T t
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class MemoryLimit:
    """What ends the growth of the process first.

    `current` are the bytes that count against it: of the whole group, of the address space, or of the host. File cache
    that the kernel drops before it kills is not among them: of a group it is the working set (what is charged to it
    without its inactive file cache), of the host what is not available.
    """

    bytes: int | None
    source: str  # "cgroup /system.slice/x memory.max", "RLIMIT_AS", "host"
    current: int | None
    oom_kills: int | None = None  # processes of this group and those below it that were killed for memory


@dataclass(frozen=True)
class ThreadLimit:
    """How many threads there may be: in a control group, or of a user."""

    most: int
    source: str  # "cgroup /system.slice/x pids.max", "RLIMIT_NPROC"
    current: int | None  # threads that count against it; None where that is not told


@dataclass(frozen=True)
class MemoryPressure:
    """How close to being out of memory it has been, counted since the control group was made; None where none tells."""

    group: str  # whose counters these are; "" without any
    high: int | None  # times that tasks were slowed down, above memory.high
    at_limit: int | None  # times that the limit was reached
    oom: int | None  # times that the group was out of memory
    oom_kills: int | None
    waited_in: str  # "cgroup" or "host": whose tasks waited; "" where that is not told
    some: float | None  # the share of the last 10 s in which some task waited for memory
    full: float | None  # and in which all of them did
    some_seconds: float | None  # in all
    full_seconds: float | None


@dataclass(frozen=True)
class Allocator:
    """A source of memory: bytes in use by blocks (None when not known) and resident bytes that it holds."""

    name: str
    label: str
    in_use: int | None
    held: int | None


@dataclass(frozen=True)
class InnerAllocator:
    """An allocator whose memory is part of what another one holds: never to be added to that.

    What is None has its reason in `why`. `held_is_most` says that it holds no more than `held`, but maybe less.
    """

    name: str  # "arrow", "jemalloc", "sqlite", "cuda:0"
    label: str
    within: str  # the name of the allocator that it is part of; "" for memory outside of the process
    in_use: int | None
    held: int | None
    peak: int | None = None  # of what is in use, as it counts itself
    held_is_most: bool = False
    why: str = ""
    in_use_error: int = 0  # 95 % sampling error
    split: int | None = None  # of what is held and not in use, that which lies between what is in use


@dataclass(frozen=True)
class Category:
    """One of the parts of the resident memory; None when it cannot be told from the others."""

    name: str
    label: str
    bytes: int | None


@dataclass(frozen=True)
class Holding:
    """Something that an allocator holds, or several alike; without a label what is too small to be listed.

    Of large blocks the label is the size of each. `size` is that of the address space.
    """

    allocator: str
    label: str
    count: int
    size: int
    resident: int | None
    pss: int | None  # known of files and shared memory only


@dataclass(frozen=True)
class CArena:
    """One arena of glibc's malloc: brk, or heaps that a thread got. In use are all bytes that are not free, with heads.

    `in_use`, `free` and `unread` add up to `size`, of which `resident` bytes are in memory.
    """

    name: str
    heaps: int
    size: int
    in_use: int
    free: int
    unread: int  # where the chain of chunks could not be followed
    resident: int
    free_resident: int
    free_chunks: int
    largest_free: int
    trimmable: int  # bytes of whole resident pages that are free: what malloc_trim can give back


@dataclass(frozen=True)
class CHeap:
    """All arenas of glibc's malloc at one moment, without the blocks that are mapped one by one."""

    arenas: tuple[CArena, ...]
    is_late: bool  # there was no time for all of it
    cost_seconds: float
    age: float = 0.0  # seconds since it was begun to be walked: nothing in it is older

    @property
    def size(self) -> int:
        return sum(arena.size for arena in self.arenas)

    @property
    def in_use(self) -> int:
        return sum(arena.in_use for arena in self.arenas)

    @property
    def free(self) -> int:
        return sum(arena.free for arena in self.arenas)

    @property
    def unread(self) -> int:
        return sum(arena.unread for arena in self.arenas)

    @property
    def free_resident(self) -> int:
        return sum(arena.free_resident for arena in self.arenas)

    @property
    def trimmable(self) -> int:
        return sum(arena.trimmable for arena in self.arenas)


@dataclass(frozen=True)
class MemoryReading:
    """One reading of the memory by allocator. The categories that are known add up to `rss`.

    `unavailable` says for each allocator or category that is None why it is. `partition_age` is how old the division
    of what is not Python's is, in seconds; None when there is none.
    """

    taken_at: float
    rss: int
    pss: int | None  # shared pages divided by those who share them; of the time of the partition
    uss: int | None  # pages of this process alone; of the time of the partition
    allocators: tuple[Allocator, ...]
    categories: tuple[Category, ...]
    size_classes: tuple[tuple[int, int, int], ...]  # (bytes, blocks in use, blocks there is room for)
    python_in_use_error: int | None  # 95 % sampling error in bytes
    unavailable: Mapping[str, str]
    cost_seconds: float
    partition_age: float | None
    c_heap: CHeap | None = None  # of the time of the partition
    holdings: tuple[Holding, ...] = ()  # of the time of the partition, the largest of each allocator first
    inner: tuple[InnerAllocator, ...] = ()  # of the time of the partition: those that are seen from outside
    unnamed: int | None = None  # bytes of other native memory of which nothing tells whose they are
    c_in_use_error: int | None = None  # bytes of the C heap, at most, that may be free although they count as in use


@dataclass(frozen=True)
class Frame:
    """One call; `line` is 0 where native code does not tell."""

    function: str
    file: str
    line: int
    native: bool


@dataclass(frozen=True)
class ThreadStack:
    """One thread. `frames` is empty for a thread without Python code, and when stacks are not available."""

    thread_id: int | None  # the kernel's number; None when only the pthread is known
    ident: int | None  # threading.get_ident() in the process
    name: str
    active: bool  # runs or waits for a processor
    owns_gil: bool
    frames: tuple[Frame, ...]  # innermost first
    state: str | None = None  # the kernel's letter
    cpu_seconds: float | None = None
    system_call: str | None = None  # the call it is in


@dataclass(frozen=True)
class PythonProcess:
    """A process that runs Python, as listed."""

    pid: int
    python: str | None
    implementation: str
    rss: int | None
    age_seconds: float
    command: tuple[str, ...]
    user: str


@dataclass(frozen=True)
class ChildProcess:
    """A child of the target, any number of generations below it that its children are asked for."""

    pid: int
    started_at: float
    command: tuple[str, ...]
    rss: int | None
    cpu_seconds: float
    state: str  # the kernel's letter; Z is one that has ended and was not collected
    is_python: bool


@dataclass(frozen=True)
class AgentFacts:
    """What the agent said when it was greeted, and how it came in."""

    python: str
    implementation: str
    executable: str
    command: tuple[str, ...]
    platform: str
    free_threaded: bool
    self_check: str  # "ok", or why memory is not available
    capabilities: tuple[str, ...]
    switch_interval: float | None
    agent_started_at: float
    method: str  # "pep768", "ptrace", "preloaded", "existing"
    attach_seconds: float | None = None
    held_seconds: float | None = None  # the longest that one thread was stopped
    followed_seconds: float | None = None  # for how long it had kept the history of groups by then; None: not yet


@dataclass(frozen=True)
class AgentCost:
    """What being observed has cost the target so far."""

    cpu_seconds: float
    longest_hold_seconds: float
    memory_bytes: int | None
    dropped: int
    torn: int
    observers: int
    stays: bool = False  # when no observer is left


@dataclass(frozen=True)
class Collector:
    """The garbage collector's own counters, by generation."""

    counts: tuple[int, ...]
    collections: tuple[int, ...]
    collected: int
    uncollectable: int
    garbage: int | None = None  # objects in gc.garbage
    seconds: tuple[float, ...] | None = None  # that collections have taken; None before Python 3.15

    def pause_since(self, before: Collector | None) -> float | None:
        """Return what a collection took in seconds, on average of those of one generation since then, the longest of
        these; None where there was none, or where it is not told."""
        if before is None or before.seconds is None or self.seconds is None:
            return None
        columns = (before.collections, self.collections, before.seconds, self.seconds)
        each = zip(*columns, strict=False)
        pauses = [
            (now - then) / (runs - earlier) for earlier, runs, then, now in each if runs > earlier and now >= then
        ]
        return max(pauses, default=None)


@dataclass(frozen=True)
class Blocker:
    """A function whose tasks were seen holding their loop lately, and how many of them; they may have ended since."""

    function: str
    tasks: int


@dataclass(frozen=True)
class Tick:
    """The end of one update of the agent."""

    time: float
    total: int
    measured: int
    complete: bool  # the first enumeration has finished
    holders_complete: bool  # the walk for holders has been through once
    collector: Collector | None
    cost: AgentCost
    is_full: bool = False  # the agent has no room for rows of all tasks
    prospects: Prospects | None = None
    allocators: tuple[InnerAllocator, ...] = ()  # those that only the process can be asked about
    blocking: tuple[Blocker, ...] = ()  # who has held a loop, the one with the most tasks first
