from __future__ import annotations

import pytest

from core.codec import from_data, from_json, to_json
from core.errors import BadInput
from core.types import Memory, RenderEvent, Sampling, Size


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"width": "wide"}', '{"width": 1}', "nonsense"])
def test_mismatches_are_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        from_json(text, Size)


def test_a_mismatch_names_the_type() -> None:
    with pytest.raises(BadInput, match="Sampling"):
        from_data({"sampler": "unipc"}, Sampling)


def test_unknown_union_members_are_refused() -> None:
    with pytest.raises(BadInput):
        from_data({"type": "Surprise"}, RenderEvent)


def test_numbers_that_are_not_json_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(Sampling(steps=1, shift=float("nan")))


def test_unknown_keys_of_newer_versions_are_ignored() -> None:
    assert from_data({"type": "Memory", "ram_bytes": 5, "swap_bytes": 7}, RenderEvent) == Memory(5)
