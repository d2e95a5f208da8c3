"""The folder that is pushed: a checkpoint for acting, a model card, and the card's pictures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from velora.analysis import wiring
from velora.analysis.curves import plot_runs
from velora.analysis.find import find_runs
from velora.analysis.run import Run
from velora.checkpoint import Checkpoint
from velora.checkpoint.remote import HOME, check_name
from velora.checkpoint.schema import CONFIG_FILE, METADATA_FILE
from velora.checkpoint.staging import Stage
from velora.core.errors import HubError, RunDirectoryError, SettingError, VeloraError
from velora.export.wiring import wiring_of
from velora.hub.card import Card
from velora.hub.proofs import NAME as PROOF
from velora.hub.proofs import read_proof
from velora.hub.scores import Scores
from velora.models.agent import Agent

CARD: Final = "README.md"


def write_folder(
    folder: str | Path,
    agent: Agent,
    repo: str,
    *,
    checkpoint: Checkpoint | None = None,
    scores: Scores | None = None,
    run: str | Path | None = None,
    proof: str | Path | None = None,
    license_name: str = "",
) -> Card:
    """Write what is going to be pushed into a new folder; nothing else is read or changed.

    A checkpoint that is for acting alone is copied as it is. One with a buffer or the state of its run is saved anew
    without them, since they are large and nobody needs them to act.

    Args:
        folder: to be made.
        agent: of one seed.
        repo: ``user/name``, for the card.
        checkpoint: that the agent was loaded from; ``None`` for an agent in memory.
        scores: what the agent earned, for the card.
        run: the run's directory, for the learning curve and the other seeds; one without metrics is left out.
        proof: the file that ``velora prove json=proof.json`` wrote, or the directory of a ``proof.json``.
        license_name: of the agent, for the card.

    Raises:
        HubError: if the folder is there already, or the proof is of another checkpoint, or of none.
        SettingError: if the agent holds several seeds.
        VeloraError: if something can't be written.
    """
    folder = Path(folder)
    check_name(repo)
    if agent.n_seeds > 1:
        raise SettingError(f"push: this agent holds {agent.n_seeds} seeds; choose one with agent.seed(k)")
    check_new(folder)
    source = "" if checkpoint is None else checkpoint.digest
    if proof is not None and checkpoint is None:
        raise HubError(f"{proof}: a proof is of a checkpoint; give that too")
    proved = None if proof is None else read_proof(Path(proof), digest=source)
    try:
        with Stage(folder.absolute()) as stage:
            saved = _save(agent, checkpoint, stage.new)
            wiring.save(wiring_of(agent), stage.new / "wiring.svg", title=f"Wiring of {type(agent).__name__}")
            if proof is not None:
                place = Path(proof)
                shutil.copyfile(place / PROOF if place.is_dir() else place, stage.new / PROOF)
            trained = _run(run)
            has_curve = trained is not None and _draw_curve(trained, stage.new / "curve.png")
            own = (saved.digest, source or saved.digest)
            card = Card(repo, agent, *own, scores, trained, proved, has_curve, license_name)
            (stage.new / CARD).write_text(card.text(), encoding="utf-8")
            stage.publish()
    except OSError as error:
        raise HubError(f"{folder}: can't be written ({error.strerror or error}); choose another folder") from error
    return card


def check_new(folder: Path) -> None:
    """Check that nothing is at a place yet.

    Raises:
        HubError: if something is.
    """
    if os.path.lexists(folder):
        raise HubError(f"{folder}: is there already; remove it, or choose another folder")


def _save(agent: Agent, checkpoint: Checkpoint | None, folder: Path) -> Checkpoint:
    """Save the agent for acting, or copy a checkpoint that holds nothing more."""
    home = folder / HOME
    if checkpoint is None or checkpoint.metadata.buffer is not None or checkpoint.metadata.train_state is not None:
        return Checkpoint.open(agent.save(home, config=True))
    home.mkdir(parents=True)
    for name in (METADATA_FILE, *checkpoint.metadata.files):
        shutil.copyfile(checkpoint.path / name, home / name)
    overview = checkpoint.path.parent / CONFIG_FILE
    if overview.is_file():
        shutil.copyfile(overview, home.parent / CONFIG_FILE)
    copied = Checkpoint.open(home)
    copied.verify()
    return copied


def _run(directory: str | Path | None) -> Run | None:
    if directory is None:
        return None
    try:
        found = [one for one in find_runs(directory) if one.directory.resolve() == Path(directory).resolve()]
    except RunDirectoryError:
        return None
    return found[0] if found and found[0].run_id else None


def _draw_curve(run: Run, path: Path) -> bool:
    """Draw the run's learning curve; a card goes without where matplotlib is missing, or there is nothing to draw."""
    try:
        plot_runs(run.directory, path)
    except VeloraError:
        return False
    return True
