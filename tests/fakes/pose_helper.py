"""Stands in for ``core.cli.pose_window`` and does what a helper may do at its worst, as the arguments say."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

HOW, FOLDER = sys.argv[1], Path(sys.argv[2])


def say(number: int, **what: Any) -> None:
    sys.stdout.write(json.dumps({"id": number, **what}) + "\n")
    sys.stdout.flush()


def facts(**other: Any) -> dict[str, Any]:
    """Of one frame."""
    report = {
        "keypoints_seen": 1.0, "scale_ratio": 1.0, "out_of_frame": 0.0, "start_gap": 0.0, "score": 90,
        "warnings": [],
    }  # fmt: skip
    told = {
        "start_s": 0.0, "frames": 1, "complete": True, "width": 64, "height": 64, "motion_width": 64,
        "motion_height": 64, "confidence": [1.0], "report": report, "fitted": True, "file": "x.npz",
    }  # fmt: skip
    return {**told, **other}


def arrays(**other: Any) -> None:
    """A whole answer of nobody, but for what is given."""
    shapes = {"there": (), "subset": (18,), "body": (18, 2), "hands": (2, 21, 2), "faces": (68, 2)}
    made = {
        f"{kind}_{part}": np.zeros((1, *shape), np.int64 if part == "subset" else np.float64)
        for kind in ("drawn", "plain", "found", "reference")
        for part, shape in shapes.items()
    }
    np.savez(FOLDER / "x.npz", **{**made, **other})


def answer(number: int) -> None:
    match HOW:
        case "well":
            arrays()
            say(number, answer=facts())
        case "crash":
            os.abort()
        case "crash once":
            marker = FOLDER / "crashed"
            if not marker.exists():
                marker.touch()
                os.abort()
            arrays()
            say(number, answer=facts())
        case "hang":
            time.sleep(600)
        case "no json":
            sys.stdout.write("<html>\n")
            sys.stdout.flush()
        case "endless line":
            sys.stdout.write("x" * 5_000_000)
            sys.stdout.flush()
            time.sleep(600)
        case "no file":
            say(number, answer=facts(file="missing.npz"))
        case "far file":
            say(number, answer=facts(file="../../x.npz"))
        case "not finite":
            arrays(drawn_body=np.full((1, 18, 2), np.inf))
            say(number, answer=facts())
        case "no such joint":
            arrays(drawn_subset=np.full((1, 18), 99))
            say(number, answer=facts())
        case "many frames":
            arrays()
            say(number, answer=facts(frames=10**9))
        case "bad score":
            arrays()
            report = {**facts()["report"], "score": 1000}
            say(number, answer=facts(report=report))
        case "no facts":
            say(number, answer=["what"])
        case "until stopped":
            say(number, progress=[1, 4])


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            (FOLDER / "stopped").touch()
            say(message["stop"], stopped=True)
        else:
            threading.Thread(target=answer, args=(message["ask"],), daemon=True).start()


if __name__ == "__main__":
    main()
