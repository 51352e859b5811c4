"""``pirouette evaluate``: a fixed suite of clips, rendered as the product renders, measured and pictured."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from json import dumps
from pathlib import Path

import torch

from core.catalogue.entries import entry, mini_folder
from core.engine.determinism import make_deterministic
from core.engine.machine import pick_device
from core.engine.models.mini import load_mini
from core.errors import BadSetting
from core.evaluation.features import Features, features_file
from core.evaluation.suite_clips import make_suite
from core.evaluation.suite_run import SuiteRun
from core.media.disk import check_output, written_beside
from core.training.motion_source import fetch_motion_source
from core.types import Sampling

STEPS = (1, 2, 4, 8, 16)
SHIFT = 3.0
CONDITION_GUIDANCE = 1.5
GUIDED_STEPS = 4


def evaluate(
    model: str,
    *,
    synthetic: bool,
    clips: int | None,
    steps: int | None,
    out: Path,
    json: bool,
    motion_source: Path | None = None,
    device: str = "auto",
    download: bool = False,
    guidance: bool = False,
    version: int | None = None,
) -> int:
    """Run the suite and print its table; returns the exit code 0.

    Args:
        model: only ``mini`` has a suite.
        synthetic: our own motions, which need no download, instead of the held-out recorded ones.
        clips: how many of the suite's clips; None for all.
        steps: sampling steps; None for 1, 2, 4, 8 and 16.
        out: folder for results.json, contact sheets and two videos.
        json: print the results as one JSON object; the table then goes to standard error.
        motion_source: the pybullet wheel; None looks where ``find_motion_source`` says.
        device: ``auto``, ``cpu`` or ``cuda:UUID``.
        download: fetch the wheel first when it is missing.
        guidance: one more row with condition guidance.
        version: which suite, 1, 2 or 3; None for 1 or 2, by the model's size.

    Raises:
        BadSetting: another model, no clips, no steps or no such suite.
        BadInput: the recorded motion is missing.
        BadCheckpoint: the model cannot be loaded.
        DiskError: ``out`` cannot be written.
    """
    _check(model, clips, steps)
    check_output(out / "results.json")
    make_deterministic()
    bundle = load_mini(mini_folder(), pick_device(device))
    if download and not synthetic:
        motion_source = fetch_motion_source()
    suite = make_suite(
        bundle.spec, synthetic=synthetic, clips=clips, motion_source=motion_source, version=version
    )
    network = shipped_features(next(bundle.transformer.parameters()).device)
    run = SuiteRun(suite, bundle, samplings(steps, guidance=guidance), out, network)
    about = {"weights": digests(mini_folder())}
    if network is not None:
        about["features"] = digests(features_file().parent)
    report = run.report(model, about)
    with written_beside(out / "results.json") as beside:
        beside.write_text(dumps(report.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(report.table(), file=sys.stderr if json else sys.stdout)
    if json:
        print(dumps(report.to_json(), allow_nan=False))
    return 0


def shipped_features(device: torch.device) -> Features | None:
    """The feature network where one is shipped; without it there are no Frechet distances."""
    path = features_file()
    return Features.load(path, device) if path.is_file() else None


def _check(model: str, clips: int | None, steps: int | None) -> None:
    if entry(model).family != "mini":
        raise BadSetting(f"There is no suite for the model {model}.", value=model, limit="mini")
    for name, value in (("clips", clips), ("steps", steps)):
        if value is not None and value < 1:
            raise BadSetting(f"The number of {name} must be at least 1.", value=value, limit="at least 1")


def samplings(steps: int | None, *, guidance: bool) -> dict[str, Sampling]:
    """Sampling settings by the name of their row."""
    plain = {count: Sampling(count, shift=SHIFT) for count in (STEPS if steps is None else (steps,))}
    rows = {f"{count} step{'s' * (count > 1)}": sampling for count, sampling in plain.items()}
    if guidance:
        guided = replace(plain[steps or GUIDED_STEPS], condition_guidance_scale=CONDITION_GUIDANCE)
        rows[f"{guided.steps} steps, pose guidance"] = guided
    return rows


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the model's files, so that figures can be told apart by what they measured."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
