"""Measure sb3-contrib's RecurrentPPO."""

from __future__ import annotations

import gymnasium as gym
from sb3_contrib import RecurrentPPO

from benchmarks.peers.protocol import Answer, Clock, EnoughError, Settings, serve

FOREVER = 100_000_000
CRITIC_UNITS = [64, 64]


def recurrent(settings: Settings) -> Answer:
    """Row 5: an LSTM policy with a dense critic, and as many updates of ``batch_size`` samples as steps."""
    size = settings["batch_size"]
    env = Clock(gym.make(settings["env"]), skip=size, seconds=settings["seconds"], every=size)
    model = RecurrentPPO(
        "MlpLstmPolicy",
        env,
        n_steps=size,
        batch_size=size,
        n_epochs=size,
        policy_kwargs={
            "lstm_hidden_size": settings["n"],
            "enable_critic_lstm": False,
            "net_arch": {"pi": [], "vf": CRITIC_UNITS},
        },
        device="cpu",
    )
    try:
        model.learn(FOREVER)
    except EnoughError:
        return env.answer()
    raise RuntimeError("the library stopped by itself")


if __name__ == "__main__":
    serve({"recurrent": recurrent})
