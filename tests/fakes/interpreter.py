"""Triton's interpreter, mended for newer numpy and without the work that it repeats."""

from __future__ import annotations

from typing import Any

import pytest


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the rest of a test; kernels compute what they did."""
    let_loops_count(monkeypatch)
    patch_the_language_once(monkeypatch)
    look_dtypes_up(monkeypatch)


def let_loops_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2.4 on numpy takes no array of one value for a number, which Triton 3.6 has as bounds of loops."""
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patched)


def patch_the_language_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch replaces all of ``tl``; each call of a jit function inside it would do so once more."""
    import triton.language as tl
    from triton.runtime import interpreter

    patch = interpreter._patch_lang

    def patched(fn: Any) -> Any:
        langs = [lang for lang in (tl, tl.core) if any(value is lang for value in fn.__globals__.values())]
        if any(tl.core.is_builtin(part) for lang in langs for part in (lang.load, lang.tensor.__add__)):
            return patch(fn)
        return interpreter._LangPatchScope()

    monkeypatch.setattr(interpreter, "_patch_lang", patched)


def look_dtypes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes a table of all dtypes for each look-up."""
    from triton.runtime import interpreter

    find = interpreter._get_np_dtype
    found: dict[str, Any] = {}

    def looked_up(dtype: Any) -> Any:
        name = dtype.scalar.name
        if name not in found:
            found[name] = find(dtype.scalar)
        return found[name]

    monkeypatch.setattr(interpreter, "_get_np_dtype", looked_up)
