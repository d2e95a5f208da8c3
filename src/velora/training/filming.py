"""Film an agent: it plays in an environment of its own, which draws what is seen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from velora.core.errors import SettingError
from velora.core.types import Filmed
from velora.envs import Environments
from velora.envs.film import Film
from velora.envs.layers import Env
from velora.training.evaluation import MAX_STEPS, evaluate
from velora.training.protocol import TrainableAgent

_FPS = 30.0
"""Pictures per second, where the environment doesn't say how many."""


def film(
    agent: TrainableAgent,
    env: Env,
    path: Path,
    reset_seeds: Sequence[int],
    *,
    seed_index: int = 0,
    every: int = 1,
    max_steps: int = MAX_STEPS,
    on_step: Callable[[], None] = lambda: None,
) -> Filmed:
    """Play one episode from each reset seed, without noise or learning, and write a video of all.

    The picture before every ``every``-th step is taken, and the last one of each episode. The video is as fast as the
    environment says that its time is (``render_fps``).

    Args:
        env: it draws, and nothing else uses it.
        seed_index: whose policy plays, as a position on the seed axis.
        max_steps: an episode that is so long is cut.
        on_step: called before every step; what it raises leaves no video.

    Raises:
        SettingError: if a number is out of its domain, the format can't be written, or ``env`` gives no pictures.
    """
    for name, value in (("every", every), ("max_steps", max_steps), ("episodes", len(reset_seeds))):
        if value < 1:
            raise SettingError(f"video.{name}: expected a whole number of at least 1, got {value!r}")
    obs_dim = env.observation_space.shape[0]  # type: ignore[index]
    envs = Environments([env] * agent.n_seeds, obs_dim=obs_dim, shows_time=agent.sees_time)
    fps = float((env.metadata or {}).get("render_fps") or _FPS) / every
    returns = []
    with Film(path, fps=fps) as shot:
        for reset_seed in reset_seeds:
            count = itertools.count()

            def draw(count: itertools.count[int] = count) -> None:
                on_step()
                if next(count) % every == 0:
                    shot.add(env.render())

            earned = evaluate(agent, envs, [reset_seed], seed_indices=[seed_index], max_steps=max_steps, on_step=draw)
            shot.add(env.render())
            returns.append(float(earned[0, 0]))
    return Filmed(path, shot.n_pictures, tuple(returns))
