"""Neural circuit policies: which neuron may influence which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError, ShapeError

IntArray: TypeAlias = NDArray[np.int32]
BoolArray: TypeAlias = NDArray[np.bool_]
_Synapse: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class NCPWiring:
    """Describe a circuit of inter, command and motor neurons; it never changes once made.

    Neurons are numbered motor first, then command, then inter, as ncps does.

    Shapes:
        adjacency: (units, units), row is the source, column the target; -1 inhibits, +1 excites, 0 is no synapse.
        sensory_adjacency: (inputs, units), the same from the inputs.

    Raises:
        ShapeError: if an array doesn't fit the numbers of neurons.
        SettingError: if a synapse connects layers that a neural circuit policy doesn't connect.
    """

    inputs: int
    inter: int
    command: int
    motor: int
    adjacency: IntArray
    sensory_adjacency: IntArray

    def __post_init__(self) -> None:
        for array, shape, name in (
            (self.adjacency, (self.units, self.units), "adjacency"),
            (self.sensory_adjacency, (self.inputs, self.units), "sensory_adjacency"),
        ):
            if array.shape != shape:
                raise ShapeError(f"{name}: expected shape {shape} for this many neurons, got {array.shape}")
            own = array.copy()
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        inner, sensory = self._possible()
        if self.adjacency[~inner].any() or self.sensory_adjacency[~sensory].any():
            raise SettingError(
                "NCPWiring: expected synapses from inputs to inter, inter to command, command to command and command "
                "to motor neurons only, got another one"
            )

    @property
    def units(self) -> int:
        """Number of neurons, without the inputs."""
        return self.inter + self.command + self.motor

    @property
    def n_synapses(self) -> int:
        """Number of synapses between neurons."""
        return int(np.count_nonzero(self.adjacency))

    @property
    def n_sensory_synapses(self) -> int:
        """Number of synapses from inputs to neurons."""
        return int(np.count_nonzero(self.sensory_adjacency))

    def describe(self) -> str:
        """Describe the circuit in one line.

        Example:
            >>> auto_ncp(3, 12, 2).describe()
            '3 inputs -> 6 inter -> 4 command -> 2 motor, 30 synapses'
        """
        synapses = self.n_synapses + self.n_sensory_synapses
        return (
            f"{self.inputs} inputs -> {self.inter} inter -> {self.command} command -> {self.motor} motor, "
            f"{synapses} synapses"
        )

    def layer_masks(self) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Return which feed-forward connections exist, layer by layer.

        Shapes:
            (inter, inputs), (command, inter) and (motor, command): target first, as in a weight matrix.
        """
        inter, command, motor = self.layers()
        blocks = self.sensory_adjacency[:, inter], self.adjacency[inter, command], self.adjacency[command, motor]
        first, second, third = (np.ascontiguousarray(block.T != 0) for block in blocks)
        return first, second, third

    def layers(self) -> tuple[slice, slice, slice]:
        """Return where the inter, command and motor neurons are among all neurons."""
        commands_end = self.motor + self.command
        return slice(commands_end, self.units), slice(self.motor, commands_end), slice(0, self.motor)

    def _possible(self) -> tuple[BoolArray, BoolArray]:
        """Mark the pairs of neurons, and of input and neuron, that may have a synapse."""
        inter, command, motor = self.layers()
        inner, sensory = np.zeros_like(self.adjacency, bool), np.zeros_like(self.sensory_adjacency, bool)
        inner[inter, command] = inner[command, command] = inner[command, motor] = True
        sensory[:, inter] = True
        return inner, sensory


def ncp(
    inputs: int,
    *,
    inter: int,
    command: int,
    motor: int,
    sensory_fan_out: int,
    inter_fan_out: int,
    recurrent_command_synapses: int,
    motor_fan_in: int,
    seed: int = 22222,
) -> NCPWiring:
    """Wire a neural circuit policy with full control over its sizes and fans.

    Every choice comes from a generator of its own, so the same arguments always give the same circuit.

    Args:
        inputs: number of sensory inputs, at least 1.
        inter: number of inter neurons, at least 1; they read the inputs.
        command: number of command neurons, at least 1; they read the inter neurons and each other.
        motor: number of motor neurons, at least 1; they read the command neurons and are the output.
        sensory_fan_out: inter neurons that each input reaches, in [1, inter].
        inter_fan_out: command neurons that each inter neuron reaches, in [1, command].
        recurrent_command_synapses: draws of a synapse between two command neurons, >= 0; pairs may repeat.
        motor_fan_in: command neurons that each motor neuron reads, in [1, command].
        seed: of the wiring, in [0, 2**32).

    Raises:
        SettingError: if a number is out of its domain.

    Source:
        Lechner et al. 2020, "Neural circuit policies enabling auditable autonomy", Methods; the draws follow ncps
        1.0.1, so adjacencies are equal for equal seeds. Differs: one call makes one immutable circuit, where ncps adds
        synapses to a wiring object each time it is built into a network.
    """
    _check_at_least(1, inputs=inputs, inter=inter, command=command, motor=motor)
    _check_at_least(0, recurrent_command_synapses=recurrent_command_synapses, seed=seed)
    _check_fan("sensory_fan_out", sensory_fan_out, inter, "inter")
    _check_fan("inter_fan_out", inter_fan_out, command, "command")
    _check_fan("motor_fan_in", motor_fan_in, command, "command")

    rng = np.random.RandomState(seed)
    motors, commands = range(motor), range(motor, motor + command)
    inters = range(motor + command, motor + command + inter)
    adjacency = np.zeros((inters.stop, inters.stop), np.int32)
    sensory = np.zeros((inputs, inters.stop), np.int32)

    for source, target, sign in _pick(rng, range(inputs), inters, n_picks=sensory_fan_out, most=inputs):
        sensory[source, target] = sign
    # ncps bounds the repair of unreached command neurons by their own number, not by the inter neurons'; kept.
    for source, target, sign in _pick(rng, inters, commands, n_picks=inter_fan_out, most=command):
        adjacency[source, target] = sign
    for source, target, sign in rng.randint((command, command, 2), size=(recurrent_command_synapses, 3)).tolist():
        adjacency[commands[source], commands[target]] = 2 * sign - 1
    for target, source, sign in _pick(rng, motors, commands, n_picks=motor_fan_in, most=motor):
        adjacency[source, target] = sign
    return NCPWiring(inputs, inter, command, motor, adjacency, sensory)


def auto_ncp(inputs: int, units: int, outputs: int, *, sparsity: float = 0.5, seed: int = 22222) -> NCPWiring:
    """Wire a neural circuit policy from its size and sparsity alone.

    Of the neurons that are not motor neurons 40 % are command and 60 % inter neurons; every fan is the part
    ``1 - sparsity`` of the layer it reaches into, and at least 1.

    Args:
        inputs: number of sensory inputs, at least 1.
        units: number of all neurons, at least ``outputs + 3``.
        outputs: number of motor neurons, at least 1.
        sparsity: part of the possible synapses to leave out, in [0, 1].
        seed: of the wiring, in [0, 2**32).

    Raises:
        SettingError: if a number is out of its domain.

    Example:
        >>> wiring = auto_ncp(4, 21, 1)
        >>> wiring.inter, wiring.command, wiring.motor
        (12, 8, 1)

    Source:
        ``AutoNCP`` of ncps 1.0.1, equal for equal arguments. Differs: sparsity below 0.1 is allowed.
    """
    _check_at_least(1, inputs=inputs, outputs=outputs)
    if units < outputs + 3:
        raise SettingError(
            f"units: {outputs} outputs need at least {outputs + 3} neurons (3 besides the motor neurons), got {units}; "
            "use more neurons"
        )
    if not 0.0 <= sparsity <= 1.0:
        raise SettingError(f"sparsity: expected a number in [0, 1], got {sparsity}")
    density = 1.0 - sparsity
    hidden = units - outputs
    command = max(int(0.4 * hidden), 1)
    inter = hidden - command
    return ncp(
        inputs,
        inter=inter,
        command=command,
        motor=outputs,
        sensory_fan_out=max(int(inter * density), 1),
        inter_fan_out=max(int(command * density), 1),
        recurrent_command_synapses=max(int(command * density * 2), 1),
        motor_fan_in=max(int(command * density), 1),
        seed=seed,
    )


def _pick(
    rng: np.random.RandomState, pickers: Sequence[int], picked: Sequence[int], *, n_picks: int, most: int
) -> Iterator[_Synapse]:
    """Let each picker choose ``n_picks`` partners, then give whoever was left out about as many as the others have."""
    left_out = dict.fromkeys(picked)
    for picker in pickers:
        for partner, sign in _partners(rng, picked, n_picks):
            left_out.pop(partner, None)
            yield picker, partner, sign
    mean = min(max(int(len(pickers) * n_picks / len(picked)), 1), most)
    for partner in left_out:
        for picker, sign in _partners(rng, pickers, mean):
            yield picker, partner, sign


def _partners(rng: np.random.RandomState, among: Sequence[int], n_picks: int) -> Iterator[tuple[int, int]]:
    """Draw distinct neurons and their signs: the draws of choice(among, n_picks, False) and choice([-1, 1]), faster."""
    places = rng.permutation(len(among))[:n_picks].tolist()
    signs = rng.randint(2, size=n_picks).tolist()
    return ((among[place], 2 * sign - 1) for place, sign in zip(places, signs, strict=True))


def _check_at_least(least: int, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < least:
            raise SettingError(f"{name}: expected at least {least}, got {number}")


def _check_fan(name: str, fan: int, most: int, layer: str) -> None:
    if not 1 <= fan <= most:
        raise SettingError(f"{name}: expected 1 to {most} (there are {most} {layer} neurons), got {fan}")
