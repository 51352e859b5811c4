"""Paints the three tracks: motion, poses, result."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen, QPixmap

from core.types import FPS
from desktop.model.grid import frame_at
from desktop.model.timescale import MARGIN, Tile, Timescale, tiles
from desktop.presenters.timeline import Timeline
from desktop.presenters.timeline_words import Level, Message, level_of
from desktop.views.theme import DARK, NARROW, Tokens, scaled
from desktop.views.timeline.rows import Rows

STRIP: Final = 6.0
_ROUND: Final = 4.0
_HATCH: Final = 7.0
_KEPT: Final = 600
_LEAST_LETTERS: Final = 4
# A stand-in for a frame that is not here yet may be this many tiles away.
_NEAR: Final = 3


@dataclass(frozen=True)
class Wish:
    """Frames whose pictures are in view: of the motion, of the fitted poses, of the result."""

    motion: tuple[int, ...] = ()
    skeletons: tuple[int, ...] = ()
    result: tuple[int, ...] = ()


class Scaled:
    """Pictures at the size they are painted, the most recently used ones."""

    def __init__(self) -> None:
        self._pixmaps: OrderedDict[tuple[int, int, int], QPixmap] = OrderedDict()

    def of(self, image: QImage, width: float, height: float, ratio: float) -> QPixmap:
        """Fills ``width`` x ``height`` points; what juts out is cut off evenly."""
        size = QSize(max(1, round(width * ratio)), max(1, round(height * ratio)))
        key = (image.cacheKey(), size.width(), size.height())
        found = self._pixmaps.get(key)
        if found is None:
            found = QPixmap.fromImage(_filling(image, size))
            found.setDevicePixelRatio(ratio)
            self._pixmaps[key] = found
            while len(self._pixmaps) > _KEPT:
                self._pixmaps.popitem(last=False)
        self._pixmaps.move_to_end(key)
        return found


class Tracks:
    """Paints a timeline's tracks at a scale.

    Args:
        timeline: what is painted.
        font: of the words.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._scaled = Scaled()

    def wish(self, scale: Timescale, rows: Rows) -> Wish:
        """Which pictures are in view."""
        timeline = self._timeline
        poses: tuple[int, ...] = ()
        motion = (tile.frame for tile in self._motion_tiles(scale, rows))
        fitted = timeline.fitted
        if fitted is not None:
            first = frame_at(fitted.start_s)
            poses = tuple(tile.frame - first for tile in self._pose_tiles(scale, rows))
        result = self._result_tiles(scale, rows)
        first = frame_at(timeline.result.start_s)
        return Wish(tuple(motion), poses, tuple(max(0, tile.frame - first) for tile in result))

    def skeleton_height(self, rows: Rows) -> float:
        """Of the small skeletons."""
        return _above_strip(rows.pose).height()

    def paint(self, painter: QPainter, rows: Rows, scale: Timescale, tokens: Tokens, font: QFont) -> None:
        """All three, with what is left out dimmed."""
        brush = _Brush(painter, scale, tokens, font)
        self._paint_motion(brush, rows)
        self._paint_pose(brush, rows)
        self._paint_result(brush, rows)

    def _paint_motion(self, brush: _Brush, rows: Rows) -> None:
        timeline, message = self._timeline, self._timeline.words.motion()
        brush.ground(rows.motion)
        if timeline.ready:
            span = brush.span(rows.motion, 0.0, timeline.duration_s)
            with brush.clipped(span):
                near = _near(brush.scale, self._motion_width(rows))
                brush.tiles(
                    self._scaled,
                    self._motion_tiles(brush.scale, rows),
                    self._motion_width(rows),
                    rows.motion,
                    lambda tile: timeline.motion_strip.image(tile.frame, near),
                )
                self._paint_left_out(brush, rows.motion)
        if message is not None:
            brush.say(rows.motion, message)

    def _paint_left_out(self, brush: _Brush, row: QRectF) -> None:
        timeline = self._timeline
        part, (_, rendered_s) = timeline.selected, timeline.rendered
        brush.dim(brush.span(row, 0.0, part.start_s))
        brush.dim(brush.span(row, part.end_s, timeline.duration_s))
        if timeline.taken.cut:
            brush.hatch(brush.span(row, rendered_s, part.end_s))

    def _paint_pose(self, brush: _Brush, rows: Rows) -> None:
        brush.ground(rows.pose)
        fitted, message = self._timeline.fitted, self._timeline.words.pose()
        if fitted is not None:
            end_s = fitted.start_s + fitted.frames / FPS
            span = brush.span(rows.pose, fitted.start_s, end_s)
            with brush.clipped(span):
                brush.painter.fillRect(span, QColor(brush.tokens.stage))
                first, box = frame_at(fitted.start_s), _above_strip(rows.pose)
                brush.tiles(
                    self._scaled,
                    self._pose_tiles(brush.scale, rows),
                    self._pose_width(rows),
                    box,
                    lambda tile: self._timeline.skeletons.image(tile.frame - first),
                    layers=3,
                )
                levels = [level_of(each) for each in fitted.confidence[: fitted.frames]]
                strip = QRectF(span.left(), rows.pose.bottom() - STRIP, span.width(), STRIP)
                brush.levels(strip, fitted.start_s, levels)
        if message is not None:
            brush.say(rows.pose, message, quietly=fitted is not None)

    def _paint_result(self, brush: _Brush, rows: Rows) -> None:
        brush.ground(rows.result)
        result, message = self._timeline.result, self._timeline.words.result()
        if message is not None:
            brush.say(rows.result, message)
            return
        painter, span = brush.painter, brush.span(rows.result, result.start_s, result.end_s)
        done = brush.span(rows.result, result.start_s, result.done_s)
        with brush.clipped(span):
            painter.fillRect(span, QColor(brush.tokens.stage))
            first, width = frame_at(result.start_s), self._result_width(rows)
            near = _near(brush.scale, width)
            brush.tiles(
                self._scaled,
                self._result_tiles(brush.scale, rows),
                width,
                rows.result,
                lambda tile: result.image(max(0, tile.frame - first), near),
            )
            if not result.finished_one:
                brush.dim(QRectF(done.right(), span.top(), span.right() - done.right(), span.height()), 120)
                bar = QRectF(done.left(), done.bottom() - 4, done.width(), 4)
                painter.fillRect(bar, QColor(brush.tokens.accent))
            elif result.name:
                brush.name(span, result.name)

    def _motion_width(self, rows: Rows) -> float:
        clip = self._timeline.facts.clip
        aspect = clip.width / max(1, clip.height) if clip is not None else 1.0
        return _width(rows.motion, aspect)

    def _pose_width(self, rows: Rows) -> float:
        return _width(_above_strip(rows.pose), self._timeline.skeletons.aspect)

    def _result_width(self, rows: Rows) -> float:
        return _width(rows.result, self._timeline.result.aspect)

    def _motion_tiles(self, scale: Timescale, rows: Rows) -> list[Tile]:
        if not self._timeline.ready:
            return []
        return tiles(scale, self._motion_width(rows), 0.0, self._timeline.duration_s)

    def _pose_tiles(self, scale: Timescale, rows: Rows) -> list[Tile]:
        fitted = self._timeline.fitted
        if fitted is None:
            return []
        return tiles(scale, self._pose_width(rows), fitted.start_s, fitted.start_s + fitted.frames / FPS)

    def _result_tiles(self, scale: Timescale, rows: Rows) -> list[Tile]:
        result = self._timeline.result
        if not result.frames:
            return []
        return tiles(scale, self._result_width(rows), result.start_s, result.end_s)


class _Clip:
    """Paints within a rounded rectangle for a while."""

    def __init__(self, painter: QPainter, rect: QRectF) -> None:
        self._painter, self._rect = painter, rect

    def __enter__(self) -> None:
        path = QPainterPath()
        path.addRoundedRect(self._rect, _ROUND, _ROUND)
        self._painter.save()
        self._painter.setClipPath(path)

    def __exit__(self, *_: object) -> None:
        self._painter.restore()


class _Brush:
    """What tracks are made of."""

    def __init__(self, painter: QPainter, scale: Timescale, tokens: Tokens, font: QFont) -> None:
        self.painter, self.scale, self.tokens, self.font = painter, scale, tokens, font
        self._ratio = painter.device().devicePixelRatioF()

    def span(self, row: QRectF, start_s: float, end_s: float) -> QRectF:
        """A part of a row, cut to little more than the view: endless rectangles paint slowly."""
        left = max(-20.0, self.scale.x_of(start_s))
        right = min(row.width() + 20.0, self.scale.x_of(end_s))
        return QRectF(left, row.top(), max(0.0, right - left), row.height())

    def clipped(self, rect: QRectF) -> _Clip:
        """Rounded corners."""
        return _Clip(self.painter, rect)

    def ground(self, row: QRectF) -> None:
        """The groove that a track lies in."""
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(QColor(self.tokens.track))
        self.painter.drawRoundedRect(row, _ROUND, _ROUND)

    def tiles(
        self,
        scaled_: Scaled,
        places: Iterable[Tile],
        width: float,
        row: QRectF,
        image_of: Callable[[Tile], QImage | None],
        layers: int = 1,
    ) -> None:
        """Pictures side by side; where none is here yet the ground stays.

        Args:
            layers: how often each is painted: thin lines fade as they are made small.
        """
        for tile in places:
            image = image_of(tile)
            if image is not None and not image.isNull():
                pixmap = scaled_.of(image, width, row.height(), self._ratio)
                # On whole pixels of the screen: between them hairlines of the ground would show.
                x = round(tile.x * self._ratio) / self._ratio
                for _ in range(layers):
                    self.painter.drawPixmap(QPointF(x, row.top()), pixmap)

    def dim(self, rect: QRectF, alpha: int = 185) -> None:
        """Not part of it."""
        colour = QColor(self.tokens.panel)
        colour.setAlpha(alpha)
        self.painter.fillRect(rect, colour)

    def hatch(self, rect: QRectF) -> None:
        """Selected, but not rendered."""
        self.dim(rect, 110)
        hatch(self.painter, rect, QColor(self.tokens.text))

    def levels(self, strip: QRectF, start_s: float, levels: list[Level]) -> None:
        """Frame by frame how well the pose is seen; like ones together."""
        # Beside dark pictures in both themes.
        colours = {"good": DARK.success, "medium": DARK.warning, "missing": DARK.danger}
        frame = 0
        for level, run in groupby(levels):
            count = len(list(run))
            left = self.scale.x_of(start_s + frame / FPS)
            right = self.scale.x_of(start_s + (frame + count) / FPS)
            frame += count
            if right > strip.left() and left < strip.right():
                box = QRectF(left, strip.top(), right - left, strip.height())
                self.painter.fillRect(box & strip, QColor(colours[level]))

    def say(self, row: QRectF, message: Message, quietly: bool = False) -> None:
        """A sentence in the middle of the row; ``quietly`` at its end, over pictures."""
        tokens, painter, bad = self.tokens, self.painter, message.tone == "danger"
        font = scaled(self.font, 0.9)
        metrics = QFontMetricsF(font)
        room = row.adjusted(MARGIN, 0, -MARGIN, 0)
        lines = [message.text, message.action] if message.action else [message.text]
        if len(lines) * metrics.height() + 4 > row.height():
            lines = [" ".join(lines)]
        elide, least = Qt.TextElideMode.ElideRight, room.width() - 2 * NARROW
        lines = [metrics.elidedText(line, elide, least) for line in lines]
        wide = max(metrics.horizontalAdvance(line) for line in lines)
        box = QRectF(0, 0, wide + 2 * NARROW, len(lines) * metrics.height() + 4)
        box.moveCenter(room.center())
        if quietly:
            box.moveRight(room.right())
        if quietly or bad:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.danger_fill if bad else tokens.raised))
            painter.drawRoundedRect(box, _ROUND, _ROUND)
        painter.setFont(font)
        painter.setPen(QColor(tokens.danger if bad else tokens.quiet))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "\n".join(lines))
        if message.share is not None:
            bar = QRectF(box.left(), min(box.bottom(), row.bottom() - 4), box.width(), 3)
            self._bar(bar, message.share)

    def name(self, span: QRectF, name: str) -> None:
        """On the pictures, if there is room."""
        font = scaled(self.font, 0.8)
        metrics = QFontMetricsF(font)
        left = max(span.left(), 0.0) + 5
        room = min(span.right() - left, 240.0) - 14
        text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
        if len(text) < _LEAST_LETTERS:
            return
        tall = metrics.height() + 1
        box = QRectF(left, span.bottom() - tall - 4, metrics.horizontalAdvance(text) + 8, tall)
        ground = QColor(self.tokens.stage)
        ground.setAlpha(190)
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(ground)
        self.painter.drawRoundedRect(box, 3, 3)
        self.painter.setFont(font)
        self.painter.setPen(QColor(self.tokens.stage_text))
        self.painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _bar(self, box: QRectF, share: float) -> None:
        self.painter.fillRect(box, QColor(self.tokens.line))
        done = box.adjusted(0, 0, -box.width() * (1 - share), 0)
        self.painter.fillRect(done, QColor(self.tokens.accent))


def hatch(painter: QPainter, rect: QRectF, colour: QColor) -> None:
    """Slanted lines, as far apart on every screen, unlike a brush's pattern."""
    ratio, colour = painter.device().devicePixelRatioF(), QColor(colour)
    side = round(_HATCH * ratio)
    tile = QPixmap(side, side)
    tile.fill(Qt.GlobalColor.transparent)
    colour.setAlpha(90)
    pencil = QPainter(tile)
    pencil.setRenderHint(QPainter.RenderHint.Antialiasing)
    pencil.setPen(QPen(colour, 1.2 * ratio))
    for x in (0, side, 2 * side):
        pencil.drawLine(QPointF(x + 2, -2), QPointF(x - side - 2, side + 2))
    pencil.end()
    tile.setDevicePixelRatio(ratio)
    # Counted from a fixed place, so that the lines stand still while an edge moves.
    painter.drawTiledPixmap(rect, tile, QPointF(rect.left() % _HATCH, 0))


def _filling(image: QImage, size: QSize) -> QImage:
    # To twice the size by the quick way, then smoothly: a twentieth of the time from a large picture.
    rough = image.size().scaled(size * 2, Qt.AspectRatioMode.KeepAspectRatioByExpanding)
    if rough.width() < image.width():
        image = image.scaled(
            rough, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.FastTransformation
        )
    grown = image.scaled(
        size, Qt.AspectRatioMode.KeepAspectRatioByExpanding, Qt.TransformationMode.SmoothTransformation
    )
    left, top = (grown.width() - size.width()) // 2, (grown.height() - size.height()) // 2
    return grown.copy(left, top, size.width(), size.height())


def _above_strip(row: QRectF) -> QRectF:
    return row.adjusted(0, 0, 0, -STRIP - 1)


def _width(row: QRectF, aspect: float) -> float:
    return float(max(8, round(row.height() * min(max(aspect, 0.3), 3.0))))


def _near(scale: Timescale, width: float) -> int:
    return max(1, round(_NEAR * width / scale.px_per_s * FPS))
