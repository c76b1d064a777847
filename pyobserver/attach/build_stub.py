"""Assembles the sources of the stub and writes their bytes beside them: `python -m pyobserver.attach.build_stub`."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .stub import Stub

HERE = Path(__file__).resolve().parent / "machines"
NAMES = ("x86_64", "aarch64")
_WIDTH = 100
_MODULE = '''"""The machine code of `{source}`, written by `python -m pyobserver.attach.build_stub`."""

CODE = bytes.fromhex(
{lines}
)
THREAD_MAIN = {thread_main:#x}
'''


def source(name: str) -> Path:
    """Return the source of the machine that uname(2) calls `name`."""
    return HERE / f"stub_{name}.S"


def missing_tools(name: str) -> str:
    """Return what `assemble` lacks for this machine, and where Debian has it, or "" when all is there."""
    missing = [tool for tool in ("as", "objcopy", "nm") if not _tool(name, tool)]
    package = f"binutils-{name.replace('_', '-')}-linux-gnu"
    return f"{', '.join(missing)} for {name} (Debian: apt install {package})" if missing else ""


def _tool(name: str, tool: str) -> str | None:
    cross = shutil.which(f"{name}-linux-gnu-{tool}")
    return cross or (shutil.which(tool) if platform.machine() == name else None)


def assemble(name: str) -> Stub:
    """Return the machine code for the machine that uname(2) calls `name`."""
    tools = {tool: _tool(name, tool) or tool for tool in ("as", "objcopy", "nm")}
    with tempfile.TemporaryDirectory() as folder:
        built, flat = Path(folder) / "stub.o", Path(folder) / "stub.bin"
        subprocess.run([tools["as"], "-o", built, source(name)], check=True)
        subprocess.run([tools["objcopy"], "-O", "binary", "-j", ".text", built, flat], check=True)
        names = subprocess.run([tools["nm"], built], check=True, capture_output=True, text=True).stdout
        places = {name: int(at, 16) for at, _, name in (line.split() for line in names.splitlines())}
        return Stub(flat.read_bytes()[: places["stub_end"]], places["thread_main"])


def main() -> int:
    """Write the bytes of every machine whose assembler is there; 2 when one is not."""
    status = 0
    for name in NAMES:
        if missing := missing_tools(name):
            print(f"missing: {missing}", file=sys.stderr)
            status = 2
            continue
        stub = assemble(name)
        text = stub.code.hex()
        lines = "\n".join(f'    "{text[i : i + _WIDTH]}"' for i in range(0, len(text), _WIDTH))
        module = HERE / f"code_{name}.py"
        module.write_text(_MODULE.format(source=source(name).name, lines=lines, thread_main=stub.thread_main))
        print(f"{name}: {len(stub.code)} bytes of machine code, thread_main at {stub.thread_main:#x}")
    return status


if __name__ == "__main__":
    sys.exit(main())
