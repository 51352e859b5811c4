"""Fitting a clip's poses to the person in the reference."""

from core.pose.align.apply import apply
from core.pose.align.fit import Fit, fit

__all__ = ["Fit", "apply", "fit"]
