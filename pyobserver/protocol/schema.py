"""Messages and columns: what the agent and the observer say to each other, field by field.

All sizes are bytes, all times are Unix seconds of the target's clock, all ids are 64-bit integers given out by the
agent and never reused while it lives. One id space serves tasks, threads and all nodes of the tree.

Observer to agent
-----------------
hello   protocol (int), observer (str, version), actions (bool: whether this observer may ask for actions)
watch   interval (float, seconds, at least 0.1): begin sending updates to this observer at this pace
focus   ids (list of int, at most 256): the rows on the screen; they are measured first
detail  id (int), token (int), values (bool): asks for everything about one task; answered by `detail` with the same
        token. With `values` the answer has beginnings of values, which are data of the program
cancel  id (int), token (int): cancels an asyncio task, by its loop, in its loop's thread. An action: done only for an
        observer whose hello has said `actions`, and answered by `action` with the same token
collect token: collects garbage, in a thread of the program by its event loop. An action, as those that follow
trim    token, load (bool: _ctypes may be loaded for it): malloc gives back what it holds but nobody uses
trace   token, seconds (1 to TRACE_MOST_SECONDS), load (as above): traces allocations. One at a time in a target
creations token, on (bool): notes from now on where tasks are made, by a task factory of each loop, until this observer
        leaves or asks with `on` false. An action, which says "moved" when it has begun, and "ended" at its end
enough  ends the trace that this observer has asked for before its time; what it found is told as usual
group   token (int), and which rows: like (list of at most 16 row ids: all rows of the kind and function of the first
        of them that lives), node (id: of these, or of all, those which hang directly under it), or ids
        (list of at most 4096 row ids); done (bool: those that are done and still held, else those that are not). Of
        several kinds, greenlets and threads are left out. The answer is a `group` with the same token
places  token (int), least (int: containers of at least so many items are told, 10 at least), type (str:
        "module.qualname", or the name of a built-in type; its objects are looked for, "" for none). Answered by
        `places` with the same token
stay    the agent does not end when no observer is left: it goes on sparingly, until somebody says `detach`
detach  ends the agent for everybody; answered by `bye`
bye     this observer leaves

Agent to observer
-----------------
hello   protocol, build (str: digest of the agent's sources), pid (as the target knows itself), python, implementation,
        executable, argv (list), started_at (float or null), platform, free_threaded (bool), switch_interval,
        agent_started_at, capabilities (list of str), self_check ("ok" or the reason why memory is not available),
        method (how the agent came in), followed (float or null: for how many seconds it has kept the history of groups)
strings first (int), items (list of str): texts with the ids first, first+1, ...; sent before the first row using them
rows    columns `ROW_COLUMNS`; names (list of str, or null for "unchanged"): one entry per row. A row is new or
        changed; either way it is sent whole. With them, if any of these rows has several owners, columns
        `OTHERS_COLUMNS` of a length of their own: an entry for each owner of a row but its parent, at most 4 of a row.
        A row's parent is the first of: the task groups it is in, those that wait for it, the container that holds it
gone    column id: rows and nodes that ended or are not seen any more
nodes   items (list of objects: id, kind (an index of NODE_KINDS), label, parent (id or 0 = the process), edge (an
        index of EDGES), queue (int or null), detail (str: e.g. the container's type "set", or file:line), pids (list
        of at most MAX_PIDS int: the child processes that hang under it)): new or changed tree nodes which are not rows
history what has been, one message for each series, before the first tick: series (one of PAST_SERIES; or of
        PAST_GROUP_SERIES, and then group is [kind, function (str: as the text of the rows' column), whether they are
        done and still held], else null). Columns `PAST_COLUMNS`: cells of at most a day, oldest first, which do not
        overlap. Readings of groups are missing where more came and went than the agent could follow, and where nobody
        observed and it was not told to stay
tick    closes an update: seq, time, total (asyncio tasks: those with rows, and while not all have some also the
        others), measured (those with a value), complete (bool: the first enumeration has finished), holders_complete
        (bool: the holder walk has been through once since the start), loops (at most 1000 of {id, thread}), gc (counts,
        list of 3; collections, list of 3; collected, uncollectable, garbage (int: objects in gc.garbage, or null where
        that is no list), seconds (list of float: that collections have taken, by generation, or null before 3.15)),
        agent {cpu_seconds, longest_hold_seconds, memory_bytes, dropped, torn, observers, stays (bool: it goes on when
        no observer is left), rows_limit_hit (bool: there is no room for rows of more tasks)},
        remedies {collect (str: why garbage cannot be collected, "" if it can), foreign (bool: _ctypes is loaded),
        tracing (bool: the program traces its allocations itself), creations (bool: where tasks are made is noted),
        creation_seconds (float: what noting takes in the program for each task, as measured in the agent's thread)},
        allocators (list of at most 64 [name (one of ALLOCATORS), detail (str: of "arrow" its back-end, of "cuda" the
        number of the device), in use, held, peak of what is in use, split (of what is held and not in use, that which
        lies between what is in use) (bytes or null), why (str: why they are null)]: of libraries that the program has
        loaded; an agent of before has none of this),
        blocking (list of at most 16 [function (str), how many of its tasks]: of tasks that were seen holding their loop
        in the last 10 s, twice at least together; most of them may have ended. An agent of before has none of this)
detail  token, id, chain (list of [qualified name, file, line or null], outermost first), waits (str: what it waits on,
        with all that is known of that now), by_type (list of [type, count, bytes]), biggest (list of [path, type,
        length or null, bytes, value]), locals (list of [qualified name, variable, type, length or null, value]: of the
        innermost coroutines that are not asyncio's), retained, accuracy, error, awaited_by (list of [id, label]),
        holders (list of [path, type, tasks in it or null]), created_at (float or null), spawned_at (str: "file:line
        function" of where it was made, "" where nobody has noted it), spawned_by (list of at most one [id, label]: the
        task that has made it), blocked (int: how often it was
        seen holding its loop, each time for 5 ms or more), note (str: what could not be had, and why, and what is not
        counted). A value is ""
        unless it was asked for, and is of one of the interpreter's own types, no container
action  token, state (an index of ACTION_STATES), seconds (float: since it was done), final
        (bool: nothing more will be said of it), text (str: why it was refused, or what more is known). Told when it is
        done, when the state changes, and at the end: at most a minute later. Of a cancelled task: "asked" while it has
        not moved, "moved" when it has and goes on (it cleans up, or swallows it), "ended" when it has ended. The others
        are "asked" until they have "ended", and then have a result: held (float, seconds: what a collection took in its
        thread, what giving back took, how long the program stood still at the end of a trace); of the first two
        rss_before and rss_after (bytes or null); of a collection found (objects freed), uncollectable; of trim way
        (str: whose malloc it was); of a trace traced (float, seconds), bytes, blocks and places (lines) of all that was
        allocated meanwhile and was still there, sites (list of at most 50 [file, line, bytes, blocks], largest first)
group   token, members (rows chosen), looked_at (rows measured), moved (of these, have run while it was computed),
        ended (have ended meanwhile), alone (bytes, the sum of what each retains, scaled when not all were looked at),
        alone_accuracy, alone_error, together (bytes: alone and what only they share, which would be freed if all of
        them went away; null when not known), together_accuracy, together_error, common (list of [path, type, length
        or null, bytes, members that refer to it], largest first: what only they share), shared_bytes and
        shared_objects (what they refer to and others hold too: what each of these objects retains itself), shared
        (list as common), by_type (list of [type, count, bytes]: of what they retain alone, estimated from
        by_type_members of them), seconds (the agent's own work), note (str: what could not be had, and why; with none
        looked at, why there is no number)
places  token, containers (list of [path, type, containers at this path, items in all of them, items in the largest], by
        items), places (list of [path, type of the holder or "attribute" or "local", references met, items in the
        largest holder or null, list of lengths of up to 3 of the objects], most references first), references (int: met
        in all), seconds (the agent's own work), note (str: what was left out, or why nothing was looked for). Paths are
        those of holders; a container or object that is reached in several ways is at the first
problem text: something the agent could not do; shown, never fatal
bye     reason: the agent ends
"""

VERSION = 1

# An "executor job" waits in the queue of an executor. An "async generator" is suspended, and no task stands in it or
# has it among its variables. A "coroutine never awaited" was made a while ago, and has not begun to run.
# A "greenlet" is "ready" before it has started, and hangs under what holds it, else under its parent; those that only C
# code refers to may be missing. The main greenlet of a thread is no row, as it is the thread.
KINDS = (
    "asyncio task",
    "thread",
    "child process",
    "trio task",
    "greenlet",
    "executor job",
    "async generator",
    "coroutine never awaited",
)
(
    KIND_TASK,
    KIND_THREAD,
    KIND_CHILD,
    KIND_TRIO_TASK,
    KIND_GREENLET,
    KIND_JOB,
    KIND_ASYNC_GENERATOR,
    KIND_NEVER_AWAITED,
) = range(8)
TASK_KINDS = (KIND_TASK, KIND_TRIO_TASK)  # what a loop runs: counted as tasks

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

# "spawned" leads from the task that made another, where that is known; it is never the edge to the parent.
EDGES = ("runs", "owns", "awaits", "holds", "child process", "spawned")
EDGE_RUNS, EDGE_OWNS, EDGE_AWAITS, EDGE_HOLDS, EDGE_CHILD, EDGE_SPAWNED = 0, 1, 2, 3, 4, 5
MAX_PIDS = 256  # of one node

# Allocators that only the process can be asked about. Arrow's is in its memory, CUDA's in that of the GPU.
ALLOCATORS = ("arrow", "cuda")

ACTIONS = ("cancel", "collect", "trim", "trace", "creations")
TRACE_MOST_SECONDS = 60

ACTION_STATES = ("asked", "moved", "ended", "refused")
ACTION_ASKED, ACTION_MOVED, ACTION_ENDED, ACTION_REFUSED = 0, 1, 2, 3

# What there is a history of, and the columns of `history`.
PAST_SERIES = ("rss", "tasks", "threads", "cpu")  # bytes, count, count, share of one core
PAST_GROUP_SERIES = ("count", "bytes")
PAST_COLUMNS = (
    ("age", "f"),  # seconds from the beginning of a cell until now
    ("length", "f"),  # seconds
    ("low", "f"),
    ("mean", "f"),
    ("high", "f"),
)
MOST_PAST_GROUPS, MOST_PAST_CELLS = 100, 2000

# Bits of a row's `flags`.
FLAG_AGE_IS_MINIMUM = 1  # it was there when the agent came: it is at least as old as `created` says
FLAG_UNOWNED = 2  # nobody but the loop or its own future holds it
FLAG_MAIN = 4  # the main thread, or the task that asyncio.run() was given
FLAG_LINE_IS_DEF = 8  # `where` names the function's first line, as the current one could not be read

FLAG_BLOCKING = 16  # it was seen holding its loop in the last 10 s

FLAG_UNRETRIEVED = 32  # it has failed, and for 10 s at least nobody has asked for its exception

# The columns of `rows`: name, struct type code. Text columns hold string ids (0 = no text).
ROW_COLUMNS = (
    ("id", "q"),
    ("kind", "B"),
    ("state", "B"),
    ("flags", "H"),
    ("function", "i"),  # "module.qualname" of the coroutine function, thread target, or function of a job
    ("waiting", "i"),  # what it waits on: "sleep", "Event.wait", "queue get", "task push_hash-3"; no changing numbers
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
OTHERS_COLUMNS = (
    ("others_row", "q"),  # the id of the row
    ("others_owner", "q"),  # the id of a row or node that owns it, too
    ("others_edge", "B"),
)
ROW_NAMES = tuple([name for name, _ in ROW_COLUMNS])
