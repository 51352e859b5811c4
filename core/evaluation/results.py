"""What an evaluation found: one row a variant, per-clip values, means with confidence intervals, a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

RESAMPLES = 2000
# Name in results.json, heading of the table, decimals. First what rewards blur, then what does not.
CLOSENESS = (
    ("psnr", "PSNR", 2),
    ("psnr_body", "body", 2),
    ("ssim", "SSIM", 3),
    ("psnr_frame0", "frame0", 2),
    ("iou", "IoU", 3),
    ("joint_error", "jerr", 2),
    ("pck", "PCK", 3),
)
NATURALNESS = (
    ("sharpness_body", "sharp.b", 2),
    ("sharpness", "sharp", 2),
    ("flicker", "flicker", 2),
    ("flicker_body", "flick.b", 2),
    ("flicker_scene", "flick.s", 2),
    ("colour", "colour", 2),
)
COLUMNS = CLOSENESS + NATURALNESS
# Of all clips together; there is none of one clip.
DISTANCES = (("frechet_pictures", "FD.pic", 3), ("frechet_windows", "FD.win", 3))
NOTE = """\
Pictures 1 to the last; means over the clips, below each the half width of its 95 % bootstrap interval. PSNR,
body and frame0 in dB; jerr in pixels of a 192-row picture; PCK within 2 % of the height. The row skeletons is
what following them exactly would score. PSNR, IoU and jerr reward blur: read them together with the second
table. There sharp.b (body), sharp and flicker are ratios to
the truth, best near 1; flick.b (body), flick.s (elsewhere: unsteadiness against the truth) and colour (of
the limbs) are grey levels, best near 0. FD.pic and FD.win are Frechet distances of single pictures and of
8-picture windows, their bias taken off; they compare only on the same clips and feature network."""


@dataclass(frozen=True)
class Figure:
    """A mean over clips and its 95 % interval."""

    mean: float
    low: float
    high: float


def figure(values: Tensor, resamples: int = RESAMPLES) -> Figure:
    """Percentile bootstrap over clips, values [N]; seeded, so equal values give equal figures."""
    values = values.double().cpu()
    generator = torch.Generator().manual_seed(0)
    picks = torch.randint(len(values), (resamples, len(values)), generator=generator)
    means = values[picks].mean(dim=1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Figure(float(values.mean()), low, high)


@dataclass
class Row:
    """One variant: per-clip values by measure, in the order of the clips; grows while the suite runs.

    ``overall`` are figures of all clips together.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    overall: dict[str, Figure] = field(default_factory=dict)

    def add(self, measures: dict[str, Tensor], without: Iterable[str] = ()) -> None:
        """Append the clips' measures, [B] each."""
        for name, value in measures.items():
            if name not in without:
                self.values.setdefault(name, []).extend(value.double().tolist())

    def figures(self) -> dict[str, Figure]:
        """Mean and interval of each measure."""
        return {name: figure(torch.tensor(values)) for name, values in self.values.items()} | self.overall

    def to_json(self) -> dict[str, Any]:
        """For results.json."""
        summary = {name: vars(figure) for name, figure in self.figures().items()}
        return {"name": self.name, "settings": self.settings, "figures": summary, "clips": self.values}


@dataclass(frozen=True)
class Report:
    """The whole evaluation; ``suite`` says which clips and settings, ``clips`` what each of them is."""

    model: str
    suite: dict[str, Any]
    clips: list[dict[str, Any]]
    rows: list[Row]
    files: list[str]
    bars: list[dict[str, Any]] = field(default_factory=list)
    """What the model should reach: name, least, mean, reached, and a line for people."""

    def to_json(self) -> dict[str, Any]:
        """For results.json and ``--json``."""
        return {
            "model": self.model,
            "suite": self.suite,
            "clips": self.clips,
            "rows": [row.to_json() for row in self.rows],
            "files": self.files,
            "bars": self.bars,
        }

    def table(self) -> str:
        """For people: two tables of means, and below each mean the half width of its interval."""
        distances = DISTANCES if any(row.overall for row in self.rows) else ()
        tables = [*self._lines(CLOSENESS), "", *self._lines(NATURALNESS + distances), "", NOTE]
        return "\n".join([*tables, *([""] if self.bars else []), *(bar["line"] for bar in self.bars)])

    def _lines(self, columns: tuple[tuple[str, str, int], ...]) -> list[str]:
        width = max(len(row.name) for row in self.rows)
        lines = [" " * width + "".join(f"{heading:>9}" for _, heading, _ in columns)]
        for row in self.rows:
            figures = row.figures()
            if any(name in figures for name, _, _ in columns):
                lines.append(row.name.ljust(width) + "".join(_mean(figures.get(n), d) for n, _, d in columns))
                lines.append(" " * width + "".join(_half_width(figures.get(n), d) for n, _, d in columns))
        return lines


def _mean(value: Figure | None, decimals: int) -> str:
    return f"{'-':>9}" if value is None else f"{value.mean:9.{decimals}f}"


def _half_width(value: Figure | None, decimals: int) -> str:
    if value is None:
        return " " * 9
    return f"{f'±{(value.high - value.low) / 2:.{decimals}f}':>9}"
