"""Videos of the agent as it learns."""

from __future__ import annotations

import logging
from pathlib import Path

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.errors import SettingError
from velora.core.paths import checked_path
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode
from velora.envs.film import FORMATS, default_format

logger = logging.getLogger(__name__)


class RecordVideo(Callback):
    """Write videos of the agent playing without noise, in an environment of its own, on episodes that stay the same.

    ``step5000.mp4`` is of the agent after 5,000 steps; ``final.mp4`` is of the end. With several seeds the name begins
    with the seed: ``seed3-final.mp4``. Training waits meanwhile, and knows nothing of it. Where a video can't be made
    that is said once, and training goes on without.

    Example:
        >>> RecordVideo("videos", every=50).final
        True
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        every: int | None = None,
        steps: int | None = None,
        final: bool = True,
        episodes: int = 1,
        seed: int | None = None,
        frame_every: int = 1,
        max_steps: int = 1_000,
        suffix: str | None = None,
    ) -> None:
        """Choose where, when and what.

        Args:
            directory: where the videos go; ``None`` is ``videos`` in the run's directory.
            every: episodes of a seed between two videos, at least 1; ``None`` goes by steps alone.
            steps: environment steps of a seed between two, at least 1; ``None`` goes by episodes alone.
            final: record the agent at the end, unless a signal ends the run.
            episodes: episodes in a video, at least 1.
            seed: decides the episodes; ``None`` takes the first of evaluation.
            frame_every: steps between two pictures, at least 1; the video is as fast as before.
            max_steps: steps after which an episode in a video is cut, at least 1.
            suffix: ``".mp4"``, ``".webp"`` or ``".gif"``; ``None`` is MP4, or WebP where imageio-ffmpeg is missing.

        Raises:
            SettingError: if a number is out of its domain, or there is no such format.
        """
        numbers = {"episodes": episodes, "frame_every": frame_every, "max_steps": max_steps}
        for name, value in numbers.items():
            check_whole(f"record_video.{name}", value)
        for name, given in (("every", every), ("steps", steps)):
            check_whole(f"record_video.{name}", given, or_none=True)
        check_whole("record_video.seed", seed, least=0, or_none=True)
        if suffix is not None and suffix not in FORMATS:
            raise SettingError(f"record_video.suffix: expected one of {', '.join(FORMATS)}, got {suffix!r}")
        self.directory = None if directory is None else checked_path("record_video.directory", directory).absolute()
        self.every, self.steps, self.final, self.suffix = every, steps, final, suffix
        self.episodes, self.seed, self.frame_every, self.max_steps = episodes, seed, frame_every, max_steps
        self._by_episodes, self._by_steps = Cadence(every), Cadence(steps)
        self._due: list[int] = []
        self._has_failed = False

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Refuse to record where there is no place for it.

        Raises:
            SettingError: if neither a directory was given nor the run has one.
        """
        if self.directory is None and trainer.run_dir is None:
            raise SettingError("record_video.directory: expected a directory, since the run has none; give either")
        self._due, self._has_failed = [], False

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where every seed stands."""
        for lane in trainer.progress:
            self._by_episodes.start(lane.seed_index, lane.episode)
            self._by_steps.start(lane.seed_index, lane.step)

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Note whose turn has come."""
        if self._by_episodes.is_due(episode.seed_index, episode.number):
            self._due.append(episode.seed_index)

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Record whose turn has come."""
        due, self._due = self._due, []
        if self.steps is not None:
            due += [p.seed_index for p in trainer.progress if self._by_steps.is_due(p.seed_index, p.step)]
        for seed_index in dict.fromkeys(due):
            self._record(trainer, agent, seed_index, f"step{trainer.progress[seed_index].step}")

    def on_train_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Record the end."""
        for seed_index in range(len(agent.seeds)) if self.final and trainer.status != "interrupted" else ():
            self._record(trainer, agent, seed_index, "final")

    def _record(self, trainer: TrainerView, agent: AgentView, seed_index: int, name: str) -> None:
        """Record one video; the first failure is the last try."""
        if self._has_failed or trainer.progress[seed_index].is_lost:
            return
        home = self.directory or (trainer.run_dir or Path()) / "videos"
        prefix = f"seed{agent.seeds[seed_index]}-" if len(agent.seeds) > 1 else ""
        path = home / f"{prefix}{name}"
        try:
            path = path.with_name(path.name + (self.suffix or default_format()))
            filmed = trainer.film(
                path,
                episodes=self.episodes,
                seed=self.seed,
                every=self.frame_every,
                max_steps=self.max_steps,
                seed_index=seed_index,
            )
            if filmed is not None:
                trainer.log({"video/return": sum(filmed.returns) / len(filmed.returns)}, seed_index=seed_index)
                trainer.log_video(filmed.path, seed_index=seed_index)
        except Exception as error:  # noqa: BLE001 - whatever an environment's drawing or the encoder raises
            self._has_failed = True
            first_line = str(error).partition("\n")[0]
            kind = "" if isinstance(error, SettingError) else f"{type(error).__name__}: "
            logger.warning("video: %s isn't recorded, nor any after it (%s%s)", path, kind, first_line)
