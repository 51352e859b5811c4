"""Downloads as the window shows and remembers them: what is asked for, how far it is, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

State = Literal["waiting", "running", "pausing", "paused", "failed", "done"]
# What can be done about an error: see ``TransferTrouble``.
Remedy = Literal["retry", "token", "space", "offline", "mirror", "damaged"]
SCHEMA: Final = 1


@dataclass(frozen=True)
class TransferTrouble:
    """Why a download stopped.

    Attributes:
        remedy: what helps: ``retry`` nothing special, ``token`` an access token, ``space`` room on the drive
            or another folder, ``offline`` switching offline mode off, ``mirror`` another server, ``damaged``
            another server, because this one sends wrong bytes.
        page: where a licence is to be accepted first; empty where none is.
    """

    message: str
    action: str
    remedy: Remedy = "retry"
    page: str = ""


@dataclass(frozen=True)
class TransferFile:
    """One file of a download.

    Attributes:
        size_bytes: exact once the hub has been asked, the catalogue's estimate before.
        done_bytes: here already.
        phase: what happens to it now; empty while nothing does.
    """

    key: str
    asset: str
    path: str
    size_bytes: int
    done_bytes: int = 0
    phase: str = ""


@dataclass(frozen=True)
class Transfer:
    """One download: a model or some files.

    Attributes:
        id: of its own, for the list.
        ids: models and assets that were asked for.
        assets: what that means; empty until it was worked out.
        file: key of the file that comes now.
        done_bytes, total_bytes: of all files; 0 until they are known.
        bytes_per_s, eta_s: None until they can be told.
    """

    id: str
    title: str
    ids: tuple[str, ...]
    state: State = "waiting"
    assets: tuple[str, ...] = ()
    files: tuple[TransferFile, ...] = ()
    file: str = ""
    phase: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float | None = None
    eta_s: float | None = None
    trouble: TransferTrouble | None = field(default=None)

    @property
    def active(self) -> bool:
        """Is it under way, or will it be without being asked again?"""
        return self.state in ("waiting", "running")

    @property
    def open(self) -> bool:
        """Is anything left to do?"""
        return self.state != "done"

    @property
    def share(self) -> float:
        """0 to 1; never 1 before all is there."""
        if self.state == "done":
            return 1.0
        return min(0.999, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0


def paused(transfer: Transfer) -> Transfer:
    """As it is found again at the next start."""
    return replace(transfer, state="paused", phase="", file="", bytes_per_s=None, eta_s=None, trouble=None)


def to_data(transfers: tuple[Transfer, ...]) -> dict[str, Any]:
    """What is kept on disk: those that are not done."""
    kept = [
        {
            "id": one.id,
            "title": one.title,
            "ids": list(one.ids),
            "assets": list(one.assets),
            "done_bytes": one.done_bytes,
            "total_bytes": one.total_bytes,
        }
        for one in transfers
        if one.open
    ]
    return {"schema": SCHEMA, "downloads": kept}


def from_data(data: object) -> tuple[Transfer, ...]:
    """The downloads of an earlier start, paused; entries that cannot be read are left out."""
    listed = data.get("downloads") if isinstance(data, dict) else None
    return tuple(found for found in map(_one, listed if isinstance(listed, list) else []) if found)


def _one(data: object) -> Transfer | None:
    if not isinstance(data, dict):
        return None
    ids = data.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(name, str) for name in ids):
        return None
    assets = data.get("assets")
    return Transfer(
        str(data.get("id") or ids[0]),
        str(data.get("title") or ids[0]),
        tuple(ids),
        "paused",
        tuple(name for name in assets if isinstance(name, str)) if isinstance(assets, list) else (),
        done_bytes=_count(data.get("done_bytes")),
        total_bytes=_count(data.get("total_bytes")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
