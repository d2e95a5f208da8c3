"""Networks run by every kernel, forward and backward, against PyTorch's autograd through the module itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from velora.kernels.arrays.backend import ArrayBackend
from velora.nn.cells import CELLS, BackboneSettings, CfCCell, make_cell, make_layer
from velora.nn.cells.registry import VARIANTS
from velora.nn.flat import FlatParameters
from velora.nn.networks import critics, policies
from velora.nn.networks.critics import LiquidQNetwork, QNetwork, RecurrentCritic
from velora.nn.networks.policies import LiquidActor, LiquidHead
from velora.nn.run.arrays import ArrayNetwork
from velora.nn.run.autograd import TorchNetwork
from velora.nn.run.make import make_network
from velora.nn.run.network import Network
from velora.nn.sequence import unroll_by_steps
from velora.nn.wiring import auto_ncp

RECURRENT = [f"recurrent critic {name}" for name, row in CELLS.items() if not row.is_circuit]
CRITICS = ["dense critic", "liquid critic", *RECURRENT]
ACTORS = [*VARIANTS, *(f"{name} gaussian" for name in VARIANTS if name in CELLS or "mixed" in name)]


@pytest.fixture(autouse=True)
def _reference_takes_single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (policies, critics):
        monkeypatch.setattr(where, "unroll", unroll_by_steps)


def _generators(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(n)]


def _module(name: str, n_seeds: int) -> torch.nn.Module:
    generators = _generators(n_seeds)
    if name == "dense critic":
        return QNetwork(4, 2, units=(9, 7), generators=generators)
    if name.startswith("recurrent critic"):
        cell = make_layer(name.split()[2], 6, 8, generators, mode="default")
        return RecurrentCritic(cell, [7], generators)
    inputs, outputs = (6, 1) if name == "liquid critic" else (4, 2)
    wirings = [auto_ncp(inputs, 11, outputs, seed=k) for k in range(n_seeds)]
    if name == "liquid critic":
        return LiquidQNetwork(make_cell("cfc", wirings, generators), generators)
    cell = make_cell(name.split()[0], wirings, generators, **VARIANTS[name.removesuffix(" gaussian")])
    return LiquidHead(cell, 2 * cell.output_size, generators) if "gaussian" in name else LiquidActor(cell)


def _pair(name: str, kernel: str, n_seeds: int = 2) -> tuple[Network, Network]:
    """Build the same network twice, in double precision where the kernel has it; the second is the reference."""
    modules = [_module(name, n_seeds).to(torch.float32 if kernel == "native" else torch.float64) for _ in range(2)]
    flats = [FlatParameters(module, is_trained=True) for module in modules]
    return make_network(modules[0], flats[0], kernel), TorchNetwork(modules[1], flats[1])  # type: ignore[arg-type]


def _sources(name: str, network: Network, shape: tuple[int, int, int]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Make inputs as they lie in a replay buffer: columns of packed rows."""
    rows = torch.randn(*shape, 10, generator=torch.Generator().manual_seed(3)).to(network.flat.values)
    if "critic" in name:
        options = {"dt": rows[..., 8].abs(), "resets": (rows[..., 9] > 0.5).to(rows)}
        return [rows[..., :4], rows[..., 4:6]], options if "recurrent" in name else {}
    size = int(network.flat.module.cell.state_size)  # type: ignore[union-attr, arg-type]
    hidden = torch.randn(*shape[:2], size, generator=torch.Generator().manual_seed(4)).to(rows)
    return [rows[..., :4]], {"hidden": hidden, "dt": rows[..., 8].abs(), "resets": (rows[..., 9] > 0.5).to(rows)}


def _close(ours: Tensor, theirs: Tensor) -> None:
    rtol, atol = (1e-9, 1e-10) if theirs.dtype == torch.float64 else (1e-4, 2e-6)
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize("shape", [(2, 6, 1), (2, 5, 3), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", [*ACTORS, *CRITICS])
@pytest.mark.some(100)
def test_outputs_and_gradients_are_autograds(name: str, kernel: str, shape: tuple[int, int, int]) -> None:
    ours, theirs = _pair(name, kernel, shape[0])
    sources, options = _sources(name, ours, shape)
    assert ours.kernel == kernel
    for some in ({}, options):
        for _ in range(2):
            _close(*(n.run(*sources, **some).out for n in (ours, theirs)))  # type: ignore[arg-type]
        (out, pull), (expected, reference) = (n.vjp(*sources, **some) for n in (ours, theirs))
        _close(out, expected)
        d_out = torch.randn(out.shape, generator=torch.Generator().manual_seed(5)).to(out)
        pull.parameters(d_out)
        reference.parameters(d_out)
        assert ours.flat.gradient is not None
        assert theirs.flat.gradient is not None
        _close(ours.flat.gradient, theirs.flat.gradient)
        for index in range(len(sources)):
            pulls = [n.vjp(*sources, **some)[1] for n in (ours, theirs)]
            _close(*(p.source(index, d_out) for p in pulls))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ACTORS)
def test_states_are_the_modules(name: str, kernel: str) -> None:
    ours, theirs = _pair(name, kernel)
    sources, options = _sources(name, ours, (2, 5, 3))
    for some in ({}, options):
        made, expected = (n.run(*sources, **some, wants=("states", "last")) for n in (ours, theirs))
        assert made.out is None
        _close(made.states, expected.states)  # type: ignore[arg-type]
        _close(made.last, expected.last)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", KERNELS)
def test_masked_weights_get_no_gradient(kernel: str) -> None:
    network, _ = _pair("cfc", kernel)
    sources, options = _sources("cfc", network, (2, 5, 1))
    out, pull = network.vjp(*sources, **options)
    pull.parameters(torch.ones_like(out))
    assert network.flat.mask is not None
    assert network.flat.gradient is not None
    assert (network.flat.gradient[network.flat.mask == 0] == 0).all()
    with pytest.raises(RuntimeError, match="one backward pass only"):
        pull.parameters(torch.ones_like(out))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", [*ACTORS, *CRITICS])
@pytest.mark.some(25)
def test_a_nan_anywhere_comes_out_and_goes_back(name: str, kernel: str) -> None:
    """In the output, and in the gradients, whichever units are closed."""
    for where in [*dict(_module(name, 1).named_parameters()), "input", "hidden"]:
        network, _ = _pair(name, kernel, 1)
        flat = network.flat
        sources, options = _sources(name, network, (1, 5, 2))
        if where in flat.places:
            flat.view(flat.values, where).fill_(torch.nan)
            flat.values.copy_(flat.values if flat.mask is None else flat.values.where(flat.mask != 0, 0.0))
        elif where == "input":
            sources[0][0, 1, 0, 2] = torch.nan
        elif "hidden" in options and name.split()[0] != "memoryless":
            options["resets"].zero_()
            options["hidden"][0, 1] = torch.nan
        else:
            continue
        if "gaussian" in name and ".output_" in where:  # which is the readout of an LTC, and nothing reads it here
            continue
        out, pull = network.vjp(*sources, **options)
        assert out.isnan().any(), where
        pull.parameters(torch.ones_like(out))
        d_source = network.vjp(*sources, **options)[1].source(len(sources) - 1, torch.ones_like(out))
        assert flat.gradient is not None
        if where != [*flat.places][-1] or "bias" not in where:  # no gradient depends on what is added at the very end
            assert flat.gradient.isnan().any(), where
            assert d_source.isnan().any(), where


@pytest.mark.parametrize("kernel", KERNELS)
def test_another_wiring_may_be_loaded(kernel: str) -> None:
    ours, theirs = _pair("ltc", kernel, 1)
    sources, options = _sources("ltc", ours, (1, 5, 2))
    before = ours.run(*sources, **options).out
    fresh = LiquidActor(make_cell("ltc", [auto_ncp(4, 11, 2, seed=8)], _generators(1)))
    for network in (ours, theirs):
        network.flat.module.load_state_dict(fresh.state_dict())
        network.flat.apply_mask()
    after = ours.run(*sources, **options).out
    assert not torch.equal(before, after)  # type: ignore[arg-type]
    _close(after, theirs.run(*sources, **options).out)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["cfc", "ltc mixed", "memoryless"])
def test_stepping_in_place_is_running_step_by_step(name: str, kernel: str) -> None:
    network, _ = _pair(name, kernel)
    assert isinstance(network, ArrayNetwork)
    (source,), options = _sources(name, network, (2, 3, 1))
    hidden, dt = options["hidden"].clone(), options["dt"]
    out, step = network.stepper(source, hidden, dt)
    state = options["hidden"]
    for _ in range(3):
        source.copy_(torch.randn(source.shape))
        expected = network.run(source, hidden=state, dt=dt, wants=("out", "last"))
        step((0, 1))
        _close(out, expected.out)  # type: ignore[arg-type]
        _close(hidden, expected.last)  # type: ignore[arg-type]
        state = expected.last.clone()  # type: ignore[union-attr]


@pytest.fixture
def _fresh_memory_is_nan() -> Iterator[None]:
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.usefixtures("_fresh_memory_is_nan")
@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_seed_that_never_stepped_answers_is_finite(kernel: str) -> None:
    network, _ = _pair("cfc", kernel)
    (source,), options = _sources("cfc", network, (2, 3, 1))
    out, step = network.stepper(source, options["hidden"].clone(), options["dt"])
    step((1,))
    assert out.isfinite().all()


@pytest.mark.parametrize("kernel", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(2, 6, 1), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("name", ["cfc", "cfc mixed", "liquid critic", "dense critic"])
def test_a_program_runs_again_on_what_its_inputs_hold_then(name: str, shape: tuple[int, int, int], kernel: str) -> None:
    network, _ = _pair(name, kernel)
    assert isinstance(network, ArrayNetwork)
    sources, options = _sources(name, network, shape)
    program = ArrayBackend(network.xp).program()
    d_out = torch.ones(*shape, 1 if "critic" in name else 2).to(sources[0])
    with program.record():
        out, pull = network.vjp(*sources, **options)
        d_source = pull.source(0, d_out)
        network.vjp(*sources, **options)[1].parameters(d_out)
    for _ in range(2):
        sources[0].copy_(torch.randn(sources[0].shape))
        network.flat.values.add_(0.01 * torch.randn(network.flat.values.shape)).mul_(
            1.0 if network.flat.mask is None else network.flat.mask
        )
        program.run()
        assert network.flat.gradient is not None
        noted = [out.clone(), d_source.clone(), network.flat.gradient.clone()]
        now, pull = network.vjp(*sources, **options)
        gradient = pull.source(0, d_out)
        network.vjp(*sources, **options)[1].parameters(d_out)
        for a, b in zip(noted, (now, gradient, network.flat.gradient), strict=True):
            assert torch.equal(a, b)


def test_a_module_without_a_plan_runs_through_autograd() -> None:
    cell = CfCCell(4, 6, _generators(1), backbone=BackboneSettings(units=5))
    actor = LiquidActor(cell)
    network = make_network(actor, FlatParameters(actor, is_trained=True), "numpy")
    assert network.kernel == "autograd"
    out, pull = network.vjp(torch.randn(1, 3, 2, 4))
    pull.parameters(torch.ones_like(out))
    assert float(network.flat.gradient.abs().sum()) > 0  # type: ignore[union-attr]
