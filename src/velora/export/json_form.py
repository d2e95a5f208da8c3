"""The description of a policy as JSON, numbers packed as text: what a program without Python computes it from.

``viewer/src/policy.ts`` reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.envs.actions import ActionBounds
from velora.export.policy import Layer, Policy


def json_form(policy: Policy) -> dict[str, Any]:
    """Return the description as what ``json.dumps`` takes; its names are those of :class:`Policy` and its parts.

    Layers and readouts are named as :class:`velora.kernels.layers.Kind` and :class:`velora.kernels.plan.ReadoutKind`
    name them. The two tensors of linear heads are ``weight`` and ``bias`` in every layer, without columns for a state
    that the layer hasn't got.
    """
    norm, readout = policy.normalisation, policy.readout
    return {
        "n_observations": policy.n_observations,
        "n_state": policy.n_state,
        "layers": [_layer(layer) for layer in policy.layers],
        "readout": {
            "kind": readout.kind.name,
            "state_at": readout.state_at,
            "n_in": readout.n_in,
            "n_out": readout.n_out,
            "weight": None if readout.weight is None else packed(readout.weight),
            "bias": None if readout.bias is None else packed(readout.bias),
            "squash": readout.squash,
        },
        "choice": policy.choice.name,
        "units": _units(policy),
        "normalisation": norm and {"mean": packed(norm.mean), "factor": packed(norm.factor), "most": norm.most},
        "reads_log_dt": policy.reads_log_dt,
        "tells_time": policy.tells_time,
        "reads_dt": policy.reads_dt,
    }


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """Return an array of one or two axes as its shape and the base64 of its float32, little end first."""
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return {"shape": list(values.shape), "base64": base64.b64encode(raw).decode("ascii")}


def _layer(layer: Layer) -> dict[str, Any]:
    kind = layer.kind
    tensors = dict(layer.tensors)
    if kind.value.heads:
        weight, bias = (tensors.pop(name) for name in kind.value.tensors[:2])
        width = layer.n_in + layer.n * kind.has_state
        tensors = {"weight": weight[:, :width], "bias": bias, **tensors}
    return {
        "kind": kind.name,
        "n_in": layer.n_in,
        "n": layer.n,
        "state_at": layer.state_at,
        "unfolds": layer.unfolds,
        "tensors": {name: packed(tensor) for name, tensor in tensors.items()},
    }


def _units(policy: Policy) -> Mapping[str, Any]:
    units = policy.units
    if isinstance(units, ActionBounds):
        return dict(zip(("low", "high", "half"), (array.tolist() for array in units.arrays), strict=True))
    return {"n": units.n, "first": units.first}
