"""What makes a job what it is: digests and names of its directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from velora.cli.command.compose import composing
from velora.cli.run.run_directory import save_settings
from velora.cli.sweep import fit, identity
from velora.core.errors import SettingError


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with composing():
        yield
    HydraConfig.instance().cfg = None


def composed(*words: str, sweep_dir: Path | None = None) -> DictConfig:
    cfg = compose("train", list(words), return_hydra_config=True)
    with open_dict(cfg):
        cfg.hydra.overrides.task = list(words)
        cfg.hydra.sweep.dir = str(sweep_dir or "nowhere")
    HydraConfig.instance().set_config(cfg)
    return cfg


@pytest.mark.parametrize(
    ("words", "others"),
    [
        (["agent.actor_lr=1e-3", "env/mask=velocity"], ["env/mask=velocity", "agent.actor_lr=0.001"]),
        (["train.seeds=3"], ["train.seeds=[0,1,2]"]),
        (["train.seeds=2", "train.seed=4"], ["train.seeds=[4,5]"]),
        (["train.seed=7"], ["train.seeds=[7]"]),
        (["agent.gamma=1"], ["agent.gamma=1.0"]),
        ([], ["train.n_episodes=300", "train.n_steps=9000"]),
        ([], ["device=cpu", "device.threads=2", "checkpoint=none", "logger=csv", "retry=failed"]),
        ([], ["train.progress_bar=false", "train.summary=false", "train.log_every=7", "env.workers=2"]),
        ([], ["env.recommended.n_episodes=3"]),
        ([], ["agent=liquid_ddpg", "env=pendulum", "env.id=Pendulum-v1"]),
        ([], ["callbacks=early_stopping", "callbacks.early_stopping=null"]),
    ],
)
@pytest.mark.some(4)
def test_the_same_run_has_the_same_digest(words: list[str], others: list[str]) -> None:
    assert identity.digest(composed(*words)) == identity.digest(composed(*others))


@pytest.mark.parametrize(
    "word",
    [
        "agent=liquid_td3",
        "env=cartpole",
        "env/mask=velocity",
        "agent.n_neurons=21",
        "train.batch_size=64",
        "train.seed=0",
        "train.seeds=1",
        "train.window_size=5",
        "train.evaluate_every=3",
        "callbacks=early_stopping",
        "+env.kwargs.g=9.81",
        "env.recommended.actor_lr=0.5",
    ],
)
@pytest.mark.some(4)
def test_another_run_has_another_digest(word: str) -> None:
    assert identity.digest(composed(word)) != identity.digest(composed())


def test_the_digest_is_eight_digits_of_sha256_over_what_counts() -> None:
    cfg = composed("train.seed=0")
    assert identity.settings(cfg)["train.seeds"] == [0]
    assert "train.n_episodes" not in identity.settings(cfg)
    assert len(identity.digest(cfg)) == 8
    assert int(identity.digest(cfg), 16) >= 0


def test_seeds_that_can_t_be_understood_are_refused() -> None:
    with pytest.raises(SettingError, match=r"train\.seeds: expected none twice, got 3 more than once"):
        identity.digest(composed("train.seeds=[3,3]"))


def test_a_name_says_what_differs_shortly() -> None:
    cfg = composed("env/mask=velocity", "agent.n_neurons=20", "train.seed=0", "device=cpu")
    name = identity.job_name("train.seed", "agent.n_neurons", "env/mask", _root_=cfg)
    assert name == f"n-neurons-20_env-mask-velocity_seed-0_{identity.digest(cfg)}"
    assert identity.job_name("", _root_=cfg) == f"job_{identity.digest(cfg)}"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("agent.critic_units=[64,64]", "critic-units-64-64"),
        ("agent.actor_lr=1e-5", "actor-lr-1e-05"),
        ("+env.kwargs.text='a/b c..'", "text-a-b-c"),
        (f"+env.kwargs.text={'x' * 300}", f"text-{'x' * 19}"),
    ],
)
def test_values_make_names_that_every_file_system_takes(word: str, expected: str) -> None:
    cfg = composed(word)
    name = identity.job_name(word.partition("=")[0].lstrip("+"), _root_=cfg)
    assert name == f"{expected}_{identity.digest(cfg)}"


def test_settings_of_one_leaf_name_are_told_apart() -> None:
    cfg = composed("env/noise=gaussian", "env.noise.std=0.5", "+env.kwargs.std=2")
    name = identity.job_name("env.noise.std", "env.kwargs.std", _root_=cfg)
    assert name.startswith("env.kwargs.std-2_env.noise.std-0.5_")


def test_a_directory_with_the_digest_is_found_again_whatever_its_words(tmp_path: Path) -> None:
    cfg = composed("train.seed=0", sweep_dir=tmp_path)
    other = tmp_path / f"renamed_{identity.digest(cfg)}"
    other.mkdir()
    assert identity.job_name("train.seed", _root_=cfg) == other.name


def saved_in(run_dir: Path, *words: str) -> None:
    cfg = composed(*words)
    with open_dict(cfg):
        del cfg["hydra"]
    save_settings(run_dir, cfg)


def test_another_run_in_a_directory_is_refused_with_what_differs(tmp_path: Path) -> None:
    assert fit.fitted(composed(), tmp_path) is None
    saved_in(tmp_path, "agent.n_neurons=20", "train.seed=0")
    with pytest.raises(SettingError, match=r"holds another run \(agent\.n_neurons: 20 -> 40\); choose another"):
        fit.fitted(composed("agent.n_neurons=40", "train.seed=0"), tmp_path)
    with pytest.raises(SettingError, match=r"holds another run \(train\.seeds: \[0\] -> \[1\]\)"):
        fit.fitted(composed("train.seed=1"), tmp_path)
    assert fit.fitted(composed("agent.n_neurons=20", "train.seed=0", "train.n_episodes=90"), tmp_path) is not None


def test_a_job_whose_seed_nobody_chose_gets_that_of_its_run(tmp_path: Path) -> None:
    saved_in(tmp_path, "train.seed=7")
    cfg = composed()
    fit.fitted(cfg, tmp_path)
    assert cfg.train.seed == 7


@pytest.mark.parametrize(
    ("words", "is_shorter"),
    [
        (["train.n_episodes=20", "train.n_steps=4000"], False),
        (["train.n_episodes=20", "train.n_steps=null"], False),
        (["train.n_episodes=30", "train.n_steps=3000"], False),
        (["train.n_episodes=19", "train.n_steps=4000"], True),
        (["train.n_episodes=20", "train.n_steps=3999"], True),
    ],
)
def test_a_shorter_run_than_there_is_is_refused(tmp_path: Path, words: list[str], is_shorter: bool) -> None:
    saved_in(tmp_path, "train.seed=0", "train.n_episodes=20", "train.n_steps=4000")
    cfg = composed("train.seed=0", *words)
    if not is_shorter:
        fit.fitted(cfg, tmp_path)
        return
    with pytest.raises(SettingError, match=r"holds a longer run \(train\.n_episodes=20, train\.n_steps=4000\)"):
        fit.fitted(cfg, tmp_path)


def test_places_are_compared_from_the_run_on(tmp_path: Path) -> None:
    old = {"callbacks.video.directory": f"{tmp_path}/a/videos"}
    assert identity.differences(old, {"callbacks.video.directory": f"{tmp_path}/a/videos"}, tmp_path / "a") == []
    assert identity.differences({}, {"agent.new": 1}, tmp_path) == []
