"""Measure rejax: ten seeds side by side by ``jax.vmap``, in its own Pendulum, all compiled into one program."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
from rejax import get_algo
from rejax.evaluate import evaluate

from benchmarks.peers.protocol import Answer, Settings, serve

EVERY = 1_000
"""Steps between two looks at what the policies earn."""
EPISODES, EPISODE_STEPS = 10, 200
OWN: dict[str, dict[str, Any]] = {
    "TD3": {
        "actor_kwargs": {"activation": "swish"},
        "critic_kwargs": {"activation": "swish"},
        "fill_buffer": 1_000,
        "learning_rate": 1e-3,
        "polyak": 0.95,
        "max_grad_norm": 100,
        "exploration_noise": 0.3,
        "target_noise": 0.2,
        "target_noise_clip": 0.5,
        "policy_delay": 2,
    },
    "SAC": {"agent_kwargs": {"activation": "swish"}, "fill_buffer": 256, "learning_rate": 1e-2, "polyak": 0.98},
}
"""What its repository sets for Pendulum-v1 (configs/gymnax/pendulum.yaml), but for the size of batches."""


def _algorithm(settings: Settings, n_steps: int, look: Callable[..., Any]) -> Any:
    """Make an algorithm that trains so many steps and then looks.

    A buffer that holds all steps of the run and no more is the fastest: each batch costs work on all of it.
    """
    algorithm = get_algo(settings["algorithm"].lower()).create(
        env=settings["env"],
        num_envs=1,
        num_epochs=1,
        buffer_size=settings["n_steps"],
        batch_size=settings["batch_size"],
        total_timesteps=n_steps,
        eval_freq=n_steps,
        skip_initial_evaluation=True,
        gamma=0.99,
        normalize_observations=True,
        **OWN[settings["algorithm"]],
    )
    return algorithm.replace(eval_callback=look)


def _compile(algorithm: Any, settings: Settings) -> tuple[Any, Any, float]:
    """Compile the training of all seeds; return it, what they begin with, and how many seconds that took."""
    begin = time.perf_counter()
    keys = jax.random.split(jax.random.key(settings["seed"]), settings["n_seeds"])
    states = jax.jit(jax.vmap(algorithm.init_state))(keys)
    train = jax.jit(jax.vmap(lambda state: algorithm.train(train_state=state))).lower(states).compile()
    return train, jax.block_until_ready(states), time.perf_counter() - begin


def seeds(settings: Settings) -> Answer:
    """Row 10: a whole run without looking, from the start of the process to its end."""
    n_steps = settings["n_steps"]
    train, states, compile_s = _compile(_algorithm(settings, n_steps, lambda *_: ()), settings)
    jax.block_until_ready(train(states))
    n_updates = settings["n_seeds"] * (n_steps - OWN[settings["algorithm"]]["fill_buffer"])
    return {
        "total_s": time.time() - settings["started"],
        "compile_s": compile_s,
        "run_mflop": n_updates * settings["step_mflop"],
    }


def learn(settings: Settings) -> Answer:
    """Row 10: until so many seeds have earned the target, by the library's own evaluation."""

    def look(algorithm: Any, state: Any, key: Any) -> Any:
        act = algorithm.make_act(state)
        return evaluate(act, key, algorithm.env, algorithm.env_params, EPISODES, EPISODE_STEPS)[1].mean()

    train, states, compile_s = _compile(_algorithm(settings, EVERY, look), settings)
    solved_s, steps, have = None, 0, set[int]()
    while solved_s is None and steps < settings["n_steps"] and time.time() - settings["started"] < settings["limit_s"]:
        states, means = jax.block_until_ready(train(states))
        steps += EVERY
        have |= {k for k, mean in enumerate(means.ravel()) if mean >= settings["target"]}
        if len(have) >= settings["n_needed"]:
            solved_s = time.time() - settings["started"]
    return {"solved_s": solved_s, "steps": steps, "compile_s": compile_s}


if __name__ == "__main__":
    serve({"seeds": seeds, "learn": learn})
