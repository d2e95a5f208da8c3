"""Sweeps of one process: which directories they make, what is done again, and what is refused before any job."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from tests.integration.conftest import Command, Outcome
from velora.analysis import outcome
from velora.analysis.outcome import Failure, Status
from velora.metrics import queries

TINY = [
    *("train.n_episodes=2", "train.batch_size=8", "train.evaluation_episodes=1", "train.progress_bar=false"),
    *("train.summary=false", "agent.warmup_steps=350", "checkpoint.frequency=1", "device=cpu"),
]


@pytest.fixture
def sweep(command: Command) -> Command:
    """Return a function that runs a sweep into ``s``, in this process."""

    def run(*words: str) -> Outcome:
        return command("train", "-m", "sweep=basic", "hydra.sweep.dir=s", *words)

    return run


def job(name: str) -> Path:
    (found,) = Path("s").glob(f"{name}_????????")
    return found


def statuses() -> dict[str, str]:
    """Return how each job stands, by what differs."""
    return {path.name[:-9]: outcome.read(path).status.value for path in sorted(Path("s").glob("*_????????"))}


def table(out: str) -> list[str]:
    """Return the lines of the table at the end."""
    lines = out.splitlines()
    return lines[max(k for k, line in enumerate(lines) if line.split()[:1] in (["n_neurons"], ["seeds"])) :]


def test_the_same_command_again_trains_nothing_and_lists_the_same(sweep: Command) -> None:
    first = sweep("agent.n_neurons=5,6", "train.seed=0", *TINY)
    assert (first.code, first.err) == (0, "")
    assert statuses() == {"n-neurons-5": "finished", "n-neurons-6": "finished"}
    assert [line.split()[0] for line in table(first.out)] == ["n_neurons", "5", "6", "table", "compare"]
    before = {path: path.stat().st_mtime_ns for path in Path("s").rglob("checkpoints/*/*")}
    again = sweep("train.seed=0", *TINY, "agent.n_neurons=5,6")
    assert again.code == 0
    assert table(again.out) == table(first.out)
    assert again.out.count("done already") == 3
    assert {path: path.stat().st_mtime_ns for path in Path("s").rglob("checkpoints/*/*")} == before


@pytest.mark.slow
def test_what_a_sweep_says_to_compare_it_with_makes_a_page(sweep: Command, command: Command) -> None:
    done = sweep("hydra.sweep.dir=my sweep", "agent.n_neurons=5,6", "train.seed=0", *TINY)
    said = next(line for line in done.out.splitlines() if line.startswith("compare  "))
    assert said == "compare  velora compare 'my sweep' out=report.html"
    compared = command(*shlex.split(said)[2:])
    assert (compared.code, compared.err) == (0, "")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "n_neurons=5" in page
    assert "n_neurons=6" in page


@pytest.mark.slow
def test_more_values_and_a_longer_budget_are_added_to_a_sweep(sweep: Command, command: Command) -> None:
    assert sweep("agent.n_neurons=5", "train.seed=0", *TINY).code == 0
    first = queries.episodes(job("job"))
    code, out, err = sweep("agent.n_neurons=5,6", "train.seed=0", *TINY, "train.n_episodes=3")
    assert (code, err) == (0, "")
    assert [len(queries.episodes(path)) for path in (job("job"), job("n-neurons-6"))] == [3, 3]
    assert queries.episodes(job("job"))[:2] == first
    assert "resume: train.n_episodes: 2 -> 3" in out
    result = outcome.read(job("job")).result
    assert result is not None
    assert result.budget == {"n_episodes": 3, "n_steps": None}
    assert [(seed.seed, seed.episode) for seed in result.seeds] == [(0, 3)]
    code, out, err = command("train", "resume=s", "sweep=basic", "train.n_episodes=2")
    assert code == 2
    assert "holds a longer run (train.n_episodes=3); ask for at least as much" in err


@pytest.mark.slow
def test_other_words_in_the_directory_of_a_sweep_are_refused(sweep: Command, command: Command) -> None:
    assert sweep("agent.n_neurons=5", "train.seed=0", *TINY).code == 0
    told = "velora train: s holds another sweep (agent.n_neurons=5 -> agent.n_neurons=6)"
    for outcome_ in (
        sweep("agent.n_neurons=6", "train.seed=0", *TINY),
        command("train", "resume=s", "sweep=basic", "agent.n_neurons=6"),
    ):
        assert outcome_.code == 2
        assert outcome_.err.startswith(told)
        assert outcome_.err.count("\n") == 1
    assert [path.name for path in Path("s").iterdir() if path.is_dir()] == [job("job").name]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["agent.actor_lr=1e-3,0.001"], "are one and the same run, so they can't be two jobs; leave one of them out"),
        (["train.n_episodes=1,2"], "(how long a run is, where it computes and what it saves and logs don't make it"),
        (["agent.actor_lr=interval(1e-5,1e-2)"], "is no value but a range to search; search with: velora tune"),
        (["agent.cell=glob(nothing*)"], "agent.cell=glob(nothing*): no value to try, so there would be no job"),
        (["agent=glob(nothing*)"], "agent=glob(nothing*): no value to try, so there would be no job"),
        (["agent.n_neurons=5,x"], "agent.n_neurons: expected a whole number, got 'x'"),
        (["agent=liquid_ddpg,liquid_dpg"], "no such choice; did you mean liquid_ddpg?"),
        (["+train.n_episods=5,6"], "train.n_episods: no such setting; did you mean train.n_episodes?"),
        (["train.seeds=[3,3],[4,5]"], "train.seeds: expected none twice, got 3 more than once"),
        (["hydra.sweep.subdir=x", "agent.n_neurons=5,6"], "share the directory x; choose another hydra.sweep.subdir"),
        (["hydra/launcher=ray", "agent.n_neurons=5,6"], "hydra/launcher=ray: its package is missing; install it by"),
    ],
)
@pytest.mark.some(4)
def test_what_can_be_known_is_refused_before_the_first_job(command: Command, words: list[str], told: str) -> None:
    code, _, err = command("train", "-m", "hydra.sweep.dir=s", *words)
    assert code == 2
    assert told in err
    assert err.count("\n") == 1
    assert not Path("s").exists()


@pytest.mark.slow
def test_seeds_that_nobody_chose_are_drawn_once_and_kept(sweep: Command, command: Command) -> None:
    assert sweep("agent.n_neurons=5", *TINY).code == 0
    seed = OmegaConf.load(job("job") / "config.yaml").train.seed
    assert command("train", "resume=s", "sweep=basic", "train.n_episodes=3").code == 0
    assert OmegaConf.load(job("job") / "config.yaml").train.seed == seed
    assert {row.seed for row in queries.episodes(job("job"))} == {seed}


@pytest.mark.slow
def test_a_job_that_died_before_its_first_checkpoint_begins_anew_with_its_seed(sweep: Command) -> None:
    assert sweep("agent.n_neurons=5", *TINY).code == 0
    first, done = queries.episodes(job("job")), outcome.read(job("job"))
    shutil.rmtree(job("job") / "checkpoints")
    (job("job") / "result.json").unlink()
    assert outcome.read(job("job")).status is Status.DEAD
    assert sweep("agent.n_neurons=5", *TINY).code == 0
    assert [row.reward for row in queries.episodes(job("job"))] == [row.reward for row in first]
    assert outcome.read(job("job")) == done


@pytest.mark.slow
def test_a_job_that_was_killed_between_its_store_and_its_settings_begins_anew(sweep: Command) -> None:
    assert sweep("agent.n_neurons=5", "train.seed=0", *TINY).code == 0
    for name in ("result.json", "config.yaml"):
        (job("job") / name).unlink()
    shutil.rmtree(job("job") / "checkpoints")
    assert sweep("agent.n_neurons=5", "train.seed=0", *TINY).code == 0
    assert outcome.read(job("job")).status is Status.FINISHED


@pytest.mark.slow
def test_checkpoints_that_nothing_can_go_on_from_are_kept_aside(sweep: Command) -> None:
    assert sweep("agent.n_neurons=5", "train.seed=0", *TINY).code == 0
    for state in job("job").glob("checkpoints/*/train_state.safetensors"):
        state.write_bytes(b"broken")
    (job("job") / "result.json").unlink()
    code, _, err = sweep("agent.n_neurons=5", "train.seed=0", *TINY)
    assert code == 0
    assert "kept as checkpoints-kept1, and the job begins anew" in err
    assert (job("job") / "checkpoints-kept1" / "ep1").is_dir()
    assert (job("job") / "checkpoints" / "final").is_dir()


@pytest.mark.slow
def test_a_job_that_another_process_trains_is_left_alone(sweep: Command) -> None:
    assert sweep("agent.n_neurons=5,6", "train.seed=0", *TINY).code == 0
    with FileLock(job("n-neurons-5") / ".lock"):
        code, out, err = sweep("agent.n_neurons=5,6", "train.seed=0", *TINY, "train.n_episodes=3")
    assert code == 1
    assert "another process trains it; left alone" in out
    assert err.splitlines() == [
        f"velora train: {job('n-neurons-5')}: running: a process trains it",
        "velora train: 1 of 2 jobs are not done; go on with: velora train resume=s sweep=basic",
    ]
    assert len(queries.episodes(job("n-neurons-5"))) == 2


BROKEN = """
from pathlib import Path
from velora.callbacks import Callback
class Break(Callback):
    def on_episode_end(self, trainer, agent, episode):
        if trainer.episode == 2 and not Path("mended").exists():
            raise ValueError("it broke\\nin two lines")
"""


class Wrapped(RuntimeError):
    """An error of a worker's as Ray raises it: the text is a traceback, and the error itself is the cause."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::_run_job() (pid=1)\n  File x, line 1\n{type(cause).__name__}: {cause}")
        self.cause = cause


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("a worker died\nlook at its logs"), "(RuntimeError: a worker died)"),
        (Wrapped(OSError("no room")), "(OSError: no room)"),
        (ChildProcessError(), "(ChildProcessError)"),
    ],
)
@pytest.mark.some(1)
def test_a_launcher_that_breaks_off_is_told_in_one_line(
    sweep: Command, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(*_: object, **__: object) -> None:
        raise error

    basic = Plugins.instance().class_name_to_class["hydra._internal.core_plugins.basic_launcher.BasicLauncher"]
    monkeypatch.setattr(basic, "launch", launch)
    code, _, err = sweep("agent.n_neurons=5,6", "train.seed=0", *TINY)
    lines = err.splitlines()
    assert (code, len(lines)) == (1, 4)
    assert lines[0] == f"velora train: the launcher broke off {said}; HYDRA_FULL_ERROR=1 shows the traceback"
    assert lines[-1] == "velora train: 2 of 2 jobs are not done; go on with: velora train resume=s sweep=basic"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in sweep("agent.n_neurons=5,6", "train.seed=0", *TINY).err


@pytest.mark.slow
def test_a_failed_job_is_listed_with_its_reason_and_retried_if_that_is_asked_for(
    sweep: Command, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "breaks.py").write_text(BROKEN)
    words = [
        "+callbacks.mine._target_=breaks.Break",
        "agent.n_neurons=5,6",
        "train.seed=0",
        *TINY,
        "checkpoint=none",
    ]
    code, out, err = sweep(*words)
    assert code == 1
    assert statuses() == {"n-neurons-5": "failed", "n-neurons-6": "failed"}
    assert "Traceback" not in out + err
    assert "velora compare" not in out  # there is nothing to compare
    one = job("n-neurons-5")
    assert err.splitlines()[-3:] == [
        f"velora train: {one}: failed: it broke; in two lines (the traceback is in its train.log)",
        f"velora train: {job('n-neurons-6')}: failed: it broke; in two lines (the traceback is in its train.log)",
        (
            "velora train: 2 of 2 jobs failed; go on with: velora train resume=s sweep=basic "
            "callbacks.mine._target_=breaks.Break retry=failed"
        ),
    ]
    assert (one / "train.log").read_text().count("Traceback (most recent call last)") == 1
    assert outcome.read(one).failure == Failure("ValueError", "it broke; in two lines", is_mistake=False)

    again = sweep(*words)
    assert again.code == 1
    assert f"{one.name}: failed before (it broke; in two lines); retry=failed runs it again" in again.err
    assert (one / "train.log").read_text().count("Traceback (most recent call last)") == 1

    (tmp_path / "mended").touch()
    refused = command("train", "resume=s", "sweep=basic", "retry=failed")
    assert refused.code == 2
    assert "callbacks.mine._target_: s/sweep.json names code from outside Velora" in refused.err
    code, out, _ = command("train", "resume=s", "sweep=basic", "retry=failed", "+callbacks.mine._target_=breaks.Break")
    assert code == 0
    assert statuses() == {"n-neurons-5": "finished", "n-neurons-6": "finished"}
    assert not (one / "failure.json").exists()


@pytest.mark.slow
def test_the_description_holds_the_words_and_the_jobs(sweep: Command) -> None:
    assert sweep("agent.n_neurons=5,6", "train.seed=0", *TINY).code == 0
    kept = json.loads(Path("s/sweep.json").read_text())
    assert kept["words"] == ["agent.n_neurons=5,6", "train.seed=0", *TINY]
    assert [one["name"] for one in kept["jobs"]] == [job("n-neurons-5").name, job("n-neurons-6").name]
    assert [one["words"] for one in kept["jobs"]] == [["agent.n_neurons=5"], ["agent.n_neurons=6"]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "s/sweep.json can't be read"),
        ("{}", "s/sweep.json describes no sweep; repeat the command of the sweep with hydra.sweep.dir=s"),
        (
            json.dumps({"words": ["agent.n_neurons=${oc.env:HOME}"], "options": [], "jobs": []}),
            "s/sweep.json names agent.n_neurons=${oc.env:HOME}; if you trust it, add that to the command line",
        ),
        (
            json.dumps({"words": ["agent.n_neurons=range(0,1000000000)"], "options": [], "jobs": []}),
            "these words ask for more than 10,000 jobs; choose fewer values",
        ),
        (
            json.dumps({"words": ["hydra.launcher._target_=os.system"], "options": [], "jobs": []}),
            "s/sweep.json names hydra.launcher._target_=os.system; if you trust it, add that",
        ),
        (
            json.dumps({"words": [], "options": ["--config-dir", "/elsewhere"], "jobs": []}),
            "names a directory of settings; if you trust it, add --config-dir /elsewhere",
        ),
    ],
)
def test_a_sweep_that_somebody_sent_decides_nothing_by_itself(command: Command, content: str, told: str) -> None:
    Path("s").mkdir()
    Path("s/sweep.json").write_text(content)
    code, _, err = command("train", "resume=s")
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


def test_a_link_that_leads_out_of_a_sweep_is_refused(command: Command) -> None:
    Path("s/job").mkdir(parents=True)
    Path("s/sweep.json").write_text(json.dumps({"words": [], "options": [], "jobs": []}))
    Path("s/job/config.yaml").symlink_to("../../precious")
    code, _, err = command("train", "resume=s")
    assert code == 2
    assert err == (
        "velora train: s/job/config.yaml is a link that leads out of s; put there what it leads to instead\n"
    )


def test_a_run_is_no_sweep(command: Command) -> None:
    assert command("train", *TINY, "hydra.run.dir=s").code == 0
    assert outcome.read(Path("s")).status is Status.FINISHED
    code, _, err = command("train", "-m", "hydra.sweep.dir=s", *TINY)
    assert code == 2
    assert "s holds a run, not a sweep; choose another hydra.sweep.dir" in err
