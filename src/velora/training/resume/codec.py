"""Pack the state of a run into JSON and tensors, and take it out again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velora.checkpoint import header, json_text
from velora.core.errors import CheckpointError
from velora.training.resume.reading import Reader
from velora.training.resume.writing import Writer

MOST_BYTES = json_text.MAX_BYTES // 4
"""JSON of one callback's state, so that several fit into a checkpoint."""


def pack(tree: Any, tensors: dict[str, Tensor], path: str = "state") -> Any:
    """Turn a value into JSON, with its arrays and tensors in ``tensors``, so that :func:`unpack` gives it as it was.

    A tagged value is a dict with one key, the tag:

    ======================  ============================================================================================
    ``__tensor__``          name of a tensor
    ``__array__``           name of a tensor that is a NumPy array; of other types ``[name of its bytes, dtype, shape]``
    ``__scalar__``          ``[dtype, bytes in hexadecimal]``, a NumPy scalar
    ``__numbers__``         name of a tensor that is a long list of ints, or of floats
    ``__float__``           ``"nan"``, ``"inf"`` or ``"-inf"``
    ``__complex__``         ``[real, imaginary]``
    ``__bytes__``           hexadecimal
    ``__tuple__``           a list
    ``__deque__``           ``[greatest length or null, a list]``
    ``__set__``             a list, in the order of its JSON; ``__frozenset__`` likewise
    ``__dict__``            ``[[key, value], ...]``, a dict with keys that aren't text, or begin with two underscores
    ``__ordered__``         likewise an ``OrderedDict``
    ``__datetime__``        in ISO 8601; ``__date__`` and ``__time__`` likewise
    ``__timedelta__``       ``[days, seconds, microseconds]``
    ======================  ============================================================================================

    A tensor comes back on the CPU and without its gradient. Nothing that is read names code. A value of any other type
    is refused, subclasses of these too: they would come back as something else.

    Args:
        path: the value's place, for errors and for the names of tensors.

    Raises:
        CheckpointError: if the value, or one inside of it, can't come back as it was; the message names its path.
    """
    return Writer(tensors).write(tree, path)


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo :func:`pack`.

    Raises:
        CheckpointError: if the JSON isn't as it would have been written, or a tensor that it names is missing.
    """
    return Reader(tensors).read(tree)


def check(value: Any, path: str) -> None:
    """Check that a value of a callback can be saved.

    Raises:
        CheckpointError: as :func:`pack`, and if the value is so large that a checkpoint would be too long.
    """
    tensors: dict[str, Tensor] = {}
    document = json_text.plain({"state": pack(value, tensors, path)}, path)
    size = len(json_text.canonical({"": document}))
    if size > MOST_BYTES:
        raise CheckpointError(
            f"{path}: expected at most {MOST_BYTES} bytes of JSON, got {size}; keep large values in NumPy arrays"
        )
    header.plan(tensors, path)


def generator_state(generator: np.random.Generator) -> str:
    """Write a PCG64 generator's state as text (its numbers have 128 bits)."""
    state = generator.bit_generator.state
    inner = state["state"]
    return f"{inner['state']:x}:{inner['inc']:x}:{state['has_uint32']:x}:{state['uinteger']:x}"


def set_generator_state(generator: np.random.Generator, text: str) -> None:
    """Put a PCG64 generator back where :func:`generator_state` saw it.

    Raises:
        CheckpointError: if the text is none of ours.
    """
    try:
        state, inc, has_uint32, uinteger = (int(part, 16) for part in text.split(":"))
        generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"train_state: {text!r} is no generator state") from error


def _cuda_is_used() -> bool:
    """Return whether this process has touched a GPU; asking for generator states would start one."""
    return bool(torch.cuda.is_available() and torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def global_generators() -> dict[str, Any]:
    """Capture the generators that we don't use but a user's environment or callback may."""
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - reading, not drawing
    return {
        "python": {"version": version, "words": torch.from_numpy(np.array(words, np.int64)), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": numpy_state["state"]["pos"],
            "has_gauss": numpy_state["has_gauss"],
            "gauss": numpy_state["gauss"],
        },
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if _cuda_is_used() else [],
    }


def _alone(state: Tensor) -> Tensor:
    """Give a state memory of its own: PyTorch reads from where a tensor's storage begins, whatever part it shows."""
    return state.clone()


def set_global_generators(state: Mapping[str, Any]) -> None:
    """Put the global generators back; the last thing a resume does."""
    try:
        python = state["python"]
        random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
        numpy_state = state["numpy"]
        np.random.set_state(  # noqa: NPY002 - restoring, not drawing
            {
                "bit_generator": "MT19937",
                "state": {"key": numpy_state["key"].numpy().astype(np.uint32), "pos": numpy_state["pos"]},
                "has_gauss": numpy_state["has_gauss"],
                "gauss": numpy_state["gauss"],
            }
        )
        torch.set_rng_state(_alone(state["torch"]))
        if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([_alone(each) for each in state["cuda"]])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"train_state: the saved global generators are unreadable ({error})") from error
