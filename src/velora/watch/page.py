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
from velora.watch.circuit import SENSORY
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
    counts = [f"{len(members)} {name}" for name, members in trace.circuit.layers.items()]
    lead = (
        f"An episode of {trace.n_steps:,} steps that earned {trace.episode_return:.4g}. {origin.cell}: "
        f"{', '.join(counts)}; {len(trace.circuit.synapses):,} synapses."
    )
    body = f'<style>\n{_asset("viewer.css")}</style>\n<div id="viewer"></div>\n{_WITHOUT_SCRIPT}'
    return page(title, [Markup(body)], lead=lead, foot=command, data=_data(trace, title), script=_asset("viewer.js"))


_WITHOUT_SCRIPT: Final = "<noscript><p>This page needs JavaScript, which is in it; nothing is loaded.</p></noscript>"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _data(trace: Trace, title: str) -> dict[str, Any]:
    """Return what ``viewer/src/data.ts`` reads."""
    circuit, policy = trace.circuit, trace.policy
    pictures, every = encode(trace.pictures)
    sensory = [one for one in circuit.neurons if one.layer == SENSORY]
    return {
        "title": title,
        "return": trace.episode_return,
        "frame_ms": trace.picture_ms,
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
        "pictures": pictures,
        "picture_every": every,
        "arrays": {name: _packed(values) for name, values in _arrays(trace).items()},
    }


def _arrays(trace: Trace) -> dict[str, NDArray[Any]]:
    synapses = trace.circuit.synapses
    is_ltc = any(one.circuit is not None for one in synapses)
    nothing = (np.nan,) * 4
    ways = {
        name: np.asarray([getattr(one, name) for one in synapses], np.float32)
        for name in ("source", "target", "a", "b")
    }
    own = [one.circuit or nothing for one in synapses] if is_ltc else []
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
        "circuit": np.asarray(own, np.float32).reshape(-1, 4),
        **ways,
    }


def _packed(values: NDArray[Any]) -> dict[str, Any]:
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return {"shape": list(values.shape), "base64": base64.b64encode(raw).decode("ascii")}


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
