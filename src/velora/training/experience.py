"""Experience as the loop knows it: where transitions go, and the updates that are made from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from velora.buffers import Buffer
from velora.core.types import Metrics
from velora.training.resume import form

if TYPE_CHECKING:
    from velora.envs import Environments  # Gymnasium, which loading an agent needs not

Count: TypeAlias = Callable[[tuple[int, ...], Metrics], None]
"""Called once for every update that was made, with the positions of the seeds that learned and what it reports."""


class Experience(ABC):
    """A part of an agent: what it learns from, and when.

    At every step the loop calls :meth:`warming_up`, :meth:`due`, :meth:`begin`, :meth:`finish` and :meth:`store`, in
    this order; the environments step between begin and finish. ``rows`` are positions on the seed axis.
    """

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E)."""
        return 1

    @property
    @abstractmethod
    def buffer(self) -> Buffer:
        """Where transitions go, allocated when it is first needed."""

    @abstractmethod
    def check_memory(self) -> None:
        """Refuse more seeds than memory holds, before networks are made for them.

        Raises:
            SettingError: if there are too many.
        """

    @abstractmethod
    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that can never be filled.

        Raises:
            SettingError: if it can't.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Build what only training needs; called when training begins."""

    def meet(self, envs: Environments) -> None:  # noqa: B027 - nothing to look at
        """Get to know the environments of a run, before the first step; here nothing is taken from them directly."""

    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose, of these seeds, those whose next action is drawn at random; here none."""
        return ()

    @abstractmethod
    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose, of these seeds, those that learn during this step."""

    @abstractmethod
    def begin(self, batch_size: int, rows: tuple[int, ...]) -> int:
        """Begin to learn with these seeds, from what is stored now; return how many updates that will be.

        :meth:`finish` has to follow. Until then nothing may be acted, stored or saved.
        """

    @abstractmethod
    def finish(self, update: int, count: Count) -> Metrics:
        """Finish what was begun, with the hooks around every update; return detached metrics of shape (S,).

        Args:
            update: updates of this run before.
            count: called after each update, before ``on_train_batch_end`` fires.
        """

    @property
    def faults(self) -> Mapping[int, str]:
        """Faults of updates since :meth:`prepare`: what wasn't finite in which position on the seed axis; here none.

        It is one object, which is kept up to date. Weights and optimizers of such a seed are those from before the step
        that would have been made.
        """
        return {}

    @abstractmethod
    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the buffer's ``incoming`` transition of these seeds."""

    def begun(self, seed_index: int) -> dict[str, Tensor]:
        """Return the transition that a seed's step has begun with: all that :meth:`store` needs but the answers.

        A step that failed before its environments had answered is gone on with from it; see :meth:`begin_again`.

        Shapes:
            row: as :meth:`velora.buffers.Buffer.saved_rows` says of E transitions. Further ones: (1, ..., ...).
        """
        return {"row": self.buffer.begun(seed_index)}

    def begin_again(self, begun: Mapping[str, Tensor], seed_index: int) -> None:
        """Take over what :meth:`begun` returned."""
        self.buffer.begin_again(begun["row"], seed_index)

    def find_begun_fault(
        self, begun: Mapping[str, Tensor], state: Mapping[str, Any], seed_index: int = 0
    ) -> str | None:
        """Return why the transition of :meth:`begun` can't be taken over, in one line, or ``None`` if it can.

        Args:
            begun: as it was saved.
            state: as :meth:`find_state_fault` has found it to be one.
            seed_index: whose they are.
        """
        return form.difference(self.begun(seed_index), begun, "begun")

    def carry_on(self, metrics: Metrics) -> None:  # noqa: B027 - nothing to remember
        """Take over what the newest updates before a resume reported; what the next ones don't report stays so.

        Shapes:
            metrics: each (S,).
        """

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return what an exact resume of one seed needs besides the buffer, as JSON and tensors; here nothing."""
        return {}

    def find_state_fault(self, state: Mapping[str, Any], seed_index: int = 0) -> str | None:
        """Return why a saved state can't be taken over, in one line, or ``None`` if it can.

        It is asked before a resume changes anything, and before :meth:`prepare`. Here a state has to have the form of
        :meth:`state_dict` as it is now: the same members, and tensors of the same shape and type. Override it where the
        form changes with training.
        """
        return form.difference(self.state_dict(seed_index), state, "experience")

    def find_resume_fault(self, state: Mapping[str, Any]) -> str | None:
        """Return why a run can't go on from a saved state that is whole, in one line, or ``None`` if it can.

        It is asked by a resume alone; here every state will do.
        """
        return None

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:  # noqa: B027 - nothing to load
        """Take that over.

        Raises:
            KeyError, TypeError, ValueError: if the state isn't one of this experience.
        """
