"""A training step recorded once and replayed.

A step of these small networks is some three thousand short kernels. Launching them takes a processor up to
three times as long as running them takes a large GPU, so a step is recorded as a CUDA graph and launched as
one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Compiling, choosing algorithms and making the optimizers' state cannot be recorded.
_BEFORE = 6


class Replay:
    """Work that is done as it is at first and on a CPU, and replayed on a GPU after a few times.

    Args:
        work: one step; returns the loss. It finds its inputs where they always are, leaves results where
            they always are, copies nothing from or to the processor and draws random numbers on the device
            alone. Gradients must be None before and after.
        device: where it happens.
    """

    def __init__(self, work: Callable[[], Tensor], device: torch.device) -> None:
        self._work, self._done = work, 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss = torch.zeros(())

    def __call__(self) -> Tensor:
        """Do the work once; the loss is overwritten by the next call."""
        if self._stream is None:
            return self._work()
        if self._done < _BEFORE:
            self._done += 1
            return self._beside(self._stream)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._loss = self._work()
        self._graph.replay()
        return self._loss

    def _beside(self, stream: torch.cuda.Stream) -> Tensor:
        """On the stream that will record: autograd remembers where a weight was first used."""
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._work()
        torch.cuda.current_stream().wait_stream(stream)
        return loss
