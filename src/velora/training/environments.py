"""The environments of a run: those it trains in, and those it is evaluated in."""

from __future__ import annotations

from contextlib import ExitStack

from velora.core.errors import SettingError
from velora.envs import Environments, EnvironmentSource
from velora.envs.make import EnvLike
from velora.training.evaluation import EvaluationEnvironments
from velora.training.protocol import TrainableAgent


def prepare_environments(
    agent: TrainableAgent, env: EnvLike, stack: ExitStack, *, is_resumed: bool
) -> tuple[Environments, EvaluationEnvironments]:
    """Adapt the agent to the environment, and make one for every seed's every place.

    Args:
        stack: closes those that are ours.
        is_resumed: a run that goes on may have lived without the time that its agent asks for.

    Raises:
        SettingError, SpaceError: if the environment doesn't fit the agent, or can't be made often enough.
    """
    source = EnvironmentSource(env)
    first, is_ours = source.first()
    if is_ours:
        stack.callback(first.close)
    agent.adapt(first)
    envs, n_envs = [first], agent.experience.n_envs
    for made in source.more(agent.n_seeds * n_envs - 1, n_envs=n_envs):
        stack.callback(made.close)
        envs.append(made)
    if len({id(made.unwrapped) for made in envs}) < len(envs):
        raise SettingError(
            "env: the function gave one environment several times; each seed needs one of its own"
            + (f", or n_envs={n_envs} of them" if n_envs > 1 else "")
        )
    obs_dim = first.observation_space.shape[0]  # type: ignore[index]
    shows = agent.sees_time
    training = Environments(envs, obs_dim=obs_dim, shows_time=shows, needs_time=shows and not is_resumed)
    evaluation = EvaluationEnvironments(source, first, obs_dim=obs_dim, shows_time=shows)
    stack.callback(evaluation.close)
    return training, evaluation
