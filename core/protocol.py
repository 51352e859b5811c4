"""Messages between the app and the engine process: a 4-byte big-endian length, then one JSON object in UTF-8.

Both sides say hello with their protocol version first. This stands on the ground floor because the engine,
which lies below ``core.jobs``, speaks it too.

    app -> engine   hello, render {request, plan, checkpointing, previewing}, cancel, pause, previews {on},
                    unload; the end of the stream means that the app is gone
    engine -> app   hello, event {event}, heartbeat {count, vram_bytes}

The two may run from different Python environments, so nothing but JSON crosses, and a version that does not
fit is told before anything is asked for.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

from core.codec import from_data, to_data
from core.errors import EngineError
from core.types import Checkpointing, Plan, Previewing, RenderEvent, RenderRequest

VERSION = 3
# The engine's environment: the app's process id, and "low" where the engine is to leave the processor to it.
PARENT_VARIABLE = "PIROUETTE_PARENT_PID"
PRIORITY_VARIABLE = "PIROUETTE_ENGINE_PRIORITY"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")
Message = dict[str, Any]


class ProtocolError(EngineError):
    """The stream does not follow the protocol."""


def encode(message: Message) -> bytes:
    """One frame: length and JSON; raises ``ProtocolError`` when it is too large or no JSON."""
    try:
        body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"A message cannot be written as JSON: {error}.") from error
    if len(body) > MAX_MESSAGE_BYTES:
        raise ProtocolError("A message is too large.", value=len(body), limit=MAX_MESSAGE_BYTES)
    return _LENGTH.pack(len(body)) + body


def write_message(stream: IO[bytes], message: Message) -> None:
    """Write one frame and flush."""
    stream.write(encode(message))
    stream.flush()


def read_message(stream: IO[bytes]) -> Message | None:
    """The next message, or None where the stream ended between two messages.

    Raises:
        ProtocolError: the stream ended inside a message, or the message is too large or not a JSON object.
    """
    head = _read_up_to(stream, _LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ProtocolError("The stream ended inside a length.", value=len(head), limit=_LENGTH.size)
    (size,) = _LENGTH.unpack(head)
    if size > MAX_MESSAGE_BYTES:
        raise ProtocolError("A message is too large.", value=size, limit=MAX_MESSAGE_BYTES)
    body = _read_up_to(stream, size)
    if len(body) < size:
        raise ProtocolError("The stream ended inside a message.", value=len(body), limit=size)
    return _parse(body)


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    """Exactly ``size`` bytes, fewer only at the end of the stream (a pipe may hand out less at a time)."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            break
        parts += part
    return bytes(parts)


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"A message is not JSON: {error}.") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("A message is no object with a type.", value=str(message)[:80])
    return message


def hello() -> Message:
    """The first message of either side."""
    return {"type": "hello", "protocol": VERSION}


def check_hello(message: Message | None) -> None:
    """Raises ``ProtocolError`` unless ``message`` is a hello of our version."""
    if message is None:
        raise ProtocolError("The other side said nothing.")
    if message["type"] != "hello" or message.get("protocol") != VERSION:
        raise ProtocolError(
            "The engine and the app do not fit together.",
            value=message.get("protocol"),
            limit=VERSION,
            action="Reinstall Pirouette.",
        )


def render_message(
    request: RenderRequest,
    plan: Plan,
    checkpointing: Checkpointing | None = None,
    previewing: Previewing | None = None,
) -> Message:
    """Asks the engine for one render."""
    return {
        "type": "render",
        "request": to_data(request),
        "plan": to_data(plan),
        "checkpointing": None if checkpointing is None else to_data(checkpointing),
        "previewing": None if previewing is None else to_data(previewing),
    }


def read_render(message: Message) -> tuple[RenderRequest, Plan, Checkpointing | None]:
    """What a render message asks for.

    Raises:
        BadInput: it is malformed.
        EngineError: it asks for something that only a newer engine knows: another picture than asked for
            would come of passing over it.
    """
    kinds = {"request": RenderRequest, "plan": Plan, "checkpointing": Checkpointing | None}
    found = {name: from_data(message.get(name), kind) for name, kind in kinds.items()}
    unknown = [name for key, value in found.items() for name in _unknown(message.get(key), to_data(value))]
    if unknown:
        raise EngineError(
            f"The engine is older than the app and does not know {', '.join(sorted(unknown))}.",
            value=", ".join(sorted(unknown)),
            action="Update the engine's environment.",
        )
    return found["request"], found["plan"], found["checkpointing"]


def read_previewing(message: Message) -> Previewing | None:
    """Where the previews of a render message go; None for a render without. Raises ``BadInput``."""
    previewing: Previewing | None = from_data(message.get("previewing"), Previewing | None)
    return previewing


def _unknown(asked: Any, understood: Any) -> list[str]:
    """Names in ``asked`` that ``understood`` lacks and that ask for something."""
    if isinstance(asked, dict) and isinstance(understood, dict):
        new = [name for name in asked.keys() - understood.keys() if asked[name] not in (None, [], {})]
        both = [_unknown(asked[name], understood[name]) for name in asked.keys() & understood.keys()]
    elif isinstance(asked, list) and isinstance(understood, list | tuple):
        new, both = [], [_unknown(*pair) for pair in zip(asked, understood, strict=True)]
    else:
        return []
    return new + [name for names in both for name in names]


def cancel_message() -> Message:
    """Asks the engine to stop at the next check; nothing is kept."""
    return {"type": "cancel"}


def pause_message() -> Message:
    """Asks the engine to stop at the next check and to keep what was done."""
    return {"type": "pause"}


def previews_message(on: bool) -> Message:
    """Tells the engine whether somebody looks at the previews of the newest render from now on."""
    return {"type": "previews", "on": on}


def wants_previews(message: Message) -> bool:
    """What a render message or one of ``previews_message`` says of that."""
    said = message.get("previewing") if message["type"] == "render" else message
    return isinstance(said, dict) and said.get("on") is True


def unload_message() -> Message:
    """Asks an idle engine to let go of its model."""
    return {"type": "unload"}


def heartbeat_message(count: int, vram_bytes: int = 0) -> Message:
    """Tells the app that the engine's interpreter runs; sent about once a second, also while it renders.

    Args:
        vram_bytes: what the engine holds of the GPU's memory, in tensors and in torch's reserve.
    """
    return {"type": "heartbeat", "count": count, "vram_bytes": vram_bytes}


def event_message(event: RenderEvent) -> Message:
    """Tells the app what happened."""
    return {"type": "event", "event": to_data(event, RenderEvent)}


def read_event(message: Message) -> RenderEvent:
    """The event of an event message."""
    event: RenderEvent = from_data(message.get("event"), RenderEvent)
    return event
