"""TeaCache: what it decides, what it adds, and which set it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.catalogue.planning.caching import CACHES
from core.engine.sampling.caching.make import make_cache, polynomial_for
from core.engine.sampling.caching.taylor import TaylorCache
from core.engine.sampling.caching.teacache import POLYNOMIALS, Gate, TeaCache
from core.errors import BadSetting
from core.evaluation.golden.run import run_file
from core.types import Sampling

GOLDEN = Path(__file__).parents[2] / "golden" / "teacache_a.safetensors"
AREA_480P, AREA_NATIVE = 832 * 480, 1024 * 576


def test_decisions_are_upstreams() -> None:
    rows = run_file(GOLDEN)
    assert len(rows) == 20
    assert not [row for row in rows if not row.passed]


def test_changes_add_up_until_the_threshold() -> None:
    polynomial = POLYNOMIALS["i2v_480p"]._replace(coefficients=(1.0, 0.0))
    gate = Gate(polynomial, 0.25, 7)
    # Each is 10 % more than the one before; 0.1 + 0.1 is below 0.25, a third one is not. The last is forced.
    decided = [gate.computes(step, torch.full((1, 4), 1.1**step)) for step in range(7)]
    assert decided == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("name", list(POLYNOMIALS))
def test_small_changes_may_count_below_nothing_yet_0_computes_all(name: str) -> None:
    gate = Gate(POLYNOMIALS[name], 0.0, 20)
    assert all(gate.computes(step, torch.full((1, 4), 1.001**step)) for step in range(20))
    plain = POLYNOMIALS["i2v_480p"]
    assert plain(0.001) < 0
    lenient = Gate(plain, 1e-9, 20)
    assert sum(lenient.computes(step, torch.full((1, 4), 1.001**step)) for step in range(20)) == 2


def test_what_is_not_finite_is_computed() -> None:
    gate = Gate(POLYNOMIALS["i2v_480p"], 1.0, 20)
    gate.computes(0, torch.zeros(1, 4))
    assert gate.computes(1, torch.zeros(1, 4))  # 0 / 0


@pytest.mark.parametrize(
    ("area", "retention", "name"),
    [
        (AREA_480P, True, "i2v_480p_retention"),
        (AREA_480P, False, "i2v_480p"),
        (AREA_NATIVE, True, "i2v_720p_retention"),
        (AREA_480P + 1, False, "i2v_720p"),
    ],
)
def test_the_area_chooses_the_coefficients(area: int, retention: bool, name: str) -> None:
    assert polynomial_for(area, retention) is POLYNOMIALS[name]


def test_every_cache_can_be_made() -> None:
    sampling = Sampling(20)
    assert make_cache("none", None, sampling, AREA_480P) is None
    made = [make_cache(kind, None, sampling, AREA_480P) for kind in CACHES[1:]]
    assert len({type(cache) for cache in made}) == len(CACHES) - 1
    chosen = make_cache("taylor", 0.3, sampling, AREA_480P)
    assert isinstance(chosen, TaylorCache)
    assert chosen.threshold == 0.3
    teacache = make_cache("teacache", None, sampling, AREA_480P)
    assert isinstance(teacache, TeaCache)
    assert teacache.gate.threshold == 0.2


@pytest.mark.parametrize(
    ("kind", "threshold", "steps", "said"),
    [
        ("teacache", None, 9, "10 steps"),
        ("taylor", None, 4, "with 4 each step changes so much"),
        ("magcache", None, 20, "no cache 'magcache'"),
        ("teacache", 1.5, 20, "out of range"),
        ("teacache", float("nan"), 20, "out of range"),
        ("none", 0.1, 20, "no cache"),
    ],
)
def test_what_cannot_be_made_says_why(kind: str, threshold: float | None, steps: int, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        make_cache(kind, threshold, Sampling(steps), AREA_480P)
