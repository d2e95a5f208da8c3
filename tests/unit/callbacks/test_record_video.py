"""Videos of real environments, read back; and that training neither knows of them nor ends by them."""

from __future__ import annotations

import logging
import os
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET
from tests.unit.callbacks.small_run import final, make, pendulum, train
from tests.videos import pictures
from velora.callbacks import Callback, RecordVideo, SaveCheckpoints
from velora.core.errors import SettingError
from velora.envs import dimensions, is_discrete
from velora.models import LiquidDDPG, LiquidPPO

pytest.importorskip("imageio_ffmpeg", reason='needs imageio-ffmpeg: pip install "velora-rl[video]"')
pytest.importorskip("pygame", reason='needs pygame: pip install "velora-rl[video]"')


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_pendulum_on_the_way_and_at_the_end(tmp_path: Path) -> None:
    train(RecordVideo(every=4), run_dir=tmp_path)
    assert names(tmp_path / "videos") == ["final.mp4", "step24.mp4"]
    found = pictures(tmp_path / "videos" / "final.mp4")
    assert [one.shape for one in found] == [(500, 500, 3)] * 7  # one before each of 6 steps, and the last
    assert found[0].std() > 10  # something is to be seen


def test_by_steps_in_the_middle_of_an_episode(tmp_path: Path) -> None:
    train(RecordVideo(tmp_path, steps=20, final=False, frame_every=4, episodes=2, suffix=".webp"))
    assert names(tmp_path) == ["step20.webp"]
    assert len(pictures(tmp_path / "step20.webp")) == 2 * 3  # before steps 1 and 5, and the last


CAN_DRAW = find_library("EGL") or os.environ.get("DISPLAY") or os.environ.get("MUJOCO_GL")


@pytest.mark.parametrize(
    ("env_id", "shape"),
    [
        ("CartPole-v1", (400, 600, 3)),
        pytest.param(
            "LunarLander-v3",
            (400, 600, 3),
            marks=pytest.mark.skipif(find_spec("Box2D") is None, reason='needs Box2D: pip install "velora-rl[box2d]"'),
        ),
        pytest.param(
            "InvertedPendulum-v5",
            (480, 480, 3),
            marks=pytest.mark.skipif(not CAN_DRAW, reason="MuJoCo needs EGL to draw without a screen: libegl1"),
        ),
    ],
)
def test_classic_control_box2d_and_mujoco(env_id: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    env = gym.make(env_id, max_episode_steps=3)
    state_dim, n_actions = dimensions(env)
    own: dict[str, Any] = {"discrete": True} if is_discrete(env) else {}
    agent = LiquidPPO(state_dim, 6, n_actions, rollout_steps=8, device="cpu", seed=0, **own)
    agent.train(env, 8, n_episodes=1, callbacks=RecordVideo(tmp_path), **QUIET)
    found = pictures(tmp_path / "final.mp4")
    assert [one.shape for one in found] == [shape] * len(found)
    assert 2 <= len(found) <= 4
    assert found[0].std() > 5


def test_training_knows_nothing_of_it(tmp_path: Path) -> None:
    train(SaveCheckpoints(tmp_path / "plain", frequency=None))
    watched = SaveCheckpoints(tmp_path / "watched", frequency=None)
    train(RecordVideo(tmp_path / "videos", steps=5, suffix=".webp"), watched)
    assert final(tmp_path / "plain") == final(tmp_path / "watched")
    assert len(names(tmp_path / "videos")) == 8


def test_each_seed_has_its_own(tmp_path: Path) -> None:
    train(RecordVideo(tmp_path, suffix=".gif"), agent=make(seeds=[4, 7]), n_episodes=1)
    assert names(tmp_path) == ["seed4-final.gif", "seed7-final.gif"]


def test_a_resume_goes_on_with_the_next(tmp_path: Path) -> None:
    home, videos = tmp_path / "run", tmp_path / "videos"

    def own() -> list[Callback]:
        return [RecordVideo(videos, steps=10, final=False, suffix=".gif"), SaveCheckpoints(home)]

    train(*own(), n_steps=15)
    assert names(videos) == ["step10.gif"]
    train(*own(), resume=home)
    assert names(videos) == ["step10.gif", "step20.gif", "step30.gif"]


def test_a_failure_is_told_once_and_training_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=0, buffer_size=100)
        result = agent.train(pendulum, 4, n_episodes=4, callbacks=[RecordVideo(tmp_path / "v", every=1)], **QUIET)
    assert result.status == "finished"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"video: {tmp_path / 'v' / 'step6.mp4'} isn't recorded, nor any after it (")
    assert "render_mode='rgb_array', got None" in line
    assert not (tmp_path / "v").exists()


def test_a_place_that_can_t_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert train(RecordVideo(tmp_path / "file" / "x"), n_episodes=1).status == "finished"
    assert "Not a directory" in caplog.text or "File exists" in caplog.text


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"every": 0}, "record_video.every: expected a whole number >= 1 or None, got 0"),
        ({"frame_every": 1.5}, "record_video.frame_every: expected a whole number >= 1, got 1.5"),
        ({"suffix": "mp4"}, "record_video.suffix: expected one of .mp4, .webp, .gif, got 'mp4'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        RecordVideo("x", **settings)


def test_a_run_without_a_directory_needs_one() -> None:
    with pytest.raises(SettingError, match=r"record_video\.directory: expected a directory, since the run has none"):
        train(RecordVideo())
