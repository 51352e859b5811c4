"""When a state is written, what a file of one may do to a render (nothing), and what it is computed with."""

from __future__ import annotations

import errno
import json
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.engine import checkpoint as checkpointing
from core.engine import checkpoint_file
from core.engine.checkpoint import Belongs, Checkpoint
from core.engine.checkpoint_file import FILE_NAME, Stored
from core.engine.kernels import Kernels
from core.engine.sampling.noise import seeded
from core.engine.sampling.state import SamplerState
from core.errors import Paused
from core.types import Checkpointing, Kept, Plan, Sampling, Size
from tests.fakes.clock import SteppedClock

PLAN = Plan("mini", Sampling(4, "rcm_sde"), Size(64, 64), 5)
SHAPE = (16, 2, 8, 8)
KERNELS = Kernels.now(torch.device("cpu"), vae_tile=None)
BELONGS = Belongs({"seed": "1", "motion": "abc"}, KERNELS, SHAPE)
MOST_BYTES = checkpoint_file.largest_bytes(16 * 2 * 8 * 8)


def state(step: int, value: float = 0.5) -> SamplerState:
    latents = torch.full((1, *SHAPE), value, dtype=torch.float64)
    return SamplerState(step, {"latents": latents, "generator": seeded(step).get_state()})


def stored(step: int = 2) -> Stored:
    return Stored(state(step), 4, BELONGS.identity, KERNELS, 1.5)


class Scene:
    """A checkpoint whose clock the test moves."""

    def __init__(self, folder: Path, slow_s: float = 1.0) -> None:
        self.clock, self.told = SteppedClock(), []
        self.checkpoint = Checkpoint(
            Checkpointing(str(folder), slow_s), PLAN, self.told.append, self.clock.now
        )

    told: list[Kept]

    def begin(self, belongs: Belongs = BELONGS) -> Callable[[SamplerState], None]:
        self.checkpoint.resume(belongs)
        keep = self.checkpoint.sampling()
        assert keep
        return keep


def found(folder: Path, belongs: Belongs = BELONGS) -> Stored | None:
    return Scene(folder).checkpoint.resume(belongs)


def test_writing_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, slow_s=1.0)
    monkeypatch.setattr(checkpointing, "write", lambda *_: scene.clock.sleep(0.3))
    keep = scene.begin()
    for step, seconds in ((1, 2.0), (2, 5.0), (3, 1.2)):
        scene.clock.sleep(seconds)
        keep(state(step))
    assert scene.told == [Kept(1, 4), Kept(3, 4)]


def test_states_are_written_when_enough_time_has_passed_since_the_last(tmp_path: Path) -> None:
    scene = Scene(tmp_path, slow_s=1.0)
    keep = scene.begin()
    for step, seconds in ((1, 0.6), (2, 0.6), (3, 0.6)):
        scene.clock.sleep(seconds)
        keep(state(step))
    assert scene.told == [Kept(2, 4)]
    kept = found(tmp_path)
    assert kept is not None
    assert (kept.state.step, kept.sample_s) == (2, pytest.approx(1.2))
    scene.clock.sleep(0.5)
    scene.checkpoint.finished(torch.zeros(SHAPE))
    assert scene.told == [Kept(2, 4), Kept(4, 4)]
    finished = found(tmp_path)
    assert finished is not None
    assert finished.finished


def test_nothing_is_kept_and_nothing_found_without_a_folder() -> None:
    checkpoint = Checkpoint(None, PLAN, lambda _: None)
    assert not checkpoint.wanted
    assert checkpoint.resume(BELONGS) is None
    assert checkpoint.sampling() is None
    checkpoint.finished(torch.zeros(SHAPE))
    with pytest.raises(Paused) as stopped, checkpoint.pausing():
        raise Paused
    assert stopped.value.value == 0


def test_a_drive_that_takes_nothing_is_told_once_and_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path, slow_s=0.0)
    keep = scene.begin()
    keep(state(1))

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr("core.engine.checkpoint_file.os.fsync", full)
        keep(state(2))
        keep(state(3))
        with pytest.raises(Paused) as stopped, scene.checkpoint.pausing():
            raise Paused
    assert stopped.value.value == 1
    assert len(caplog.records) == 1
    assert "full" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    kept = found(tmp_path)
    assert kept is not None
    assert kept.state.step == 1
    keep(state(3))
    assert scene.told == [Kept(1, 4), Kept(3, 4)]


def test_a_folder_that_cannot_be_made_disturbs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    scene = Scene(tmp_path / "file" / "state", slow_s=0.0)
    scene.begin()(state(1))
    assert scene.told == []


def test_what_a_killed_process_left_half_written_goes_with_the_next_write(tmp_path: Path) -> None:
    (tmp_path / ".state.4711.part.safetensors").write_bytes(b"half")
    checkpoint_file.write(tmp_path, stored())
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def rewritten(folder: Path, tensors: Mapping[str, Tensor] | None = None, **about: Any) -> None:
    """A file with a right digest and other content; a value None is left out."""
    good = stored()
    checkpoint_file.write(folder, good)
    path = folder / FILE_NAME
    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["pirouette"]) | about
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    kept = dict(kept if tensors is None else tensors)
    text = json.dumps({name: value for name, value in told.items() if value is not None})
    digest = checkpoint_file._digest(text, kept)
    save_file(kept, path, {"pirouette": text, "sha256": digest})


GOOD = dict(state(2).tensors)
HOSTILE: dict[str, dict[str, Any]] = {
    "schema": {"schema": 2},
    "step 0": {"step": 0},
    "step beyond": {"step": 5},
    "step of another kind": {"step": 2.0},
    "step true": {"step": True},
    "steps of another plan": {"steps": 40},
    "seconds negative": {"sample_s": -1.0},
    "seconds not finite": {"sample_s": float("inf")},
    "no identity": {"identity": None},
    "identity a list": {"identity": ["seed"]},
    "identity of numbers": {"identity": {"seed": 1}},
    "another seed": {"identity": {"seed": "2", "motion": "abc"}},
    "less identity": {"identity": {"seed": "1"}},
    "no kernels": {"kernels": {}},
    "no threads": {"kernels": KERNELS.to_data() | {"threads": 0}},
    "too many threads": {"kernels": KERNELS.to_data() | {"threads": 10**9}},
    "flag a text": {"kernels": KERNELS.to_data() | {"benchmark": "yes"}},
    "device a list": {"kernels": KERNELS.to_data() | {"lasting": {"device": []}}},
    "no latents": {"tensors": {"generator": GOOD["generator"]}},
    "more tensors": {"tensors": GOOD | {"more": torch.zeros(1)}},
    "another shape": {"tensors": GOOD | {"latents": torch.zeros(1, 16, 2, 8, 9, dtype=torch.float64)}},
    "another dtype": {"tensors": GOOD | {"latents": torch.zeros(1, *SHAPE)}},
    "not finite": {"tensors": GOOD | {"latents": torch.full((1, *SHAPE), torch.nan, dtype=torch.float64)}},
    "no generator's state": {"tensors": GOOD | {"generator": torch.full((5056,), 255, dtype=torch.uint8)}},
    "huge": {"tensors": GOOD | {"more": torch.zeros(MOST_BYTES, dtype=torch.uint8)}},
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_file_that_does_not_fit_is_begun_anew(tmp_path: Path, case: str) -> None:
    rewritten(tmp_path)
    assert found(tmp_path) is not None
    rewritten(tmp_path, **HOSTILE[case])
    assert found(tmp_path) is None
    checkpoint = Scene(tmp_path).checkpoint
    checkpoint.resume(BELONGS)
    with pytest.raises(Paused) as stopped, checkpoint.pausing():
        raise Paused
    assert stopped.value.value == 0


def test_damaged_and_cut_off_files_are_begun_anew(tmp_path: Path) -> None:
    checkpoint_file.write(tmp_path, stored())
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    rng = random.Random(7)
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert found(tmp_path) is None
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 1, 4))):
            at = rng.randrange(rng.choice((64, 1200, len(damaged))))
            damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        kept = found(tmp_path)
        # Two bits may fall on one; then the file is whole.
        assert kept is None or bytes(damaged) == whole
    path.unlink()
    path.mkdir()
    assert found(tmp_path) is None


def test_threads_and_flags_are_set_as_saved_and_put_back() -> None:
    before = Kernels.now(torch.device("cpu"))
    other = replace(
        before, threads=before.threads + 1, deterministic=not before.deterministic, tf32_cudnn=False
    )
    with suppress(Paused), other.applied():
        assert Kernels.now(torch.device("cpu")) == other
        raise Paused
    assert Kernels.now(torch.device("cpu")) == before


def test_a_state_of_another_machine_is_gone_on_with_and_stays_marked(tmp_path: Path) -> None:
    elsewhere = replace(KERNELS, lasting=KERNELS.lasting | {"device": "another", "torch": "1.0"}, threads=3)
    checkpoint_file.write(tmp_path, replace(stored(1), kernels=elsewhere))
    scene = Scene(tmp_path, slow_s=0.0)
    kept = scene.checkpoint.resume(BELONGS)
    assert kept is not None
    assert KERNELS.changed(kept.kernels) == ("the device", "the version of torch")
    keep = scene.checkpoint.sampling()
    assert keep
    keep(state(2))
    again = found(tmp_path, replace(BELONGS, kernels=elsewhere))
    assert again is not None
    assert again.kernels.threads == 3
    assert elsewhere.changed(again.kernels) == ("the machine or the plan",)


def test_kernels_survive_json() -> None:
    assert Kernels.from_data(json.loads(json.dumps(KERNELS.to_data()))) == KERNELS
    assert KERNELS.changed(KERNELS) == ()
