"""One ONNX network on onnxruntime: opened on the GPU where it has one, checked before it is used."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from core.errors import BadCheckpoint
from core.hardware import usable_cpus

Arrays = NDArray[np.float32]
Shape = tuple[int | None, ...]
CPU: Final = "CPUExecutionProvider"
# The first that this build of onnxruntime has is used, with its options. TensorRT is left out: it compiles
# for minutes. Algorithms are chosen by rule, not by timing, so that a clip gives the same numbers twice.
GPUS: Final[dict[str, dict[str, str]]] = {
    "CUDAExecutionProvider": {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
    },
    "MIGraphXExecutionProvider": {},
    "ROCMExecutionProvider": {},
    "DmlExecutionProvider": {},
    "CoreMLExecutionProvider": {},
}
_FLOAT: Final = "tensor(float)"
_ERRORS_ONLY: Final = 3


@dataclass(frozen=True)
class Expected:
    """What a network must be to be used.

    Attributes:
        name: for sentences: ``YOLOX-L person detector``.
        get: the catalogue's id of the right file.
        input: shape, None where any size will do.
        outputs: their shapes, in the order in which ``run`` gives them.
    """

    name: str
    get: str
    input: Shape
    outputs: tuple[Shape, ...]


class Network:
    """An open network with one float input.

    Args:
        path: a ``.onnx`` file that stands alone. onnxruntime itself refuses data outside the file's folder.
        expected: what it must look like.
        gpu: use a GPU where this onnxruntime has a provider for one; otherwise, and where that fails, the
            processor does the work and ``notes`` says so.

    Attributes:
        sha256: of the file.
        batch: pictures in one run, None for any number.
        notes: sentences about what is not as asked for.

    Raises:
        BadCheckpoint: the file is missing, damaged or another network.
    """

    def __init__(self, path: Path, expected: Expected, gpu: bool = False) -> None:
        self._path, self._expected = path, expected
        self.sha256 = _sha256(path, expected)
        self.notes: tuple[str, ...] = ()
        self._session = self._open_on_gpu() if gpu else _open(path, expected, CPU)
        self._input, self._outputs = _check(self._session, path, expected)
        first = self._session.get_inputs()[0].shape[0]
        self.batch = first if isinstance(first, int) else None

    @property
    def provider(self) -> str:
        """Where it runs, in onnxruntime's words."""
        return str(self._session.get_providers()[0])

    def run(self, pictures: Arrays) -> list[Arrays]:
        """The outputs in the order of ``Expected.outputs``.

        Args:
            pictures: float32 in the input's shape; the first axis as ``batch`` allows.

        Raises:
            BadCheckpoint: the network cannot compute them, or gives other shapes than it declares.
        """
        try:
            found = self._run(pictures)
        except Exception as error:  # onnxruntime's errors have no common base
            if self.provider == CPU:
                raise _unusable(self._path, self._expected, _first_line(error)) from error
            self._to_cpu(_first_line(error))
            return self.run(pictures)
        for array, shape in zip(found, self._expected.outputs, strict=True):
            if not _fits(array.shape, (len(pictures), *shape[1:])):
                reason = f"it gave an output of shape {_words(array.shape)}"
                raise _unusable(self._path, self._expected, reason)
        return found

    def _run(self, pictures: Arrays) -> list[Arrays]:
        given = {self._input: np.ascontiguousarray(pictures, np.float32)}
        return [np.asarray(array, np.float32) for array in self._session.run(self._outputs, given)]

    def _open_on_gpu(self) -> Any:
        available = onnxruntime.get_available_providers()
        provider = next((name for name in GPUS if name in available), None)
        if provider is None:
            self._note("this onnxruntime has none of the GPU providers")
            return _open(self._path, self._expected, CPU)
        try:
            session = _open(self._path, self._expected, provider)
        except BadCheckpoint as error:
            self._note(str(error.value))
            return _open(self._path, self._expected, CPU)
        if session.get_providers()[0] != provider:  # it warns on standard error and goes on without
            self._note(f"{provider} could not be started")
        return session

    def _to_cpu(self, reason: str) -> None:
        self._note(reason)
        self._session = _open(self._path, self._expected, CPU)

    def _note(self, reason: str) -> None:
        self.notes += (f"The {self._expected.name} runs on the processor, which is slower: {reason}.",)


def _open(path: Path, expected: Expected, provider: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    options.log_severity_level = _ERRORS_ONLY
    # Two networks take turns; waiting threads of the one must not burn the time of the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == "DmlExecutionProvider":
        options.enable_mem_pattern = False  # DirectML requires it
    providers = [(provider, GPUS[provider]), (CPU, {})] if provider != CPU else [(CPU, {})]
    try:
        if provider == "CUDAExecutionProvider":
            _preload_cuda()
        # Without the fallback of its own, which prints to standard output.
        return onnxruntime.InferenceSession(str(path), options, providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's errors have no common base
        raise _unusable(path, expected, _first_line(error)) from error


def _preload_cuda() -> None:
    """Load CUDA and cuDNN out of the packages that PyTorch brought along; what it says of it goes nowhere."""
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _sha256(path: Path, expected: Expected) -> str:
    """A read of 0.3 s for both files of DWPose; it finds a file that is not there before onnxruntime does."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unusable(path, expected, error.strerror or str(error), "get") from error


def _check(session: Any, path: Path, expected: Expected) -> tuple[str, list[str]]:
    """Names of the input and of the outputs in the expected order."""
    inputs, outputs = session.get_inputs(), list(session.get_outputs())
    if len(inputs) != 1 or inputs[0].type != _FLOAT or not _fits(inputs[0].shape, expected.input):
        given = "; ".join(f"{one.type} {_words(one.shape)}" for one in inputs)
        raise _unusable(path, expected, f"its input is {given or 'missing'}")
    names = []
    for shape in expected.outputs:
        match = next((one for one in outputs if one.type == _FLOAT and _fits(one.shape, shape)), None)
        if match is None:
            given = "; ".join(f"{one.type} {_words(one.shape)}" for one in session.get_outputs())
            raise _unusable(path, expected, f"it gives {given}")
        outputs.remove(match)
        names.append(match.name)
    return inputs[0].name, names


def _fits(shape: Sequence[Any], expected: Shape) -> bool:
    """Sizes that a network leaves open are names or None."""
    if len(shape) != len(expected):
        return False
    return all(
        not isinstance(size, int) or wanted is None or size == wanted
        for size, wanted in zip(shape, expected, strict=True)
    )


def _words(shape: Sequence[Any]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _unusable(path: Path, expected: Expected, reason: str, verb: str = "repair") -> BadCheckpoint:
    outputs = " and ".join(_words(shape) for shape in expected.outputs)
    return BadCheckpoint(
        f"{path.name} cannot be used as the {expected.name}: {reason}.",
        value=reason,
        limit=f"an ONNX network from {_words(expected.input)} to {outputs}",
        action=f"Run `pirouette models {verb} {expected.get}`, or choose the offline pose engine.",
    )


def _first_line(error: Exception) -> str:
    """The first line of what onnxruntime says, without codes and the path in front."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1].split(" failed:")[-1].strip().rstrip(".")[:200]
