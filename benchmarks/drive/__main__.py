"""``python -m benchmarks.drive train|play``: train the arms, then play them under jitter and write the table."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.drive import jitter

RUNS, TABLE = Path("outputs/drive"), Path("docs/benchmarks/table-jitter.md")


def main(words: list[str]) -> int:
    """Run one of the two."""
    match words:
        case ["train", *rest]:
            jitter.train(Path(rest[0]) if rest else RUNS)
        case ["play", *rest]:
            TABLE.write_text(jitter.table(Path(rest[0]) if rest else RUNS))
            print(TABLE)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
