from __future__ import annotations

import inspect

import pytest

from velora.callbacks import HOOKS, Callback

from .stand_in import Trainer

NO_HOOKS = {"state_dict", "load_state_dict", "seed_state_dict", "load_seed_state_dict"}


def test_the_table_of_hooks_names_every_hook_once() -> None:
    methods = {name for name, _ in inspect.getmembers(Callback, inspect.isfunction) if not name.startswith("_")}
    assert set(HOOKS) == methods - NO_HOOKS
    assert len(HOOKS) == len(set(HOOKS))


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_does_nothing_and_says_when_it_fires(name: str) -> None:
    hook = getattr(Callback(), name)
    parameters = list(inspect.signature(hook).parameters)
    assert parameters[:2] == ["trainer", "agent"]
    assert hook(*[None] * len(parameters)) is None
    assert (inspect.getdoc(hook) or "").startswith("Fire ")


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [
        ("on_episode_ends", "on_episode_end"),
        ("on_epsiode_start", "on_episode_start"),
        ("on_step", "on_step_end"),
        ("on_warm_up_end", "on_warmup_end"),
        ("on_checkpoint_save", "on_checkpoint_saved"),
    ],
)
def test_a_misspelt_hook_is_an_error_at_once_that_names_the_nearest(misspelt: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=rf"Mine\.{misspelt} is not a hook .* did you mean '{nearest}'\?"):
        type("Mine", (Callback,), {misspelt: lambda self, trainer, agent: None})


def test_so_is_one_in_a_class_further_down() -> None:
    class Good(Callback):
        pass

    with pytest.raises(TypeError, match="on_fit_start"):
        type("Worse", (Good,), {"on_fitstart": lambda self, trainer, agent: None})


def test_a_hook_with_the_wrong_arguments_is_an_error_at_once() -> None:
    with pytest.raises(TypeError, match=r"Mine\.on_episode_end must take \(self, trainer, agent, episode\)"):

        class Mine(Callback):
            def on_episode_end(self, trainer, agent):  # type: ignore[no-untyped-def, override]
                pass


def test_other_names_defaults_and_catch_alls_are_fine() -> None:
    seen = []

    class Mine(Callback):
        on_gpu = True

        def on_episode_end(self, *args):  # type: ignore[no-untyped-def]
            seen.append(len(args))

        def on_train_end(self, t, a, extra=None):  # type: ignore[no-untyped-def]
            seen.append(2)

        def _on_private(self) -> None:
            pass

    trainer = Trainer(callbacks=[Mine()])
    trainer.start()
    trainer.play(1.0)
    trainer.end()
    assert seen == [3, 2]


def test_a_callback_keeps_nothing_unless_it_says_so() -> None:
    class Mine(Callback):
        pass

    assert Mine().state_key.endswith("Mine")
    assert Mine().state_dict() == {}
    assert Mine().seed_state_dict(7) == {}
    Mine().load_state_dict({})
    Mine().load_seed_state_dict(7, {})
