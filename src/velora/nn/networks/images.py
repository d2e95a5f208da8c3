"""See images: a small convolutional encoder that stands before a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velora.nn.linear import Linear
from velora.nn.parameters import stack_seeds, uniform

if TYPE_CHECKING:
    from velora.nn.run.network import Unrollable

FEATURES = 50
"""Numbers that an image becomes."""
FILTERS = (16, 32, 32, 32)
"""Of the convolutions, as many as there are; each halves the sides."""
SMALL_SIDE = 8
"""Convolutions go on until the longer side is no longer than this; two there are at least."""


@final
class Convolution(nn.Module):
    """S convolutions of 3 x 3 with a step of 2 side by side, followed by ReLU.

    Shapes:
        weight: (S, out, in, 3, 3). bias: (S, out).

    Source:
        He et al. 2015 (arXiv 1502.01852), eq. 10, for the first weights, uniformly; the bias is as in torch.nn.Conv2d.
    """

    def __init__(self, in_planes: int, out_planes: int, *, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        fan_in = 9 * in_planes
        limit, spread = (6.0 / fan_in) ** 0.5, fan_in**-0.5
        self.weight = stack_seeds(generators, lambda g: uniform((out_planes, in_planes, 3, 3), -limit, limit, g))
        self.bias = stack_seeds(generators, lambda g: uniform((out_planes,), -spread, spread, g))

    def forward(self, x: Tensor, seed_index: int) -> Tensor:
        """Convolve the images of one seed.

        Shapes:
            x: (N, in, height, width).
            returns: (N, out, height / 2, width / 2), rounded up.
        """
        return torch.relu(F.conv2d(x, self.weight[seed_index], self.bias[seed_index], stride=2, padding=1))


@final
class ImageEncoder(nn.Module):
    """Turn images into a few numbers in [-1, 1].

    Every seed's images are convolved by themselves, not in one grouped convolution: it takes no longer on a CPU, and
    a seed among others gets the same bits as alone.

    Args:
        image: shape of an image as Gymnasium gives it: (H, W), (H, W, C), a stack of frames (N, H, W) or
            (N, H, W, C). Of three axes the shorter of the first and the last one counts as channels.
        pixel_range: least and largest value of a pixel, which become 0 and 1.
        generators: one per seed.

    Source:
        Yarats et al. 2021 (arXiv 2107.09645, DrQ-v2): convolutions of 3 x 3 with ReLU, then a linear layer to 50
        numbers, layer normalisation and tanh. Differs: every convolution has a step of 2, not the first alone, and
        the first has fewer filters, so that a CPU can train them; there are no random shifts, and actor and critics
        have an encoder each.
    """

    def __init__(
        self, image: tuple[int, ...], pixel_range: tuple[float, float], *, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__()
        self.image, self.pixel_range = image, pixel_range
        planes, height, width = _planes(torch.empty(1, *image, dtype=torch.uint8, device="meta")).shape[1:]
        layers: list[nn.Module] = []
        for filters in FILTERS:
            if len(layers) >= 2 and max(height, width) <= SMALL_SIDE:
                break
            layers.append(Convolution(planes, filters, generators=generators))
            planes, height, width = filters, (height + 1) // 2, (width + 1) // 2
        self.layers = nn.ModuleList(layers)
        self.linear = Linear(planes * height * width, FEATURES, generators=generators)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode images, given as flat vectors of bytes or of float32.

        Shapes:
            pixels: (S, ..., O).
            returns: (S, ..., FEATURES).
        """
        low, high = self.pixel_range
        images = pixels.reshape(len(pixels), -1, pixels.shape[-1]).to(self.linear.weight.dtype)
        images = (images - low) / (high - low)
        convolved = torch.stack([self._convolved(images[k].view(-1, *self.image), k) for k in range(len(images))])
        features: Tensor = self.linear(convolved)
        return torch.tanh(F.layer_norm(features, (FEATURES,))).view(*pixels.shape[:-1], FEATURES)

    def _convolved(self, images: Tensor, seed_index: int) -> Tensor:
        x = _planes(images)
        for layer in self.layers:
            x = layer(x, seed_index)
        return x.flatten(1)


@final
class ImageNetwork(nn.Module):
    """Encode images, and let another network read what they became, beside whatever else it reads.

    Args:
        network: reads FEATURES numbers instead of an observation.
        encoder: of the observation, the first source.
    """

    def __init__(self, network: Unrollable, encoder: ImageEncoder) -> None:
        super().__init__()
        self.network, self.encoder, self.has_memory = network, encoder, network.has_memory

    def unroll(
        self, sources: tuple[Tensor, ...], hidden: Tensor | None, dt: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Run along sequences, as :class:`velora.nn.run.network.Network` asks it to."""
        return self.network.unroll((self.encoder(sources[0]), *sources[1:]), hidden, dt, resets)

    def plan(self) -> None:
        """Describe nothing: no kernel of ours convolves, so autograd carries gradients back."""
        return


def reader(module: nn.Module) -> nn.Module:
    """Return the network that reads an encoder's features; where there is no encoder, the module itself."""
    return cast(nn.Module, module.network) if isinstance(module, ImageNetwork) else module


def _planes(images: Tensor) -> Tensor:
    """See images (N, *image) as planes (N, C, H, W), the frames of a stack beside each other."""
    if images.dim() == 3:
        return images.unsqueeze(1)
    is_last = images.shape[-1] <= images.shape[-3]
    planes = images.movedim(-1, -3) if is_last else images
    return planes if planes.dim() == 4 else planes.flatten(1, 2)
