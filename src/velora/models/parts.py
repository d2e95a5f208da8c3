"""The parts that an agent holds, and the sizes that follow from its settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from velora.buffers import Buffer
from velora.core import seeding
from velora.core.types import Counters
from velora.envs import ActionUnits
from velora.models import portrait
from velora.models.draws import Draws
from velora.models.exploration import Explorer
from velora.models.learner import Learner
from velora.models.normalisation import Normaliser
from velora.models.optimizers import OptimizerKind
from velora.models.options import Settings
from velora.nn.networks.images import FEATURES, reader
from velora.nn.networks.policies import LiquidActor, LiquidHead
from velora.nn.parameters import count_parameters
from velora.training.experience import Experience
from velora.training.hook_table import HookTable


class AgentParts(ABC):
    """An agent's parts, and the sizes that follow from its settings.

    Attributes:
        settings: what the constructor was given, checked.
        seeds: the run seed of every position on the seed axis.
        chose_seeds: whether somebody chose them; if not, a resume may bring others.
        learner: what runs and improves them.
        experience: what is learned from, and when.
        exploration: turns what the actor puts out into actions: greedily, or to try things.
        draws: the random numbers of updates.
        normaliser: of observations and rewards; ``None`` where both are taken as they are.
        wirings: of the networks that have one, in words.
        environment: the environment last trained on, as a checkpoint names it; ``None`` before.
        bounds: of the actions of that environment, or how many there are; [-1, 1], or those from 0 on, before.
        progress: episodes, environment steps and updates lived so far, by seed.
        threads: of the native kernel, over seeds.
        learns_policy: whether the update that is being made improves the policy.
        record: whether a training step may be recorded and replayed. ``False``, set before training, makes every update
            step by step, for a debugger: the same bits, slower.
    """

    key: ClassVar[str] = ""
    settings_type: ClassVar[type[Settings]] = Settings
    settings: Any
    optimizer_kind: OptimizerKind
    seeds: tuple[int, ...]
    chose_seeds: bool
    device: torch.device
    kernel: str
    learner: Learner
    experience: Experience
    exploration: Explorer
    draws: Draws
    normaliser: Normaliser | None
    wirings: dict[str, str]
    environment: dict[str, Any] | None
    bounds: ActionUnits
    progress: list[Counters]
    hooks: HookTable
    threads: int
    learns_policy: bool
    record: bool

    @abstractmethod
    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the trained networks by name, ``"actor"`` among them."""

    @abstractmethod
    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""

    # ------------------------------------------------------------------------------------------------------ settings

    def settings_dict(self) -> dict[str, Any]:
        """Return the constructor settings as JSON."""
        values: dict[str, Any] = self.settings.model_dump(mode="json")
        return values

    @property
    def discrete(self) -> bool:
        """Return whether actions are discrete; here they are numbers."""
        return False

    @property
    def sees_time(self) -> bool:
        """Return whether the time since the observation before is one more number of it, as its logarithm."""
        return self.settings.time in ("input", "both")

    @property
    def sees_images(self) -> bool:
        """Return whether observations are images, which an encoder stands before the networks for."""
        return self.settings.image is not None

    # --------------------------------------------------------------------------------------------------------- sizes

    @property
    def n_seeds(self) -> int:
        """Number of agents trained side by side (S)."""
        return len(self.seeds)

    @property
    def n_envs(self) -> int:
        """Environments that each seed acts in at once (E)."""
        return self.experience.n_envs

    @property
    def obs_dim(self) -> int:
        """Numbers of an observation as it is stored (O), with the time where that is one of them."""
        dim: int = self.settings.state_dim + self.sees_time
        return dim

    @property
    def n_features(self) -> int:
        """Numbers that the networks read: an observation's, or what an encoder makes of an image."""
        return FEATURES if self.sees_images else self.obs_dim

    @property
    def privileged(self) -> int:
        """Numbers of ``info["state"]`` that the critics read and the policy never sees (P)."""
        return int(self.settings.privileged)

    @property
    def n_critic_features(self) -> int:
        """Numbers that the critics read: the networks' and the privileged ones, or these alone beside an image."""
        if self.privileged and self.sees_images:
            return self.privileged
        return self.n_features + self.privileged

    @property
    def state_size(self) -> int:
        """Numbers in the recurrent state of one policy (H)."""
        return self._actor.cell.state_size

    def state_size_of_one(self) -> int:
        """Count the recurrent state's numbers before the networks of all seeds are made."""
        every = self.seeds
        self.seeds = every[:1]
        actor = reader(self.configure_networks()["actor"])
        self.seeds = every
        return cast(LiquidActor | LiquidHead, actor).cell.state_size

    def row_sizes(self, state_size: int) -> dict[str, Any]:
        """Name the sizes of a stored transition, as :class:`velora.buffers.Buffer` takes them."""
        return {
            "obs_dim": self.obs_dim,
            "action_dim": 1 if self.discrete else int(self.settings.action_dim),
            "state_size": state_size,
            "as_bytes": self.sees_images and self.settings.image_range is None,
            "privileged": self.privileged,
            "is_joined": not self.sees_images,
        }

    @property
    def computes_in_torch(self) -> bool:
        """Whether PyTorch computes any of the networks, with as many threads as it is told."""
        return any(network.kernel in ("torch", "autograd") for network in self.learner.networks.values())

    @property
    def keeps_on_device(self) -> bool:
        """Whether replayed experience and random numbers are kept where learning is; on a CPU the host's are as near.

        ``mps`` has no double precision, which choosing windows needs.
        """
        return self.device.type not in ("cpu", "mps")

    # --------------------------------------------------------------------------------------------------------- parts

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every network by name, the targets too; weights may be changed, networks can't be replaced.

        Who asked for them may change them at any time, so that they are looked at in every step that hooks reach.
        """
        self.learner.held.are_shown = True
        return self.learner.modules

    @property
    def actor(self) -> LiquidActor | LiquidHead:
        """The network that acts, without the encoder of images before it."""
        self.learner.held.are_shown = True
        return self._actor

    @property
    def _actor(self) -> LiquidActor | LiquidHead:
        return cast(LiquidActor | LiquidHead, reader(self.learner.modules["actor"]))

    @property
    def buffer(self) -> Buffer:
        """Where experience goes, allocated when it is first needed."""
        return self.experience.buffer

    def init_generators(self, network: str) -> list[torch.Generator]:
        """Make the generators that draw a network's first weights, one for each seed."""
        return [seeding.torch_generator(s, f"init {network}") for s in self.seeds]

    def initial_hidden(self, batch: int = 1) -> Tensor:
        """Make the recurrent state of an episode's first step.

        Shapes:
            returns: (S, batch, H), zeros.
        """
        return self._actor.initial_state(batch)

    def summary(self) -> dict[str, Any]:
        """Describe the agent for people: class, settings, wiring, parameters active and in all, of one seed."""
        networks = {}
        for name in self.learning_rates():
            count = count_parameters(self.learner.modules[name])
            networks[name] = {"wiring": self.wirings.get(name), "parameters": count.total, "active": count.active}
        return {"agent": type(self).__name__, "settings": self.settings_dict(), "networks": networks}

    def changed_settings(self) -> dict[str, Any]:
        """Return the settings that aren't the defaults; sizes have none."""
        values = {one.name: getattr(self.settings, one.name) for one in self.settings_type.options()}
        return self.settings_type.changed(values)

    def __repr__(self) -> str:
        """Show what the agent is, its sizes and wiring, and its training so far."""
        return object.__repr__(self) if self._is_half_made else portrait.as_text(self)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return portrait.as_html(self)

    @property
    def _is_half_made(self) -> bool:
        """Whether the constructor still runs, or failed: a debugger shows such an agent too."""
        return "learner" not in vars(self)
