"""The command ``velora tune``."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from velora.cli.command.arguments import Arguments, written
from velora.cli.run import run_directory
from velora.cli.run.trust import foreign_code, foreign_places
from velora.cli.sweep.processes import Stopped
from velora.cli.tune import help as helps
from velora.cli.tune import page, report, request, storage
from velora.cli.tune.check import check
from velora.cli.tune.options import Given
from velora.cli.tune.outcome import Outcome, look
from velora.cli.tune.progress import Progress
from velora.cli.tune.request import Request
from velora.cli.tune.workers import LOG, Crew
from velora.core.cores import n_cores
from velora.core.errors import RunDirectoryError, SettingError
from velora.core.terminal import complain, say

if TYPE_CHECKING:
    import optuna

CRASH = 1


def tune(words: Sequence[str]) -> int:
    """Run ``velora tune`` and return its exit code: 0, 1 if the study didn't come to its end, 130 after Ctrl+C.

    Raises:
        VeloraError: if a word isn't understood, nothing can be searched, or there is no study.
    """
    arguments = Arguments.parse(_explained(words))
    if not words or arguments.asks_for_help:
        say(f"{helps.HELP}\n")
        return 0
    asked, given = request.understand(arguments)
    places = given.places
    if sum(place is not None for place in (places.study, places.resume, places.show)) > 1:
        raise SettingError("expected one of study=, resume= and show=")
    storage.load_optuna()
    if places.show is not None:
        return _show(Path(places.show), asked, given)
    if places.out is not None:
        raise SettingError("out: goes with show=<study>, as in velora tune show=<study> out=study.html")
    if places.resume is not None:
        home, study = _resumed(Path(places.resume), asked, given)
    else:
        home, study = _begun(asked, given)
    return _search(home, study, given)


def _explained(words: Sequence[str]) -> Sequence[str]:
    """Refuse what Hydra's grammar would explain badly: null inside of ``choice``."""
    for word in words:
        name, _, value = word.partition("=")
        if value.replace(" ", "").startswith("choice(") and "null" in value:
            inside = value.strip().removeprefix("choice(").removesuffix(")")
            if "null" in [part.strip() for part in inside.split(",")]:
                raise SettingError(f"{name}: choice() can't hold null; write {name}={inside}")
    return words


def _begun(asked: Request, given: Given) -> tuple[Path, optuna.Study]:
    """Begin a study, or go on with the one that is in its place already."""
    asked = request.completed(asked)
    sample = check(asked)
    if given.places.study is None:
        now = datetime.now()
        label = run_directory.run_label(str(sample.env.id))
        home = Path("studies", f"{now:%Y-%m-%d}", f"{now:%H-%M-%S-%f}_{label}")
    else:
        home = Path(given.places.study)
    if storage.holds_study(home):
        study = storage.load(home)
        _check_same(home, storage.request_of(study), asked, given, is_whole=True)
        _extend(study, given)
        return home, study
    if home.is_dir() and any(not path.name.startswith(".") and path.name != storage.JOURNAL for path in home.iterdir()):
        raise RunDirectoryError(f"{home} holds something else; choose another study=")
    study = storage.create(home, asked, n_trials=given.effort.trials)
    return home, study


def _resumed(home: Path, asked: Request, given: Given) -> tuple[Path, optuna.Study]:
    study = storage.load(home)
    before = storage.request_of(study)
    named = {word.partition("=")[0].lstrip("+"): word for word in (*asked.words, *asked.space)}
    foreign = _foreign(home, before)
    trusted = {name: word for name, word in named.items() if name in foreign}
    if unsafe := {name: value for name, value in foreign.items() if name not in trusted}:
        words = " ".join(written(name, value) for name, value in unsafe.items())
        raise SettingError(
            f"{next(iter(unsafe))}: the settings of {home} name code from outside Velora, or a place outside of the "
            f"study; if you trust them, add {words} to the command line"
        )
    known = {word.partition("=")[0] for word in before.words}
    kept = [word for word in asked.words if word not in trusted.values() or word.partition("=")[0] in known]
    _check_same(home, before, replace(asked, words=tuple(kept)), given, is_whole=False)
    _extend(study, given)
    return home, study


def _foreign(home: Path, before: Request) -> dict[str, str]:
    """Find the settings of a study that decide which code runs and where files are written."""
    found: dict[str, str] = {}
    for cfg in before.samples():
        found |= dict((*foreign_code(cfg), *foreign_places(cfg, home)))
    return found


def _trusting(outcome: Outcome) -> list[str]:
    """Write the words that a resume asks to be named again, as they are typed; none if nothing is left to do."""
    if not report.is_left(outcome):
        return []
    try:
        return [written(name, value) for name, value in _foreign(outcome.home, outcome.request).items()]
    except SettingError:  # a directory of settings that is gone: a study can be looked at without it
        return []


def _check_same(home: Path, before: Request, asked: Request, given: Given, *, is_whole: bool) -> None:
    if differs := request.difference(before, asked, given, is_whole=is_whole):
        raise SettingError(f"{differs}; {home} keeps what it searches: go on without a change, or begin another study=")


def _extend(study: optuna.Study, given: Given) -> None:
    if "trials" in given.named:
        storage.set_n_trials(study, given.effort.trials)


def _search(home: Path, study: optuna.Study, given: Given) -> int:
    """Let workers train until the study is complete, and report."""
    shown = run_directory.shown(home.absolute())
    before = look(home, study, with_importances=False)
    stopped_by = 0
    if before.n_ended < before.n_trials:
        say(f"study     {shown}\n")
        stopped_by = _drive(home, study, min(given.effort.workers or n_cores(), before.n_trials - before.n_ended))
    outcome = look(home, study)
    _report(outcome, shown)
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt("interrupted; every run is saved")
    if stopped_by:
        signal.raise_signal(stopped_by)
    is_short = outcome.n_ended + outcome.count("running") < outcome.n_trials
    return CRASH if is_short else 0


def _drive(home: Path, study: optuna.Study, n_workers: int) -> int:
    """Let processes work, and show how they come along; return the number of a signal that has stopped them."""
    with Progress(study, n_workers) as progress:
        live_page = page.LivePage(home, study, n_ended=progress.n_ended)

        def tick() -> None:
            progress.refresh(storage.n_trials(study))
            live_page.refresh(progress.n_ended)

        crew = Crew(home, n_workers, tick=tick, say=progress.say)
        try:
            crew.run()
        except Stopped as stop:
            return stop.number
        progress.refresh(storage.n_trials(study), at_once=True)
    if crew.failed:
        complain(f"velora tune: {_last_line(home / LOG)}\n")
    return 0


def _report(outcome: Outcome, shown: Path) -> None:
    say(
        "\n".join(("", *report.lines(outcome, shown), "", *report.next_commands(outcome, shown, _trusting(outcome))))
        + "\n"
    )
    if (made := page.write(outcome)) is not None:
        say(f"page      {shown / made.name}\n")


def _show(home: Path, asked: Request, given: Given) -> int:
    """Show what a study has found so far."""
    if idle := [*asked.words, *asked.space, *sorted(given.named - {"show", "out"})]:
        raise SettingError(f"{idle[0].partition('=')[0]}: goes not with show=; expected out= alone")
    if given.places.out is not None and Path(given.places.out).suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"out: expected a page that ends in .html, got {given.places.out}")
    study = storage.load(home)
    outcome, shown = look(home, study), run_directory.shown(home.absolute())
    say(
        "\n".join((*report.lines(outcome, shown), "", *report.next_commands(outcome, shown, _trusting(outcome)))) + "\n"
    )
    if given.places.out is not None:
        out = Path(given.places.out)
        command = f"velora tune {written('show', str(shown))} {written('out', str(out))}"
        try:
            report.write_page(outcome, out, command=command)
        except OSError as error:
            raise RunDirectoryError(f"out: {out} can't be written ({error.strerror}); choose another path") from error
        say(f"page      {out}\n")
    return 0


def _last_line(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        text = []
    return f"a worker ended: {text[-1]} (all of it: {path})" if text else f"a worker ended without a word; see {path}"
