"""The command line of the service."""

import argparse
import asyncio
import sys

from . import service


def main() -> int:
    """Runs the service until SIGINT, SIGTERM or, if asked for, the end of its standard input."""
    parser = argparse.ArgumentParser(prog="rudder", description="Pushes the hashes of specimens to the registry.")
    parser.add_argument("--fixed", action="store_true", help="with the leak repaired")
    parser.add_argument("--limit", type=int, default=60, help="specimens held at a time, at most (60)")
    parser.add_argument("--interval", type=float, default=1.25, help="seconds between two specimens (1.25)")
    parser.add_argument("--payload", type=int, default=7_000_000, help="size of a specimen in bytes (7000000)")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input is closed")
    options = parser.parse_args()
    try:
        asyncio.run(service.main(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
