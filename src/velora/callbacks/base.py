"""The hooks: what a callback may do, and when each of its methods fires."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velora.core.names import did_you_mean
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode, Evaluation, Metrics, Transition, WindowStats

if TYPE_CHECKING:
    import torch

HOOKS: tuple[str, ...] = (
    "setup",
    "on_load_checkpoint",
    "on_fit_start",
    "on_train_start",
    "on_episode_start",
    "on_train_epoch_start",
    "on_env_step",
    "on_warmup_end",
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_episode_end",
    "on_window_end",
    "on_evaluation_start",
    "on_validation_start",
    "on_validation_end",
    "on_evaluation_end",
    "on_train_epoch_end",
    "on_step_end",
    "on_save_checkpoint",
    "on_checkpoint_saved",
    "on_train_end",
    "on_fit_end",
    "teardown",
    "on_exception",
)
"""Every hook's name, in the order in which a run first reaches it; the trainer's hook table is made from it."""


class Callback:
    """React to what happens in a training run. Subclass it and write only the hooks you need.

    Every hook gets the trainer and the agent first. The names are Lightning's: one *epoch* is one episode, one
    *batch* is one gradient update, *validation* is evaluation. A hook that no callback overrides costs nothing.
    With several seeds in one run, the hooks of an episode and of an evaluation fire once per seed, and their last
    argument carries the ``seed_index``. An error raised in a hook ends the run and keeps its traceback.

    Example:
        >>> class Celebrate(Callback):
        ...     def on_episode_end(self, trainer, agent, episode):
        ...         if episode.reward > 900:
        ...             trainer.stop(f"episode {episode.number} returned {episode.reward:.0f}")
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a misspelt hook, or one with the wrong arguments, when the class is made.

        Raises:
            TypeError: naming the nearest hook, or the arguments that the hook gets.
        """
        super().__init_subclass__(**kwargs)
        for name, method in vars(cls).items():
            if name in HOOKS:
                _check_arguments(cls, name, method)
            elif name.startswith("on_") and callable(method):
                hint = did_you_mean(name, HOOKS, "velora.callbacks.HOOKS lists them", written=repr)
                raise TypeError(
                    f"{cls.__name__}.{name} is not a hook and would never be called; {hint} "
                    f"(start the name of a method of your own with something other than 'on_')"
                )

    @property
    def state_key(self) -> str:
        """The name under which a checkpoint keeps this callback's state; two callbacks of a run must differ in it."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs, as plain JSON values. Read at every save; empty means nothing to keep.

        With several seeds this is for what belongs to none of them; on a resume it comes from the seed that stands
        furthest.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned. Called on resume, after ``setup`` and before ``on_fit_start``."""

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return what an exact resume needs of one seed; saved in that seed's checkpoints, and only there.

        After a kill the seeds of a run go on from different steps, so what is kept for one must not depend on another.

        Args:
            seed: the run seed, one of ``agent.seeds``.
        """
        return {}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`seed_state_dict` returned. Called once for each seed, after :meth:`load_state_dict`."""

    # ---- the run -------------------------------------------------------------------------------------------------

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Fire first of all: claim resources and refuse bad settings here. Callbacks aren't restored yet.

        Args:
            stage: ``"fit"``.
        """

    def on_fit_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire once after ``setup``, and on resume after the state of run, agent and callbacks was restored."""

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire once, right before the first episode starts (or, on resume, goes on)."""

    def on_train_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire once after the last episode; ``trainer.status`` says how it ended: finished, stopped or interrupted."""

    def on_fit_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire once after every callback's ``on_train_end``."""

    def teardown(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Fire last of all, unless the run crashed: release resources (release them in ``on_exception`` too).

        Args:
            stage: ``"fit"``.
        """

    def on_exception(self, trainer: TrainerView, agent: AgentView, exception: BaseException) -> None:
        """Fire when the run ends by an error, which goes on afterwards; only saving a last checkpoint may fire more."""

    # ---- an episode ----------------------------------------------------------------------------------------------

    def on_episode_start(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Fire after an environment was reset, before the first action."""

    def on_train_epoch_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire right after ``on_episode_start`` (Lightning's name; it doesn't carry the episode)."""

    def on_env_step(self, trainer: TrainerView, agent: AgentView, transition: Transition) -> None:
        """Fire after every environment step, for all seeds at once, when its transition is stored.

        The update that was made during the step is over then, since the agent learns while the environments step.

        It is the one hook with a price: the transition object is made only because a callback asked for it.
        """

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Fire when an episode terminated or was truncated; its row is in the metrics and its return in the window."""

    def on_window_end(self, trainer: TrainerView, agent: AgentView, window: WindowStats) -> None:
        """Fire after ``on_episode_end`` of every ``window_size``-th episode of a seed."""

    def on_train_epoch_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire when everything else that belongs to the end of an episode is over (Lightning's name)."""

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire after every environment step, when the episodes that end with it are closed.

        It carries nothing, unlike ``on_env_step``, and so costs a call and no more. The run is whole: a save is made at
        once.
        """

    # ---- a gradient update ---------------------------------------------------------------------------------------

    def on_warmup_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire once, before the step in which the first gradient update is made: no weight has changed yet."""

    def on_train_batch_start(self, trainer: TrainerView, agent: AgentView, batch: Any, batch_idx: int) -> None:
        """Fire before a gradient update, when the environments have taken the step that it is made during.

        Args:
            batch: what the replay buffer gave, or a whole rollout; its tensors have the shape (S, B, T, feature).
            batch_idx: gradient updates made before this one.
        """

    def on_train_batch_end(
        self, trainer: TrainerView, agent: AgentView, outputs: Metrics, batch: Any, batch_idx: int
    ) -> None:
        """Fire after a gradient update; ``trainer.update`` counts it, and ``trainer.losses()`` are its metrics.

        Args:
            outputs: name (``actor/loss``) to a detached tensor of shape (S,). Reading a number out of it waits for
                the device, so do that now and then, not each time.
            batch: as in ``on_train_batch_start``.
            batch_idx: as in ``on_train_batch_start``.
        """

    def on_before_zero_grad(self, trainer: TrainerView, agent: AgentView, optimizer: torch.optim.Optimizer) -> None:
        """Fire before an optimizer's gradients are cleared."""

    def on_before_backward(self, trainer: TrainerView, agent: AgentView, loss: torch.Tensor) -> None:
        """Fire before the backward pass of a loss (a scalar: the sum over seeds)."""

    def on_after_backward(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire after a backward pass, before gradients are clipped: the place to look at them."""

    def on_before_optimizer_step(
        self, trainer: TrainerView, agent: AgentView, optimizer: torch.optim.Optimizer
    ) -> None:
        """Fire right before an optimizer changes the weights."""

    # ---- evaluation ----------------------------------------------------------------------------------------------

    def on_evaluation_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire before a round of evaluation episodes (every ``evaluate_every`` episodes)."""

    def on_validation_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire right after ``on_evaluation_start`` (Lightning's name)."""

    def on_validation_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Fire right before ``on_evaluation_end`` (Lightning's name)."""

    def on_evaluation_end(self, trainer: TrainerView, agent: AgentView, evaluation: Evaluation) -> None:
        """Fire after a round of evaluation episodes, once per seed; its row is in the metrics."""

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: TrainerView, agent: AgentView, checkpoint: dict[str, Any]) -> None:
        """Fire while a checkpoint of one seed is put together, before it is written: add JSON values of your own."""

    def on_load_checkpoint(self, trainer: TrainerView, agent: AgentView, checkpoint: dict[str, Any]) -> None:
        """Fire on resume, after ``setup``, with what ``on_save_checkpoint`` left: once for each seed."""

    def on_checkpoint_saved(self, trainer: TrainerView, agent: AgentView, path: Path) -> None:
        """Fire after a checkpoint was written completely; with ``wait=False`` at the end of a later step."""


def _check_arguments(cls: type, name: str, method: Any) -> None:
    """Raise TypeError if ``method`` can't be called the way the trainer calls the hook ``name``."""
    if not inspect.isfunction(method):
        return
    expected = list(inspect.signature(getattr(Callback, name)).parameters)
    try:
        inspect.signature(method).bind(*expected)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{name} must take ({', '.join(expected)}): {error}") from None
