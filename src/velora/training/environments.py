"""The environments of a run: those it trains in, and those it is evaluated in."""

from __future__ import annotations

from contextlib import ExitStack

from velora.core.errors import SettingError
from velora.envs import Environments, EnvironmentSource
from velora.envs.make import EnvLike
from velora.envs.workers import Workers
from velora.training.evaluation import EvaluationEnvironments
from velora.training.protocol import TrainableAgent


def prepare_environments(
    agent: TrainableAgent, env: EnvLike, stack: ExitStack, *, is_resumed: bool, workers: int, worker_timeout_s: float
) -> tuple[Environments, EvaluationEnvironments]:
    """Adapt the agent to the environment, and make one for every seed's every place.

    Args:
        stack: closes those that are ours.
        is_resumed: a run that goes on may have lived without the time that its agent asks for.
        workers: processes that environments are in; 0 has all of them here.
        worker_timeout_s: how long any of them may take to answer.

    Raises:
        SettingError, SpaceError: if the environment doesn't fit the agent, or can't be made often enough.
        WorkerError: if a worker ends or doesn't answer.
    """
    source = EnvironmentSource(env)
    first, is_ours = source.first()
    if is_ours:
        stack.callback(first.close)
    agent.adapt(first)
    envs, n_envs = [first], agent.experience.n_envs
    if workers:  # the first one only showed what fits
        source.workers = Workers(min(workers, agent.n_seeds * n_envs), timeout_s=worker_timeout_s)
        stack.callback(source.workers.close)
        envs = [source.make()]
        stack.callback(envs[0].close)
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
