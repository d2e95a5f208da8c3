"""Train the teacher of ``benchmarks.distill``: a dense TD3 of Stable-Baselines3; write its policy as ONNX.

Runs in the peers' environment, as ``python -m benchmarks.distill.teacher steps=200000 out=teacher``. The file holds
the actor alone, ``obs`` to ``action`` in [-1, 1], as ``model.policy.actor`` puts it out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import BasePolicy

SAVE_EVERY = 10_000


class _Save(BaseCallback):
    """Save, export and score the policy as training goes, and print the mean return of three episodes."""

    def __init__(self, place: Path, env_id: str) -> None:
        super().__init__()
        self._place, self._env = place, gym.make(env_id)

    def _on_step(self) -> bool:
        if self.num_timesteps % SAVE_EVERY == 0:
            path = self._place / f"{self.num_timesteps}.onnx"
            export(self.model.policy, path)
            self.model.save(self._place / "latest.zip")
            score = np.mean([_play(self.model, self._env, seed) for seed in range(3)])
            print(f"{self.num_timesteps} {score:.1f}", flush=True)
        return True


def _play(model: Any, env: gym.Env[Any, Any], seed: int) -> float:
    obs, _ = env.reset(seed=seed)
    total, ended = 0.0, False
    while not ended:
        action, _ = model.predict(obs, deterministic=True)
        obs, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        ended = terminated or truncated
    return total


def export(policy: BasePolicy, path: Path) -> None:
    """Write the deterministic actor as ONNX, from its weights in NumPy, batch of any size.

    ``torch.onnx.export(policy.actor, ...)`` writes such a file too; it needs onnxscript, and puts source paths into it.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    layers = [m for m in policy.actor.mu if isinstance(m, torch.nn.Linear)]
    nodes, weights, x = [], [], "obs"
    for i, layer in enumerate(layers):
        is_last = i == len(layers) - 1
        w, b = (t.detach().cpu().numpy() for t in (layer.weight, layer.bias))
        weights += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes += [
            helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [f"z{i}"], transB=1),
            helper.make_node("Tanh" if is_last else "Relu", [f"z{i}"], ["action" if is_last else f"h{i}"]),
        ]
        x = f"h{i}"
    sides = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in (("obs", layers[0].in_features), ("action", layers[-1].out_features))
    ]
    graph = helper.make_graph(nodes, "actor", sides[:1], sides[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def main(words: list[str]) -> None:
    """Train for ``steps`` and leave an ONNX file after every 10,000 of them in ``out``."""
    defaults = {"steps": "200000", "out": "teacher", "env": "HalfCheetah-v5", "seed": "0"}
    options = {**defaults, **dict(word.split("=") for word in words)}
    torch.set_num_threads(1)
    place = Path(options["out"])
    place.mkdir(parents=True, exist_ok=True)
    env = gym.make(options["env"])
    assert isinstance(env.action_space, gym.spaces.Box)
    noise = np.full(env.action_space.shape, 0.1)
    model = TD3(
        "MlpPolicy",
        env,
        seed=int(options["seed"]),
        learning_starts=10_000,
        learning_rate=1e-3,
        batch_size=100,
        action_noise=NormalActionNoise(np.zeros_like(noise), noise),
        policy_kwargs={"net_arch": [256, 256]},
        device="cpu",
    )
    model.learn(int(options["steps"]), callback=_Save(place, options["env"]), log_interval=None)


if __name__ == "__main__":
    main(sys.argv[1:])
