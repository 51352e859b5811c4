"""Fitting a clip's poses to the person in the reference (docs/decisions/0008-pose-alignment.md)."""

from core.pose.align.apply import apply
from core.pose.align.choose import choose_frame
from core.pose.align.fit import Fit, fit
from core.pose.align.gap import pose_gap
from core.pose.align.report import PoseReport, report
from core.pose.align.scales import Scales

__all__ = ["Fit", "PoseReport", "Scales", "apply", "choose_frame", "fit", "pose_gap", "report"]
