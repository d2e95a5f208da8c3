"""The state of a callback comes back as it was, or is refused before the first step, with its place."""

from __future__ import annotations

import datetime as dt
import enum
import json
import logging
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from torch import nn

from tests.shared import QUIET
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import json_text
from velora.core.errors import CheckpointError
from velora.models import LiquidDDPG
from velora.training.resume.codec import check, pack, unpack


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 0


Point = namedtuple("Point", "x y")

VALUES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "text": "é \n ☃",
    "int": -(2**100),
    "float": -0.0,
    "infinite": -np.inf,
    "complex": 1 - 2j,
    "bytes": b"\0\xff",
    "list": [1, [2.5, None], []],
    "tuple": (1, ("a",), ()),
    "integer keys": {0: "a", 7: {"b": 1}},
    "mixed keys": {1: "a", "1": "b", None: 2, (3, "x"): 4.0, 1.5: 5, b"k": 6},
    "true and one": {True: "a", 2: "b"},
    "odd text keys": {"__tensor__": "x", "a.b/c": 1, "": 2, "ü": 3},
    "set": {3, 1, "a", (1, 2)},
    "frozenset": frozenset({1.5}),
    "empty set": set(),
    "deque": deque([1.0, 2.0], maxlen=5),
    "endless deque": deque(["a"]),
    "ordered": OrderedDict([("b", 1), ("a", 2)]),
    "date": dt.date(2026, 11, 29),
    "time": dt.time(4, 5, 6, 789),
    "span": dt.timedelta(-1, 3, 5),
    "datetime": dt.datetime(2026, 11, 29, 4, 5, 6, 7),
    "in UTC": dt.datetime(2026, 11, 29, tzinfo=dt.UTC),
    "offset": dt.datetime(2026, 11, 29, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "float32": np.float32(0.1),
    "float64": np.float64(0.1),
    "int64": np.int64(2**62),
    "uint8": np.uint8(200),
    "numpy bool": np.bool_(True),
    "numpy nan": np.float32("nan"),
    "numpy date": np.datetime64("2026-11-29T04:05"),
    "numpy complex": np.complex64(1 + 2j),
    "half": np.float16(0.5),
    "many floats": [float(k) / 7 for k in range(1_000)] + [float("inf")],
    "many ints": list(range(-500, 500)),
    "many huge ints": [2**70 + k for k in range(300)],
    "many mixed": [1, 2.0] * 200,
    "many in a tuple": (0.5,) * 400,
    "many in a deque": deque([0.25] * 400, maxlen=400),
    "many bools": [True, False] * 200,
}
ARRAYS: dict[str, Any] = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "column order": np.asfortranarray(np.eye(3)[:2]),
    "strided": np.arange(10)[::3],
    "number": np.array(3.0),
    "empty": np.zeros((0, 4)),
    "bool": np.array([True, False]),
    "uint16": np.arange(3, dtype=np.uint16),
    "uint64": np.array([2**63], np.uint64),
    "big endian": np.arange(3, dtype=">i4"),
    "complex": np.array([1 + 2j]),
    "dates": np.array(["2026-11-29", "NaT"], "M8[D]"),
    "spans": np.array([1, 2], "m8[s]"),
    "empty uint32": np.zeros((0, 2), np.uint32),
    "half": np.ones(2, np.float16),
    "uint32 number": np.array(7, np.uint32),
}


def through_a_file(value: Any) -> Any:
    """Pack, write as JSON and read that, and unpack."""
    tensors: dict[str, torch.Tensor] = {}
    check(value, "state")
    text = json_text.render({"state": pack(value, tensors)}, "here")
    return unpack(json_text.parse(text, "here")["state"], tensors)


def same(a: Any, b: Any) -> bool:
    """Compare with types, all the way down; NaN is itself."""
    if type(a) is not type(b) or getattr(a, "maxlen", None) != getattr(b, "maxlen", None):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, m) and same(v, w) for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b) if not isinstance(a, set | frozenset) else a == b


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was(name: str) -> None:
    value = {"inside": [VALUES[name], (VALUES[name],)]}
    assert same(through_a_file(value), value), through_a_file(value)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_an_array(name: str) -> None:
    array, back = ARRAYS[name], through_a_file({"a": ARRAYS[name]})["a"]
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array, equal_nan=array.dtype.kind in "fcM")
    assert back.flags.writeable


def test_a_tensor_comes_back_as_a_tensor() -> None:
    net = nn.Linear(2, 3)
    back = through_a_file({"weights": net.state_dict(), "steps": torch.tensor(3), "p": net.weight})
    assert type(back["weights"]) is OrderedDict
    assert torch.equal(back["weights"]["weight"], net.weight)
    assert back["steps"].shape == ()
    assert not back["p"].requires_grad
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(through_a_file(optimizer.state_dict()))  # whose keys are whole numbers


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


REFUSED: dict[str, tuple[Any, str]] = {
    "enum": (Colour.RED, "a Colour can't be saved; save its value"),
    "int enum": (Level.LOW, "a Level can't be saved; save its value"),
    "named tuple": (Point(1, 2), r"a Point can't be saved; save it as tuple\(\.\.\.\)"),
    "counter": (Counter("ab"), r"save it as dict\(\.\.\.\)"),
    "defaultdict": (defaultdict(list), r"save it as dict"),
    "path": (Path("here"), "can't be saved"),
    "function": (len, "can't be saved"),
    "object": (object(), "can't be saved"),
    "objects": (np.array([None]), "an array of object can't be saved"),
    "texts": (np.array(["a"]), "can't be saved"),
    "numpy text": (np.str_("a"), "a str_ can't be saved"),
    "masked": (np.ma.masked_array([1.0], [True]), "can't be saved"),
    "fields": (np.zeros(1, [("a", "f4")]), "can't be saved"),
    "sparse": (torch.eye(2).to_sparse(), "can't be saved"),
    "time zone": (dt.datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Paris")), "time zone isn't a fixed offset"),
    "huge": (2**128, "below 2\\*\\*128"),
    "circle": (circle(), "levels of nesting"),
    "surrogate": ("\ud800", "surrogate"),
    "generator": (np.random.default_rng(0), "can't be saved"),
    "large": ([{"k": 1}] * 50_000, "bytes of JSON"),
    "complex tensor": (torch.zeros(1, dtype=torch.complex64), "can't be saved"),
    "bytearray": (bytearray(1), "can't be saved"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_come_back_otherwise_is_refused_with_its_place(name: str) -> None:
    value, why = REFUSED[name]
    with pytest.raises(CheckpointError, match=why) as caught:
        check({"best": {"it": value}}, "callbacks.Mine")
    assert str(caught.value).startswith("callbacks.Mine")
    assert "\n" not in str(caught.value)


FORGED: dict[str, Any] = {
    "unknown tag": {"__import__": "os"},
    "two members": {"__float__": "nan", "b": 1},
    "no number": {"__float__": "1e400"},
    "no list": {"__tuple__": 3},
    "no name": {"__tensor__": ["a"]},
    "missing": {"__array__": "nowhere"},
    "no hex": {"__bytes__": "zz"},
    "a date": {"__date__": "2026-13-01"},
    "a date of numbers": {"__datetime__": 3},
    "unhashable": {"__set__": [[1]]},
    "a key twice": {"__dict__": [[1, 2], [1, 3]]},
    "no pair": {"__dict__": [[1]]},
    "negative length": {"__deque__": [-1, []]},
    "huge span": {"__timedelta__": [10**30, 0, 0]},
    "object dtype": {"__scalar__": ["|O", "00"]},
    "short scalar": {"__scalar__": ["<f8", "00"]},
    "two scalars": {"__scalar__": ["<f4", "00" * 8]},
    "text dtype": {"__array__": ["raw", "object", [1]]},
    "short array": {"__array__": ["raw", "<u4", [2]]},
    "negative shape": {"__array__": ["raw", "<u4", [-1]]},
    "no bytes": {"__array__": ["numbers", "<u4", [1]]},
    "no vector": {"__numbers__": "matrix"},
    "complex of text": {"__complex__": ["1", 2.0]},
    "no unit": {"__array__": ["raw", "<M8[xx]", [0]]},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_state_is_one_line(name: str) -> None:
    tensors = {"raw": torch.zeros(4, dtype=torch.uint8), "numbers": torch.zeros(4), "matrix": torch.zeros(2, 2)}
    with pytest.raises(CheckpointError) as caught:
        unpack({"callbacks": [FORGED[name]]}, tensors)
    assert "\n" not in str(caught.value)
    json.dumps(FORGED[name])


def test_names_of_tensors_are_valid_and_differ() -> None:
    tensors: dict[str, torch.Tensor] = {}
    value = {"é" * 300: np.ones(1), "e" * 300: np.ones(2), "a b": np.ones(3), "a_b": np.ones(4), ("a", 1): np.ones(5)}
    back = unpack(pack(value, tensors), tensors)
    assert [len(back[key]) for key in value] == [1, 2, 3, 4, 5]
    check(value, "callbacks.Mine[é]")


# ---- in a run


class Keeping(Callback):
    """Keep a value from one moment on."""

    def __init__(self, value: Any, *, begins: str = "on_train_start") -> None:
        self.value, self.kept, self.begins = value, None, begins

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        if self.begins == "on_train_start" and self.kept is None:
            self.kept = self.value

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        self.kept = self.value

    def state_dict(self) -> dict[str, Any]:
        return {} if self.kept is None else {"kept": {"it": self.kept}}

    def load_state_dict(self, state: Any) -> None:
        self.kept = state["kept"]["it"]


def run(home: Path, callback: Callback, *, n_episodes: int = 1, **more: Any) -> LiquidDDPG:
    agent = LiquidDDPG(3, 5, 1, device="cpu", seed=0, buffer_size=400)
    callbacks = [SaveCheckpoints(home, frequency=1), callback]
    agent.train("Pendulum-v1", 4, n_episodes=n_episodes, callbacks=callbacks, **QUIET, **more)
    return agent


def test_state_survives_a_resume_as_it_was(tmp_path: Path) -> None:
    value = {3: np.arange(3), "when": dt.datetime(2026, 11, 29), "seen": {1, 2}, "last": np.float32(0.1), "p": (1, 2)}
    run(tmp_path / "a", Keeping(value))
    resumed: Any = Keeping(None)
    resumed.on_episode_end = lambda *_: None
    run(tmp_path / "a", resumed, n_episodes=2, resume=tmp_path / "a")
    assert type(resumed.kept[3]) is np.ndarray
    assert type(resumed.kept["last"]) is np.float32
    assert same({k: v for k, v in resumed.kept.items() if k != 3}, {k: v for k, v in value.items() if k != 3})


def test_state_that_cannot_be_saved_is_refused_before_the_first_step(tmp_path: Path) -> None:
    line = r"^callbacks\.Keeping\.kept\.it\.1: a Colour can't be saved; save its value[^\n]*$"
    with pytest.raises(CheckpointError, match=line):
        run(tmp_path / "a", Keeping([1, Colour.RED]))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]


def test_state_that_becomes_unsavable_later_is_left_out_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on, and so does a resume, which says what it lacks."""
    home = tmp_path / "a"
    with caplog.at_level(logging.ERROR):
        run(home, Keeping(Colour.RED, begins="later"), n_episodes=2)
    assert "callbacks.Keeping.kept.it: a Colour can't be saved" in caplog.text
    assert {"ep1", "ep2", "final"} <= {path.name for path in home.iterdir()}
    caplog.clear()
    resumed = Keeping("text", begins="later")
    run(home, resumed, n_episodes=3, resume=home)
    assert "the state of 'Keeping' begins anew, since it couldn't be saved: callbacks.Keeping.kept.it" in caplog.text
    assert resumed.kept == "text"
