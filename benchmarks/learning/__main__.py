"""Run with ``python -m benchmarks.learning``, or ``make bench-learning``; ``--help`` tells more."""

from __future__ import annotations

import argparse
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.learning import arms, pages, report, study_results, zoo
from benchmarks.learning.run import read, run, write
from benchmarks.learning.studies import STUDIES, shortened
from benchmarks.learning.tasks import TASKS, outcome

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "benchmarks"


def main() -> None:
    """Train, write the raw rows, the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    everything = [*TASKS, *STUDIES]
    parser.add_argument("names", nargs="*", default=everything, help=f"which of {', '.join(everything)} (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1000, 1010)),
                        help="of the default agent's tasks; default: 1000 to 1009")  # fmt: skip
    parser.add_argument("--arms", nargs="+", help="only these arms of the studies, by name")
    parser.add_argument("--again", action="store_true", help="train arms whose raw evaluations are there already too")
    parser.add_argument("--device", default="cpu", help="where our arms of the studies train; default: %(default)s")
    parser.add_argument(
        "--steps",
        type=int,
        help="shorter runs of one arm of ours and one of a peer's, to see that everything works; writes nothing",
    )
    parser.add_argument(
        "--results", type=Path, default=HERE / "results", help="where raw evaluations are; default: %(default)s"
    )
    parser.add_argument("--pages", type=Path, default=PAGES, help="where tables and pictures go; default: %(default)s")
    parser.add_argument("--report", action="store_true", help="only redo tables and pictures from the raw rows")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in everything]
    if unknown:
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(everything)}")
    tasks = [name for name in arguments.names if name in TASKS]
    for name in () if arguments.report else tasks:
        rows = run(TASKS[name], arguments.seeds, n_steps=arguments.steps)
        for seed in arguments.seeds:
            print(outcome(TASKS[name], seed, [(step, value) for _, _, s, step, value in rows if s == seed]))
        if arguments.steps is None:
            write(rows, arguments.results / f"{name}.csv")
    if arguments.steps is None and tasks:
        _report(arguments.results, is_new=not arguments.report)
    for name in () if arguments.report else arguments.names:
        if name in STUDIES:
            _study(name, arguments)
    if arguments.steps is None:
        print(pages.publish(arguments.results, list(STUDIES.values()), arguments.pages))


def _study(name: str, arguments: argparse.Namespace) -> None:
    """Train the arms of a study that have no raw evaluations yet, and write them."""
    study = STUDIES[name]
    if arguments.steps is not None:
        study = shortened(study, arguments.steps, every_arm=bool(arguments.arms))
    for arm in study.arms:
        file = study_results.path(arguments.results, study, arm)
        if arguments.arms and arm.name not in arguments.arms:
            continue
        if file.exists() and not arguments.again and arguments.steps is None:
            print(f"{name} | {arm.name}: there already; --again trains it anew")
            continue
        keep = None if arguments.steps else zoo.KEPT / file.relative_to(arguments.results).with_suffix("")
        trained = arms.train(study, arm, keep, arguments.device)
        if arguments.steps is None:
            study_results.write(trained, file)


def _report(results: Path, *, is_new: bool) -> None:
    """Write table and picture of all committed rows; the last line of the table says where they were made."""
    rows = [row for name in TASKS if (path := results / f"{name}.csv").exists() for row in read(path)]
    path = results / "table.md"
    where = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, torch {version('torch')}"
    footer = f"Last run {date.today()}; {where}; one thread for each row."
    if not is_new and path.exists():
        footer = path.read_text().splitlines()[-1]
    text = f"{report.table(rows)}\n\n{footer}\n"
    path.write_text(text)
    report.plot(rows, results / "curves.png")
    print(text)


if __name__ == "__main__":
    main()
