"""Kill sweeps of 12 jobs, 3 seeds each, under every launcher, and compare what they leave with the undisturbed sweep.

    make sweeps                                          # every launcher, five kills each: half an hour on two cores
    python -m benchmarks.sweeps --only "joblib ray"      # some of them
    python -m benchmarks.sweeps --quick                  # two jobs, two kills; writes nothing
    python -m benchmarks.sweeps --report                 # the table alone, from the results that are there

The exit code is 1 if a job isn't the same, to the bit. Linux. Ray is tried where ``make ray`` has put it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.sweeps import campaign, results
from benchmarks.sweeps.subject import GRID, LAUNCHERS, QUICK, Sweep

N_KILLS, N_QUICK = 5, 2


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAMES", help=f"launchers out of {', '.join(LAUNCHERS)}")
    parser.add_argument("--quick", action="store_true", help="two jobs and two kills; writes nothing")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and of what is killed")
    parser.add_argument("--report", action="store_true", help="write the table from the results that are there")
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="leave the sweeps here; an undisturbed one is used again"
    )
    arguments = parser.parse_args()
    if arguments.report:
        results.write_table()
        return 0
    if unknown := [name for name in arguments.only.split() if name not in LAUNCHERS]:
        parser.error(f"--only {unknown[0]}: expected names out of {', '.join(LAUNCHERS)}")
    with tempfile.TemporaryDirectory() as scratch:
        trials = _run(arguments, arguments.keep or Path(scratch))
    if not arguments.quick:
        results.write_table()
    return int(any(trial.different or trial.exit_code for trial in trials))


def _run(arguments: argparse.Namespace, root: Path) -> list[campaign.Trial]:
    grid = QUICK if arguments.quick else GRID
    began_s = time.monotonic()
    whole = campaign.undisturbed(Sweep(campaign.place(root, "undisturbed"), grid))
    print(f"undisturbed: {len(whole.jobs)} jobs in {time.monotonic() - began_s:.0f} s", flush=True)
    trials = []
    for name in campaign.chosen(arguments.only.split()):
        rng = random.Random(f"{arguments.seed} {name}")
        kills = N_QUICK if arguments.quick else N_KILLS
        sweep = Sweep(campaign.place(root, name), grid)
        trials.append(
            campaign.disturbed(sweep, name, whole, rng, n_kills=kills, say=lambda text: print(text, flush=True))
        )
        for job, text in trials[-1].different.items():
            print(f"  ! {job}: {text}")
        if not arguments.quick:
            results.write(trials[-1], seed=arguments.seed)
    return trials


if __name__ == "__main__":
    sys.exit(main())
