"""``python -m benchmarks.drive train|play|table [runs]``: train the arms, play them under jitter, write the table."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.drive import jitter

RUNS, TABLE = Path("outputs/drive"), Path("docs/guide/table-jitter.md")


def main(words: list[str]) -> int:
    """Run one of the three."""
    match words:
        case ["train", *rest]:
            jitter.train(Path(rest[0]) if rest else RUNS)
        case ["play", *rest]:
            for name in jitter.ARMS:
                print(jitter.play_arm(Path(rest[0]) if rest else RUNS, name))
        case ["table", *rest]:
            TABLE.write_text(jitter.table(Path(rest[0]) if rest else RUNS))
            print(TABLE)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
