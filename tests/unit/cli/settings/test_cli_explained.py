from __future__ import annotations

from velora.cli.settings.explained import explain
from velora.cli.settings.schema import TrainConfig

HELP = """\
Train.

  velora train                                # an example

train: default

Settings:

agent:
  _target_: velora.models.{agent}
  n_neurons: 20
  critic_units:
  - 64
  sequence_length: 8
  time: gate
  own: 3
env:
  id: Pendulum-v1
  recommended:
    n_steps: null
    actor_lr: 0.001
  flicker:
    probability: null
device:
  name: auto
train:
  evaluate_every: null
  batch_size: ${{somewhere.else.that.is.far.away}}
  seed: null
resume: null
"""


def explained(agent: str) -> list[str]:
    return explain(HELP.format(agent=agent), TrainConfig).splitlines()


def test_every_setting_has_its_meaning_beside_it() -> None:
    lines = explained("LiquidDDPG")
    assert "    actor_lr: 0.001             # learning rate of the policy (above 0, at most 10)" in lines
    assert "  evaluate_every: null          # episodes between evaluations; null evaluates at the end only" in lines
    assert "resume: null                    # a run to go on from, or one of its checkpoints; or a sweep" in lines
    assert "    probability: null           # of seeing nothing, in [0, 1]" in lines
    neurons, units, last, after = (line for line in lines if line[:5] in ("  n_n", "  cri", "  - 6", "  seq"))
    assert neurons.startswith("  n_neurons: 20                 # inter and command neurons; one motor neuron per")
    assert units.startswith("  critic_units:                 # sizes of the critic's hidden layers; of a recurrent")
    assert last == "  - 64"
    assert after.startswith("  sequence_length: 8            # steps of a window that are learned from")


def test_what_no_schema_explains_stays_as_it_is() -> None:
    assert set(HELP.format(agent="LiquidDDPG").splitlines()[:10]) <= set(explained("LiquidDDPG"))
    assert "  own: 3" in explained("LiquidDDPG")
    assert "train: default" in explained("LiquidDDPG")
    assert "  n_neurons: 20" in explained("Somebody's")


def test_an_agent_s_own_meaning_is_shown() -> None:
    of_ppo = "\n".join(explained("LiquidPPO"))
    assert "a minibatch holds" in of_ppo
    assert "a minibatch holds" not in "\n".join(explained("LiquidDDPG"))


def test_long_meanings_go_on_below() -> None:
    lines = explained("LiquidDDPG")
    at = next(number for number, line in enumerate(lines) if line.startswith("  time: gate"))
    assert lines[at + 1].startswith(" " * 32 + "# ")
    assert max(map(len, lines)) <= 120
    (batch,) = (line for line in lines if "batch_size" in line)
    assert batch.startswith("  batch_size: ${somewhere.else.that.is.far.away}  # windows in one update (B)")
