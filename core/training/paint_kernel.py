"""The drawing of ``core.training.painting`` as one kernel: a program for each tile of each picture.

A program keeps its pixels in registers, skips shapes whose rectangle does not touch the tile, and writes the
picture already averaged down. It is bound by arithmetic (about 150 operations a pixel and touching shape);
a tile of 16 x 32 drawing pixels by 4 warps leaves 4 pixels a thread.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _unit(x):
    return tl.minimum(tl.maximum(x, 0.0), 1.0)


@triton.jit
def _touches(p, left, right, top, bottom, place: tl.constexpr):
    """Whether the rectangle at ``place`` of the values meets the tile."""
    across = (tl.load(p + place) < right) & (tl.load(p + place + 1) > left)
    down = (tl.load(p + place + 2) < bottom) & (tl.load(p + place + 3) > top)
    return across & down


@triton.jit
def _shadow(p, x, y, r, g, b):
    u = (x - tl.load(p)) / tl.load(p + 2)
    v = (y - tl.load(p + 1)) / tl.load(p + 3)
    inside = tl.maximum(1 - u * u - v * v, 0.0)
    keep = 1 - tl.load(p + 4) * inside * (2 - inside)
    return r * keep, g * keep, b * keep


@triton.jit
def _reach(start, growth, g11, g12, g22, qx, qy, dx, dy, t):
    x, y = qx - t * dx, qy - t * dy
    square = g11 * x * x + 2 * g12 * x * y + g22 * y * y
    return start + t * growth - tl.sqrt(tl.maximum(square, 1e-6))


@triton.jit
def _hit(p, x, y):
    """As ``painting._hit``."""
    dx, dy = tl.load(p + 3), tl.load(p + 4)
    start, growth = tl.load(p + 6), tl.load(p + 7)
    g11, g12, g22 = tl.load(p + 8), tl.load(p + 9), tl.load(p + 10)
    qx, qy = x - tl.load(p), tl.load(p + 1) - y
    dot = qx * tl.load(p + 16) + qy * tl.load(p + 17)
    along = dot * tl.load(p + 14)
    flat = _unit(along)
    larger = tl.where(growth > 0, 1.0, 0.0)
    farther = _reach(start, growth, g11, g12, g22, qx, qy, dx, dy, larger)
    nearer = _reach(start, growth, g11, g12, g22, qx, qy, dx, dy, flat)
    flat = tl.where(farther > nearer, larger, flat)
    ex, ey = qx - flat * dx, qy - flat * dy
    gx, gy = g11 * ex + g12 * ey, g12 * ex + g22 * ey
    square = ex * gx + ey * gy
    distance = tl.sqrt(tl.maximum(square, 1e-6))
    radius = start + flat * growth
    slope = tl.sqrt(tl.maximum(gx * gx + gy * gy, 1e-6)) / distance
    cover = _unit((radius - distance) / tl.maximum(slope, 1e-3) + 0.5)
    cover = tl.where(radius > 0.05, cover, 0.0)
    across = g11 * qx * qx + 2 * g12 * qx * qy + g22 * qy * qy - along * dot
    t = _unit(along + tl.sqrt(tl.maximum(radius * radius - across, 0.0)) * tl.load(p + 15))
    nx, ny = qx - t * dx, qy - t * dy
    reach = start + t * growth
    inner = reach * reach - (g11 * nx * nx + 2 * g12 * nx * ny + g22 * ny * ny)
    seen = inner > 0
    t, ex, ey = tl.where(seen, t, flat), tl.where(seen, nx, ex), tl.where(seen, ny, ey)
    inner = tl.where(seen, inner, tl.maximum(radius * radius - square, 0.0))
    up = tl.sqrt(inner) * tl.load(p + 13) - (tl.load(p + 11) * ex + tl.load(p + 12) * ey)
    return ex, ey, up, t, cover


@triton.jit
def _kept(p, f, v, s):
    """As ``painting._kept``."""
    u, w = s / tl.load(p + 50), (v - tl.load(p + 52)) / tl.load(p + 51)
    outside = _unit((tl.sqrt(u * u + w * w) - 1) * tl.load(p + 53) + 0.5)
    sharp = tl.load(p + 56)
    kept = tl.where(f > 0, outside, 1.0)
    return kept * _unit((v - tl.load(p + 54)) * sharp + 0.5) * _unit((tl.load(p + 55) - v) * sharp + 0.5)


@triton.jit
def _pattern(p, v, s):
    """As ``painting._pattern``."""
    pv = v * tl.load(p + 47) + tl.load(p + 49)
    ps = s * tl.load(p + 48) + 0.25
    pv, ps = pv - tl.floor(pv), ps - tl.floor(ps)
    bv, bs = tl.where(pv > 0.5, 1.0, 0.0), tl.where(ps > 0.5, 1.0, 0.0)
    spot = tl.where((pv - 0.5) * (pv - 0.5) + (ps - 0.5) * (ps - 0.5) < 0.075, 1.0, 0.0)
    weight = tl.load(p + 43) * bv + tl.load(p + 44) * bs
    return weight + tl.load(p + 45) * tl.abs(bv - bs) + tl.load(p + 46) * spot


@triton.jit
def _shade(p, lamp, ex, ey, up):
    """As ``painting._shade``."""
    k12, k13, k23 = tl.load(p + 19), tl.load(p + 20), tl.load(p + 22)
    nx = tl.load(p + 18) * ex + k12 * ey + k13 * up
    ny = k12 * ex + tl.load(p + 21) * ey + k23 * up
    nz = k13 * ex + k23 * ey + tl.load(p + 23) * up
    scale = 1 / tl.sqrt(tl.maximum(nx * nx + ny * ny + nz * nz, 1e-12))
    nx, ny, nz = nx * scale, ny * scale, tl.maximum(nz * scale, 0.0)
    lx, ly, lz = tl.load(lamp), tl.load(lamp + 1), tl.load(lamp + 2)
    edge = 1 - nz
    lit = tl.maximum(0.62 * (nx * lx + ny * ly + nz * lz) + 0.38, 0.0) - 0.3 * edge * edge
    half = 1 / tl.sqrt(lx * lx + ly * ly + (lz + 1) * (lz + 1))
    glint = tl.maximum((nx * lx + ny * ly + nz * (lz + 1)) * half, 0.0)
    glint = glint * glint
    glint = glint * glint
    glint = glint * glint
    glint = glint * glint
    rim = 0.16 * edge * edge * edge * tl.maximum(0.5 + 0.5 * ny, 0.0)
    return lit, tl.load(p + 57) * glint * glint + rim


@triton.jit
def _blend(p, lamp, channel: tl.constexpr, old, weight, beyond, lit, shine, cover):
    base, second, other = tl.load(p + 33 + channel), tl.load(p + 36 + channel), tl.load(p + 39 + channel)
    paint = tl.where(beyond, other, base + (second - base) * weight)
    tone = tl.load(lamp + 6 + channel) + tl.load(lamp + 3 + channel) * lit
    return old + (_unit(paint * tone + shine) - old) * cover


@triton.jit
def _solid(p, lamp, x, y, r, g, b, depth, lit):
    ex, ey, up, t, cover = _hit(p, x, y)
    front = tl.load(p + 2) + t * tl.load(p + 5) + up
    f = tl.load(p + 24) * ex + tl.load(p + 25) * ey + tl.load(p + 26) * up
    v = t + tl.load(p + 27) * ex + tl.load(p + 28) * ey + tl.load(p + 29) * up
    s = tl.load(p + 30) * ex + tl.load(p + 31) * ey + tl.load(p + 32) * up
    cover = cover * _kept(p, f, v, s) * _unit((front - depth) * 0.5 + 0.5)
    weight, beyond = _pattern(p, v, s), v > tl.load(p + 42)
    here, shine = _shade(p, lamp, ex, ey, up)
    r = _blend(p, lamp, 0, r, weight, beyond, here, shine, cover)
    g = _blend(p, lamp, 1, g, weight, beyond, here, shine, cover)
    b = _blend(p, lamp, 2, b, weight, beyond, here, shine, cover)
    depth = tl.where(cover > 0.5, tl.maximum(front, depth), depth)
    return r, g, b, depth, lit + (here - lit) * cover


@triton.jit
def _local(p, x, y, depth):
    ex, ey, ez = x - tl.load(p), tl.load(p + 1) - y, depth - tl.load(p + 2)
    u = tl.load(p + 3) * ex + tl.load(p + 4) * ey + tl.load(p + 5) * ez
    v = tl.load(p + 6) * ex + tl.load(p + 7) * ey + tl.load(p + 8) * ez
    w = tl.load(p + 9) * ex + tl.load(p + 10) * ey + tl.load(p + 11) * ez
    return u, v, tl.abs(w) < 1


@triton.jit
def _stamp(p, lamp, outside, near, r, g, b, lit):
    cover = tl.where(near, _unit(0.5 - outside * tl.load(p + 18)) * tl.load(p + 19), 0.0)
    r += (_unit(tl.load(p + 12) * (tl.load(lamp + 6) + tl.load(lamp + 3) * lit)) - r) * cover
    g += (_unit(tl.load(p + 13) * (tl.load(lamp + 7) + tl.load(lamp + 4) * lit)) - g) * cover
    b += (_unit(tl.load(p + 14) * (tl.load(lamp + 8) + tl.load(lamp + 5) * lit)) - b) * cover
    return r, g, b


@triton.jit
def _decal(p, lamp, x, y, r, g, b, depth, lit):
    u, v, near = _local(p, x, y, depth)
    bent = v - tl.load(p + 15) * (u * u - 0.5)
    distance = tl.sqrt(tl.maximum(u * u + bent * bent, 1e-6))
    ring = tl.load(p + 16)
    outside = tl.where(ring > 0, tl.abs(distance - 1 + ring) - ring, distance - 1)
    outside = tl.maximum(outside, v - tl.load(p + 17))
    return _stamp(p, lamp, outside, near, r, g, b, lit)


@triton.jit
def _beyond(most, second, u, v, cos, sin):
    """The largest and the second largest distance, with one more edge."""
    distance = cos * u + sin * v - 0.309
    second = tl.maximum(second, tl.minimum(most, distance))
    return tl.maximum(most, distance), second


@triton.jit
def _star(u, v):
    """As ``painting._star``."""
    most, second = -v - 0.309, tl.full(u.shape, -9.0, tl.float32)
    most, second = _beyond(most, second, u, v, 0.951057, -0.309017)
    most, second = _beyond(most, second, u, v, 0.587785, 0.809017)
    most, second = _beyond(most, second, u, v, -0.587785, 0.809017)
    most, second = _beyond(most, second, u, v, -0.951057, -0.309017)
    return second


@triton.jit
def _bar(bits, bit: tl.constexpr, nearest, u, v, cu, cv, wide, high):
    bar = tl.maximum(tl.abs(u - cu) - wide, tl.abs(v - cv) - high)
    return tl.where((bits >> bit) % 2 == 1, tl.minimum(nearest, bar), nearest)


@triton.jit
def _digit(code, u, v):
    bits = code.to(tl.int32)
    nearest = tl.full(u.shape, 9.0, tl.float32)
    nearest = _bar(bits, 0, nearest, u, v, 0.0, 0.85, 0.5, 0.15)
    nearest = _bar(bits, 1, nearest, u, v, 0.42, 0.42, 0.16, 0.5)
    nearest = _bar(bits, 2, nearest, u, v, 0.42, -0.42, 0.16, 0.5)
    nearest = _bar(bits, 3, nearest, u, v, 0.0, -0.85, 0.5, 0.15)
    nearest = _bar(bits, 4, nearest, u, v, -0.42, -0.42, 0.16, 0.5)
    nearest = _bar(bits, 5, nearest, u, v, -0.42, 0.42, 0.16, 0.5)
    return _bar(bits, 6, nearest, u, v, 0.0, 0.0, 0.5, 0.14)


@triton.jit
def _print(p, lamp, x, y, r, g, b, depth, lit):
    u, v, near = _local(p, x, y, depth)
    kind = tl.load(p + 20)
    outside = tl.sqrt(tl.maximum(u * u + v * v, 1e-6)) - 1
    if kind == 1:
        outside = _star(u, v)
    elif kind == 2:
        a, c = tl.abs(u), v * 1.05 + 0.1
        lobe = tl.sqrt(tl.maximum((a - 0.48) * (a - 0.48) + (c - 0.3) * (c - 0.3), 1e-6)) - 0.5
        wedge = tl.maximum(0.75 * a - 0.66 * c - 0.62, tl.maximum(c - 0.42, a - 0.98))
        outside = tl.minimum(lobe, wedge)
    elif kind == 3:
        outside = _digit(tl.load(p + 21), u, v)
    elif kind == 4:
        thin = 0.3 * _unit(1.1 + v)
        upper = tl.maximum(tl.abs(u + 0.1 - 0.45 * v) - 0.3, tl.abs(v - 0.42) - 0.55)
        lower = tl.maximum(tl.abs(u - 0.1 - 0.45 * v) - thin, tl.abs(v + 0.42) - 0.55)
        outside = tl.minimum(upper, lower)
    elif kind == 5:
        outside = tl.maximum(tl.abs(u), tl.abs(v)) - 0.85
    return _stamp(p, lamp, outside, near, r, g, b, lit)


@triton.jit
def averaged(plane, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Means over squares of 2 x 2 pixels, [ROWS, COLUMNS] -> [ROWS / 2, COLUMNS / 2]."""
    pairs = tl.reshape(plane, (ROWS // 2, 2, COLUMNS // 2, 2))
    return tl.sum(tl.sum(pairs, axis=3), axis=1) * 0.25


@triton.jit
def paint_kernel(
    background, shadows, solids, decals, prints, light, picture, mask,
    stride_n, stride_c, stride_y, light_stride, height, width,
    SHADOWS: tl.constexpr, SOLIDS: tl.constexpr, DECALS: tl.constexpr, PRINTS: tl.constexpr,
    SHADOW: tl.constexpr, SOLID: tl.constexpr, DECAL: tl.constexpr,
    FAR: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(2).to(tl.int64)
    first_row, first_column = tl.program_id(1) * ROWS, tl.program_id(0) * COLUMNS
    rows, columns = first_row + tl.arange(0, ROWS), first_column + tl.arange(0, COLUMNS)
    y, x = (rows.to(tl.float32) + 0.5)[:, None], (columns.to(tl.float32) + 0.5)[None, :]
    y, x = tl.broadcast(y, x)
    left, top = first_column.to(tl.float32), first_row.to(tl.float32)
    right, bottom = left + COLUMNS, top + ROWS
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    at = background + n * stride_n + rows[:, None] * stride_y + columns[None, :]
    r = tl.load(at, inside, other=0.0)
    g = tl.load(at + stride_c, inside, other=0.0)
    b = tl.load(at + 2 * stride_c, inside, other=0.0)
    depth, lit = tl.full((ROWS, COLUMNS), FAR, tl.float32), tl.zeros((ROWS, COLUMNS), tl.float32)
    lamp = light + n * light_stride
    for index in range(SHADOWS):
        p = shadows + (n * SHADOWS + index) * SHADOW
        if _touches(p, left, right, top, bottom, SHADOW - 4):
            r, g, b = _shadow(p, x, y, r, g, b)
    for index in range(SOLIDS):
        p = solids + (n * SOLIDS + index) * SOLID
        if _touches(p, left, right, top, bottom, SOLID - 4):
            r, g, b, depth, lit = _solid(p, lamp, x, y, r, g, b, depth, lit)
    for index in range(DECALS):
        p = decals + (n * DECALS + index) * DECAL
        if _touches(p, left, right, top, bottom, DECAL - 4):
            r, g, b = _decal(p, lamp, x, y, r, g, b, depth, lit)
    for index in range(PRINTS):
        p = prints + (n * PRINTS + index) * DECAL
        if _touches(p, left, right, top, bottom, DECAL - 4):
            r, g, b = _print(p, lamp, x, y, r, g, b, depth, lit)
    out_rows = first_row // 2 + tl.arange(0, ROWS // 2)
    out_columns = first_column // 2 + tl.arange(0, COLUMNS // 2)
    high, wide = height // 2, width // 2
    here = (out_rows < high)[:, None] & (out_columns < wide)[None, :]
    place = out_rows[:, None] * wide + out_columns[None, :]
    out = picture + n * 3 * high * wide + place
    tl.store(out, averaged(r, ROWS, COLUMNS), here)
    tl.store(out + high * wide, averaged(g, ROWS, COLUMNS), here)
    tl.store(out + 2 * high * wide, averaged(b, ROWS, COLUMNS), here)
    covered = averaged(tl.where(depth > FAR / 2, 1.0, 0.0), ROWS, COLUMNS)
    tl.store(mask + n * high * wide + place, (covered > 0.5).to(tl.uint8), here)
