"""The errors a user can meet, each one clear line: what was expected, what was received, what to do."""


class VeloraError(Exception):
    """Base class of all errors that Velora raises on purpose; the command line prints these without a traceback."""


class SettingError(VeloraError, ValueError):
    """Error in a setting that is out of its domain or does not fit another one."""


class ShapeError(VeloraError, ValueError):
    """Error in a tensor whose shape, type or layout is not the documented one."""


class SpaceError(VeloraError, ValueError):
    """Error in an environment, or one of its spaces, that the agent can't serve."""


class CheckpointError(VeloraError, ValueError):
    """Error in a checkpoint: missing parts, damage, an unknown version or another agent's state."""


class ExportError(VeloraError, ValueError):
    """Error in an export: a policy that a target can't express, or files that don't belong together."""


class HubError(VeloraError, OSError):
    """Error of a Hub: it doesn't answer, refuses, lacks what was asked for, or sent something else."""


class PlantError(VeloraError, RuntimeError):
    """Error of a machine that is driven: it has failed, doesn't answer, or speaks of other sizes than the policy."""


class TeacherError(VeloraError, ValueError):
    """Error in a teacher: a policy that can't be read, doesn't fit the environment, or answers what is no action."""


class RunDirectoryError(VeloraError, ValueError):
    """Error in a directory that can't hold this run: it is of another run, holds foreign files or isn't writable."""


class NonFiniteError(VeloraError, ArithmeticError):
    """NaN or infinity, at the place where it first appeared.

    Attributes:
        environment: position of the environment that it appeared in, or was to act in; ``None`` if in none.
    """

    def __init__(self, message: str, *, environment: int | None = None) -> None:
        super().__init__(message)
        self.environment = environment


class RecordingError(VeloraError, RuntimeError):
    """Report arithmetic in a recorded step that the recording can't see, or a recording inside another one."""


class WorkerError(VeloraError, RuntimeError):
    """Error of a process that holds environments: it has ended, or doesn't answer."""
