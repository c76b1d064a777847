"""Values are told to who asks, of the interpreter's own types only, and nothing of the program is asked for them."""

from __future__ import annotations

from typing import Any

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters

TOLD = {
    "count": "7",
    "flag": "True",
    "nothing": "None",
    "short": "'a\\x1b[31mb'",
    "secret": "'" + "x" * 60 + "'…",
    "raw": repr(b"\x00\xff" * 10) + "…",
    "buffer": "b'abc'",
    "ratio": "1.5",
    "huge": "5001 bits",
}
KEPT = {"items": ("list", 3), "table": ("dict", 1), "text": "Text", "number": "Number", "odd": "List", "thing": "Thing"}


def asked(mirror: Mirror, values: bool) -> dict[str, Any]:
    row = mirror.wait(lambda: mirror.named("valued"), "the task")
    mirror.client.detail(row["id"], 900 + values, values)
    return mirror.wait(lambda: mirror.details.get(900 + values), "the answer")


@on_interpreters
def test_values_of_exact_types_only(interpreter: Interpreter) -> None:
    with launch(interpreter, "values") as target, observed(target.pid) as mirror:
        mirror.wait_until_known()
        without, with_values = asked(mirror, False), asked(mirror, True)
        assert not any(each[4] for each in (*without["locals"], *without["biggest"]))
        found = {each[1]: each for each in with_values["locals"]}
        assert {found[name][0] for name in TOLD} == {"inner"}
        assert {name: found[name][4] for name in TOLD} == TOLD
        assert found["secret"][2:4] == ["str", 5000]
        for name, kind in KEPT.items():
            _, _, type_name, length, value = found[name]
            assert value == ""
            assert (type_name, length) == kind if isinstance(kind, tuple) else type_name.endswith(str(kind))
        assert found["payload"][0] == "outer" and found["payload"][4].startswith("'hidden payload")
        assert found["shared"][2:] == ["list", 1, ""]
        payload = next(each for each in with_values["biggest"] if "payload" in each[0] or each[1] == "str")
        assert payload[4].startswith("'hidden payload") and payload[3] >= 700_000
        assert [each[:4] for each in without["locals"]] == [each[:4] for each in with_values["locals"]]
        assert target.ask("ran") == []
        assert mirror.problems == []
