"""A .tflite network on LiteRT."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadCheckpoint
from core.pose.extract.engine import Image
from core.pose.skeleton import Floats


class Network:
    """One network, loaded once; not for several threads at a time.

    Args:
        path: the .tflite file.
        side: pixels a side of its square RGB input.
        outputs: values in each output that is used, in the file's order; others may follow.
        threads: processors to use.

    Raises:
        BadCheckpoint: the file is missing, damaged or another network.
    """

    def __init__(self, path: Path, side: int, outputs: Sequence[int], threads: int) -> None:
        self.side = side
        try:
            self._interpreter = _interpreter(path, threads)
        except (ValueError, RuntimeError, OSError) as error:
            raise _bad(path, str(error).splitlines()[0][:100]) from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()[: len(outputs)]
        shape = tuple(int(n) for n in self._input["shape"])
        sizes = [int(np.prod(output["shape"])) for output in self._outputs]
        if shape != (1, side, side, 3) or sizes != list(outputs):
            raise _bad(path, f"input {shape}, outputs {sizes}")

    def run(self, piece: Image, low: float, high: float) -> list[Floats]:
        """Outputs for one uint8 picture [side, side, 3], whose 0 to 255 become ``low`` to ``high``."""
        values = piece[None].astype(np.float32) * ((high - low) / 255.0) + low
        self._interpreter.set_tensor(self._input["index"], values)
        self._interpreter.invoke()
        return [
            self._interpreter.get_tensor(output["index"])[0].astype(np.float64) for output in self._outputs
        ]


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with _quiet():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


@contextmanager
def _quiet() -> Iterator[None]:
    """LiteRT greets on standard error, from C++ and without a switch (2.3.0); errors come as exceptions."""
    try:
        kept = os.dup(2)
    except OSError:  # a window without a console has no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _bad(path: Path, what: str) -> BadCheckpoint:
    return BadCheckpoint(
        f"{path.name} is not the pose network that belongs here.",
        value=what,
        limit=path,
        action="Run `python installer/pose_models.py` to fetch the offline pose networks again.",
    )
