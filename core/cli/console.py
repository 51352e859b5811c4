"""What a person sees: errors as one sentence, progress as one line. Human text goes to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from core.errors import PirouetteError
from core.types import Note, Progress, RenderEvent

_WIDTH = 28
_TITLES = {
    "start": "starting",
    "load": "loading the model",
    "pose": "drawing the skeletons",
    "encode": "encoding",
    "sample": "sampling",
    "decode": "decoding",
    "write": "writing",
}


def print_json(data: Any) -> None:
    """One object on standard output, always UTF-8: bytes of a file name that are no text are escaped."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    print(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def print_error(error: PirouetteError, as_json: bool) -> int:
    """The error as JSON on standard output or as one line on standard error; returns the exit code."""
    if as_json:
        print_json({"error": error.to_json()})
    else:
        sentence = " ".join(error.sentence().split())
        print(f"pirouette: {sentence}", file=sys.stderr)
    return error.exit_code


class ProgressLine:
    """Progress: on a terminal one line rewritten in place, elsewhere one line a phase. Notes get own lines.

    Args:
        stream: where to print.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._phase = ""
        self._drawn = False

    def show(self, event: RenderEvent) -> None:
        """Print what is worth printing."""
        if isinstance(event, Note):
            self.close()
            print(f"Note: {event.text}", file=self._stream)
        elif isinstance(event, Progress):
            self._progress(event)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._drawn:
            print(file=self._stream)
            self._drawn = False

    def _progress(self, event: Progress) -> None:
        title = _TITLES[event.phase]
        if not self._terminal:
            if event.phase != self._phase:
                print(title, file=self._stream, flush=True)
        else:
            print(f"\r{title:<22} {bar(event)}\x1b[K", end="", file=self._stream, flush=True)
            self._drawn = True
        self._phase = event.phase


def bar(event: Progress) -> str:
    """The share of the phase done, empty where it is not counted; sampling is counted in forwards."""
    done, total = (event.forward, event.forwards) if event.forwards else (event.step, event.steps)
    if total < 1:
        return ""
    filled = _WIDTH * min(done, total) // total
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total}"
