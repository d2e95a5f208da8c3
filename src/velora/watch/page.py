"""The page of ``velora watch``: a recorded episode beside the circuit at work, in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.analysis.page import Markup, page
from velora.core.errors import SettingError
from velora.core.extras import how_to_install
from velora.export.json_form import packed
from velora.export.policy import Policy
from velora.watch.circuit import SENSORY, Circuit
from velora.watch.trace import Trace

MOST_PICTURE_BYTES: Final = 3_400_000
"""What all pictures may take, as base64 a third more: a page stays below 5 MB."""
_SIZES: Final = ((400, 80), (320, 70), (240, 60), (180, 50), (120, 40))
"""Height in pixels and quality of pictures, the next where the one before takes too much."""


def watch_page(trace: Trace, *, command: str = "") -> str:
    """Return the page, which loads nothing from elsewhere.

    Args:
        trace: of one episode; without pictures there is no picture of the task.
        command: that made it, for its foot.

    Raises:
        SettingError: if there are pictures and Pillow is missing.
    """
    origin = trace.policy.origin
    title = f"{origin.agent} on {trace.environment or 'an environment'}"
    lead = (
        f"An episode of {trace.n_steps:,} steps that earned {trace.episode_return:.4g}. "
        f"{said_of(trace.policy, trace.circuit)}."
    )
    body = body_of("viewer", "viewer.css")
    return page(title, [body], lead=lead, foot=command, data=_data(trace, title), script=asset("viewer.js"))


def body_of(name: str, *styles: str) -> Markup:
    """Return the element that a script fills, with its styles."""
    said = "<noscript><p>This page needs JavaScript, which is in it; nothing is loaded.</p></noscript>"
    return Markup(f'<style>\n{"".join(map(asset, styles))}</style>\n<div id="{name}"></div>\n{said}')


def asset(name: str) -> str:
    """Read a file that lies beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def said_of(policy: Policy, circuit: Circuit) -> str:
    """Return a line on the cell, its neurons and synapses."""
    counts = [f"{len(members)} {name}" for name, members in circuit.layers.items()]
    return f"{policy.origin.cell}: {', '.join(counts)}; {circuit.counted}"


def circuit_form(policy: Policy, circuit: Circuit) -> dict[str, Any]:
    """Return what ``Circuit`` of ``viewer/src/data.ts`` is."""
    sensory = [one for one in circuit.neurons if one.layer == SENSORY]
    return {
        "names": {
            "observation": [one.name for one in sensory[: policy.n_observations]],
            "action": [f"action {k + 1}" if policy.n_actions > 1 else "action" for k in range(policy.n_actions)],
        },
        "is_discrete": policy.is_discrete,
        "neurons": [{"name": one.name, "layer": one.layer} for one in circuit.neurons],
        "n_sensory": len(sensory),
        "mixes": circuit.mixes,
        "gate_means": circuit.gate_means,
        "time_means": circuit.time_means,
    }


def synapses_form(circuit: Circuit) -> dict[str, Any]:
    """Return the synapses as columns, packed: ``SynapseName`` of ``viewer/src/data.ts``."""
    columns: dict[str, NDArray[Any]] = {
        name: np.asarray([getattr(one, name) for one in circuit.synapses], np.float32)
        for name in ("source", "target", "a", "b")
    }
    is_ltc = any(one.circuit is not None for one in circuit.synapses)
    own = [one.circuit or (np.nan,) * 4 for one in circuit.synapses] if is_ltc else []
    columns["circuit"] = np.asarray(own, np.float32).reshape(-1, 4)
    return {name: packed(values) for name, values in columns.items()}


def _data(trace: Trace, title: str) -> dict[str, Any]:
    """Return what ``PackedData`` of ``viewer/src/data.ts`` is."""
    pictures, every = encode(trace.pictures)
    return {
        "title": title,
        "return": trace.episode_return,
        "frame_ms": trace.picture_ms,
        **circuit_form(trace.policy, trace.circuit),
        "pictures": pictures,
        "picture_every": every,
        "arrays": {**synapses_form(trace.circuit), **{name: packed(values) for name, values in _arrays(trace).items()}},
    }


def _arrays(trace: Trace) -> dict[str, NDArray[Any]]:
    return {
        "observation": trace.observation,
        "input": trace.network_input,
        "dt": trace.dt,
        "action": trace.action,
        "reward": trace.reward,
        "activity": trace.activity,
        "gate": trace.gate,
        "time_constant": trace.time_constant,
        "output": trace.output,
    }


def encode(pictures: Sequence[NDArray[np.uint8]], *, most_bytes: int = MOST_PICTURE_BYTES) -> tuple[list[str], int]:
    """Return pictures as data URIs, as large as fits, and every how many steps there is one.

    Raises:
        SettingError: if Pillow is missing.
    """
    if not pictures:
        return [], 1
    try:
        from PIL import Image
    except ImportError as error:
        raise SettingError(f"watch: pictures need Pillow, which isn't installed; {how_to_install('video')}") from error
    every, encoded = 1, list[bytes]()
    while True:
        for height, quality in _SIZES:
            encoded = [_webp(Image.fromarray(one), height, quality) for one in pictures[::every]]
            if sum(map(len, encoded)) <= most_bytes:
                return [f"data:image/webp;base64,{base64.b64encode(one).decode('ascii')}" for one in encoded], every
        every *= 2


def _webp(image: Any, height: int, quality: int) -> bytes:
    if image.height > height:
        image = image.resize((max(1, round(image.width * height / image.height)), height))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()
