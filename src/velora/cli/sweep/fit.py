"""Whether a job fits the run that is in its directory already."""

from __future__ import annotations

import math
from pathlib import Path

from omegaconf import DictConfig

from velora.analysis.outcome import Outcome
from velora.cli.run.run_directory import CONFIG, load_settings
from velora.cli.settings import budget
from velora.cli.sweep import identity
from velora.core.errors import SettingError


def fitted(cfg: DictConfig, run_dir: Path) -> DictConfig | None:
    """Give a job the seed that was drawn for the run in its directory, if there is one and nobody chose a seed.

    Returns:
        The settings of that run, or ``None``.

    Raises:
        SettingError: if it is another run, or a longer one than is asked for.
        RunDirectoryError: if its settings can't be read.
    """
    if not (run_dir / CONFIG).exists():
        return None
    saved = load_settings(run_dir)
    if cfg.train.seed is None and cfg.train.get("seeds") is None:
        cfg.train.seed = saved.train.seed
    _refuse_others(saved, cfg, run_dir)
    _refuse_shorter(saved, cfg, run_dir)
    return saved


def is_done(found: Outcome, cfg: DictConfig) -> bool:
    """Return whether a run has come to its end, with as large a budget as a job asks for."""
    if found.result is None:
        return False
    had, wanted = found.result.budget, budget.asked(cfg)
    return all((had.get(name) or math.inf) >= (most or math.inf) for name, most in wanted.items())


def _refuse_shorter(saved: DictConfig, cfg: DictConfig, run_dir: Path) -> None:
    """Refuse a smaller budget than the run has been given already."""
    old, new = budget.asked(saved), budget.asked(cfg)
    pairs = [(old[name] or math.inf, new[name] or math.inf) for name in old]
    if all(after <= before for before, after in pairs) and any(after < before for before, after in pairs):
        asked = ", ".join(f"train.{name}={value}" for name, value in old.items() if value is not None)
        raise SettingError(
            f"{run_dir} holds a longer run ({asked}); ask for at least as much, or choose another hydra.sweep.dir"
        )


def _refuse_others(saved: DictConfig, cfg: DictConfig, run_dir: Path) -> None:
    """Refuse settings that make another run than the one in a directory.

    Raises:
        SettingError: if there are any; it names the first three.
    """
    if found := identity.differences(identity.settings(saved), identity.settings(cfg), run_dir):
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        raise SettingError(
            f"{run_dir} holds another run ({'; '.join(found[:3])}{more}); choose another hydra.sweep.dir for it"
        )
