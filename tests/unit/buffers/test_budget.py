"""Replay memory that this machine can't hold."""

from __future__ import annotations

import pytest

from velora.buffers import ReplayBuffer
from velora.buffers.budget import check_memory
from velora.core import ram
from velora.core.errors import SettingError
from velora.models import LiquidDDPG


@pytest.fixture
def there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram, "available_bytes", lambda: 10_000_000)


@pytest.mark.usefixtures("there_are")
@pytest.mark.parametrize(
    ("n_seeds", "capacity", "ways"),
    [
        (11, 10_000, "train at most 10 at a time or lower buffer_size to 9,000"),
        (2, 1_000_000, "lower buffer_size to 50,000"),
        (100_000, 10_000, "train at most 10 at a time"),
        (20_000_000, 10_000_000, "train fewer seeds with a smaller buffer_size"),
    ],
)
def test_the_message_says_what_to_lower(n_seeds: int, capacity: int, ways: str) -> None:
    with pytest.raises(
        SettingError, match=r"^seeds: .* of memory for replay \(.* of 25 numbers each\), 9.5 MiB"
    ) as error:
        check_memory(n_seeds, capacity=capacity, row_width=25)
    assert str(error.value).endswith(f"are available; {ways}")


@pytest.mark.usefixtures("there_are")
def test_what_fits_is_let_through() -> None:
    check_memory(10, capacity=10_000, row_width=25)
    with pytest.raises(SettingError, match="train at most 10 at a time"):
        check_memory(11, capacity=10_000, row_width=25)


def test_where_the_system_tells_nothing_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram, "available_bytes", lambda: None)
    check_memory(10**6, capacity=10**9, row_width=100)
    with pytest.raises(SettingError, match="100 numbers each"):
        check_memory(10**6, capacity=10**9, row_width=100, available=10**9)


@pytest.mark.parametrize(
    "settings", [{}, {"cell": "ltc"}, {"mixed_memory": True}, {"cell": "lstm"}, {"cell": "memoryless"}]
)
def test_the_width_is_that_of_the_buffer(settings: dict[str, object]) -> None:
    agent = LiquidDDPG(3, 5, 2, device="cpu", buffer_size=10, **settings)  # type: ignore[arg-type]
    assert agent.buffer.row_width == ReplayBuffer.width(obs_dim=3, action_dim=2, state_size=agent.state_size)


@pytest.mark.usefixtures("there_are")
def test_an_agent_of_too_many_seeds_is_refused_before_it_is_built() -> None:
    with pytest.raises(SettingError, match="seeds: 300,000 seeds need"):
        LiquidDDPG(3, 5, 1, device="cpu", seeds=range(300_000))
    agent = LiquidDDPG(3, 5, 1, device="cpu", seeds=range(3), buffer_size=1_000)
    assert agent.seeds == (0, 1, 2)
    assert {p.shape[0] for net in agent.networks.values() for p in net.parameters()} == {3}


@pytest.mark.usefixtures("there_are")
def test_a_device_has_memory_of_its_own() -> None:
    check_memory(20, capacity=10_000, row_width=25, available=20_000_000)
    with pytest.raises(
        SettingError, match=r"memory for replay on cuda \(.*\), 4.8 MiB are available; train at most 5 "
    ):
        check_memory(10, capacity=10_000, row_width=25, purpose="replay on cuda", available=5_000_000)
