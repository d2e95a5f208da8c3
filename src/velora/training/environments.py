"""The environments of a run: those it trains in, and those it is evaluated in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from velora.core.errors import SettingError
from velora.envs import Environments, EnvironmentSource, describe, statistics
from velora.envs.make import Env, EnvLike
from velora.envs.privileged import KEY
from velora.envs.said import unsaid, without_statistics
from velora.envs.workers import MakeWorkers, tell
from velora.training.evaluation_environments import EvaluationEnvironments
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent

log = logging.getLogger(__name__)


def prepare_environments(
    agent: TrainableAgent, env: EnvLike, stack: ExitStack, *, is_resumed: bool, workers: MakeWorkers | None = None
) -> tuple[Environments, EvaluationEnvironments]:
    """Adapt the agent to the environment, and make one for every seed's every place.

    Args:
        stack: closes those that are ours.
        is_resumed: a run that goes on may have lived without the time that its agent asks for.
        workers: begins the processes that environments are in; ``None`` has them here.

    Raises:
        SettingError, SpaceError: if the environment doesn't fit the agent, or can't be made often enough.
        WorkerError: if a worker ends or doesn't answer.
    """
    source = EnvironmentSource(env)
    first, is_ours = source.first()
    if is_ours:
        stack.callback(partial(source.release, first))
    agent.adapt(first)
    if agent.n_seeds > 1:
        agent.environment = without_statistics(agent.environment or {})
    if missing := unsaid(agent.environment):
        log.warning(
            "env: a checkpoint can't hold %s; training, evaluation and a resume from Python have it, velora evaluate "
            "doesn't",
            ", ".join(missing),
        )
    envs, n_envs = [first], agent.experience.n_envs
    if workers is not None:
        _check_can_move(source, first, is_ours=is_ours)
        source.workers = workers(agent.n_seeds * n_envs)
        stack.callback(source.workers.close)
        envs = [source.make()]  # the first one only showed what fits
        stack.callback(envs[0].close)
    for made in source.more(agent.n_seeds * n_envs - 1, n_envs=n_envs):
        stack.callback(made.close)
        envs.append(made)
    if agent.privileged:
        tell(envs, KEY)
    obs_dim = first.observation_space.shape[0]  # type: ignore[index]
    shows = agent.sees_time
    training = Environments(
        envs, obs_dim=obs_dim, shows_time=shows, needs_time=shows and not is_resumed, privileged=agent.privileged
    )
    evaluation = EvaluationEnvironments(source, envs, n_seeds=agent.n_seeds, obs_dim=obs_dim, shows_time=shows)
    stack.callback(evaluation.close)
    return training, evaluation


def _check_can_move(source: EnvironmentSource, first: Env, *, is_ours: bool) -> None:
    """Check that an environment is the same in a worker."""
    if kept := [type(layer).__name__ for layer in statistics.keepers(first)]:
        raise SettingError(
            f"workers: {kept[0]} keeps statistics, which evaluations and checkpoints can't get out of a worker; "
            "leave workers out, or leave them to the agent, by normalize_obs=True"
        )
    if not is_ours:
        source.make().close()  # which checks that a copy is like it


@contextmanager
def stating(agent: TrainableAgent, envs: Environments, lane: Lane) -> Iterator[None]:
    """Let the agent state, for a checkpoint, the statistics that the wrappers of a seed's environments keep.

    In the middle of an episode they are those of its beginning: a resume lives the episode again. Those of its other
    environments are beside them. Of an agent of several seeds, no single seed's stay.
    """
    said = [
        describe(envs.envs[place.index], None if place.running is None else envs.at_start.get(place.index))
        for place in lane.places
        if statistics.keepers(envs.envs[place.index])
    ]
    if said:
        others = [[one for one in other.get("wrappers", ()) if "statistics" in one] for other in said[1:]]
        agent.environment = {**said[0], **({"others": others} if others else {})}
    yield
    if agent.n_seeds > 1 and agent.environment is not None:
        agent.environment = without_statistics(agent.environment)
