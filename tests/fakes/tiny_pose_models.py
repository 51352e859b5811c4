"""Networks with YOLOX-L's and DWPose-L's inputs and outputs that find painted figures, a few kilobytes each.

A figure is a rectangle in the colour of its clothes with discs in pure colours on it. The detector knows
clothes by their colour and gives the rectangle's box; the estimator gives point k of COCO-WholeBody where the
disc of colour k modulo 7 is. Both know colours only in the channel order that the real networks learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import onnx
import tomlkit
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from core.catalogue.load import load_catalogue
from core.catalogue.user import add_local
from core.pose.extract.models import PoseModels
from core.settings import resources

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]
Array = NDArray[np.generic]

# Red, green, blue. The second colour is the first with red and blue exchanged.
SURE_CLOTHES: Colour = (160, 40, 70)
LESS_SURE_CLOTHES: Colour = (70, 40, 160)
FADED_CLOTHES: Colour = (40, 120, 90)
DOG: Colour = (120, 110, 30)
BACKGROUND: Colour = (20, 20, 20)
# Clothes -> score of there being anything, of a person, and the cell that tells it: stride and number.
SEEN: dict[Colour, tuple[float, float, int, int]] = {
    SURE_CLOTHES: (0.95, 0.98, 32, 0),
    LESS_SURE_CLOTHES: (0.9, 0.8, 16, 41),
    FADED_CLOTHES: (0.6, 0.6, 8, 81),
    DOG: (0.99, 0.0, 32, 21),
}
DOG_CLASS = 16
# The surest figure is found a second time, a little too large.
ECHO_SCORE, ECHO_CELL, ECHO_GROWTH = 0.8, 400, 1.06
# Disc of each COCO-WholeBody point modulo 7.
DISCS: tuple[Colour, ...] = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255), (255, 255, 255),
)  # fmt: skip
_CELLS = {8: (0, 80), 16: (6400, 40), 32: (8000, 20)}
_MEAN, _STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
# Disc -> place in the box of a figure. COCO-WholeBody has the left eye at 1, the right one at 2, shoulders at
# 5 and 6.
PLACES = {
    0: (0.5, 0.15),
    1: (0.2, 0.3),
    2: (0.8, 0.3),
    3: (0.3, 0.5),
    4: (0.7, 0.5),
    5: (0.25, 0.8),
    6: (0.75, 0.8),
}


def figure(box: Box, discs: Mapping[int, Point], clothes: Colour, picture: Picture, radius: int) -> None:
    """Paint one into a picture.

    Args:
        box: left, top, right, bottom in pixels.
        discs: colour number -> centre in pixels.
        picture: uint8 RGB, changed.
    """
    left, top, right, bottom = (round(value) for value in box)
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), clothes, -1)
    for number, (x, y) in discs.items():
        cv2.circle(picture, (round(x), round(y)), radius, DISCS[number], -1, cv2.LINE_AA)


def stage(width: int, height: int) -> Picture:
    """An empty picture."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def write_pose_models(folder: Path, batch: int | None = None) -> PoseModels:
    """Both networks; ``batch`` people at a time, None for any number."""
    folder.mkdir(parents=True, exist_ok=True)
    return PoseModels(
        "dwpose",
        {
            "detector": write_detector(folder / "yolox_l.onnx"),
            "estimator": write_estimator(folder / "dw-ll_ucoco_384.onnx", batch),
        },
    )


def install_pose_models(folder: Path) -> PoseModels:
    """Both networks, entered in the user's catalogue as the user's own files."""
    models = write_pose_models(folder)
    add_local(models.files["detector"], "pose_detector", asset_id="tiny-yolox")
    add_local(models.files["estimator"], "pose_estimator", asset_id="tiny-dwpose")
    return models


def write_pose_hub(folder: Path) -> Path:
    """Both networks as a hub serves them, ``folder/hub/<owner>/<name>/<path>``, under the shipped ids.

    Returns:
        A catalogue of nothing else.
    """
    shipped = load_catalogue(resources() / "catalogue.toml").assets
    made = write_pose_models(folder / "made").files
    tables = {}
    for name, key in (("yolox-l", "detector"), ("dwpose-l", "estimator")):
        asset, data = shipped[name], made[key].read_bytes()
        path = folder / "hub" / asset.repository / asset.files[0].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        facts = ("title", "role", "repository", "precision", "layout", "licence")
        file = {"path": asset.files[0].path, "size_bytes": len(data), "sha256": sha256(data).hexdigest()}
        tables[name] = {fact: getattr(asset, fact) for fact in facts} | {"files": [file]}
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(tomlkit.dumps({"schema": 1, "assets": tables}), encoding="utf-8")
    return catalogue


class _Graph:
    """Nodes one after the other; each call gives the name of the result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def __call__(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def save(self, path: Path, given: onnx.ValueInfoProto, results: Sequence[onnx.ValueInfoProto]) -> Path:
        graph = helper.make_graph(self.nodes, "tiny", [given], list(results), self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())
        return path


def write_detector(path: Path) -> Path:
    """From [1, 3, 640, 640], blue first, to [1, 8400, 85]."""
    g = _Graph()
    rows: dict[int, str] = {}
    for clothes, (anything, person, stride, cell) in SEEN.items():
        box, there = _box_of(g, clothes)
        rows[_CELLS[stride][0] + cell] = _row(g, box, there, stride, cell, anything, person)
        if clothes == SURE_CLOTHES:
            grown = g("Mul", box, g.constant(_f32([1, 1, ECHO_GROWTH, ECHO_GROWTH])))
            rows[ECHO_CELL] = _row(g, grown, there, 8, ECHO_CELL, ECHO_SCORE, 1.0)
    g.nodes.append(helper.make_node("Concat", list(_filled(g, rows)), ["output"], axis=1))
    return g.save(path, _floats("images", [1, 3, 640, 640]), [_floats("output", [1, 8400, 85])])


def write_estimator(path: Path, batch: int | None = None) -> Path:
    """From [n, 3, 384, 288], red first, normalised, to [n, 133, 576] and [n, 133, 768]."""
    g = _Graph()
    colours = np.array(DISCS, np.float64) / 255 * 2 - 1
    # 1 for the disc's colour, at most 1/3 for any other pure colour; picture = input * std + mean.
    weights = 2 / 3 * colours * _STD / 255
    bias = (colours * (2 * _MEAN / 255 - 1)).sum(axis=1) / 3
    match = g("Conv", "input", g.constant(_f32(weights[:, :, None, None])), g.constant(_f32(bias)))
    match = g("Relu", g("Sub", match, g.constant(_f32(0.8))))
    match = g("Mul", match, g.constant(_f32(5.0)))
    bell = np.exp(-((np.arange(13) - 6) ** 2) / 12)
    kernel = np.tile(np.outer(bell, bell) / bell.sum() ** 2, (7, 1, 1, 1))
    match = g("Conv", match, g.constant(_f32(kernel)), group=7, pads=[6, 6, 6, 6])
    points = g.constant(np.arange(133, dtype=np.int64) % 7)
    for name, axis in (("simcc_x", 2), ("simcc_y", 3)):
        row = g("ReduceMax", match, axes=[axis], keepdims=0)
        scales = g.constant(_f32([1, 1, 2]))
        row = g("Resize", row, "", scales, mode="linear", coordinate_transformation_mode="asymmetric")
        g.nodes.append(helper.make_node("Gather", [row, points], [name], axis=1))
    size = batch or "batch"
    results = [_floats("simcc_x", [size, 133, 576]), _floats("simcc_y", [size, 133, 768])]
    return g.save(path, _floats("input", [size, 3, 384, 288]), results)


def _box_of(g: _Graph, clothes: Colour) -> tuple[str, str]:
    """Centre and size [1, 4] of all pixels in a colour, and 1 or 0 for whether there are any [1, 1]."""
    colour = g.constant(_f32(clothes[::-1]).reshape(1, 3, 1, 1))
    apart = g("ReduceSum", g("Abs", g("Sub", "images", colour)), g.constant(np.array([1])), keepdims=0)
    mask = g("Cast", g("Less", apart, g.constant(_f32(30.0))), to=TensorProto.FLOAT)
    edges = []
    for axis in (1, 2):  # columns first
        row = g("ReduceMax", mask, axes=[axis], keepdims=0)
        first = g("Cast", g("ArgMax", row, axis=1), to=TensorProto.FLOAT)
        last = g("Cast", g("ArgMax", row, axis=1, select_last_index=1), to=TensorProto.FLOAT)
        edges.append((first, g("Add", last, g.constant(_f32(1.0)))))
    halves = g.constant(_f32(0.5))
    centres = [g("Mul", g("Add", low, high), halves) for low, high in edges]
    sizes = [g("Sub", high, low) for low, high in edges]
    there = g("ReduceMax", mask, axes=[1, 2], keepdims=0)
    return g("Concat", *centres, *sizes, axis=1), g("Unsqueeze", there, g.constant(np.array([1])))


def _row(g: _Graph, box: str, there: str, stride: int, cell: int, anything: float, person: float) -> str:
    """One of the 8400 rows, [1, 1, 85], in YOLOX's units."""
    rows, columns = divmod(cell, _CELLS[stride][1])
    cells = g("Div", box, g.constant(_f32(stride)))
    place = g("Sub", g("Slice", cells, *_range(g, 0, 2)), g.constant(_f32([columns, rows])))
    size = g("Log", g("Slice", cells, *_range(g, 2, 4)))
    classes = np.zeros((1, 80), np.float32)
    classes[0, 0], classes[0, DOG_CLASS] = person, 0.0 if person else 0.99
    certain = g("Mul", there, g.constant(_f32([[anything]])))
    joined = g("Concat", place, size, certain, g.constant(classes), axis=1)
    return g("Unsqueeze", joined, g.constant(np.array([1])))


def _filled(g: _Graph, rows: Mapping[int, str]) -> Iterator[str]:
    """The rows in their places, and nothing between them."""
    reached = 0
    for index in sorted(rows):
        if index > reached:
            yield g.constant(np.zeros((1, index - reached, 85), np.float32))
        yield rows[index]
        reached = index + 1
    yield g.constant(np.zeros((1, 8400 - reached, 85), np.float32))


def _range(g: _Graph, start: int, stop: int) -> tuple[str, str, str]:
    return g.constant(np.array([start])), g.constant(np.array([stop])), g.constant(np.array([1]))


def _floats(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _f32(value: object) -> NDArray[np.float32]:
    return np.asarray(value, np.float32)
