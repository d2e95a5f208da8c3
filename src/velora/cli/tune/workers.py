"""The processes of a study: each trains one trial after the other; one that is killed is made up for.

``python -m velora.cli.tune.workers`` is one of them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from velora.cli.sweep import processes
from velora.core.errors import VeloraError
from velora.core.terminal import complain

LOG: Final = "workers.log"
CANNOT_GO_ON, INTERRUPTED = 2, 130


class Crew:
    """Some processes that work at a study.

    Attributes:
        n_restarts: how many may still be started in place of those that are killed.
        failed: what was said of those that ended by an error.
    """

    def __init__(self, home: Path, n_workers: int, *, tick: Callable[[], None], say: Callable[[str], None]) -> None:
        """Say how many, whom to call about twenty times a second, and whom to tell of deaths."""
        self._home, self._n_workers, self._tick, self._say = home, n_workers, tick, say
        self._n_begun, self._n_dead = 0, 0
        self.n_restarts = n_workers
        self.failed: list[str] = []

    def run(self) -> None:
        """Let them work until each has found nothing more to do.

        Raises:
            Stopped: if a signal asked this process to end; all of them have saved, and ended.
        """
        n_dead = -1
        while n_dead != self._n_dead and self.n_restarts >= 0:  # one may have died when the others had ended already
            n_dead = self._n_dead
            processes.run_all(self._works(), at_a_time=self._n_workers, ended=self._ended, tick=self._tick)

    def _works(self) -> Iterator[processes.Work]:
        """Begin as many as there are to be, and one for each that has been killed when there is room again."""
        n_dead = self._n_dead
        for _ in range(self._n_workers):
            yield self._work()
        while self._n_dead > n_dead and self.n_restarts > 0:
            n_dead += 1
            self.n_restarts -= 1
            yield self._work()

    def _work(self) -> processes.Work:
        self._n_begun += 1
        words = [sys.executable, "-m", __name__, str(os.getpid()), str(self._home)]
        return processes.Work(str(self._n_begun), words, self._home / LOG)

    def _ended(self, work: processes.Work, code: int) -> None:
        if code < 0:
            self._n_dead += 1
            self._say(f"a worker was {processes.said(code)}; another one goes on with its trial")
        elif code not in (0, INTERRUPTED):
            self.failed.append(processes.said(code))


def main(words: list[str]) -> int:
    """Be a worker, and return the exit code: 0, 2 if the study can't go on, 130 after Ctrl+C.

    Args:
        words: the process that has started this one, and the study.
    """
    parent, home = words
    processes.tie_to_parent(int(parent))
    try:
        from velora.cli.tune.worker import work  # torch, which takes seconds

        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] %(message)s")
        work(Path(home))
    except VeloraError as error:
        complain(f"{error}\n")
        return CANNOT_GO_ON
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
