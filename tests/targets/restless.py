"""A loop that never rests: it computes for less than the switch interval, asks for events without waiting, and so on.

    restless.py [--every SECONDS] [--aside]

CPython gives its lock to hardly any other thread then. With `--aside` the loop is another thread's, which hears of the
main thread what that has read. `rest` lets it wait for events from then on, `toil` ends that, and both and `rounds` are
answered by how often it went round.
"""

from __future__ import annotations

import argparse
import os
import select
import threading
import time

from conversation import answer, ready, say


class Loop:
    """Goes round until the input has ended."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.rests = False
        self.rounds = 0

    def let(self, rests: bool) -> dict[str, int]:
        self.rests = rests
        return {"rounds": self.rounds}

    def run(self, handle: int) -> None:
        answers = {
            "rest": lambda: self.let(True),
            "toil": lambda: self.let(False),
            "rounds": lambda: self.let(self.rests),
        }
        while True:
            until = time.perf_counter() + self.every
            while time.perf_counter() < until:
                pass
            self.rounds += 1
            if select.select([handle], [], [], 0.2 if self.rests else 0)[0]:
                said = os.read(handle, 4096)
                if not said:
                    return
                for line in said.decode().splitlines():
                    say(answer(answers, line))


def main(options: argparse.Namespace) -> None:
    loop = Loop(options.every)
    ready()
    if options.aside:
        heard, told = os.pipe()
        thread = threading.Thread(target=loop.run, args=(heard,))
        thread.start()
        while True:
            line = os.read(0, 4096)
            if not line:
                break
            os.write(told, line)
        os.close(told)
        thread.join()
    else:
        loop.run(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, default=0.001, metavar="SECONDS")
    parser.add_argument("--aside", action="store_true")
    main(parser.parse_args())
