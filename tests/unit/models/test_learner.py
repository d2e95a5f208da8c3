"""How targets are copied from the networks they follow."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from velora.models.learner import Learner


class Odd(nn.Module):
    """Hold what a copy could get wrong: a tied parameter, a buffer, a hook, references to its own parts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.first.weight, self.first.bias, self.second.bias = (nn.Parameter(torch.randn(1, 3)) for _ in range(3))
        self.second.weight = self.first.weight
        self.register_buffer("seen", torch.arange(3.0))
        self.parts = (self.first, self.second)
        self.calls: list[str] = []
        self.register_forward_hook(note)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.first.weight + self.get_buffer("seen")

    def plan(self) -> None:
        """Have no description, so that PyTorch computes."""


def note(module: nn.Module, inputs: object, out: object) -> None:
    assert isinstance(module, Odd)
    module.calls.append("called")


def test_a_target_is_a_deep_copy() -> None:
    net, x = Odd(), torch.ones(1, 3)
    reference = copy.deepcopy(net)
    target = Learner({"net": net}, ["net"], torch.device("cpu"), "torch").modules["target_net"]
    assert isinstance(target, Odd)
    assert torch.equal(target(x), reference(x))
    assert (target.calls, net.calls) == (["called"], [])
    assert target.parts == (target.first, target.second)
    assert target.second.weight is target.first.weight
    assert vars(target).keys() == vars(reference).keys()
    assert not any(p.requires_grad for p in target.parameters())
    with torch.no_grad():
        net.get_buffer("seen").zero_()
        net.first.weight.zero_()
    assert torch.equal(target(x), reference(x))
    hook = target.register_forward_pre_hook(lambda module, inputs: None)
    assert len(target._forward_pre_hooks) == 1
    assert not net._forward_pre_hooks
    hook.remove()
