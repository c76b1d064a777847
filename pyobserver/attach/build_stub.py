"""Assembles `stub_x86_64.S` and writes its bytes into `stub.py`: `python -m pyobserver.attach.build_stub`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "stub_x86_64.S"
_WIDTH = 100


def assembler_is_there() -> bool:
    """Whether the programs that `assemble` needs can be found."""
    return all(shutil.which(name) for name in ("as", "objcopy", "nm"))


def assemble(source: Path = SOURCE) -> tuple[bytes, int]:
    """Return the machine code, and the offset of `thread_main` in it."""
    with tempfile.TemporaryDirectory() as folder:
        built, flat = Path(folder) / "stub.o", Path(folder) / "stub.bin"
        subprocess.run(["as", "--64", "-o", built, source], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", built, flat], check=True)
        names = subprocess.run(["nm", built], check=True, capture_output=True, text=True).stdout
        places = {name: int(at, 16) for at, _, name in (line.split() for line in names.splitlines())}
        return flat.read_bytes()[: places["stub_end"]], places["thread_main"]


def main() -> int:
    """Write the bytes into `stub.py`."""
    if not assembler_is_there():
        print("as, objcopy and nm are needed (Debian: apt install binutils)", file=sys.stderr)
        return 2
    code, thread_main = assemble()
    text = code.hex()
    lines = "\n".join(f'    "{text[i : i + _WIDTH]}"' for i in range(0, len(text), _WIDTH))
    module = HERE / "stub.py"
    content = module.read_text()
    content = re.sub(r"CODE = bytes\.fromhex\(.*?\n\)", f"CODE = bytes.fromhex(\n{lines}\n)", content, flags=re.S)
    content = re.sub(r"THREAD_MAIN = \w+", f"THREAD_MAIN = {thread_main:#x}", content)
    module.write_text(content)
    print(f"{len(code)} bytes of machine code, thread_main at {thread_main:#x}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
