"""Every exception Lamina raises: one tree, each also the built-in that Python users expect."""


class LaminaError(Exception):
    """Base of all errors raised on purpose: catch it to catch whatever Lamina has to say."""


class ShapeError(LaminaError, ValueError):
    """Sizes that do not fit together."""


class AxisError(LaminaError, IndexError, ValueError):
    """An axis that the tensor does not have, or that is named twice."""


class IndexingError(LaminaError, IndexError):
    """An index outside its axis, or of a kind that cannot index."""


class LabelError(LaminaError, IndexError, ValueError):
    """A class label outside the classes that the scores describe."""


class DTypeError(LaminaError, TypeError):
    """A data type that the operation does not take."""


class ArgumentError(LaminaError, ValueError):
    """An argument with a value outside what is allowed."""


class MatrixError(LaminaError, ArithmeticError):
    """A matrix without what was asked for: singular, not positive definite, not converging."""


class DeviceError(LaminaError, ValueError):
    """A device other than the CPU."""


class LayoutError(LaminaError, ValueError):
    """Memory that cannot be viewed as asked without a copy, or must not be written."""


class ExchangeError(LaminaError, BufferError):
    """Memory that cannot be handed to, or taken from, another library as asked."""


class GradientError(LaminaError, RuntimeError):
    """A derivative that cannot be taken: no history, freed, overwritten, or not differentiable."""


class AnomalyError(LaminaError, ArithmeticError):
    """The first NaN or Inf, found by anomaly mode."""


class MemoryCapError(LaminaError, MemoryError):
    """A request past the byte cap of the tensor pool, or past what the system has left."""


class FileFormatError(LaminaError, ValueError):
    """A file that is truncated, damaged, of another kind or of a newer version."""


class PathError(LaminaError, FileNotFoundError, IsADirectoryError):
    """A path that names no file: nothing is there, or a folder."""


class DataError(LaminaError, ValueError):
    """Data that cannot be read as a table or a set of samples; says where."""


class StateError(LaminaError, KeyError, RuntimeError):
    """Saved state that does not fit the object it is loaded into."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CompileError(LaminaError, RuntimeError):
    """A kernel that cannot be compiled for the target."""


class KernelError(CompileError):
    """A kernel that breaks a rule of the kernel language; shows its line and what to do."""


class CaptureError(CompileError):
    """A function that cannot be compiled as a program; names its line and what to do."""


class GraphError(LaminaError, ValueError):
    """A graph that breaks the rules of its form, or text that is none."""


class GuardError(LaminaError, ValueError):
    """Arguments that a compiled program was not made for."""


class MissingExtraError(LaminaError, ImportError):
    """An optional package is needed and absent; names the extra that installs it."""


class FallbackWarning(UserWarning):
    """A compiled program runs an op by its reference in Python, because it has no kernel."""
