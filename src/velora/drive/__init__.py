"""Drive a machine in real time by a trained policy: a loop on the clock, the plants it drives, and what it says after."""

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
