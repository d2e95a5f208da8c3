"""Where an export goes: whole or not at all, over its own files only, with a manifest in a directory."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

import gymnasium as gym
import pytest

from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, ExportError
from velora.envs import EnvironmentSource
from velora.envs.wrappers import wrap
from velora.export import TARGETS, Manifest, Options, Policy, Target, export
from velora.export.placing import MARK
from velora.models import Agent, LiquidDDPG


def write_files(policy: Policy, out: Path, options: Options) -> Mapping[str, str]:
    """Write two files into a directory; with ``fail`` stop in between."""
    out.mkdir()
    (out / "policy.h").write_text(f"/* {policy.n_observations} {options.dtype} */\n")
    if options.given.get("fail") == "Ctrl+C":
        raise KeyboardInterrupt
    if options.given.get("fail"):
        raise OSError(28, "No space left on device")
    (out / "tables").mkdir()
    (out / "tables" / "policy.c").write_text("int x;\n")
    return {"error": "0.1 %"}


def write_file(policy: Policy, out: Path, options: Options) -> None:
    out.write_text(f"{MARK} {policy.n_state}")


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a target of files and one of a file."""
    options = {"fail": "stop in between"}
    monkeypatch.setitem(TARGETS, "files", Target("files", "", f"{__name__}:write_files", "policy/", options=options))
    monkeypatch.setitem(TARGETS, "file", Target("file", "", f"{__name__}:write_file", "policy.bin"))


@pytest.fixture(scope="module")
def agent() -> Agent:
    return LiquidDDPG(3, 8, 1, seed=0, device="cpu")


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def test_every_target_has_its_function() -> None:
    for target in TARGETS.values():
        assert importlib.util.find_spec(target.place.partition(":")[0]), target.place
        if target.needs is None or importlib.util.find_spec(target.needs[0]):
            assert callable(target.load())


@pytest.mark.usefixtures("targets")
class TestDirectories:
    def test_a_manifest_says_what_is_there(self, agent: Agent, tmp_path: Path) -> None:
        checkpoint = agent.save(tmp_path / "ep1")
        done = export(checkpoint, "files", tmp_path / "deep" / "policy")
        assert names(done.out) == ["policy.h", "policy.json", "tables/policy.c"]
        assert {path.name: size for path, size in done.files.items()}["policy.h"] == len("/* 3 float32 */\n")
        manifest = Manifest.read(done.out)
        assert (manifest.target, manifest.dtype, manifest.agent) == ("files", "float32", "LiquidDDPG")
        assert (manifest.n_observations, manifest.n_state, manifest.n_actions) == (3, done.policy.n_state, 1)
        assert manifest.actions == {"low": [-1.0], "high": [1.0]}
        assert manifest.notes == done.notes == {"error": "0.1 %"}
        assert manifest.checkpoint == "../../ep1"
        assert manifest.checkpoint_in(done.out) == checkpoint
        assert manifest.changed(done.out) == []
        (done.out / "policy.h").write_text("mine")
        assert manifest.changed(done.out) == ["policy.h"]

    def test_an_agent_in_memory_has_no_checkpoint(self, agent: Agent, tmp_path: Path) -> None:
        manifest = Manifest.read(export(agent, "files", tmp_path / "policy").out)
        assert (manifest.checkpoint, manifest.digest, manifest.checkpoint_in(tmp_path)) == ("", "", None)
        assert (manifest.wrappers, manifest.missing) == ([], [])

    def test_the_wrappers_of_the_environment_are_named(self, tmp_path: Path) -> None:
        drop = {"name": "DropObservation", "kwargs": {"drop": "velocity"}}
        env = wrap(EnvironmentSource("Pendulum-v1").make(), [drop])
        agent = LiquidDDPG(2, 8, 1, seed=0, device="cpu")
        agent.adapt(gym.wrappers.TransformReward(env, abs))  # type: ignore[arg-type]
        out = export(agent, "files", tmp_path / "policy").out
        manifest = Manifest.read(out)
        assert manifest.wrappers == [drop]
        assert manifest.missing == [
            "the wrapper TransformReward (gymnasium.wrappers.transform_reward), which is code with the function func"
        ]
        older = json.loads((out / "policy.json").read_text())
        del older["wrappers"], older["missing"]
        (out / "policy.json").write_text(json.dumps(older))
        assert Manifest.read(out).wrappers == ()

    def test_the_same_policy_gives_the_same_bytes(self, agent: Agent, tmp_path: Path) -> None:
        first, second = (export(agent, "files", tmp_path / name).out for name in "ab")
        assert [(first / name).read_bytes() for name in names(first)] == [
            (second / name).read_bytes() for name in names(second)
        ]

    def test_an_export_is_replaced_and_what_lies_beside_it_stays(self, agent: Agent, tmp_path: Path) -> None:
        out = export(agent, "files", tmp_path / "policy").out
        (out / "build").mkdir()
        (out / "build" / "policy.o").write_text("o")
        export(LiquidDDPG(4, 8, 1, seed=0), "files", out)
        assert (out / "policy.h").read_text() == "/* 4 float32 */\n"
        assert (out / "build" / "policy.o").read_text() == "o"
        assert names(tmp_path) == sorted(f"policy/{name}" for name in names(out))

    def test_files_without_a_successor_go(self, agent: Agent, tmp_path: Path) -> None:
        out = export(agent, "files", tmp_path / "policy").out
        manifest = json.loads((out / "policy.json").read_text())
        manifest["files"] |= {"old.c": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "new.c": ""}
        (out / "policy.json").write_text(json.dumps(manifest))
        for name in ("old.c", "new.c"):  # the digest of the first is that of an empty file, the second was changed
            (out / name).touch()
        export(agent, "files", out)
        assert names(out) == ["new.c", "policy.h", "policy.json", "tables/policy.c"]

    def test_foreign_and_changed_files_are_replaced_only_when_told_so(self, agent: Agent, tmp_path: Path) -> None:
        (tmp_path / "policy").mkdir()
        (tmp_path / "policy" / "policy.h").write_text("mine")
        with pytest.raises(ExportError, match=r"policy\.h: not as velora export wrote it; .* overwrite=true"):
            export(agent, "files", tmp_path / "policy")
        assert names(tmp_path) == ["policy/policy.h"]
        export(agent, "files", tmp_path / "policy", overwrite=True)
        assert (tmp_path / "policy" / "policy.h").read_text() == "/* 3 float32 */\n"
        (tmp_path / "policy" / "policy.h").write_text("mine again")
        with pytest.raises(ExportError, match=r"policy\.h: not as"):
            export(agent, "files", tmp_path / "policy")

    def test_a_failure_leaves_nothing(self, agent: Agent, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match=r"can't be written \(No space left on device\); nothing was changed"):
            export(agent, "files", tmp_path / "deep" / "policy", fail="yes")
        with pytest.raises(KeyboardInterrupt):
            export(agent, "files", tmp_path / "deep" / "policy", fail="Ctrl+C")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_is_in_the_way(self, agent: Agent, tmp_path: Path) -> None:
        (tmp_path / "policy").touch()
        with pytest.raises(ExportError, match="policy: a file, expected a directory or nothing"):
            export(agent, "files", tmp_path / "policy", overwrite=True)


@pytest.mark.usefixtures("targets")
class TestFiles:
    def test_a_directory_takes_it_under_its_own_name(self, agent: Agent, tmp_path: Path) -> None:
        assert export(agent, "file", tmp_path).out == tmp_path / "policy.bin"
        assert export(agent, "file", f"{tmp_path}/deep/").out == tmp_path / "deep" / "policy.bin"
        assert names(tmp_path) == ["deep/policy.bin", "policy.bin"]

    def test_its_own_file_is_replaced_and_no_other(self, agent: Agent, tmp_path: Path) -> None:
        path = tmp_path / "policy.bin"
        for _ in range(2):
            export(agent, "file", path)
        path.write_text("mine")
        with pytest.raises(ExportError, match="not written by velora export"):
            export(agent, "file", path)
        assert path.read_text() == "mine"
        export(agent, "file", path, overwrite=True)
        assert path.read_text().startswith(MARK)

    def test_a_file_where_a_directory_should_be(self, agent: Agent, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ExportError, match=r"can't be written \(.*\); nothing was changed"):
            export(agent, "file", tmp_path / "file" / "policy.bin")
        assert names(tmp_path) == ["file"]


class TestMistakes:
    @pytest.mark.parametrize("to", ["c", "onnx"])
    def test_a_name_that_the_system_refuses(self, to: str, agent: Agent, tmp_path: Path) -> None:
        with pytest.raises(ExportError) as caught:
            export(agent, to, tmp_path / ("x" * 300))
        assert "xxx...: can't be written (File name too long); nothing was changed; " in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("to", ["c", "onnx"])
    def test_a_checkpoint_stays_as_it_is(self, to: str, agent: Agent, tmp_path: Path) -> None:
        checkpoint = agent.save(tmp_path / "ep1")
        before = names(checkpoint)
        with pytest.raises(ExportError, match="ep1: a checkpoint, which holds nothing else; choose another out="):
            export(checkpoint, to, checkpoint)
        assert names(checkpoint) == before

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"to": "onx"}, "to=onx: no such target; did you mean onnx?"),
            ({"to": "zzz"}, "to=zzz: no such target; expected one of onnx, torch, c"),
            ({"to": "onnx", "dtype": "flaot32"}, "dtype=flaot32: to=onnx has float32; did you mean float32?"),
            ({"to": "onnx", "opset": 18}, "opset: to=onnx has no such option; expected one of to, dtype, out"),
            (
                {"to": "c", "judge": 5},
                "judge: does nothing to dtype=float32; leave it out, or add dtype=int8 or dtype=int16",
            ),
        ],
    )
    def test_words(self, words: dict[str, str], message: str, agent: Agent, tmp_path: Path) -> None:
        with pytest.raises(ExportError) as caught:
            export(agent, out=tmp_path / "policy.onnx", **words)  # type: ignore[arg-type]
        assert str(caught.value).startswith(message)
        assert list(tmp_path.iterdir()) == []

    def test_a_package_that_is_missing(
        self, agent: Agent, tmp_path: Path, targets: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = Target("file", "", f"{__name__}:write_file", "policy.bin", needs=("no_such_package", "onnx"))
        monkeypatch.setitem(TARGETS, "file", row)
        with pytest.raises(ExportError, match=r"to=file: needs no_such_package, .*; pip install .*\[onnx\]"):
            export(agent, "file", tmp_path / "policy.bin")

    def test_what_has_no_description(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="images"):
            export(LiquidDDPG(3 * 64 * 64, 10, 1, seed=0, image=(3, 64, 64)), "onnx", tmp_path / "policy.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_a_cell_of_ones_own(self, agent: Agent, tmp_path: Path) -> None:
        path = agent.save(tmp_path / "ep1") / "metadata.json"
        saved = Checkpoint.open(tmp_path / "ep1").metadata
        foreign = saved.replace(settings={**saved.settings, "cell": "my_module.MyCell"})
        path.write_bytes(foreign.encode("metadata.json"))
        with pytest.raises(ExportError, match=r"its cell 'my_module.MyCell' is code from outside Velora"):
            export(tmp_path / "ep1", "onnx", tmp_path / "policy.onnx")

    def test_no_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="no checkpoint here"):
            export(tmp_path / "ep1", "onnx", tmp_path / "policy.onnx")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "can't be read"),
            ("{", "no JSON"),
            ("[" * 100_000, "no JSON"),
            ("[]", "no manifest of format 1"),
            ('{"format": 2}', "no manifest of format 1"),
            ('{"format": 1, "target": 3}', "expected target of type str, got 3"),
        ],
    )
    def test_a_manifest_that_is_none(self, content: str | None, message: str, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "policy.json").write_text(content)
        with pytest.raises(ExportError, match=message):
            Manifest.read(tmp_path)

    def test_a_manifest_names_files_of_its_directory_only(self, agent: Agent, tmp_path: Path, targets: None) -> None:
        out = export(agent, "files", tmp_path / "policy").out
        manifest = json.loads((out / "policy.json").read_text())
        manifest["files"]["../../etc/passwd"] = ""
        (out / "policy.json").write_text(json.dumps(manifest))
        with pytest.raises(ExportError, match="doesn't lie in the directory"):
            Manifest.read(out)
