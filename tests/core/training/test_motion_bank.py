"""Motion read from the archive, and our own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from core.errors import BadInput, NetworkError
from core.training.body import R
from core.training.motion import generated, load_bank, sample_motion
from core.training.motion_source import VARIABLE, fetch_motion_source, find_motion_source, motion_folder
from core.training.randomness import Draws


def test_humanoid_clips_are_read_at_60_fps(motion_archive: Path) -> None:
    bank = load_bank(motion_archive)
    assert bank.names == ("dance_a", "walk")
    rotations, roots = bank.rotations[1], bank.roots[1]
    assert rotations.shape[1:] == (13, 3, 3)
    assert len(rotations) == pytest.approx(60, abs=1)
    # Half a second in, the walk's elbow has turned by 0.25 and the root has moved by 15 frames of 1 cm.
    assert torch.atan2(*rotations[30, R["right_elbow"], [1, 0], 0]) == pytest.approx(0.25, abs=1e-3)
    assert roots[30].tolist() == pytest.approx([0.15, 0.9, 0.0], abs=1e-4)


def test_held_out_clips_are_kept_apart(motion_archive: Path) -> None:
    bank = load_bank(motion_archive)
    assert bank.only(held_out=True).names == ("dance_a",)
    assert bank.only(held_out=False).names == ("walk",)


def test_missing_and_empty_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load_bank(tmp_path / "none.whl")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(BadInput, match="holds no motion"):
        load_bank(tmp_path / "empty.zip")


@pytest.mark.parametrize("augment", [True, False])
def test_sampled_motion_is_made_of_rotations_and_repeats(motion_archive: Path, augment: bool) -> None:
    bank = load_bank(motion_archive)
    rotations, root = sample_motion(Draws(3), bank, 6, 9, augment=augment)
    assert rotations.shape == (6, 9, 13, 3, 3)
    assert root.shape == (6, 9, 3)
    product = rotations @ rotations.transpose(-1, -2)
    assert torch.allclose(product, torch.eye(3).expand_as(product), atol=1e-4)
    again = sample_motion(Draws(3), bank, 6, 9, augment=augment)
    assert torch.equal(rotations, again[0])
    assert torch.equal(root, again[1])


def test_our_own_motion_moves_and_needs_no_archive() -> None:
    rotations, root = generated(Draws(5), 8, 17)
    product = rotations @ rotations.transpose(-1, -2)
    assert torch.allclose(product, torch.eye(3).expand_as(product), atol=1e-4)
    moved = (rotations[:, 1:] - rotations[:, :-1]).abs().amax(dim=(1, 2, 3, 4))
    assert (moved > 0.05).all()
    assert torch.isfinite(root).all()


def test_where_the_archive_is_looked_for(motion_archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput) as caught:
        find_motion_source()
    assert "pip download --no-deps" in caught.value.action
    assert "pybullet==3.2.7" in caught.value.action
    monkeypatch.setenv(VARIABLE, str(motion_archive))
    assert find_motion_source() == motion_archive
    with pytest.raises(BadInput):
        find_motion_source(motion_archive.with_name("other.whl"))


def test_a_wheel_in_the_cache_is_not_fetched_again() -> None:
    motion_folder().mkdir(parents=True)
    wheel = motion_folder() / "pybullet-3.2.7-cp39-cp39-manylinux2014_x86_64.whl"
    wheel.write_bytes(b"")
    assert fetch_motion_source() == wheel
    assert find_motion_source() == wheel


def test_a_failed_download_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(NetworkError, match="could not download"):
        fetch_motion_source()
