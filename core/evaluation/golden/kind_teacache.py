"""Golden kind ``teacache``: the decisions of TeaCache for given time embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from core.engine.sampling.caching.teacache import POLYNOMIALS, Gate, Polynomial
from core.evaluation.golden.base import GoldenFile, Row, compare, exact


def check(golden: GoldenFile) -> Iterator[Row]:
    """caseN.in.modulated -> caseN.out.{compute, rel_l1, poly, accumulated_after}."""
    for name, case in zip(golden.cases(), golden.config["cases"], strict=True):
        polynomial = polynomial_of(case)
        yield _settings(name, case, polynomial)
        gate = Gate(polynomial, case["threshold"], case["steps"])
        seen: dict[str, list[float]] = {"compute": [], "rel_l1": [], "poly": [], "accumulated_after": []}
        for step, modulated in enumerate(golden.tensors[f"{name}.in.modulated"]):
            seen["compute"].append(gate.computes(step, modulated[None]))
            seen["rel_l1"].append(gate.change)
            seen["poly"].append(gate.rescaled)
            seen["accumulated_after"].append(gate.accumulated)
        yield from _compared(golden, name, seen)


def polynomial_of(case: dict[str, Any]) -> Polynomial:
    """Our own set of a case, by its name."""
    return POLYNOMIALS[case["resolution"] + ("_retention" if case["use_ret_steps"] else "")]


def _settings(name: str, case: dict[str, Any], polynomial: Polynomial) -> Row:
    """Coefficients and forced steps, one after the other."""
    gate = Gate(polynomial, case["threshold"], case["steps"])
    forced = [float(gate.forced(step)) for step in range(case["steps"])]
    first, last = case["first_forced_steps"], case["last_forced_from_step"]
    theirs = [float(step < first or step >= last) for step in range(case["steps"])]
    return exact(
        f"{name}.settings",
        torch.tensor([*polynomial.coefficients, *forced], dtype=torch.float64),
        torch.tensor([*case["coefficients"], *theirs], dtype=torch.float64),
    )


def _compared(golden: GoldenFile, name: str, seen: dict[str, list[float]]) -> Iterator[Row]:
    tolerance = {"poly": golden.tolerance["accumulated_after"], **golden.tolerance}
    for key, values in seen.items():
        ours = torch.tensor(values, dtype=torch.float64)
        theirs = golden.tensors[f"{name}.out.{key}"]
        limits = tolerance[key]
        if limits == "exact":
            yield exact(f"{name}.out.{key}", ours, theirs)
        else:
            yield compare(f"{name}.out.{key}", ours, theirs, limits.get("atol", 0.0), limits.get("rtol", 0.0))
