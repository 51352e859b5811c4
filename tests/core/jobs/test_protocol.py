"""The pipe's messages: whatever arrives is a message, an end, or a ``ProtocolError``."""

from __future__ import annotations

import io
import os
import random
import struct
from dataclasses import replace

import pytest

from core.codec import to_data
from core.errors import BadInput, EngineError
from core.protocol import (
    MAX_MESSAGE_BYTES,
    VERSION,
    ProtocolError,
    check_hello,
    encode,
    event_message,
    hello,
    read_event,
    read_message,
    read_render,
    render_message,
    write_message,
)
from core.types import Checkpointing, Lora, MediaInput, Note, Output, Plan, RenderRequest, Sampling, Size

REQUEST = RenderRequest(MediaInput("ä 舞.png"), MediaInput("b.mp4"), Output("c.mp4"))
PLAN = Plan("mini", Sampling(4), Size(64, 64), 5)


class Dribble(io.RawIOBase):
    """A pipe that hands out one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(1, size))


def test_messages_pass_in_order_whatever_the_pieces() -> None:
    messages = [hello(), render_message(REQUEST, PLAN), event_message(Note("日本"))]
    stream = Dribble(b"".join(map(encode, messages)))
    assert [read_message(stream) for _ in range(3)] == messages  # type: ignore[arg-type]
    assert read_message(stream) is None  # type: ignore[arg-type]


def test_requests_and_events_come_out_as_they_went_in() -> None:
    assert read_render(render_message(REQUEST, PLAN)) == (REQUEST, PLAN, None)
    kept = Checkpointing("/tmp/kept", 0.5)
    assert read_render(render_message(REQUEST, PLAN, kept)) == (REQUEST, PLAN, kept)
    assert read_event(event_message(Note("n"))) == Note("n")


@pytest.mark.parametrize("place", [(), ("pose",), ("loras", 0)])
def test_an_older_engine_refuses_what_it_does_not_know(place: tuple[str | int, ...]) -> None:
    message = render_message(replace(REQUEST, loras=(Lora("a.safetensors"),)), PLAN)
    inner = message["request"]
    for name in place:
        inner = inner[name]
    inner |= {"mood": None, "moods": []}
    assert read_render(message)[1] == PLAN, "nothing is asked for"
    inner["mood"] = "sad"
    with pytest.raises(EngineError, match="older than the app and does not know mood"):
        read_render(message)


def test_the_length_is_four_bytes_big_endian() -> None:
    frame = encode({"type": "hello"})
    assert frame == b"\x00\x00\x00\x11" + b'{"type": "hello"}'


def test_every_truncation_is_told() -> None:
    frame = encode(render_message(REQUEST, PLAN))
    for cut in range(1, len(frame), 7):
        with pytest.raises(ProtocolError, match="ended inside"):
            read_message(io.BytesIO(frame[:cut]))


def test_an_oversized_message_is_refused_before_it_is_read() -> None:
    stream = io.BytesIO(struct.pack(">I", MAX_MESSAGE_BYTES + 1) + b"x" * 10)
    with pytest.raises(ProtocolError, match="too large"):
        read_message(stream)
    assert stream.tell() == 4
    with pytest.raises(ProtocolError, match="too large"):
        write_message(io.BytesIO(), {"type": "event", "text": "x" * MAX_MESSAGE_BYTES})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[1]", b'"hello"', b"{}", b'{"type": 3}', b"[" * 100_000]
)
def test_bodies_that_are_no_messages(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_message(io.BytesIO(struct.pack(">I", len(body)) + body))


def test_noise_never_raises_anything_else() -> None:
    rng = random.Random(7)
    for _ in range(500):
        noise = bytearray(encode(event_message(Note("x" * rng.randrange(50)))))
        for _ in range(rng.randrange(1, 6)):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        try:
            read_message(io.BytesIO(bytes(noise)))
        except ProtocolError:
            continue


def test_values_that_are_no_json_are_refused() -> None:
    for value in (float("nan"), object()):
        with pytest.raises(ProtocolError):
            encode({"type": "event", "value": value})


@pytest.mark.parametrize(
    "message", [None, {"type": "cancel"}, {"type": "hello"}, {"type": "hello", "protocol": 99}]
)
def test_another_version_is_refused(message: dict[str, object] | None) -> None:
    with pytest.raises(ProtocolError):
        check_hello(message)
    check_hello({"type": "hello", "protocol": VERSION})


@pytest.mark.parametrize("request_data", [None, [], {}, {"reference": 3}])
def test_a_malformed_request_is_bad_input(request_data: object) -> None:
    with pytest.raises(BadInput):
        read_render({"type": "render", "request": request_data, "plan": to_data(PLAN)})


def test_a_pipe_closed_by_the_other_side_ends_the_stream() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source:
        with os.fdopen(writing, "wb") as sink:
            write_message(sink, hello())
        assert read_message(source) == hello()
        assert read_message(source) is None
