"""The probe's decisions, and what it keeps; GPU and clock are doubles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor

from core.codec import to_data
from core.engine.fast import probe
from core.engine.fast.available import Kernels, kernels_here, kernels_version
from core.engine.fast.probe import ENDED, Mark, choose, probed
from core.engine.fast.trials import NotHere, Sizes, Trial, trials_for
from core.errors import EngineError
from core.hardware.kernels_file import (
    NO_TIME,
    Choices,
    KernelsFile,
    Measured,
    describe_kernels,
    kernels_path,
    read_kernels,
    write_json,
)

HERE = Kernels(gpu="Card", uuid="GPU-1", driver="1", triton="3.6.0", packages=(("sageattention", "2.2.0"),))
CPU = torch.device("cpu")
Figures = dict[tuple[str, str], tuple[float, float] | Exception]
USUAL: Figures = {
    ("dense", "sdpa"): (3.0, 0.002),
    ("dense", "cudnn"): (2.0, 0.002),
    ("dense", "flash3"): (1.8, 0.002),
    ("dense", "sage2"): NotHere("not installed"),
    ("dense", "pirouette8"): (1.5, 0.04),
    ("linear", "float"): (2.0, 0.001),
    ("linear", "fp8"): (1.1, 0.0371),
    ("linear", "fp8_fast"): (1.0, 0.0372),
    ("linear", "int8"): (1.9, 0.012),
    ("block", "fused"): (0.2, 0.001),
    ("block", "plain"): (0.9, 0.001),
}


class BrokenError(RuntimeError):
    """What a kernel does that leaves the GPU unusable."""


class FakeGpu:
    """Candidates by name with the time and error that they shall have; counts what is tried."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.tried, self.broken, self.now = figures, [], False, 0.0
        self._times: dict[int, float] = {}

    def trials(self) -> Iterable[Trial]:
        return [Trial(*name, self._opener(name), self._error(name)) for name in self.figures]

    def _opener(self, name: tuple[str, str]) -> Callable[[], Callable[[], Tensor]]:
        def open_() -> Callable[[], Tensor]:
            self.tried.append(name[1])
            figures = self.figures[name]
            if isinstance(figures, Exception):
                self.broken = isinstance(figures, BrokenError)
                raise figures
            self.now += 1.0
            self._next = figures[0]
            return lambda: torch.ones(1)

        return open_

    def _error(self, name: tuple[str, str]) -> Callable[[Tensor], float]:
        def error(_: Tensor) -> float:
            figures = self.figures[name]
            assert not isinstance(figures, Exception)
            return figures[1]

        return error

    def time_s(self, _: Callable[[], Tensor]) -> float:
        return self._next

    def wait(self) -> None:
        if self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


def run(folder: Path, gpu: FakeGpu, kernels: Kernels = HERE, *, again: bool = False) -> KernelsFile:
    return choose(kernels, folder, gpu.trials, gpu, "gcc", again=again, clock=lambda: 0.0)


def chosen(tmp_path: Path, **changed: tuple[float, float] | Exception) -> Choices:
    by_name = {name: (group, name) for group, name in USUAL}
    figures = USUAL | {by_name[name]: value for name, value in changed.items()}
    return run(tmp_path, FakeGpu(figures)).choices()


def test_the_fastest_within_its_bound_is_chosen(tmp_path: Path) -> None:
    found = chosen(tmp_path)
    assert found == Choices(
        exact="cudnn",
        flash3=True,
        sage="pirouette8",
        fastest="sage",
        linear="fp8",
        fp8=True,
        fast_accumulation=True,
        fused=True,
    )
    assert [found.dense(kind) for kind in ("sdpa", "flash3", "sage")] == ["cudnn", "flash3", "pirouette8"]


@pytest.mark.parametrize("error", [0.0501, 1.4])
def test_what_is_too_far_off_is_not_used_however_fast(tmp_path: Path, error: float) -> None:
    found = chosen(tmp_path, pirouette8=(0.1, error))
    assert (found.sage, found.fastest, found.dense("sage")) == ("", "flash3", "cudnn")


def test_exact_kernels_have_a_narrower_bound(tmp_path: Path) -> None:
    found = chosen(tmp_path, flash3=(0.1, 0.04), cudnn=(0.1, 0.04), pirouette8=(4.0, 0.04))
    assert (found.flash3, found.exact, found.fastest) == (False, "sdpa", "sdpa")
    assert found.dense("flash3") == "sdpa"


def test_fast_accumulation_must_be_about_as_accurate(tmp_path: Path) -> None:
    assert not chosen(tmp_path, fp8_fast=(0.5, 0.045)).fast_accumulation


def test_fast_accumulation_must_be_faster(tmp_path: Path) -> None:
    assert not chosen(tmp_path, fp8_fast=(1.2, 0.0371)).fast_accumulation


def test_without_fp8_the_faster_of_the_others_is_chosen(tmp_path: Path) -> None:
    missing = NotHere("it needs compute capability 8.9")
    found = chosen(tmp_path, fp8=missing, fp8_fast=missing)
    assert (found.linear, found.fp8) == ("int8", False)


def test_slow_fused_operations_are_not_used(tmp_path: Path) -> None:
    assert not chosen(tmp_path, fused=(1.0, 0.001)).fused


def test_it_is_measured_once(tmp_path: Path) -> None:
    first, second = FakeGpu(USUAL), FakeGpu(USUAL)
    assert run(tmp_path, first) == run(tmp_path, second)
    assert len(first.tried) == len(USUAL)
    assert second.tried == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
    run(tmp_path, second, again=True)
    assert len(second.tried) == len(USUAL)


@pytest.mark.parametrize(
    "other",
    [
        replace(HERE, driver="2"),
        replace(HERE, triton="3.7.0"),
        replace(HERE, packages=()),
        replace(HERE, triton_problem="no C compiler"),
    ],
)
def test_it_is_measured_again_when_something_changes(tmp_path: Path, other: Kernels) -> None:
    run(tmp_path, FakeGpu(USUAL))
    gpu = FakeGpu(USUAL)
    run(tmp_path, gpu, other)
    assert len(gpu.tried) == len(USUAL)


def test_each_gpu_has_its_file(tmp_path: Path) -> None:
    run(tmp_path, FakeGpu(USUAL))
    run(tmp_path, FakeGpu(USUAL), replace(HERE, uuid="GPU-2"))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'{"gpu": 3, "key": []}', b"\xff\xfe", b"[" * 5000])
def test_a_damaged_file_is_measured_again(tmp_path: Path, content: bytes) -> None:
    run(tmp_path, FakeGpu(USUAL))
    kernels_path(tmp_path, HERE.uuid).write_bytes(content)
    gpu = FakeGpu(USUAL)
    run(tmp_path, gpu)
    assert gpu.tried


def test_what_raises_is_left_out_with_its_reason(tmp_path: Path) -> None:
    found = run(tmp_path, FakeGpu(USUAL | {("dense", "cudnn"): ValueError("no\nengine")}))
    assert Measured("dense", "cudnn", problem="ValueError: no engine") in found.measured
    assert found.choices().exact == "sdpa"
    told = "\n".join(describe_kernels(found))
    assert "cudnn (ValueError: no engine)" in told
    assert "pirouette8 1500.00 ms" in told


def test_results_that_are_no_numbers_are_no_results(tmp_path: Path) -> None:
    gpu = FakeGpu({("dense", "sdpa"): (1.0, 0.0)})
    bad = Trial("dense", "cudnn", lambda: lambda: torch.tensor([torch.nan]), lambda _: 0.0)
    found = choose(HERE, tmp_path, lambda: [bad], gpu)
    assert "no numbers" in found.measured[0].problem


def test_no_memory_left_is_tried_another_time(tmp_path: Path) -> None:
    found = run(tmp_path, FakeGpu(USUAL | {("dense", "cudnn"): torch.OutOfMemoryError("full")}))
    assert found.choices().exact == "sdpa"
    gpu = FakeGpu(USUAL)
    assert run(tmp_path, gpu).choices().exact == "cudnn"
    assert gpu.tried == ["cudnn"]


def test_a_kernel_that_ends_the_process_is_tried_once(tmp_path: Path) -> None:
    path = kernels_path(tmp_path, HERE.uuid)
    done = KernelsFile(HERE.gpu, HERE.key(), (Measured("dense", "sdpa", 3.0, 0.001),))
    write_json(path.with_suffix(".probing"), to_data(Mark(done, "dense", "cudnn", 2**22 + 1, 1.0)))
    gpu = FakeGpu(USUAL)
    found = run(tmp_path, gpu)
    assert gpu.tried == [name for _, name in USUAL if name not in ("sdpa", "cudnn")]
    assert Measured("dense", "cudnn", problem=ENDED) in found.measured
    assert not path.with_suffix(".probing").exists()
    assert read_kernels(path) == found


def test_a_mark_stands_while_a_kernel_is_tried(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look() -> Callable[[], Tensor]:
        seen.append(kernels_path(tmp_path, HERE.uuid).with_suffix(".probing").is_file())
        raise NotHere("nothing")

    choose(HERE, tmp_path, lambda: [Trial("dense", "sdpa", look, None)], FakeGpu({}))
    assert seen == [True]


def test_a_stop_from_outside_is_not_the_kernels_fault(tmp_path: Path) -> None:
    def stop() -> Callable[[], Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        choose(HERE, tmp_path, lambda: [Trial("dense", "sdpa", stop, None)], FakeGpu({}))
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_measures_is_left_alone(tmp_path: Path) -> None:
    other = psutil.Process().parent()
    assert other is not None
    done = KernelsFile(HERE.gpu, HERE.key())
    mark = Mark(done, "dense", "sdpa", other.pid, other.create_time())
    write_json(kernels_path(tmp_path, HERE.uuid).with_suffix(".probing"), to_data(mark))
    gpu = FakeGpu(USUAL)
    assert run(tmp_path, gpu).choices() == Choices()
    assert gpu.tried == []


def test_after_a_broken_context_the_next_process_leaves_that_kernel_out(tmp_path: Path) -> None:
    figures = USUAL | {("dense", "cudnn"): BrokenError("CUDA error: an illegal memory access")}
    with pytest.raises(EngineError, match="cudnn"):
        run(tmp_path, FakeGpu(figures))
    gpu = FakeGpu(figures)
    found = run(tmp_path, gpu)
    assert "cudnn" not in gpu.tried
    assert "sdpa" not in gpu.tried  # measured before
    assert found.choices().exact == "sdpa"


def test_what_the_time_does_not_suffice_for_comes_next_time(tmp_path: Path) -> None:
    gpu = FakeGpu(USUAL)
    first = choose(HERE, tmp_path, gpu.trials, gpu, clock=lambda: 2.5 * gpu.now)
    late = [one.name for one in first.measured if one.problem == NO_TIME]
    assert late
    assert gpu.tried == [name for _, name in USUAL if name not in late]
    again = FakeGpu(USUAL)
    second = run(tmp_path, again)
    assert again.tried == late
    assert not second.unfinished()


def test_a_folder_that_cannot_be_written_costs_only_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(tmp_path / "file", FakeGpu(USUAL)).choices().exact == "cudnn"


def test_a_processor_is_not_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "trials_for", None)
    assert probed(CPU, tmp_path) == Choices()
    assert not list(tmp_path.iterdir())


def test_the_key_changes_with_our_kernels() -> None:
    assert kernels_version() == kernels_version()
    assert kernels_here(CPU).key()["kernels"] == kernels_version()


def test_the_real_trials_run_where_they_can() -> None:
    """On a processor only torch's own do; the rest says why not."""
    sizes = Sizes(tokens=192, heads=2, queries=16, rows=33, width=64)
    found = {}
    for trial in trials_for(CPU, kernels_here(CPU), sizes):
        try:
            out = trial.open()()
        except NotHere:
            continue
        assert trial.error is not None
        found[trial.name] = trial.error(out)
    assert found.keys() == {"sdpa", "float", "int8_torch", "plain"}
    assert all(error < 0.02 for error in found.values())
