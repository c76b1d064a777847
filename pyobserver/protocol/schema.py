"""Messages and columns: what the agent and the observer say to each other, field by field.

All sizes are bytes, all times are Unix seconds of the target's clock, all ids are 64-bit integers given out by the
agent and never reused while it lives. One id space serves tasks, threads and all nodes of the tree.

Observer to agent
-----------------
hello   protocol (int), observer (str, version), actions (bool: whether this observer may ask for actions)
watch   interval (float, seconds, at least 0.1): begin sending updates to this observer at this pace
focus   ids (list of int, at most 256): the rows on the screen; they are measured first
detail  id (int), token (int): asks for everything about one task; answered by `detail` with the same token
detach  ends the agent for everybody; answered by `bye`
bye     this observer leaves

Agent to observer
-----------------
hello   protocol, build (str: digest of the agent's sources), pid (as the target knows itself), python, implementation,
        executable, argv (list), started_at (float or null), platform, free_threaded (bool), switch_interval,
        agent_started_at, capabilities (list of str), self_check ("ok" or the reason why memory is not available),
        method (how the agent came in)
strings first (int), items (list of str): texts with the ids first, first+1, ...; sent before the first row using them
rows    columns `ROW_COLUMNS`; names (list of str, or null for "unchanged"): one entry per row. A row is new or
        changed; either way it is sent whole
gone    column id: rows and nodes that ended or are not seen any more
nodes   items (list of objects: id, kind (an index of NODE_KINDS), label, parent (id or 0 = the process), edge (an
        index of EDGES), queue (int or null), detail (str: e.g. the container's type "set", or file:line)): new or
        changed tree nodes which are not rows
tick    closes an update: seq, time, total (asyncio tasks: those with rows, and while not all have some also the
        others), measured (those with a value), complete (bool: the first enumeration has finished), holders_complete
        (bool: the holder walk has been through once since the start), loops (list of {id, thread, tasks}), gc (counts,
        list of 3; collections, list of 3; collected, uncollectable), agent {cpu_seconds, longest_hold_seconds,
        memory_bytes, dropped, torn, observers, rows_limit_hit (bool: there is no room for rows of more tasks)}
detail  token, id, chain (list of [qualified name, file, line or null], outermost first), by_type (list of [type,
        count, bytes]), biggest (list of [path, type, length or null, bytes]), retained, accuracy, error,
        awaited_by (list of [id, label]), holders (list of [path, type, tasks in it or null]), created_at (float or
        null), note (str: what could not be had, and why, and what is not counted)
problem text: something the agent could not do; shown, never fatal
bye     reason: the agent ends
"""

VERSION = 1

KINDS = ("asyncio task", "thread", "child process", "trio task", "greenlet")
KIND_TASK, KIND_THREAD, KIND_CHILD = 0, 1, 2

STATES = ("unknown", "running", "ready", "waiting", "done, held", "ended")
STATE_UNKNOWN, STATE_RUNNING, STATE_READY, STATE_WAITING, STATE_DONE_HELD, STATE_ENDED = 0, 1, 2, 3, 4, 5

ACCURACIES = ("exact", "sampled", "at_least", "stale", "unavailable")
EXACT, SAMPLED, AT_LEAST, STALE, UNAVAILABLE = 0, 1, 2, 3, 4

NODE_KINDS = (
    "process",
    "thread",
    "loop",
    "task",
    "task_group",
    "nursery",
    "gather",
    "executor",
    "holder",
    "unowned",
    "group",
)
(
    NODE_PROCESS,
    NODE_THREAD,
    NODE_LOOP,
    NODE_TASK,
    NODE_TASK_GROUP,
    NODE_NURSERY,
    NODE_GATHER,
    NODE_EXECUTOR,
    NODE_HOLDER,
    NODE_UNOWNED,
    NODE_GROUP,
) = range(11)

EDGES = ("runs", "owns", "awaits", "holds", "child process")
EDGE_RUNS, EDGE_OWNS, EDGE_AWAITS, EDGE_HOLDS, EDGE_CHILD = 0, 1, 2, 3, 4

# Bits of a row's `flags`.
FLAG_AGE_IS_MINIMUM = 1  # it was there when the agent came: it is at least as old as `created` says
FLAG_UNOWNED = 2  # nobody but the loop or its own future holds it
FLAG_MAIN = 4  # the main thread, or the task that asyncio.run() was given
FLAG_LINE_IS_DEF = 8  # `where` names the function's first line, as the current one could not be read

# The columns of `rows`: name, struct type code. Text columns hold string ids (0 = no text).
ROW_COLUMNS = (
    ("id", "q"),
    ("kind", "B"),
    ("state", "B"),
    ("flags", "H"),
    ("function", "i"),  # "module.qualname" of the coroutine function or thread target
    ("waiting", "i"),  # what it waits on, in words: "sleep", "Event.wait", "queue get", "task push_hash-3"
    ("where", "i"),  # "file:line", file as the code object has it
    ("created", "d"),  # when it was created or first seen
    ("retained", "q"),  # bytes, -1 = not known
    ("error", "q"),  # 95 % error of `retained`, for accuracy "sampled"
    ("accuracy", "B"),
    ("measured_at", "d"),  # 0 = never
    ("cpu", "d"),  # CPU seconds, NaN = not known
    ("activity", "f"),  # share of checks in which it had moved since the last, NaN = not checked yet
    ("os_id", "q"),  # the kernel's thread id for threads, else 0
    ("loop", "q"),  # id of its loop's node, 0 = none
    ("parent", "q"),  # node or row that it hangs under in the tree, 0 = the process
    ("edge", "B"),
    ("queue", "i"),  # items waiting for it, -1 = not known
)
ROW_NAMES = tuple([name for name, _ in ROW_COLUMNS])
