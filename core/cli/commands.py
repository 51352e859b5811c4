"""What each command does. Every function takes the parsed options and returns the exit code."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from core.catalogue.demo import demo_characters, demo_motions
from core.catalogue.presets import parse_size
from core.cli.console import print_json
from core.cli.rendering import render_request, summary
from core.cli.request_options import request_of
from core.errors import BadSetting
from core.settings import places
from core.types import FPS, MediaInput, Output, Overrides, RenderRequest, Result

_POSE_ENDING = ".pose.json"


def render(options: argparse.Namespace) -> int:
    """``pirouette render``."""
    request = request_of(options, options.reference, options.motion, options.output)
    return _finish(render_request(request), options.json)


def demo(options: argparse.Namespace) -> int:
    """``pirouette demo``: a shipped character with a shipped motion; the path is the last line printed."""
    character = _pick("character", demo_characters(), options.character)
    motion = _pick("motion", demo_motions(), options.motion)
    output = options.output or places().results / f"{_name(character)} - {_name(motion)}.mp4"
    request = RenderRequest(
        reference=MediaInput(str(character)),
        motion=MediaInput(str(motion)),
        output=Output(str(output)),
        model=options.model,
        preset=options.preset,
        size=parse_size(options.size) if options.size else None,
        frames=options.frames,
        seed=options.seed,
        overrides=Overrides(steps=options.steps),
        device=options.device,
    )
    print(f"{_name(character)} does {_name(motion)}", file=sys.stderr)
    return _finish(render_request(request), options.json)


def check_golden(options: argparse.Namespace) -> int:
    """``pirouette check-golden``: a row per tensor; 1 when any fails."""
    from core.evaluation.golden.run import run_files

    results = run_files(options.files)
    passed = all(row.passed for rows in results.values() for row in rows)
    if options.json:
        files = {str(path): [_json_row(asdict(row)) for row in rows] for path, rows in results.items()}
        print_json({"passed": passed, "files": files})
    else:
        for path, rows in results.items():
            print(path)
            for row in rows:
                verdict = "PASS" if row.passed else "FAIL"
                print(f"  {verdict}  {row.max_abs_error:<10.3g} {row.tolerance:<24} {row.tensor}")
    return 0 if passed else 1


def evaluate(options: argparse.Namespace) -> int:
    """``pirouette evaluate mini``."""
    for name in ("clips", "steps"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise BadSetting(f"The number of {name} must be at least 1.", value=value, limit="at least 1")
    from core.evaluation.suite import evaluate as run

    return run(
        options.model,
        synthetic=options.synthetic,
        clips=options.clips,
        steps=options.steps,
        out=options.out or places().results / "evaluation",
        json=options.json,
        motion_source=options.motion_source,
        device=options.device,
        download=options.download,
        guidance=options.guidance,
        version=options.suite,
    )


def _finish(result: Result, as_json: bool) -> int:
    if as_json:
        print_json(summary(result))
        return 0
    seconds = sum(result.seconds.values())
    print(
        f"{result.frames} frames, {result.frames / FPS:.2f} s, {result.width}x{result.height}, "
        f"{result.forwards} forwards, rendered in {seconds:.1f} s",
        file=sys.stderr,
    )
    print(result.output)
    return 0


def _json_row(row: dict[str, object]) -> dict[str, object]:
    """JSON has no infinity: a comparison that could not be made has no error figure."""
    return row | {"max_abs_error": None} if row["max_abs_error"] == float("inf") else row


def _pick(what: str, files: list[Path], name: str | None) -> Path:
    """The file called ``name``, or the first."""
    if not files:
        raise BadSetting(f"This installation has no demo {what}.", action="Reinstall Pirouette.")
    if name is None:
        return files[0]
    for file in files:
        if _name(file) == name:
            return file
    names = ", ".join(map(_name, files))
    raise BadSetting(
        f"There is no demo {what} '{name}'.", value=name, limit=names, action=f"Choose one of {names}."
    )


def _name(file: Path) -> str:
    return file.name.removesuffix(_POSE_ENDING).removesuffix(file.suffix)
