"""Choose the device to compute on."""

from __future__ import annotations

import torch

from velora.core.errors import SettingError
from velora.core.names import did_you_mean


def set_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device that was asked for, or the GPU if there is one, else the CPU.

    Args:
        device: ``None`` or ``"auto"`` to choose, or a torch device such as ``"cpu"`` or ``"cuda:1"``.

    Raises:
        SettingError: if the device is unknown or absent on this machine.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        hint = did_you_mean(str(device), ("auto", "cpu", "cuda"), "use 'cpu' or 'auto'", written=repr)
        raise SettingError(
            f"device: expected one such as 'auto', 'cpu', 'cuda' or 'cuda:1', got {device!r}; {hint}"
        ) from error
    try:
        torch.empty(0, dtype=torch.uint8, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise SettingError(f"device: {device!s} can't be used here ({reason}); use 'cpu' or 'auto'") from error
    return chosen


def available_bytes(device: torch.device) -> int | None:
    """Return how much memory a CUDA device has free; ``None`` for others, which don't tell."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
