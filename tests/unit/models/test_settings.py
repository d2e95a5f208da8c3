"""One declaration of a setting: what is checked, and what is made from it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from pydantic import Field

from velora.checkpoint.registry import agents
from velora.core.errors import SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3, generate
from velora.models.keywords import AGENTS
from velora.models.options import GROUPS, REQUIRED, option
from velora.models.settings import DDPGSettings, LiquidSettings, PPOSettings, ReplaySettings
from velora.nn.cells import CELL_KINDS

OURS = [agents.get(key) for key in AGENTS]
DOCS = Path(__file__).parents[3] / "docs"
SIZES: dict[str, Any] = {"state_dim": 3, "n_neurons": 4, "action_dim": 1}


# ------------------------------------------------------------------------------------------------------- declaring


@pytest.mark.parametrize("agent", OURS)
def test_defaults_lie_in_their_domains(agent: type[Agent]) -> None:
    given = {one.name: one.default for one in agent.settings_type.options() if one.default is not REQUIRED}
    assert agent.settings_type.check(SIZES | given) == agent.settings_type.check(SIZES)


@pytest.mark.parametrize("agent", OURS)
def test_every_setting_means_something_and_has_a_group(agent: type[Agent]) -> None:
    for one in agent.settings_type.options():
        assert one.meaning, one.name
        assert one.meaning[-1] not in ".;,", one.name
        assert one.see is None or (DOCS / one.see.partition("#")[0]).is_file(), one.name
    groups = [GROUPS.index(one.group) for one in agent.settings_type.options()]
    assert groups == sorted(groups)


def test_the_words_of_a_setting_name_its_choices_and_bounds() -> None:
    words = {one.name: one.text for one in PPOSettings.options()}
    *cells, last = [f"``{cell}``" for cell in CELL_KINDS]
    assert words["cell"] == f"cell of the policy's neurons: {', '.join(cells)} or {last}"
    assert words["gamma"] == "discount per control step (0 to 1)"
    assert words["actor_lr"] == "learning rate of the policy (above 0, at most 10)"
    assert words["n_epochs"] == "passes of each phase over its rollout (1 to 1,000)"
    assert words["discrete"] == "whether an action is one of ``action_dim`` discrete ones"
    words = {one.name: one.text for one in DDPGSettings.options()}
    assert words["noise_correlation"].endswith("(at least 0, below 1)")


def test_a_subclass_takes_over_what_it_does_not_say_again() -> None:
    class Mine(LiquidSettings):
        gamma: float = LiquidSettings.again("gamma", 0.5)
        tries: int = option(3, "attempts per step", group="learning", ge=1)
        bare: float = 0.25
        critic_lr: float = Field(0.5, gt=0.0)

    found = {one.name: one for one in Mine.options()}
    assert (found["gamma"].default, found["gamma"].text) == (0.5, "discount per control step (0 to 1)")
    assert (found["tries"].default, found["tries"].text) == (3, "attempts per step (at least 1)")
    assert (found["bare"].default, found["bare"].text) == (0.25, "")
    assert (found["critic_lr"].default, found["critic_lr"].text) == (0.5, "(above 0)")
    with pytest.raises(SettingError, match=r"^gamma: input should be less than or equal to 1, got 1.5$"):
        Mine.check(SIZES | {"gamma": 1.5})
    assert LiquidSettings.check(SIZES).gamma == 0.99


def test_rules_of_every_class_hold() -> None:
    def tries_fit(s: Any) -> str | None:
        return None if s.burn_in < 3 else "burn_in: expected less than 3"

    class Mine(ReplaySettings):
        rules = (tries_fit,)

    with pytest.raises(SettingError, match=r"^burn_in: expected less than 3$"):
        Mine.check(SIZES | {"burn_in": 3})
    with pytest.raises(SettingError, match=r"^buffer_size: 1 can't hold one window of 2 steps"):
        Mine.check(SIZES | {"burn_in": 1, "buffer_size": 1})
    assert Mine.check(SIZES | {"burn_in": 1}).burn_in == 1


# --------------------------------------------------------------------------------------------------------- checking


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"taw": 0.1}, "taw: no such setting; did you mean tau?"),
        ({"kernal": "numpy"}, "kernal: no such setting; did you mean kernel?"),
        ({"noise_sdt": 0.1}, "noise_sdt: no such setting; did you mean noise_std?"),
    ],
)
def test_a_keyword_that_nobody_knows_is_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        LiquidDDPG(3, 4, 1, **given)
    assert str(caught.value) == expected


def test_a_keyword_like_no_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(SettingError, match=r"^zzzzzz: no such setting; there are state_dim, .*, seeds$"):
        LiquidDDPG(3, 4, 1, zzzzzz=1)  # type: ignore[call-arg]


def test_settings_as_numpy_and_hydra_give_them() -> None:
    agent = LiquidDDPG(3, 4, 1, tau=np.float64(0.5), critic_units=[8, np.int64(4)], device="cpu", seed=np.int64(3))  # type: ignore[arg-type, list-item]
    assert (agent.settings.tau, agent.settings.critic_units, agent.seeds) == (0.5, (8, 4), (3,))


def test_a_checkpoint_s_settings_keep_their_names_and_their_order() -> None:
    released = [
        "state_dim", "n_neurons", "action_dim", "cell", "cell_mode", "mixed_memory", "wiring", "sparsity", "time",
        "critic", "critic_units", "optimizer", "actor_lr", "critic_lr", "gamma", "grad_clip", "reward_scale",
        "normalize_obs", "normalize_returns", "sequence_length", "image", "image_range", "tau", "buffer_size",
        "warmup_steps", "burn_in", "noise_std", "noise_final_std", "noise_decay_steps", "noise_correlation",
    ]  # fmt: skip
    written = LiquidDDPG(3, 4, 1, device="cpu").settings_dict()
    assert [name for name in written if name in released] == released


# ---------------------------------------------------------------------------------------------------------- showing


def test_a_signature_shows_names_types_and_defaults() -> None:
    shown = inspect.signature(LiquidPPO).parameters
    assert list(shown)[:3] == ["state_dim", "n_neurons", "action_dim"]
    assert all(shown[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in SIZES)
    assert (shown["state_dim"].annotation, shown["state_dim"].default) == (int, inspect.Parameter.empty)
    assert (shown["actor_lr"].annotation, shown["actor_lr"].default) == (float, 1e-3)
    assert shown["critic"].annotation == Literal["dense", "recurrent"]
    assert str(shown["critic_units"]) == "critic_units: collections.abc.Sequence[int] = (64, 64)"
    assert list(shown)[-4:] == ["device", "kernel", "seed", "seeds"]
    assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in shown.values())
    assert inspect.signature(LiquidDDPG).parameters["actor_lr"].default == 3e-4


@pytest.mark.parametrize("agent", OURS)
def test_a_docstring_explains_every_argument(agent: type[Agent]) -> None:
    before, _, after = inspect.cleandoc(agent.__doc__ or "").partition("\nArgs:\n")
    assert before.count("\n") < 3
    args, _, rest = after.partition("\n\n")
    assert [line.split(":")[0].strip() for line in args.splitlines() if line.startswith("    ") and line[4] != " "] == (
        [*(one.name for one in agent.settings_type.options()), "device", "kernel", "seed", "seeds"]
    )
    assert rest.startswith("Raises:\n    SettingError")
    assert max(map(len, args.splitlines())) <= 120


class OwnSettings(DDPGSettings):
    tau: float = DDPGSettings.again("tau", 0.5)
    patience: int = option(7, "updates to wait", group="learning", ge=1)


def test_an_agent_of_the_user_s_shows_its_own_settings() -> None:
    class Own(LiquidDDPG):
        """Wait."""

        key = "shows_its_own"
        settings_type = OwnSettings

    shown = inspect.signature(Own).parameters
    assert (shown["tau"].default, shown["patience"].default) == (0.5, 7)
    assert Own.__doc__ is not None
    assert Own.__doc__.startswith("Wait.\n\nArgs:\n    state_dim: numbers in an observation")
    assert "\n    patience: updates to wait (at least 1).\n" in Own.__doc__
    made: Any = Own(3, 4, 1, patience=2, device="cpu")  # type: ignore[call-arg]
    assert (made.settings.tau, made.settings.patience) == (0.5, 2)
    assert "patience" not in inspect.signature(LiquidDDPG).parameters


def test_a_constructor_of_the_user_s_own_is_shown_as_it_is() -> None:
    class Small(LiquidDDPG):
        """Be small.

        Args:
            size: of it.
        """

        key = "its_own_constructor"

        def __init__(self, size: int, **settings: Any) -> None:
            super().__init__(size, 4, 1, **settings)

    class Tiny(Small):
        def __init__(self) -> None:
            super().__init__(1, device="cpu")

    assert list(inspect.signature(Small).parameters)[:2] == ["size", "state_dim"]
    assert inspect.getdoc(Small) == "Be small.\n\nArgs:\n    size: of it."
    assert str(inspect.signature(Tiny)) == "() -> None"
    assert Tiny().settings.state_dim == 1


# -------------------------------------------------------------------------------------------------------- keywords


def test_the_keywords_are_those_of_the_settings() -> None:
    assert generate.TARGET.read_text() == generate.keywords_file(), "settings have changed: run make generate"


@pytest.mark.parametrize("agent", OURS)
def test_keywords_and_signature_agree(agent: type[Agent]) -> None:
    path, keywords = AGENTS[agent.key]
    assert path == f"velora.models.{agent.__name__}"
    shown = {p.name: (p.annotation, p.default) for p in inspect.signature(agent).parameters.values()}
    read = {name: (hint.__origin__, hint.__metadata__[1]) for name, hint in keywords.__annotations__.items()}
    read.pop("device"), shown.pop("device")  # whose type names torch, which isn't imported there
    assert read == {name: one for name, one in shown.items() if name not in SIZES}


if TYPE_CHECKING:

    def what_type_checkers_accept_and_refuse() -> None:
        """Hold for ``make types``, which fails where an ignore isn't needed."""
        LiquidDDPG(3, 10, 1, tau=0.01, critic_units=[8], grad_clip=None, seed=1, device="cpu")
        LiquidPPO(state_dim=3, n_neurons=10, action_dim=1, n_envs=2, critic="recurrent", seeds=(1, 2))
        LiquidDDPG(3, 10, 1, taw=0.01)  # type: ignore[call-arg]
        LiquidDDPG(3, 10, 1, tau="much")  # type: ignore[arg-type]
        LiquidDDPG(3, 10, 1, cell="rnn")  # type: ignore[arg-type]
        LiquidPPO(3, 10, 1, critic="liquid")  # type: ignore[arg-type]
        LiquidSAC(3, 10, 1, noise_std=0.1)  # type: ignore[call-arg]
        LiquidTD3(3, 10)  # type: ignore[call-arg]
