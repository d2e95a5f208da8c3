"""The encoder of images: against plain PyTorch, in every layout, for each seed by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from velora.nn.flat import FlatParameters
from velora.nn.networks.critics import QNetwork
from velora.nn.networks.images import FEATURES, ImageEncoder, ImageNetwork
from velora.nn.parameters import count_parameters
from velora.nn.run.autograd import TorchNetwork
from velora.nn.run.make import make_network

BYTES = (0.0, 255.0)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def pixels(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Plain(nn.Module):
    """The same encoder as anyone would write it, for one seed and images (N, C, H, W)."""

    def __init__(self, encoder: ImageEncoder, seed_index: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for ours in encoder.layers:
            weight, bias = ours.weight[seed_index], ours.bias[seed_index]  # type: ignore[index]
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=2, padding=1)
            layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
            layers += [layer, nn.ReLU()]
        linear = nn.Linear(encoder.linear.weight.shape[2], FEATURES)
        linear.weight = nn.Parameter(encoder.linear.weight[seed_index].detach().clone())
        assert encoder.linear.bias is not None
        linear.bias = nn.Parameter(encoder.linear.bias[seed_index].detach().clone())
        norm = nn.LayerNorm(FEATURES, elementwise_affine=False)
        self.all = nn.Sequential(*layers, nn.Flatten(), linear, norm, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.all(x / 255.0)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("side", "n_layers"), [(8, 2), (16, 2), (33, 3), (65, 4)])
def test_it_agrees_with_plain_pytorch(side: int, n_layers: int) -> None:
    encoder = ImageEncoder((side, side - 1, 3), BYTES, generators=generators(1, 2))
    assert len(encoder.layers) == n_layers
    images = pixels(2, 3, 1, side, side - 1, 3)
    ours = encoder(images.flatten(3))
    assert ours.shape == (2, 3, 1, FEATURES)
    d_out = torch.randn(ours.shape, generator=torch.Generator().manual_seed(3))
    (ours * d_out).sum().backward()
    for k in range(2):
        plain = Plain(encoder, k)
        theirs = plain(images[k].flatten(0, 1).permute(0, 3, 1, 2).float())
        torch.testing.assert_close(ours[k].flatten(0, 1), theirs, rtol=1e-5, atol=1e-6)
        (theirs * d_out[k].flatten(0, 1)).sum().backward()
        for mine, other in zip(encoder.parameters(), plain.parameters(), strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad[k], other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "order"),
    [
        ((12, 10), "n h w -> n c h w"),
        ((12, 10, 3), "last"),
        ((4, 12, 10), "first"),
        ((2, 12, 10, 3), "stack of last"),
        ((2, 3, 12, 10), "stack of first"),
    ],
)
def test_every_layout_is_seen_as_planes(image: tuple[int, ...], order: str) -> None:
    encoder = ImageEncoder(image, BYTES, generators=generators(1))
    images = pixels(5, *image)
    planes = {
        "n h w -> n c h w": lambda: images[:, None],
        "last": lambda: images.permute(0, 3, 1, 2),
        "first": lambda: images,
        "stack of last": lambda: torch.cat([images[:, n].permute(0, 3, 1, 2) for n in range(2)], 1),
        "stack of first": lambda: torch.cat([images[:, n] for n in range(2)], 1),
    }[order]()
    expected = Plain(encoder, 0)(planes.float())
    torch.testing.assert_close(encoder(images.flatten(1)[None])[0], expected, rtol=1e-5, atol=1e-6)


def test_a_seed_gets_the_same_bits_alone_and_among_four() -> None:
    four = ImageEncoder((16, 16, 1), BYTES, generators=generators(1, 2, 3, 4))
    one = ImageEncoder((16, 16, 1), BYTES, generators=generators(3))
    for many, alone in zip(four.parameters(), one.parameters(), strict=True):
        assert torch.equal(many[2], alone[0])
    images = pixels(4, 6, 256)
    outs = four(images), one(images[2:3])
    assert torch.equal(outs[0][2], outs[1][0])
    for out in outs:
        out.square().sum().backward()
    for many, alone in zip(four.parameters(), one.parameters(), strict=True):
        assert many.grad is not None
        assert alone.grad is not None
        assert torch.equal(many.grad[2], alone.grad[0])


def test_bytes_and_numbers_are_the_same_pixels() -> None:
    encoder = ImageEncoder((8, 8), BYTES, generators=generators(1))
    images = pixels(1, 3, 64)
    assert torch.equal(encoder(images), encoder(images.float()))
    shifted = ImageEncoder((8, 8), (-1.0, 1.0), generators=generators(1))
    torch.testing.assert_close(shifted(images / 127.5 - 1.0), encoder(images), rtol=1e-4, atol=1e-5)


def test_a_network_behind_it_learns_from_pixels_and_actions() -> None:
    critic = QNetwork(FEATURES, 2, units=(8,), generators=generators(1, 2))
    network = ImageNetwork(critic, ImageEncoder((8, 8), BYTES, generators=generators(3, 4)))
    assert count_parameters(network).total == sum(p[0].numel() for p in network.parameters())
    flat = FlatParameters(network, is_trained=True)
    run = make_network(network, flat, "torch")
    assert isinstance(run, TorchNetwork)
    images = pixels(2, 5, 1, 64)
    action = torch.randn(2, 5, 1, 2, generator=torch.Generator().manual_seed(1))
    value, pullback = run.vjp(images, action)
    d_out = torch.randn(value.shape, generator=torch.Generator().manual_seed(2))
    expected_in = action.clone().requires_grad_()
    again = critic(network.encoder(images).flatten(1, 2), expected_in.flatten(1, 2)).view(value.shape)
    assert torch.equal(again, value)
    parts = torch.autograd.grad((again * d_out).sum(), [expected_in, *network.parameters()])
    torch.testing.assert_close(run.vjp(images, action)[1].source(1, d_out), parts[0])
    pullback.parameters(d_out)
    torch.testing.assert_close(flat.gradient, torch.cat([part.flatten(1) for part in parts[1:]], 1))
