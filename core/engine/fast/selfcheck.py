"""Whether our kernels can do their work on this machine: ``pirouette hardware --kernels``.

On a GPU a kernel is run and compared with plain PyTorch. Without one, what comes before a first launch is
done: the kernel is compiled for another card, and Triton's extensions for driver and launch are built by the
C compiler and loaded, linked with a stand-in for the driver. Where ``triton_support.interpreted`` holds, the
kernel runs on the processor. Nothing of it comes out of Triton's cache.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F

from core.engine.attention.packages import one_line
from core.engine.fast.available import triton_version
from core.engine.fast.compiler import ensure_compiler
from core.engine.ops import triton_support
from core.engine.ops.activated import gelu_rows
from core.engine.ops.rows import plain_rows
from core.engine.ops.tiling import tiling
from core.errors import EngineError

WITHOUT_GPU: Final = 90
"""Compute capability that is compiled for where there is no GPU: 9.0."""
ROWS: Final = 7
WIDTH: Final = 1152
LARGEST_ERROR: Final = 1e-5
"""Of float32 values near 1."""
_DRIVER_CALL: Final = re.compile(r"\bcu[A-Z]\w+(?=\()")
_DRIVER: Final = "libcuda.so.1"


@dataclass(frozen=True)
class Step:
    """Something that the kernels need.

    Attributes:
        name: what it is.
        told: what was found, or why it does not work.
    """

    name: str
    told: str
    works: bool = True


def check_kernels(cache: Path) -> Iterator[Step]:
    """Try everything that a kernel needs here, up to the first thing that does not work.

    Takes seconds, with Zig as the compiler some twenty the first time.

    Args:
        cache: folder that ``ensure_compiler`` may use.
    """
    if os.environ.get(triton_support.SWITCHED_OFF) == "1":
        yield Step("Triton", f"switched off by {triton_support.SWITCHED_OFF}", works=False)
        return
    if not triton_support.installed():
        yield Step("Triton", "not installed", works=False)
        return
    yield Step("Triton", triton_version())
    if not triton_support.interpreted():
        compiler = ensure_compiler(cache)
        yield Step("C compiler", compiler.problem or compiler.label, compiler.works)
        if not compiler.works:
            return
    with tempfile.TemporaryDirectory(prefix="kernels-") as empty, _variable("TRITON_CACHE_DIR", empty):
        for name, work in _work():
            step = _attempted(name, work)
            yield step
            if not step.works:
                return


def _work() -> Iterator[tuple[str, Callable[[], str]]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if triton_support.usable(device):
        yield "a kernel", partial(run_kernel, device)
        return
    compiled: list[Any] = []
    yield "a kernel", partial(_compile_without_gpu, compiled)
    if sys.platform == "linux":
        yield "its launcher", lambda: build_launcher(compiled[0])


def _attempted(name: str, work: Callable[[], str]) -> Step:
    began = time.monotonic()
    try:
        told = work()
    except Exception as error:  # of Triton, of LLVM, of the compiler, of the GPU
        return Step(name, one_line(error), works=False)
    return Step(name, f"{told}, {time.monotonic() - began:.1f} s")


def run_kernel(device: torch.device) -> str:
    """A fused activation equals its plain form, as float32 and as 8 bits.

    Raises:
        EngineError: it does not.
    """
    h = torch.linspace(-4, 4, ROWS * WIDTH).view(ROWS, WIDTH)
    exact = F.gelu(h, approximate="tanh")
    found = gelu_rows(h.to(device), "float", torch.float32).values.cpu()
    error = float((found - exact).abs().max())
    narrow, plain = gelu_rows(h.to(device), "int8", torch.float32), plain_rows(exact, "int8", torch.float32)
    steps = int((narrow.values.cpu().int() - plain.values.int()).abs().max())  # one where a tie is near
    if not error < LARGEST_ERROR or steps > 1:
        raise EngineError("A kernel computes something else than PyTorch.", value=(error, steps))
    how = "by the interpreter" if triton_support.interpreted() else "on the GPU"
    return f"run {how}, equals PyTorch's result"


def compile_kernel(capability: int) -> Any:
    """Triton's compiled kernel for a card of this compute capability, 90 for 9.0, that need not be here."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from core.engine.ops.jit.activated import activate_kernel

    tile, tiles, warps = tiling(WIDTH, element_bytes=2)
    constants = {"GELU": True, "WIDTH": WIDTH, "TILE": tile, "COUNT": tiles}
    signature = {"x": "*bf16", "out": "*i8", "scales": "*fp32", "row_stride": "i64"}
    source = ASTSource(
        fn=activate_kernel, signature=signature | dict.fromkeys(constants, "constexpr"), constexprs=constants
    )
    return compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})


def build_launcher(kernel: Any) -> str:
    """Build and load what Triton does at a first launch, without a driver: no GPU can be used after it."""
    from triton import runtime
    from triton.backends.nvidia import driver

    with tempfile.TemporaryDirectory(prefix="driver-") as name, _variable("TRITON_LIBCUDA_PATH", name):
        library = _stand_in(Path(name), Path(driver.__file__).parent)
        # Loaded under its name, it is the one that the extensions ask for.
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        runtime.driver.set_active(driver.CudaDriver())
        driver.CudaLauncher(kernel.src, kernel.metadata)
    return "built and loaded"


def _stand_in(folder: Path, sources: Path) -> Path:
    """A library that has every function of the driver that Triton's sources call, and does nothing."""
    texts = [path.read_text(encoding="utf-8") for path in (sources / "driver.c", sources / "driver.py")]
    names = sorted({name for text in texts for name in _DRIVER_CALL.findall(text)})
    code, library = folder / "driver.c", folder / _DRIVER
    code.write_text("".join(f"int {name}(void) {{ return 0; }}\n" for name in names), encoding="ascii")
    # As Triton optimises: Zig builds what it links with for each level anew.
    command = [os.environ["CC"], str(code), "-O3", "-shared", "-fPIC", f"-Wl,-soname,{_DRIVER}"]
    command += ["-o", str(library)]
    subprocess.run(command, check=True, capture_output=True)
    return library


def _compile_without_gpu(compiled: list[Any]) -> str:
    compiled.append(compile_kernel(WITHOUT_GPU))
    if not compiled[0].asm.get("cubin"):
        raise EngineError("Triton has compiled a kernel to nothing.")
    major, minor = divmod(WITHOUT_GPU, 10)
    return f"compiled for compute capability {major}.{minor}, since no GPU here can run it"


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set in the environment meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
