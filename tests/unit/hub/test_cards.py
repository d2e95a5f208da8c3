"""Model cards: what leaderboards read, and what people do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from velora.analysis.statistics import bootstrap_interval
from velora.checkpoint import Checkpoint
from velora.core.errors import HubError, SettingError
from velora.core.zoo import find
from velora.hub.folder import write_folder
from velora.hub.front_matter import front_matter
from velora.hub.proofs import proof_table, read_proof
from velora.hub.scores import Scores
from velora.models import LiquidTD3
from velora.models.loading import load

RETURNS = [-120.0, -180.5, -131.25]
PROOF: dict[str, Any] = {
    "dtype": "float32",
    "n_steps": 1000,
    "action_range": 4.0,
    "returns": [-150.0, -160.5],
    "targets": [
        {
            "name": "cortex-m4",
            "unit": "instructions",
            "flash_bytes": 6790,
            "ram_bytes": 96,
            "stack_bytes": 208,
            "per_step": 9903.4,
            "ms_per_step": None,
            "against_float64": {"action": 3.4e-6, "state": 1e-6},
            "same_bits": True,
            "returns": [-150.0, -160.0],
            "failure": "",
        },
        {"name": "avr", "failure": "too small: 9,000 bytes of flash"},
    ],
}


def head(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_keys_that_leaderboards_read() -> None:
    scores = Scores.of(RETURNS, "Pendulum-v1")
    written = front_matter("LiquidSAC", "Pendulum-v1", tags=["cfc"], license_name="mit", scores=scores)
    found = head(written)
    assert found["tags"] == ["Pendulum-v1", "reinforcement-learning", "velora", "cfc"]
    assert (found["library_name"], found["license"]) == ("velora", "mit")
    (result,) = found["model-index"][0]["results"]
    assert result["task"] == {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    assert result["dataset"] == {"name": "Pendulum-v1", "type": "Pendulum-v1"}
    (metric,) = result["metrics"]
    assert metric == {"type": "mean_reward", "name": "mean_reward", "value": "-143.92 +/- 26.27", "verified": False}
    mean, std = map(float, metric["value"].split(" +/- "))
    assert (mean, std) == pytest.approx((np.mean(RETURNS), np.std(RETURNS)), abs=0.005)


def test_the_client_of_the_hub_reads_it_too() -> None:
    repocard = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'velora-rl[hub]'")
    scores = Scores.of(RETURNS, "ALE/Pong: v5 # hard")
    written = front_matter("LiquidSAC", scores.environment, tags=["my_module.MyCell"], license_name="", scores=scores)
    data = repocard.ModelCard(f"{written}\n# A card\n").data
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("mean_reward", scores.in_short)
    assert result.dataset_name == scores.environment


def test_an_interval_is_a_bootstrap_over_episodes() -> None:
    low, high = Scores.of(RETURNS, "Pendulum-v1").interval or (np.nan, np.nan)
    assert (low, high) == tuple(map(float, bootstrap_interval(np.array(RETURNS))))
    assert Scores.of([1.0], "Pendulum-v1").interval is None
    for returns in ([], [1.0, float("nan")]):
        with pytest.raises(SettingError):
            Scores.of(returns, "Pendulum-v1")


def test_a_card_of_the_zoo_with_a_proof(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(find("pendulum"))
    agent = load(checkpoint.path)
    (tmp_path / "proof.json").write_text(json.dumps({**PROOF, "digest": checkpoint.digest}))
    card = write_folder(
        tmp_path / "folder",
        agent,
        "ada/pendulum",
        checkpoint=checkpoint,
        scores=Scores.of(RETURNS, "Pendulum-v1"),
        proof=tmp_path,
    )
    assert card.digest == checkpoint.digest  # a checkpoint for acting is copied, not saved anew
    text = (tmp_path / "folder" / "README.md").read_text()
    for words in (
        "# LiquidSAC on Pendulum-v1",
        "LiquidSAC(3, 20, 1, seed=4)",
        "| Pendulum-v1 | -143.9 | -180.5 to -120.0 | 26.27 | -180.5 | -120.0 | 3 |",
        "| cortex-m4 | 6,790 | 96 | 208 | 9,903 instructions | 3.4e-06 | same | -155.00 |",
        "1,246 weights that aren't zero, 21 numbers of state; it reads 3 numbers and the elapsed time and puts out 1.",
        'LiquidSAC.from_pretrained("ada/pendulum")',
        "velora export pendulum to=c out=policy/",
        "| sparsity | 0.5 |",
        "over 1,000 steps, and the mean return of the compiled policy in closed loop, where Python earns -155.25",
        checkpoint.digest,
    ):
        assert words in text, words
    assert "avr" not in text
    for picture in re.findall(r"\]\(([\w.]+)\)", text):
        assert (tmp_path / "folder" / picture).is_file(), picture
    assert load(tmp_path / "folder" / "checkpoints" / "final").settings == agent.settings


def test_errors_of_discrete_actions_are_counted() -> None:
    table = proof_table({**PROOF, "action_range": None})
    assert len(table) == 3
    assert "| 0 other actions |" in table[-1]


def test_a_checkpoint_with_a_buffer_is_saved_anew(tmp_path: Path) -> None:
    agent = LiquidTD3(4, 10, 1, seed=3, critic_units=[8], device="cpu")
    checkpoint = Checkpoint.open(agent.save(tmp_path / "ep1", buffer=True))
    card = write_folder(tmp_path / "folder", agent, "ada/pole", checkpoint=checkpoint)
    home = tmp_path / "folder" / "checkpoints" / "final"
    assert sorted(path.name for path in home.iterdir()) == [
        "metadata.json", "model_state.safetensors", "optim_state.safetensors",
    ]  # fmt: skip
    text = (tmp_path / "folder" / "README.md").read_text()
    assert card.source == checkpoint.digest != card.digest
    assert f"Saved from checkpoint `{checkpoint.digest}`" in text
    assert "Not evaluated." in text
    assert "model-index" not in text


def test_what_a_folder_is_not_written_from(tmp_path: Path) -> None:
    agent = LiquidTD3(4, 10, 1, seeds=[0, 1], critic_units=[8], device="cpu")
    with pytest.raises(SettingError, match="2 seeds"):
        write_folder(tmp_path / "folder", agent, "ada/pole")
    with pytest.raises(HubError, match="is there already"):
        write_folder(tmp_path, agent.seed(0), "ada/pole")
    with pytest.raises(HubError, match="a proof is of a checkpoint"):
        write_folder(tmp_path / "folder", agent.seed(0), "ada/pole", proof=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected what velora prove json=proof.json wrote"),
        ("[" * 100_000, "expected what velora prove json=proof.json wrote"),
        ("[]", "with a list of targets"),
        ('{"targets": [3]}', "with a list of targets"),
        ('{"targets": [], "digest": "0123456789abcdef"}', "of checkpoint 0123456789ab, expected ffff"),
    ],
)
def test_a_file_that_is_no_proof_of_it(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "proof.json").write_text(text)
    with pytest.raises(HubError, match=words):
        read_proof(tmp_path, digest="ffff")
