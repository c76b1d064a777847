"""What the agent tells of itself: the greeting, and the account that closes each update."""

import posix
import sys

from pyobserver.agent import collector, facts, remedies
from pyobserver.protocol import schema


def hello(agent):
    """The first message to each observer."""
    return {
        "t": "hello",
        "protocol": schema.VERSION,
        "build": agent.config["build"],
        "pid": posix.getpid(),
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": facts.text(sys.executable),
        "argv": facts.command(),
        "started_at": None,
        "platform": sys.platform,
        "free_threaded": facts.is_free_threaded(),
        "switch_interval": sys.getswitchinterval(),
        "agent_started_at": agent.started_at,
        "capabilities": [
            "tasks",
            "threads",
            "retained",
            "owners",
            "holders",
            "detail",
            "group",
            "places",
            *schema.ACTIONS,
        ],
        "self_check": agent.self_check,
        "method": facts.text(agent.config.get("method")),
        "followed": agent.history.age(),
    }


def tick(agent, number):
    """The message that closes an update."""
    counts = agent.measure.counts()
    return {
        "t": "tick",
        "seq": number,
        "time": agent.wall(),
        "total": agent.tasks.total(),
        "measured": counts[1],
        "complete": agent.tasks.complete and agent.trio.complete,
        "holders_complete": agent.search.complete,
        "loops": agent.tasks.loops.summary(),
        "gc": facts.collector(),
        "remedies": remedies.prospects(agent),
        "allocators": agent.allocators.found,
        "blocking": agent.blocking.functions(),
        "agent": {
            "cpu_seconds": agent.cpu(),
            "longest_hold_seconds": collector.longest_hold(),
            "memory_bytes": agent.own_memory.total(),
            "dropped": agent.table.overflow + agent.service.dropped,
            "torn": agent.torn,
            "observers": len(agent.service.observers),
            "stays": agent.stays,
            "rows_limit_hit": agent.table.is_full(),
        },
    }
