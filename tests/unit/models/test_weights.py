"""Whatever PyTorch's own means do to weights holds in predict, save, load and training alike, or is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, parametrize, prune, vector_to_parameters

from tests.unit.models.weights import OBS, actor, answer, by_the_book, make, rewire, train
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.models import LiquidDDPG, LiquidPPO

KERNELS = ("native", "numpy", "torch")

# ---- what holds


def to_parameters(net: nn.Module) -> None:
    vector_to_parameters(parameters_to_vector(net.parameters()) * 0.5, net.parameters())


def assign(net: nn.Module) -> None:
    net.load_state_dict({n: t * 0.5 if t.is_floating_point() else t for n, t in net.state_dict().items()}, assign=True)


def load(net: nn.Module) -> None:
    net.load_state_dict({n: t * 0.5 if t.is_floating_point() else t for n, t in net.state_dict().items()})


def give_data(net: nn.Module) -> None:
    for p in net.parameters():
        p.data = p.data * 0.5


def write(net: nn.Module) -> None:
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p * 0.5)


def write_data(net: nn.Module) -> None:
    for p in net.parameters():
        p.data.mul_(0.5)


def write_everywhere(net: nn.Module) -> None:
    """Masked weights too, which have to stay zero."""
    for p in net.parameters():
        p.data.fill_(0.25)


def write_numpy(net: nn.Module) -> None:
    for p in net.parameters():
        p.detach().numpy()[...] = 0.25


def new_parameters(net: nn.Module) -> None:
    for part in net.modules():
        for name, p in list(part._parameters.items()):
            if p is not None:
                setattr(part, name, nn.Parameter(p.detach() * 0.5))


def there_and_back(net: nn.Module) -> None:
    net.double()
    to_parameters(net)
    net.float()


def prune_for_good(net: nn.Module) -> None:
    for part in net.modules():
        if isinstance(getattr(part, "weight", None), nn.Parameter):
            prune.l1_unstructured(part, "weight", amount=0.5)
            prune.remove(part, "weight")


def reparametrize_for_good(net: nn.Module) -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0.5

    for part in list(net.modules()):
        if isinstance(getattr(part, "weight", None), nn.Parameter):
            parametrize.register_parametrization(part, "weight", Half())
            parametrize.remove_parametrizations(part, "weight")


def swap(net: nn.Module) -> None:
    """Two layers of one shape read each other's weights."""
    cells: Any = net.cell.layers  # type: ignore[union-attr]
    a, b = cells[1].heads.bias, cells[2].heads.bias
    n = min(a.numel(), b.numel())
    with torch.no_grad():
        a.view(-1)[:n], b.view(-1)[:n] = b.view(-1)[:n].clone(), a.view(-1)[:n].clone()
    a.data = a.data.clone()


HOLDING = (
    to_parameters, assign, load, give_data, write, write_data, write_everywhere, write_numpy, new_parameters,
    there_and_back, prune_for_good, reparametrize_for_good, swap, rewire,
)  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("change", HOLDING, ids=lambda change: change.__name__)
def test_a_change_holds_in_predict_save_and_load(
    change: Callable[[nn.Module], None], kernel: str, tmp_path: Path
) -> None:
    agent = make(kernel)
    before = answer(agent)
    change(actor(agent))
    live = answer(agent)
    assert live != before
    assert live == pytest.approx(by_the_book(agent), abs=1e-5)
    agent.save(tmp_path / "a")
    assert answer(agent) == live
    assert answer(LiquidDDPG.load(tmp_path / "a", device="cpu", kernel=kernel)) == live


@pytest.mark.parametrize("change", HOLDING, ids=lambda change: change.__name__)
def test_a_change_that_is_saved_first_holds_too(change: Callable[[nn.Module], None], tmp_path: Path) -> None:
    agent = make()
    change(actor(agent))
    agent.save(tmp_path / "a")
    assert answer(LiquidDDPG.load(tmp_path / "a", device="cpu")) == answer(agent)


@pytest.mark.parametrize("change", HOLDING, ids=lambda change: change.__name__)
@pytest.mark.some(5)
def test_training_goes_on_from_a_change(change: Callable[[nn.Module], None], tmp_path: Path) -> None:
    """As it goes on from the loaded agent, to the bit; and what PyTorch shows is what was learned."""
    agent = make()
    train(agent)
    change(actor(agent))
    agent.save(tmp_path / "a", buffer=True)
    loaded = LiquidDDPG.load(tmp_path / "a", device="cpu", buffer=True)
    changed = make()
    train(changed)
    change(actor(changed))
    for one in (changed, loaded):
        train(one)
    ours, theirs = dict(actor(changed).named_parameters()), dict(actor(loaded).named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert answer(changed) == answer(loaded) == pytest.approx(2.0 * by_the_book(changed), abs=1e-5)  # in its units


def test_a_critic_that_was_given_other_memory_is_learned_from_and_saved(tmp_path: Path) -> None:
    agent = make()
    train(agent)
    to_parameters(agent.networks["critic"])
    given = parameters_to_vector(agent.networks["critic"].parameters()).detach().clone()
    agent.save(tmp_path / "a")
    loaded = LiquidDDPG.load(tmp_path / "a", device="cpu")
    assert torch.equal(parameters_to_vector(loaded.networks["critic"].parameters()), given)
    train(agent, n_steps=10)
    moved = parameters_to_vector(agent.networks["critic"].parameters()).detach() - given
    assert 0.0 < float(moved.abs().max()) < 0.1


@pytest.mark.parametrize("cell", ["ltc", "gru", "leaky"])
def test_masks_of_other_cells_hold_what_they_switch_off_at_zero(cell: str, tmp_path: Path) -> None:
    agent = make(cell=cell)
    answer(agent)
    for p in actor(agent).parameters():
        p.data.fill_(0.25)
    live = answer(agent)
    agent.save(tmp_path / "a")
    assert answer(LiquidDDPG.load(tmp_path / "a", device="cpu")) == live


def test_a_callback_may_replace_memory_while_a_run_goes_on() -> None:
    class Halve(Callback):
        def __init__(self, change: Callable[[nn.Module], None]) -> None:
            self.change = change

        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx % 5 == 0:
                self.change(actor(agent))

    pointed, written = make(), make()
    train(pointed, callbacks=[Halve(to_parameters)])
    train(written, callbacks=[Halve(write)])
    assert torch.equal(
        parameters_to_vector(actor(pointed).parameters()), parameters_to_vector(actor(written).parameters())
    )


def test_ppo_explores_by_a_deviation_that_was_assigned(tmp_path: Path) -> None:
    agent = LiquidPPO(3, 8, 1, device="cpu", seed=0, rollout_steps=32)
    actor(agent).load_state_dict({**actor(agent).state_dict(), "log_std": torch.full((1, 1), -5.0)}, assign=True)
    agent.predict(OBS)
    assert agent.exploration.log_std.tolist() == [[-5.0]]  # type: ignore[union-attr]
    train(agent, n_steps=40)
    assert torch.equal(agent.exploration.log_std.detach(), actor(agent).state_dict()["log_std"])  # type: ignore[union-attr]


def test_ppo_learns_after_gradients_were_dropped() -> None:
    agents = [LiquidPPO(3, 8, 1, device="cpu", seed=0, rollout_steps=32) for _ in range(2)]
    agents[0].networks["actor"].zero_grad()
    train(agents[0], n_steps=40)
    train(agents[1], n_steps=40)
    actor(agents[0]).zero_grad()
    train(agents[0], n_steps=40, callbacks=[Gradients(lambda p: None, "never")])
    train(agents[1], n_steps=40)
    assert answer(agents[0]) == answer(agents[1])


def test_weights_swapped_in_for_one_call_leave_none() -> None:
    agent = make()
    before, net = answer(agent), actor(agent)
    cell: Any = net.cell
    zeros = {name: torch.zeros_like(p) for name, p in cell.named_parameters()}
    inputs = torch.zeros(1, 1, 3), cell.initial_state(1), torch.ones(1, 1)
    assert not torch.func.functional_call(cell, zeros, inputs).any()
    assert answer(agent) == before


def test_a_copied_network_is_an_ordinary_module() -> None:
    agent = make()
    twin: Any = copy.deepcopy(agent.networks)
    before = answer(agent)
    assert type(twin) is type(twin["actor"]._parameters) is dict
    prune.l1_unstructured(twin["critic"].layers[0], "weight", amount=0.5)
    twin["actor"].double().register_forward_hook(lambda *_: None)
    assert answer(agent) == before


# ---- what is frozen


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.some(4)
def test_a_frozen_network_stays_and_goes_on_when_it_is_freed(kernel: str, optimizer: str) -> None:
    agent = make(kernel, optimizer=optimizer)
    train(agent)
    kept = {name: t.clone() for name, t in actor(agent).state_dict().items()}
    critic = parameters_to_vector(agent.networks["critic"].parameters()).detach().clone()
    actor(agent).requires_grad_(False)
    train(agent)
    assert all(torch.equal(t, kept[name]) for name, t in actor(agent).state_dict().items())
    assert not torch.equal(parameters_to_vector(agent.networks["critic"].parameters()), critic)
    actor(agent).requires_grad_(True)
    train(agent, n_steps=5)
    assert any(not torch.equal(t, kept[name]) for name, t in actor(agent).state_dict().items())


def test_a_callback_may_freeze_and_free() -> None:
    class Freeze(Callback):
        seen: list[Tensor]

        def on_train_start(self, trainer: Any, agent: Any) -> None:
            self.seen = []

        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            actor(agent).requires_grad_(not 9 <= batch_idx < 19)
            self.seen.append(parameters_to_vector(actor(agent).parameters()).detach().clone())

    agent, freeze = make(), Freeze()
    train(agent, callbacks=[freeze])
    stays = [torch.equal(a, b) for a, b in zip(freeze.seen, freeze.seen[1:], strict=False)]
    assert stays == [9 <= k < 19 for k in range(len(stays))]


def test_a_part_of_a_network_that_is_frozen_is_refused_when_training_begins() -> None:
    agent = make()
    actor(agent).cell.layers[0].requires_grad_(False)  # type: ignore[union-attr,index]
    answer(agent)
    with pytest.raises(SettingError, match=r"^actor\.cell\.layers\.0\.heads\.weight: expected requires_grad [^\n]*$"):
        train(agent)


# ---- modes of autograd


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidPPO])
def test_modes_around_an_agent_change_nothing(mode: Any, kind: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"device": "cpu", "seed": 0}
    settings |= {"rollout_steps": 32} if kind is LiquidPPO else {"warmup_steps": 20, "optimizer": "rmsprop"}
    with mode():
        inside = kind(3, 8, 1, **settings)
        train(inside)
        inside.save(tmp_path / "a")
        loaded = kind.load(tmp_path / "a", device="cpu")
        train(loaded, n_steps=40)
    outside = kind(3, 8, 1, **settings)
    train(outside)
    assert answer(outside) == answer(inside)
    for agent in (inside, loaded, outside):
        train(agent, n_steps=40)


# ---- gradients in hooks


class Gradients(Callback):
    """Do something to the gradients of the actor, once they are computed."""

    def __init__(self, change: Callable[[nn.Parameter], None], hook: str) -> None:
        self.change, self.hook = change, hook

    def on_after_backward(self, trainer: Any, agent: Any) -> None:
        self._apply("on_after_backward", agent)

    def on_before_optimizer_step(self, trainer: Any, agent: Any, optimizer: Any) -> None:
        self._apply("on_before_optimizer_step", agent)

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for net in agent.networks.values():
            net.zero_grad()

    def _apply(self, hook: str, agent: Any) -> None:
        for p in actor(agent).parameters() if hook == self.hook else ():
            self.change(p)


def scale_in_place(p: nn.Parameter) -> None:
    if p.grad is not None:  # it is none yet while the critic is improved
        p.grad.mul_(0.5)


def scale_anew(p: nn.Parameter) -> None:
    if p.grad is not None:
        p.grad = p.grad * 0.5


def drop(p: nn.Parameter) -> None:
    p.grad = None


@pytest.mark.parametrize("hook", ["on_after_backward", "on_before_optimizer_step"])
def test_a_gradient_that_a_hook_replaces_holds(hook: str) -> None:
    written, replaced, left = make(), make(), make()
    train(written, callbacks=[Gradients(scale_in_place, hook)])
    train(replaced, callbacks=[Gradients(scale_anew, hook)])
    train(left)
    learned = [parameters_to_vector(actor(agent).parameters()) for agent in (written, replaced, left)]
    assert torch.equal(learned[0], learned[1])
    assert not torch.equal(learned[0], learned[2])
    with pytest.raises(SettingError, match=r"^actor\.\S+: its gradient was taken away in a hook[^\n]*$"):
        train(make(), callbacks=[Gradients(drop, hook)])
