"""The errors of this project: each names what was wrong, what was expected and what to do."""

from __future__ import annotations


class NASError(Exception):
    """Base of every error this project raises on purpose.

    Args:
        message: One line for a person: the parameter, what was expected, what came, what to do.
        value: The offending value, kept for programs that handle the error.
    """

    def __init__(self, message: str, value: object = None) -> None:
        super().__init__(message)
        self.value = value


class SpaceError(NASError, ValueError):
    """A search space is declared in a way that has no meaning."""


class GenotypeError(NASError, ValueError):
    """Decisions do not fit the space they are meant for."""


class OperationError(NASError, ValueError):
    """An operation is unknown, registered twice, or used with wrong attributes."""


class InfeasibleArchitectureError(NASError, ValueError):
    """A genotype has no valid network: shapes do not fit, or a limit is passed."""


class InfeasibleSpaceError(NASError):
    """No feasible architecture was found in a space."""


class SupernetError(NASError, ValueError):
    """A supernet can't be made of a space, or trained, as asked."""


class SpaceMismatchError(NASError):
    """A study was made with another search space than the one in hand."""


class DataError(NASError, ValueError):
    """The user's data can't be read or do not make a task."""


class ProfilingError(NASError):
    """A model can't be measured, or measurements can't be compared."""


class ExportError(NASError):
    """A model can't be exported, or its export disagrees with it."""


class UnsupportedOperationError(ExportError):
    """The ONNX writer has no rule for an operation."""


class CurveError(NASError, ValueError):
    """A learning curve, its steps or its horizon can't be extrapolated as they are."""
