"""Whether a process can be observed: through the gates of attaching, or because an agent is there already."""

from __future__ import annotations

from dataclasses import replace

from ..attach import Examination, examine
from .find import find_agent


def examined(pid: int, method: str = "auto", force: bool = False) -> Examination:
    """Return whether `pid` can be attached to, and how: "existing" where an agent waits. Nothing is done to it."""
    found = examine(pid, method, force)
    if find_agent(pid) is not None:
        return replace(found, ok=True, method="existing", kind="", reason="", help="")
    if found.kind == "opted_out":
        return replace(found, help="start it without that, or attach with --force")
    return found


def refusal(found: Examination) -> str:
    """Return in a sentence why a process cannot be observed, and what would help."""
    what = "" if found.kind == "gone" else f"process {found.pid} cannot be attached to: "
    return "; ".join(filter(None, (what + found.reason, found.help)))
