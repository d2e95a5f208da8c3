"""Rounds of evaluation by steps as well as by episodes, and on episodes of one's choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.cadence import Cadence, check_whole
from velora.core.errors import SettingError
from velora.core.protocols import AgentView, Progress, TrainerView
from velora.core.types import Episode


class Evaluate(Callback):
    """Evaluate the agent as it trains, without noise or learning, in environments that training doesn't use.

    It does what ``evaluate_every`` does, by steps too, and may choose the episodes. What it chooses holds for every
    evaluation of the run, so that all of them compare: those of ``evaluate_every``, and the one that the command line
    makes at the end. Each is recorded, and everything that goes by evaluations goes by these: ``best/`` of
    :class:`~velora.callbacks.SaveCheckpoints`, and :class:`~velora.callbacks.EarlyStopping`.

    Example:
        >>> Evaluate(steps=5_000, episodes=20).steps
        5000
    """

    def __init__(
        self,
        *,
        every: int | None = None,
        steps: int | None = None,
        episodes: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Choose when, and on what; at least one of ``every`` and ``steps`` is needed.

        Args:
            every: episodes of a seed between two rounds, at least 1; ``None`` goes by steps alone.
            steps: environment steps of a seed between two rounds, at least 1; the round comes at the end of the episode
                that is running then. ``None`` goes by episodes alone.
            episodes: episodes of a round, at least 1; ``None`` takes ``evaluation_episodes`` of the run.
            seed: decides the episodes; ``None`` takes the ones that are the same in every run.

        Raises:
            SettingError: if a number is out of its domain, or nothing says when.
        """
        if every is None and steps is None:
            raise SettingError("evaluate: expected every= or steps= (or both), got neither")
        for name, value in (("every", every), ("steps", steps), ("episodes", episodes)):
            check_whole(f"evaluate.{name}", value, or_none=True)
        check_whole("evaluate.seed", seed, least=0, or_none=True)
        self.every, self.steps, self.episodes, self.seed = every, steps, episodes, seed
        self._by_episodes, self._by_steps = Cadence(every), Cadence(steps)
        self._due: set[int] = set()
        self._saved: dict[int, Mapping[str, Any]] = {}

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return where a seed was looked at last, and whether its round is still to come."""
        return dict(self._saved.get(seed, {}))

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`seed_state_dict` returned; anything else is a ``SettingError``."""
        match dict(state):
            case {"episode": int(), "step": int(), "due": bool()}:
                self._saved[seed] = dict(state)
            case _:
                raise SettingError("evaluate: expected counts 'episode' and 'step', and 'due', found another state")

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Choose the episodes of all evaluations."""
        self._saved, self._due = {}, set()
        trainer.choose_evaluation(episodes=self.episodes, seed=self.seed)

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin where every seed stands; a round that a signal came into is made now."""
        for k, seed in enumerate(agent.seeds):
            state = self._saved.get(seed, {"episode": 0, "step": 0, "due": False})
            self._by_episodes.start(k, state["episode"])
            self._by_steps.start(k, state["step"])
            if state["due"]:
                self._due.add(k)
        self._evaluate(trainer, agent)

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Note whose turn has come."""
        k, lane = episode.seed_index, trainer.progress[episode.seed_index]
        if any((self._by_episodes.is_due(k, lane.episode), self._by_steps.is_due(k, lane.step))) and not lane.is_lost:
            self._due.add(k)
        self._save(agent, k, lane)

    def on_train_epoch_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Evaluate those, together, unless they have just been."""
        self._evaluate(trainer, agent)

    def _evaluate(self, trainer: TrainerView, agent: AgentView) -> None:
        if not self._due or trainer.status != "running":
            return
        due, self._due = sorted(self._due), set()
        lanes = [trainer.progress[k] for k in due]
        for lane in lanes:
            self._save(agent, lane.seed_index, lane)
        new = [lane.seed_index for lane in lanes if lane.evaluation is None or lane.evaluation.step != lane.step]
        if new and not trainer.evaluate(new):  # a signal came in between
            self._due.update(new)
            for lane in lanes:
                self._save(agent, lane.seed_index, lane)

    def _save(self, agent: AgentView, seed_index: int, lane: Progress) -> None:
        """Keep what a checkpoint says of a seed."""
        state = {"episode": lane.episode, "step": lane.step, "due": seed_index in self._due}
        self._saved[agent.seeds[seed_index]] = state
