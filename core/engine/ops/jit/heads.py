"""RMS norm over the width and rotation within heads in one pass; a program works on one token."""

import triton
import triton.language as tl

from core.engine.ops.jit.rows import read_tile, write_tile


@triton.jit
def turned(value, cosine, sine, TILE: tl.constexpr):
    """Neighbouring elements (2j, 2j+1) as a pair, turned by the angle of pair j."""
    even, odd = tl.split(tl.reshape(value, (TILE // 2, 2)))
    return tl.reshape(tl.join(even * cosine - odd * sine, even * sine + odd * cosine), (TILE,))


@triton.jit
def heads_kernel(
    x,
    weight,
    cos,
    sin,
    out,
    tokens,
    batch_stride,
    token_stride,
    eps,
    HEAD: tl.constexpr,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    COUNT: tl.constexpr,
):
    """out = x / sqrt(mean(x^2) + eps) * weight, then turned where there are cos and sin [tokens, HEAD / 2].

    Floor at 52,992 x 5120 in 16 bits: 1.09 GB, 0.26 ms at 4.2 TB/s.
    """
    number = tl.program_id(0).to(tl.int64)
    token = number % tokens
    row = x + (number // tokens) * batch_stride + token * token_stride
    tiles = ()
    squares = tl.zeros((TILE,), tl.float32)
    for i in tl.static_range(COUNT):
        value = read_tile(row, i, WIDTH, TILE, True)
        squares += value * value
        tiles = tiles + (value,)  # noqa: RUF005
    inverse = tl.rsqrt(tl.sum(squares, 0) / WIDTH + eps)
    pairs = tl.arange(0, TILE // 2)
    start = token * (HEAD // 2)
    for i in tl.static_range(COUNT):
        value = tiles[i] * inverse * read_tile(weight, i, WIDTH, TILE, False)
        if cos is not None:
            if i == 0 or TILE % HEAD != 0:  # else all tiles begin with a head and share the angles
                angle = (i * (TILE // 2) + pairs) % (HEAD // 2)
                cosine = tl.load(cos + start + angle, eviction_policy="evict_last")
                sine = tl.load(sin + start + angle, eviction_policy="evict_last")
            value = turned(value, cosine, sine, TILE)
        write_tile(out + number * WIDTH, value, i, WIDTH, TILE)
