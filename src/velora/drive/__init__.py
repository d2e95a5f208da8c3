"""Drive a machine in real time by a trained policy: a loop on the clock, the plants it drives, and recordings."""

from typing import TYPE_CHECKING

from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.drive.clock import SystemClock, VirtualClock
    from velora.drive.compiled import CompiledController, CompiledPolicy
    from velora.drive.compiled_loop import CompiledLoop
    from velora.drive.controller import AgentController, Controller
    from velora.drive.learning import LearningController
    from velora.drive.loop import Driven, Loop
    from velora.drive.plant import Plant, Reading, Sizes
    from velora.drive.plant_server import PlantServer
    from velora.drive.recorder import Recorder, read_recording
    from velora.drive.settings import DriveSettings
    from velora.drive.simulated import SimulatedPlant
    from velora.drive.socket_plant import SocketPlant

__all__ = [
    "AgentController",
    "CompiledController",
    "CompiledLoop",
    "CompiledPolicy",
    "Controller",
    "DriveSettings",
    "Driven",
    "LearningController",
    "Loop",
    "Plant",
    "PlantServer",
    "Reading",
    "Recorder",
    "SimulatedPlant",
    "Sizes",
    "SocketPlant",
    "SystemClock",
    "VirtualClock",
    "read_recording",
]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "AgentController": "controller",
        "CompiledController": "compiled",
        "CompiledLoop": "compiled_loop",
        "CompiledPolicy": "compiled",
        "Controller": "controller",
        "DriveSettings": "settings",
        "Driven": "loop",
        "LearningController": "learning",
        "Loop": "loop",
        "Plant": "plant",
        "PlantServer": "plant_server",
        "Reading": "plant",
        "Recorder": "recorder",
        "SimulatedPlant": "simulated",
        "Sizes": "plant",
        "SocketPlant": "socket_plant",
        "SystemClock": "clock",
        "VirtualClock": "clock",
        "read_recording": "recorder",
    },
)
