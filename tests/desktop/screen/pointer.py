"""A mouse and a keyboard for an X display: events go through the X server (XTEST), as from real devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from Xlib import XK, X
from Xlib.display import Display
from Xlib.ext import xtest

# Between two events: a hand is not quicker, and Qt tells a drag from a click by movement over time.
_PAUSE_MS: Final = 12
_STEPS: Final = 12
Point = tuple[int, int]
_NAMED: Final = {
    " ": "space",
    ".": "period",
    ",": "comma",
    "-": "minus",
    "/": "slash",
    "_": "underscore",
    "(": "parenleft",
    ")": "parenright",
}


class Pointer:
    """One connection to the display ``:N``; not for several threads."""

    def __init__(self, name: str) -> None:
        self._display = Display(name)
        self._at: Point = (0, 0)

    def move(self, to: Point, steps: int = _STEPS) -> None:
        """Glide to a place on the screen."""
        (x0, y0), (x1, y1) = self._at, to
        for step in range(1, steps + 1):
            x, y = round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
            self._fake(X.MotionNotify, 0, x, y)
        self._at = to

    def click(self, at: Point, button: int = 1, times: int = 1) -> None:
        """Press and release there."""
        self.move(at)
        for _ in range(times):
            self.press(button)
            self.release(button)

    def press(self, button: int = 1) -> None:
        """Hold a button."""
        self._fake(X.ButtonPress, button)

    def release(self, button: int = 1) -> None:
        """Let it go."""
        self._fake(X.ButtonRelease, button)

    def drag(self, start: Point, end: Point, steps: int = 2 * _STEPS) -> None:
        """Press, glide, release."""
        self.move(start)
        self.press()
        self.move(end, steps)
        self.release()

    def wheel(self, at: Point, clicks: int) -> None:
        """Up for positive numbers."""
        self.move(at)
        for _ in range(abs(clicks)):
            button = 4 if clicks > 0 else 5
            self.press(button)
            self.release(button)

    def keys(self, *combination: str) -> None:
        """Press keys together, by their X names: ``keys("Control_L", "z")``."""
        codes = [self._code(name) for name in combination]
        for code in codes:
            self._fake(X.KeyPress, code)
        for code in reversed(codes):
            self._fake(X.KeyRelease, code)

    def type(self, text: str) -> None:
        """Letters, digits and a few signs."""
        for letter in text:
            shift = letter.isupper() or letter in "_()"
            self.keys(*(["Shift_L"] if shift else []), _NAMED.get(letter, letter.lower()))

    def focus(self, window_id: int) -> None:
        """What a window manager does when a window comes to the front; there is none on the test's screen."""
        window = self._display.create_resource_object("window", window_id)
        window.set_input_focus(X.RevertToParent, X.CurrentTime)
        self._display.sync()

    def close(self) -> None:
        """Give the connection back."""
        self._display.close()

    def _code(self, name: str) -> int:
        code = self._display.keysym_to_keycode(XK.string_to_keysym(name))
        assert code, f"No key {name!r} on this keyboard."
        return int(code)

    def _fake(self, kind: int, detail: int, x: int = 0, y: int = 0) -> None:
        xtest.fake_input(self._display, kind, detail, time=_PAUSE_MS, x=x, y=y)
        self._display.sync()


def between(first: Point, second: Point, share: float) -> Point:
    """A place on the line from one to the other."""
    a: Sequence[int] = first
    return round(a[0] + (second[0] - a[0]) * share), round(a[1] + (second[1] - a[1]) * share)
