"""The training commands: wrong arguments and missing files end with exit code 2 and one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.training import carry, demo, export, motion_source, sharpen_vae, train_dit, train_vae
from core.training.motion_source import motion_folder

MAINS = {
    "carry": carry.main,
    "demo": demo.main,
    "export": export.main,
    "motion_source": motion_source.main,
    "sharpen_vae": sharpen_vae.main,
    "train_dit": train_dit.main,
    "train_vae": train_vae.main,
}


@pytest.mark.parametrize("name", MAINS)
def test_unknown_options_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        MAINS[name](["--no-such-option"])
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", MAINS)
def test_help_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        MAINS[name](["--help"])
    assert caught.value.code == 0
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize(
    "wrong", [["--seconds", "0"], ["--piece-seconds", "-5"], ["--seconds", "soon"], ["--device", "abacus"]]
)
def test_impossible_values_are_refused(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        train_vae.main(["--out", str(tmp_path), *wrong])
    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_missing_files_are_one_line_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, none = ["--out", str(tmp_path / "out")], str(tmp_path / "none")
    assert train_vae.main([*out, "--motion-source", none]) == 2
    assert "python -m core.training.motion_source" in capsys.readouterr().err
    assert train_dit.main([*out, "--vae", none]) == 2
    assert "train_vae" in capsys.readouterr().err
    assert sharpen_vae.main([*out, "--vae", none]) == 2
    assert "train_vae" in capsys.readouterr().err
    assert carry.main([*out, "--from", none]) == 2
    assert "No checkpoint" in capsys.readouterr().err
    assert train_vae.main([*out, "--last"]) == 2
    assert "--piece-seconds" in capsys.readouterr().err
    assert export.main([*out, "--vae", none, "--dit", none]) == 2
    assert "No checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_motion_source_prints_the_path_of_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    motion_folder().mkdir(parents=True)
    wheel = motion_folder() / "pybullet-3.2.7-cp39-cp39-manylinux2014_x86_64.whl"
    wheel.write_bytes(b"")
    assert motion_source.main([]) == 0
    assert capsys.readouterr().out.strip() == str(wheel)


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core.training.train_dit", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--vae" in done.stderr
