"""MLflow on a real server: what it has, and what becomes of a run whose server is down, dies or comes back."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Command
from tests.integration.test_logger_files import RETURN, STEPS, Show, episodes, train, train_in_two_parts
from tests.shared import QUIET
from velora.callbacks import Callback
from velora.core.errors import SettingError
from velora.models import LiquidDDPG

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mlflow") is None,
        reason="needs mlflow: make integrations, or pip install -e '.[mlflow]'",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of SQLAlchemy, in what MLflow asks of it
]


class Server:
    """An MLflow server on loopback that can be killed, and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory, self.url = directory, f"http://127.0.0.1:{self.port}"
        directory.mkdir()
        self.start()

    def start(self) -> None:
        place = ["--backend-store-uri", f"sqlite:///{self.directory}/own.db", "--workers", "1"]
        place += ["--artifacts-destination", str(self.directory / "artifacts")]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), *place]
        env = {**without_mlflow(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes less
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.directory, start_new_session=True, env=env
            )
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                assert answer.status == 200
                return
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.2)
        self.kill()  # no fixture has it yet, and it would outlive the tests
        raise AssertionError((self.directory / "log").read_text())

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def without_mlflow() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mlflow") / "server")
    yield made
    made.kill()


def client(url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(url)


def runs(url: str, experiment: str) -> list[Any]:
    found = client(url).get_experiment_by_name(experiment)
    return list(client(url).search_runs([found.experiment_id]))


def free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def points(url: str, run: Any) -> list[tuple[int, float]]:
    return sorted((metric.step, metric.value) for metric in client(url).get_metric_history(run.info.run_id, RETURN))


@pytest.mark.slow
def test_a_resumed_run_is_one_run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = dict(os.environ)
    settings = {"tracking_uri": server.url, "experiment_name": "one", "tags": {"mine": "yes"}, "log_model": True}
    ours = train_in_two_parts(tmp_path / "run", {"mlflow": settings}, Show(tmp_path))
    assert {name for name in os.environ.keys() ^ before.keys() if "MLFLOW" in name} == set()
    (run,) = runs(server.url, "one")
    assert (run.info.status, run.info.run_name, run.data.tags["mine"]) == ("FINISHED", "run", "yes")
    assert run.data.params["agent/n_neurons"] == "6"
    assert run.data.params["env/id"] == "Pendulum-v1"
    assert points(server.url, run) == sorted([*ours, ours[2]])  # the third was done twice
    paths = artifacts(server.url, run.info.run_id)
    assert "swing/step5/swing.webp" in paths
    assert any(path.startswith("images/") and path.endswith(".png") for path in paths)
    assert {f"checkpoints/final/{part}_state.safetensors" for part in ("model", "optim", "buffer")} <= paths


def artifacts(url: str, run_id: str) -> set[str]:
    found, folders = set(), [""]
    while folders:
        for entry in client(url).list_artifacts(run_id, folders.pop()):
            folders.append(entry.path) if entry.is_dir else found.add(entry.path)
    return found


class At(Callback):
    """Do something at the end of an episode."""

    def __init__(self, number: int, act: Any) -> None:
        self.number, self.act = number, act

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if episode.number == self.number:
            self.act()


@pytest.mark.slow
def test_a_server_that_dies_stops_nothing_and_one_that_comes_back_gets_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Server(tmp_path / "server")
    began: list[float] = []
    try:
        settings = {"mlflow": {"tracking_uri": own.url, "experiment_name": "two"}}

        def die() -> None:
            own.kill()
            began.append(time.monotonic())

        assert train(tmp_path / "dead", settings, n_episodes=200, more=[At(3, die)]).status == "finished"
        assert time.monotonic() - began[0] < 60
        told = [record.getMessage() for record in caplog.records if record.name.startswith("velora")]
        assert len([line for line in told if line.startswith("mlflow: doesn't answer")]) == 1
        (lost,) = [line for line in told if "rows could not be sent" in line]
        assert int(lost.split()[1]) > 200
        caplog.clear()

        own.start()

        def die_and_come_back() -> None:
            own.kill()
            while not any("doesn't answer" in record.getMessage() for record in caplog.records):
                time.sleep(0.05)
            own.start()

        assert train(tmp_path / "back", settings, n_episodes=6, more=[At(3, die_and_come_back), At(4, lambda: None)])
        told = [record.getMessage() for record in caplog.records if record.name.startswith("velora")]
        assert [line.partition(":")[2][:15] for line in told if line.startswith("mlflow")] == [
            " doesn't answer",
            " answers again;",
        ]
        (run,) = [run for run in runs(own.url, "two") if run.info.run_name == "back"]
        assert (run.info.status, points(own.url, run)) == ("FINISHED", episodes(tmp_path / "back"))
    finally:
        own.kill()


@pytest.mark.slow
def test_a_dead_server_does_not_delay_a_signal(tmp_path: Path) -> None:
    own = Server(tmp_path / "server")
    words = [
        "env=pendulum",
        "train.n_episodes=5000",
        "agent.warmup_steps=250",
        "agent.n_neurons=6",
        "train.batch_size=4",
    ]
    words += ["logger=mlflow", f"logger.mlflow.tracking_uri={own.url}", "hydra.run.dir=run", "train.log_every=1"]
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "velora", "train", *words],
            cwd=tmp_path,
            stderr=err,
            stdout=err,
            env=without_mlflow(),
        )
        try:
            deadline = time.monotonic() + 240
            while not list(tmp_path.glob("run/checkpoints/ep*")):
                assert time.monotonic() < deadline, "training never began"
                time.sleep(0.2)
            own.kill()
            while "doesn't answer" not in (tmp_path / "err").read_text():
                assert time.monotonic() < deadline, "the dead server was never told of"
                time.sleep(0.2)
            time.sleep(5)  # into the retries
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == -signal.SIGTERM
            took = time.monotonic() - begun
        finally:
            own.kill()
            process.kill()
    text = (tmp_path / "err").read_text()
    assert took < 20, text  # five seconds of waiting, and the save; 259 s before
    assert (tmp_path / "run" / "checkpoints" / "interrupted" / "metadata.json").exists(), text
    assert text.count("mlflow: doesn't answer") == 1
    assert text.count("rows could not be sent") == 1


def test_a_server_that_is_down_ends_a_new_run_before_it_begins(tmp_path: Path, command: Command) -> None:
    url = free_url()
    begun = time.monotonic()
    outcome = command(
        "train", "env=pendulum", "logger=mlflow", f"logger.mlflow.tracking_uri={url}", "hydra.run.dir=run"
    )
    assert time.monotonic() - begun < 100  # of which imports take most; 259 s before
    assert outcome.code == 2
    assert outcome.err.startswith(f"velora train: logger.mlflow: {url} doesn't answer (")
    assert outcome.err.endswith("or write to a file: sqlite:///mlflow.db\n")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_goes_on_without_a_server_that_is_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path / "run", "csv")
    logger = {"csv": {}, "mlflow": {"tracking_uri": free_url()}}
    result = train(tmp_path / "run", logger, n_episodes=5, resume=tmp_path / "run" / "checkpoints")
    assert result.status == "finished"
    (line,) = [record.getMessage() for record in caplog.records if "mlflow" in record.getMessage()]
    assert "doesn't answer" in line
    assert line.endswith("the run goes on without it, with all its rows in the metrics")
    assert [step for step, _ in episodes(tmp_path / "run")] == STEPS


def test_an_unopened_logger_closes_those_before_it(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 4, 1, device="cpu", seed=0)
    logger = {"csv": {}, "mlflow": {"tracking_uri": free_url()}}
    with pytest.raises(SettingError, match="doesn't answer"):
        agent.train("Pendulum-v1", 4, n_episodes=1, logger=logger, run_dir=tmp_path / "run", **QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_runs_that_begin_at_once_share_one_new_database(tmp_path: Path) -> None:
    words = ["env=pendulum", "train.n_episodes=1", "agent.n_neurons=6", "agent.warmup_steps=300", "logger=mlflow"]
    words += ["checkpoint=none", "train.evaluation_episodes=1", "train.progress_bar=false"]
    jobs = [
        subprocess.Popen(
            [sys.executable, "-m", "velora", "train", *words, f"hydra.run.dir=run{k}"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=without_mlflow(),
        )
        for k in range(2)
    ]
    for job in jobs:
        _, err = job.communicate(timeout=200)
        assert job.returncode == 0, err
    url = f"sqlite:///{tmp_path}/mlflow.db"
    names = Counter(run.info.run_name for run in runs(url, "velora"))
    assert names == {"run0": 1, "run1": 1}
    for run in runs(url, "velora"):
        assert [step for step, _ in points(url, run)] == [200]
