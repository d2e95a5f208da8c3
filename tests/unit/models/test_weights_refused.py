"""What PyTorch's means do to a network and Velora can't compute with is refused, in one line, before it is used."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from tests.unit.models.weights import OBS, actor, answer, make, rewire, train
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.models import LiquidSAC
from velora.models.copying import state_of


def half(net: nn.Module) -> None:
    net.half()


def double(net: nn.Module) -> None:
    net.double()


def double_data(net: nn.Module) -> None:
    for p in net.parameters():
        p.data = p.data.double()


def reshape(net: nn.Module) -> None:
    p = next(net.parameters())
    p.data = p.data.new_zeros(1, 2, 2)


def prune_one(net: nn.Module) -> None:
    prune.l1_unstructured(net.cell.layers[0].heads, "weight", amount=0.5)  # type: ignore[union-attr,index]


def parametrize_one(net: nn.Module) -> None:
    parametrize.register_parametrization(net.cell.layers[0].heads, "weight", nn.Identity())  # type: ignore[union-attr,index]


def normalise_one(net: nn.Module) -> None:
    torch.nn.utils.parametrizations.weight_norm(net.cell.layers[0].heads, "weight")  # type: ignore[union-attr,index]


def replace_part(net: nn.Module) -> None:
    net.cell.layers[0] = copy.deepcopy(net.cell.layers[0])  # type: ignore[union-attr,index,operator]


def add_part(net: nn.Module) -> None:
    net.extra = nn.Linear(2, 2)


def drop_parameter(net: nn.Module) -> None:
    net.cell.layers[0].heads.bias = None  # type: ignore[union-attr,index]


def add_parameter(net: nn.Module) -> None:
    net.cell.extra = nn.Parameter(torch.zeros(1, 1))  # type: ignore[union-attr]


def drop_mask(net: nn.Module) -> None:
    net.cell.layers[0].heads.mask = None  # type: ignore[union-attr,index]


def hook(net: nn.Module) -> None:
    net.cell.register_forward_hook(lambda module, inputs, out: out * 0.0)  # type: ignore[union-attr]


def hook_before(net: nn.Module) -> None:
    net.register_forward_pre_hook(lambda module, inputs: None)


def to_meta(net: nn.Module) -> None:
    net.to("meta")


REFUSED: dict[Callable[[nn.Module], None], str] = {
    half: "expected float32 .* got float16", double: "expected float32 .* got float64",
    double_data: "expected float32 .* got float64", reshape: "got float32 .1, 2, 2. on cpu",
    prune_one: r"weight\w*' is (new|gone), as by pruning.*prune\.remove", parametrize_one: "remove_parametrizations",
    normalise_one: "remove_parametrizations", replace_part: "a part was added, replaced or taken away",
    add_part: "actor: a part was added|actor.extra: a part was added", drop_parameter: "was added or taken away",
    add_parameter: "'extra' is new", drop_mask: "buffer was added or taken away", hook: "actor.cell: has a hook",
    hook_before: "actor: has a hook", to_meta: "on meta",
}  # fmt: skip


@pytest.mark.parametrize("use", ["predict", "act", "save", "train", "copy", "load into"])
@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
@pytest.mark.some(30)
def test_what_cannot_hold_is_refused_in_one_line(change: Callable[[nn.Module], None], use: str, tmp_path: Path) -> None:
    agent = make()
    answer(agent)
    agent.save(tmp_path / "good")
    change(actor(agent))
    uses: dict[str, Callable[[], object]] = {
        "predict": lambda: agent.predict(OBS),
        "act": lambda: agent.act(torch.zeros(1, 1, 3), torch.zeros(1, 1, agent.state_size), torch.ones(1, 1)),
        "save": lambda: agent.save(tmp_path / "a"),
        "train": lambda: train(agent),
        "copy": lambda: state_of(agent),
        "load into": lambda: agent.seed(0),
    }
    for _ in range(2):  # it stays refused
        with pytest.raises(SettingError, match=REFUSED[change]) as caught:
            uses[use]()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("actor")
    assert not (tmp_path / "a").exists()


def test_what_was_put_back_is_taken_again() -> None:
    agent = make()
    before = answer(agent)
    handle = actor(agent).register_forward_hook(lambda *_: None)
    with pytest.raises(SettingError, match=r"handle\.remove"):
        answer(agent)
    handle.remove()
    actor(agent).double().float()
    assert answer(agent) == before


def test_a_hook_on_a_gradient_is_refused_when_training_begins() -> None:
    agent = LiquidSAC(3, 8, 1, device="cpu", seed=0, warmup_steps=20)
    next(agent.networks["critic_1"].parameters()).register_hook(lambda gradient: gradient * 0.0)
    with pytest.raises(SettingError, match=r"^critic_1\..*has a hook on its gradient[^\n]*on_after_backward[^\n]*$"):
        train(agent)


def test_a_network_cannot_be_replaced() -> None:
    agent = make()
    with pytest.raises(SettingError, match=r"networks.'actor'.: can't be replaced"):
        agent.networks["actor"] = copy.deepcopy(actor(agent))
    with pytest.raises(SettingError, match=r"networks.'critic'.: can't be replaced"):
        del agent.networks["critic"]
    with pytest.raises(AttributeError):
        agent.networks = {}  # type: ignore[misc]


def test_a_wiring_cannot_change_while_a_run_goes_on() -> None:
    class Rewire(Callback):
        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            rewire(actor(agent))

    with pytest.raises(SettingError, match=r"^train: a network got another wiring"):
        train(make(), callbacks=[Rewire()])
