"""Studies as a user has them: trials are runs, workers are processes, and both may be killed."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.shared import digests
from velora.cli.run import run_directory
from velora.cli.tune import outcome, storage, worker
from velora.cli.tune.page import LivePage
from velora.core import seeding
from velora.metrics import queries

optuna: Any = pytest.importorskip("optuna", reason="pip install -e '.[tune]'")
Command = Callable[..., Any]

TINY = (
    "train.n_episodes=2",
    "train.batch_size=8",
    "train.evaluation_episodes=2",
    "train.summary=false",
    "agent.warmup_steps=300",
    "checkpoint.frequency=1",
    "device=cpu",
)
SEARCHED = ("agent.actor_lr=tag(log,interval(1e-4,1e-2))", "agent.n_neurons=int(interval(4,6))")
VELORA = [sys.executable, "-m", "velora", "tune"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def begin(home: Path, *words: str, trials: int) -> Any:
    """Begin a study without a process for it."""
    from velora.cli.command.arguments import Arguments
    from velora.cli.tune import request

    asked = request.completed(request.understand(Arguments.parse([*SEARCHED, *TINY, *words]))[0])
    return storage.create(home, asked, n_trials=trials)


def work(home: Path, *words: str, trials: int) -> outcome.Outcome:
    """Make a study in this process."""
    begin(home, *words, trials=trials)
    return go_on(home)


def go_on(home: Path) -> outcome.Outcome:
    worker.work(home)
    return outcome.look(home, storage.load(home))


def forget_last(home: Path, n_lines: int) -> None:
    """Take back what the journal was told last, as if the process had died before."""
    journal = home / storage.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-n_lines]))


def rows(run: Path) -> list[tuple[int, int, float]]:
    return [(row.seed, row.episode, row.reward) for row in queries.episodes(run)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory in which the study ``study`` was made by the command."""
    cwd = tmp_path_factory.mktemp("made")
    words = [*VELORA, *SEARCHED, *TINY, "train.seeds=2", "trials=3", "workers=2", "study=study"]
    ended = subprocess.run(words, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (cwd / "out").write_text(ended.stdout)
    (cwd / "err").write_text(ended.stderr)
    return cwd


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of that study, in the directory that the test is in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("study")


@pytest.mark.slow
def test_a_study_is_trials_that_are_runs(study: Path) -> None:
    found = outcome.look(study, storage.load(study))
    assert [(trial.number, trial.state) for trial in found.trials] == [(n, "complete") for n in range(3)]
    for trial in found.trials:
        run = study / f"trial{trial.number:04d}" / "run"
        settings = OmegaConf.load(run / "config.yaml")
        assert settings.agent.actor_lr == pytest.approx(trial.params["agent.actor_lr"], rel=1e-12)
        assert settings.agent.n_neurons == trial.params["agent.n_neurons"]
        assert list(settings.train.seeds) == [0, 1]
        means = {row.seed: row.mean for row in queries.evaluations(run)}
        assert trial.returns == [means[0], means[1]]
        assert trial.values[0] == pytest.approx((means[0] + means[1]) / 2)
        assert (run / "checkpoints/seed1/final").is_dir()
    assert [trial.values[0] for trial in found.best] == sorted((t.values[0] for t in found.trials), reverse=True)


def test_the_end_is_a_table_a_page_and_the_commands_to_go_on_with(study: Path) -> None:
    out, best = Path("out").read_text(), outcome.look(study, storage.load(study)).best
    lines = [line for line in out.splitlines() if re.match(r" +\d+ +-\d", line)]
    assert [int(line.split()[0]) for line in lines] == [trial.number for trial in best]
    assert len({len(line) for line in lines}) == 1
    assert "ended     3 of 3 trials: 3 complete" in out
    assert re.findall(r"trial (\d)  -[\d,.]+  agent.actor_lr=", Path("err").read_text())
    page = (study / "study.html").read_text()
    assert page.count("<svg ") == len(list((study / "figures").glob("*.svg"))) == 3
    assert not re.search(r"(?:src|href)=[\"']http", page)
    assert next_words(out, "train") == [
        "velora", "train", "--config-dir=study", "experiment=best", "train.seed=2", "train.seeds=10",
    ]  # fmt: skip


def test_the_page_of_a_study_that_runs_is_made_anew_when_trials_have_ended(study: Path) -> None:
    page = study / "study.html"
    page.unlink()
    live = LivePage(study, storage.load(study), n_ended=2, every_s=0.0)
    live.refresh(2)
    assert not page.exists()  # nothing has ended since
    live.refresh(3)
    assert "3 of 3 trials" in page.read_text()
    page.unlink()
    live.refresh(4)  # pages take a twentieth of the time at most, and the last one is a moment old
    LivePage(study, storage.load(study), n_ended=2).refresh(3)  # in the first minute there is none
    assert not page.exists()


def next_words(out: str, name: str) -> list[str]:
    line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
    return shlex.split(line.removeprefix(name))


def test_the_printed_command_trains_the_best_settings(study: Path, command: Command) -> None:
    best = outcome.look(study, storage.load(study)).best[0]
    shutil.copytree(study, "elsewhere")
    _, *words = next_words(Path("out").read_text(), "train")
    assert "--config-dir=study" in words
    ended = command(*words, "train.seeds=1", "train.n_episodes=1", "agent.warmup_steps=150", "hydra.run.dir=trained")
    assert ended.code == 0, ended.err
    settings = OmegaConf.load("trained/config.yaml")
    assert settings.agent.actor_lr == pytest.approx(best.params["agent.actor_lr"], rel=1e-12)
    assert settings.agent.n_neurons == best.params["agent.n_neurons"]
    assert (settings.train.batch_size, list(settings.train.seeds)) == (8, [2])


@pytest.mark.slow
def test_a_finished_study_is_shown_and_extended(study: Path, command: Command) -> None:
    shown = command("tune", f"show={study}", "out=page.html")
    assert shown.code == 0, shown.err
    assert "ended     3 of 3 trials: 3 complete" in shown.out
    assert "<svg " in Path("page.html").read_text()
    before = outcome.look(study, storage.load(study)).trials
    same = command("tune", f"resume={study}")
    assert (same.code, outcome.look(study, storage.load(study)).trials) == (0, before)
    storage.set_n_trials(storage.load(study), 4)
    found = go_on(study)
    assert [trial.state for trial in found.trials] == ["complete"] * 4
    assert list(found.trials[:3]) == list(before)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("resume=study", "agent.n_neurons=4,5"), "agent.n_neurons: int(interval(4,6)) in the study, 4,5 here"),
        (("resume=study", "sampler=gp"), "sampler: tpe in the study, gp here"),
        (("study=study", SEARCHED[0]), "agent.n_neurons: int(interval(4,6)) in the study, not set here"),
        (("resume=study", "show=study"), "expected one of study=, resume= and show="),
        (("show=study", "trials=3"), "trials: goes not with show="),
        (("resume=study", "out=x.html"), "out: goes with show=<study>"),
        (("study=study/trial0000", *SEARCHED), "study/trial0000 holds something else"),
        (("resume=nowhere",), "nowhere does not exist"),
    ],
)
@pytest.mark.some(3)
def test_what_does_not_fit_a_study_is_one_line(
    study: Path, command: Command, words: tuple[str, ...], expected: str
) -> None:
    before = (study / storage.JOURNAL).read_bytes()
    refused = command("tune", *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"velora tune: {expected}")
    assert refused.err.count("\n") == 1
    assert (study / storage.JOURNAL).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["agent.actor_lr=interval(3,1)"], "agent.actor_lr: interval(3,1): expected the lower end first"),
        (["agent.actor_lr=tag(log,interval(0,1))"], "agent.actor_lr: tag(log,interval(0,1)): a logarithm needs"),
        (["agent.cell=cfc,gruu"], "agent.cell: input should be 'cfc'"),
        (["agent.tau=interval(0.1,2)"], "agent.tau: input should be less than or equal to 1, got 2.0"),
        (["agent.image=choice(null,false)"], "agent.image: choice() can't hold null; write agent.image=null,false"),
        (["env=pendulum"], "expected a setting to search"),
        ([SEARCHED[0], "pruner=median"], "pruner: median needs evaluations along the run; add train.evaluate_every"),
        ([SEARCHED[0], "value=best"], "value: best needs evaluations along the run"),
        ([SEARCHED[0], "pruner=wilcoxon", "train.seeds=3"], "pruner: wilcoxon compares seeds one by one and needs 6"),
    ],
)
@pytest.mark.some(3)
def test_a_study_that_cannot_be_searched_begins_nothing(
    command: Command, tmp_path: Path, words: list[str], expected: str
) -> None:
    refused = command("tune", *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"velora tune: {expected}")
    assert refused.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------------------------------------- what goes on, and how


def test_a_trial_that_was_not_told_of_is_told_under_its_number(study: Path) -> None:
    """Its process died between the end of the run and the end of the trial: nothing is trained again."""
    before = outcome.look(study, storage.load(study)).trials
    trained = {n: rows(study / f"trial{n:04d}/run") for n in range(3)}
    last = int(re.findall(rb'"op_code":6,[^\n]*"trial_id":(\d)', (study / storage.JOURNAL).read_bytes())[-1])
    lines = (study / storage.JOURNAL).read_bytes().splitlines()
    assert b'"op_code":6' in lines[-1]
    forget_last(study, 1)
    left = outcome.look(study, storage.load(study))
    assert (left.trials[last].state, left.n_ended) == ("left", 2)
    after = go_on(study)
    assert [trial.values for trial in after.trials] == [trial.values for trial in before]
    assert {n: rows(study / f"trial{n:04d}/run") for n in range(3)} == trained
    assert "there was nothing left to train" in (study / f"trial{last:04d}/trial.log").read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_made_up_for_to_the_same_bits(study: Path, tmp_path: Path) -> None:
    undisturbed = outcome.look(study, storage.load(study))
    words = [*SEARCHED, *TINY, "train.seeds=2", "trials=3", "study=killed"]
    with subprocess.Popen(
        [*VELORA, *words, "workers=1"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as parent:
        first = wait_for(lambda: list(Path("killed").glob("trial*/run/checkpoints/seed1/ep1")), parent)
        (killed,) = workers_of(parent.pid)
        os.kill(killed, signal.SIGKILL)
        err = parent.communicate(timeout=240)[1]
    assert parent.returncode == 0, err
    assert "a worker was killed by SIGKILL; another one goes on with its trial" in err
    found = outcome.look(Path("killed"), storage.load(Path("killed")))
    assert [(t.number, t.state, t.params, t.values) for t in found.trials] == [
        (t.number, t.state, t.params, t.values) for t in undisturbed.trials
    ]
    number = int(first[0].parts[1].removeprefix("trial"))
    for seed in (0, 1):
        own, other = (home / f"trial{number:04d}/run/checkpoints/seed{seed}/final" for home in (Path("killed"), study))
        assert digests(own)["model_state.safetensors"] == digests(other)["model_state.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_stopped_leaves_nothing_behind_and_goes_on(study: Path, number: signal.Signals) -> None:
    undisturbed = outcome.look(study, storage.load(study))
    words = [*SEARCHED, *TINY, "train.seeds=2", "trials=3", "study=stopped", "workers=2"]
    with subprocess.Popen(
        [*VELORA, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        wait_for(lambda: list(Path("stopped").glob("trial*/run/checkpoints/seed1/ep1")), parent)
        children = workers_of(parent.pid)
        parent.send_signal(number)
        out, err = parent.communicate(timeout=120)
    assert parent.returncode == {signal.SIGINT: 130, signal.SIGTERM: -15, signal.SIGKILL: -9}[number]
    if number != signal.SIGKILL:
        assert ("interrupted; every run is saved" in err) == (number == signal.SIGINT)
        assert "go on     velora tune resume=stopped" in out
        assert "left unfinished" in Path("stopped/study.html").read_text()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "left" in [t.state for t in outcome.look(Path("stopped"), storage.load(Path("stopped"))).trials]
    ended = subprocess.run([*VELORA, "resume=stopped"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "3 of 3 trials: 3 complete" in Path("stopped/study.html").read_text()
    found = outcome.look(Path("stopped"), storage.load(Path("stopped")))
    assert [(t.params, t.values) for t in found.trials] == [(t.params, t.values) for t in undisturbed.trials]


def workers_of(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait_for(what: Callable[[], list[Path]], process: subprocess.Popen[str]) -> list[Path]:
    deadline = time.monotonic() + 120
    while not (found := what()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


# ------------------------------------------------------------------------------------------------------ how trials end


@pytest.mark.slow
def test_a_trial_that_fails_ends_no_study(tmp_path: Path) -> None:
    """A callback of this test fails for one of two values."""
    module = tmp_path / "failing_at.py"
    module.write_text(
        "from velora.callbacks import Callback\n"
        "class FailingAt(Callback):\n"
        "    def __init__(self, n):\n"
        "        self.n = n\n"
        "    def on_episode_end(self, trainer, agent, episode):\n"
        "        if agent.settings.n_neurons == self.n:\n"
        "            raise RuntimeError(f'{self.n} is too many')\n"
    )
    sys.path.append(str(tmp_path))
    try:
        found = work(
            tmp_path / "study", "+callbacks.failing._target_=failing_at.FailingAt", "+callbacks.failing.n=5", trials=4
        )
    finally:
        sys.path.remove(str(tmp_path))
    failed = [trial for trial in found.trials if trial.params["agent.n_neurons"] == 5]
    assert {trial.number for trial in failed} == {t.number for t in found.trials if t.state == "failed"}
    assert 0 < len(failed) < 4
    for trial in failed:
        assert trial.reason == "5 is too many"
        log = (tmp_path / f"study/trial{trial.number:04d}/trial.log").read_text()
        assert log.count("Traceback (most recent call last)") == 1
    assert all(trial.state == "complete" for trial in found.trials if trial not in failed)


@pytest.mark.slow
def test_a_study_whose_trials_all_fail_is_given_up(tmp_path: Path) -> None:
    begin(tmp_path / "study", "+callbacks.mine._target_=no_such_module.Mine", trials=9)
    with pytest.raises(worker.GivenUpError, match=r"the first 3 trials failed, the last of them: callbacks\.mine"):
        worker.work(tmp_path / "study")
    assert len(storage.load(tmp_path / "study").get_trials()) == 3


def test_a_full_disk_fails_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "study", trials=1)
    with monkeypatch.context() as full:
        full.setattr(run_directory, "save_settings", no_room)
        with pytest.raises(worker.DiskFullError, match="trial0000: the disk is full; make room"):
            worker.work(tmp_path / "study")
    assert [trial.state for trial in outcome.look(tmp_path / "study", storage.load(tmp_path / "study")).trials] == [
        "left"
    ]
    assert [trial.state for trial in go_on(tmp_path / "study").trials] == ["complete"]


def no_room(run_dir: Path, cfg: Any) -> None:
    raise run_directory.unwritable(run_dir, OSError(errno.ENOSPC, "No space left on device")) from OSError(
        errno.ENOSPC, "No space left on device"
    )


@pytest.mark.parametrize("seeds", ["train.seed=1", "train.seeds=2"])
def test_a_trial_that_meets_nan_is_pruned_and_says_so(tmp_path: Path, seeds: str) -> None:
    """The reward of seed 1 is infinite in its second episode."""
    module = tmp_path / f"diverging_{seeds[-1]}.py"
    module.write_text(
        "import gymnasium as gym\n"
        "class Diverging(gym.Wrapper):\n"
        "    def __init__(self, bad):\n"
        "        super().__init__(gym.make('Pendulum-v1'))\n"
        "        self.bad = bad\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        self.is_bad = seed == self.bad\n"
        "        return super().reset(seed=seed, options=options)\n"
        "    def step(self, action):\n"
        "        obs, reward, *rest = super().step(action)\n"
        "        return obs, float('inf') if self.is_bad else reward, *rest\n"
        f"gym.register('{module.stem}-v0', Diverging)\n"
    )
    sys.path.append(str(tmp_path))
    bad = f"+env.kwargs.bad={seeding.episode_seed(1, 0, 2)}"
    try:
        found = work(tmp_path / "study", f"env.id={module.stem}:{module.stem}-v0", bad, seeds, trials=1)
    finally:
        sys.path.remove(str(tmp_path))
    (trial,) = found.trials
    assert (trial.state, found.best) == ("pruned", [])
    assert trial.reason.startswith(
        "diverged: seed 1 met NaN" if seeds == "train.seeds=2" else "seed 1: after 200 steps"
    )


@pytest.mark.slow
def test_settings_that_were_trained_already_are_not_trained_again(tmp_path: Path) -> None:
    home = tmp_path / "study"
    begin(home, trials=1)
    first = go_on(home).trials[0]
    study = storage.load(home)
    study.enqueue_trial(dict(first.params))
    storage.set_n_trials(study, 3)
    found = go_on(home)
    (twin,) = [trial for trial in found.trials if trial.reason == "same as trial 0"]
    assert (twin.values, twin.returns, twin.cost) == (first.values, first.returns, first.cost)
    assert not (home / f"trial{twin.number:04d}/run").exists()
    assert twin not in found.best


@pytest.mark.slow
def test_costs_are_limits_and_objectives(tmp_path: Path) -> None:
    found = work(tmp_path / "study", "minimise=parameters", "max_parameters=100", "sampler=random", trials=4)
    for trial in found.trials:
        assert trial.values == (trial.values[0], trial.cost["parameters"])
        assert (trial.state == "infeasible") == (trial.cost["parameters"] > 100)
        assert 0 < trial.cost["ms_per_action"] < 100
    assert {trial.params["agent.n_neurons"] for trial in found.trials if trial.state == "complete"} == {4}
    assert {trial.state for trial in found.trials} == {"complete", "infeasible"}
    assert all(trial.state == "complete" for trial in found.best)


def test_trials_that_fall_behind_are_pruned_at_an_evaluation(tmp_path: Path) -> None:
    """Five complete ones decide the median; then one that learns nothing at all must be worse."""
    words = ("pruner=median", "train.evaluate_every=1", "train.n_episodes=6", "train.seeds=2", "sampler=random")
    home = tmp_path / "study"
    begin(home, *words, trials=5)
    study = storage.load(home)
    params = {"agent.actor_lr": 1e-3, "agent.n_neurons": 4}
    space = {name: one.distribution() for name, one in storage.request_of(study).space.items()}
    for _ in range(5):
        values = dict.fromkeys(range(1, 7), 0.0)
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=space, values=[0.0], intermediate_values=values)
        )
    storage.set_n_trials(study, 6)
    trial = go_on(home).trials[5]
    assert (trial.state, trial.reason) == ("pruned", "pruned after evaluation 1")
    run = home / "trial0005/run"
    assert trial.curve == {1: pytest.approx(sum(row.mean for row in queries.evaluations(run)) / 2)}
    assert [row.episode for row in queries.evaluations(run)] == [1, 1]
    assert queries.experiments(run)[0].status == "stopped"


@pytest.mark.slow
def test_seeds_in_sequence_are_runs_of_their_own(tmp_path: Path) -> None:
    words = ("pruner=wilcoxon", "train.seeds=6", "train.n_episodes=1", "agent.warmup_steps=150")
    home = tmp_path / "study"
    begin(home, *words, trials=1)
    study = storage.load(home)
    space = {name: one.distribution() for name, one in storage.request_of(study).space.items()}
    better = optuna.trial.create_trial(
        params={"agent.actor_lr": 1e-3, "agent.n_neurons": 4},
        distributions=space,
        values=[0.0],
        intermediate_values=dict.fromkeys(range(6), 0.0),
    )
    study.add_trial(better)
    storage.set_n_trials(study, 2)
    trial = go_on(home).trials[1]
    assert (trial.state, trial.reason) == ("pruned", "pruned after 4 of 6 seeds")
    assert sorted(path.name for path in (home / "trial0001").glob("seed*")) == ["seed0", "seed1", "seed2", "seed3"]
    means = [queries.evaluations(home / f"trial0001/seed{seed}")[-1].mean for seed in range(4)]
    assert trial.curve == dict(enumerate(means))
    assert trial.returns == means


@pytest.mark.slow
def test_the_command_that_goes_on_names_an_environment_of_ones_own_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from velora.cli.main import main

    name = f"own_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(
        "import gymnasium as gym\n"
        f"gym.register('{name}-v0', 'gymnasium.envs.classic_control:PendulumEnv', max_episode_steps=200)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    begin(Path("study"), f"env.id={name}:{name}-v0", trials=1)
    assert main(["tune", "show=study"]) == 0
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("go on"))
    assert said == f"go on     velora tune resume=study env.id={name}:{name}-v0"
    assert main(["tune", "resume=study"]) == 2  # it isn't enough without
    assert main([*shlex.split(said)[3:], "workers=1"]) == 0
    assert "1 complete" in capsys.readouterr().out
