"""Pack the state of a run into JSON and tensors, and take it out again."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velora.core.errors import CheckpointError

TENSOR, FLOAT, TUPLE = "__tensor__", "__float__", "__tuple__"


def pack(tree: Any, tensors: dict[str, Tensor], path: str = "state") -> Any:
    """Turn nested dicts and lists into JSON; arrays and tensors go to ``tensors`` under their path.

    Infinity and NaN, which strict JSON can't hold, become text; tuples keep their type.

    Raises:
        CheckpointError: if something is neither; the message names its path.
    """
    match tree:
        case None | bool() | str():
            return tree
        case int() | np.integer():
            return int(tree)
        case float() | np.floating():
            number = float(tree)
            return number if math.isfinite(number) else {FLOAT: repr(number)}
        case Tensor() | np.ndarray():
            name = path if path not in tensors else f"{path}.{len(tensors)}"
            value = tree.detach().cpu() if isinstance(tree, Tensor) else torch.from_numpy(np.ascontiguousarray(tree))
            tensors[name] = value.clone()
            return {TENSOR: name}
        case Mapping():
            return {str(key): pack(value, tensors, f"{path}.{_plain(key)}") for key, value in tree.items()}
        case tuple():
            return {TUPLE: [pack(value, tensors, f"{path}.{i}") for i, value in enumerate(tree)]}
        case list():
            return [pack(value, tensors, f"{path}.{i}") for i, value in enumerate(tree)]
        case _:
            raise CheckpointError(
                f"{path}: a {type(tree).__name__} can't be saved; a state_dict may hold numbers, text, lists, dicts, "
                "NumPy arrays and tensors"
            )


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo :func:`pack`; arrays come back as tensors.

    Raises:
        CheckpointError: if a tensor that the tree names is missing, or a mark of ours holds something else.
    """
    if isinstance(tree, list):
        return [unpack(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {TENSOR}:
        if not isinstance(name := tree[TENSOR], str) or name not in tensors:
            raise CheckpointError(f"train_state: the tensor {name!a:.80} is missing")
        return tensors[name]
    if tree.keys() == {FLOAT}:
        if (text := tree[FLOAT]) not in ("nan", "inf", "-inf"):
            raise CheckpointError(f"train_state: {FLOAT}: expected nan, inf or -inf, found {text!a:.80}")
        return float(text)
    if tree.keys() == {TUPLE}:
        if not isinstance(values := tree[TUPLE], list):
            raise CheckpointError(f"train_state: {TUPLE}: expected a list, found {values!a:.80}")
        return tuple(unpack(value, tensors) for value in values)
    return {key: unpack(value, tensors) for key, value in tree.items()}


def _plain(key: Any) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in str(key))


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
