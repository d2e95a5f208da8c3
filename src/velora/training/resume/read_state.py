"""Read the saved state of a run out of a checkpoint: all of it is checked before any of it is taken over."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec
from velora.training.resume.fits import check_fits
from velora.training.resume.state_schema import RunState


class _Tensors(dict[str, Tensor]):
    """Tensors of a file, and which of them nothing has asked for."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.unused = dict.fromkeys(tensors)

    def __getitem__(self, name: str) -> Tensor:
        self.unused.pop(name, None)
        return super().__getitem__(name)


def read_state(checkpoint: Checkpoint, agent: TrainableAgent, seed_index: int) -> RunState:
    """Read the state of one seed of a run, and compare it with its agent.

    Raises:
        MissingCheckpointError: if the file is gone.
        CheckpointError: if there is no state, or one that is damaged, impossible or another agent's.
    """
    tensors = _Tensors(checkpoint.read("train_state"))
    try:
        state = RunState.read(_unpack(checkpoint.metadata.train_state, tensors))
        check_fits(state, agent, checkpoint.metadata, seed_index)
    except CheckpointError as error:
        where = str(error).removeprefix("train_state: ")
        raise CheckpointError(f"{checkpoint.path}: train_state: {where}; resume from another checkpoint") from error
    circumstances = {"velora": checkpoint.metadata.velora_version, **state.circumstances}
    return state.model_copy(update={"lineage": checkpoint.metadata.lineage, "circumstances": circumstances})


def _unpack(packed: Any, tensors: _Tensors) -> Any:
    """Put JSON and tensors together, every tensor at least once."""
    try:
        tree = codec.unpack(packed, tensors)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"can't be put together ({type(error).__name__}: {error})") from error
    if tensors.unused:
        raise CheckpointError(f"nothing refers to the tensor {next(iter(tensors.unused))!a}")
    return tree
