"""One request for the rest of a file: redirects, ranges, and what each answer means.

Redirects are followed here and not by requests, so that each hop is checked and a token stays with the host
that it is for. An answer that another try may better is ``Interrupted``; ``NetworkError`` ends the address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urljoin

import requests
import urllib3

from core.catalogue.addresses import check_redirect, host, same_origin
from core.catalogue.remote import RemoteFile, gated, refused_token
from core.catalogue.transfer.pace import Check, Patience
from core.catalogue.transfer.part import Part
from core.errors import NetworkError

_PIECE_BYTES: Final = 256 * 1024
_MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_ASK_LATER: Final = (408, 425, 429)
_OTHER: Final = "Try again later or use another endpoint."
_RANGE: Final = re.compile(r"bytes (\d{1,20})-\d{1,20}/(\d{1,20}|\*)", re.ASCII)
_BROKEN: Final = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)


class Interrupted(Exception):  # noqa: N818
    """The rest did not come this time.

    Args:
        reason: ends the sentence "... could not be downloaded: ".
        after_s: the pause that the server asks for.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


def new_session(user_agent: str) -> requests.Session:
    """A session that sends no password of the user's .netrc and asks for the bytes as they are."""
    session = requests.Session()
    session.auth = _no_password
    session.headers.update({"User-Agent": user_agent, "Accept-Encoding": "identity", "Accept": "*/*"})
    return session


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def fetch_rest(
    session: requests.Session,
    url: str,
    token: str | None,
    file: RemoteFile,
    part: Part,
    patience: Patience,
    on_bytes: Callable[[int], None],
    check: Check,
) -> None:
    """Ask once for what ``part`` lacks and append what comes.

    Args:
        token: goes to the host of ``url`` only.
        on_bytes: told the size of each piece.
        check: called between pieces; may raise ``Cancelled``.

    Raises:
        Interrupted: less came than was asked for; what came is kept.
        NetworkError: this address will not do.
        DiskError: the piece could not be written.
    """
    headers = _range_headers(part, url)
    with _answer(session, url, token, headers, patience) as response:
        _check_status(response, file, part, url)
        _start(response, file, part, url)
        _read(response, file, part, on_bytes, check)


def _range_headers(part: Part, url: str) -> dict[str, str]:
    if not part.length:
        return {}
    same = {"If-Range": part.etag} if part.etag and part.url == url else {}
    return {"Range": f"bytes={part.length}-", **same}


@contextmanager
def _answer(
    session: requests.Session, url: str, token: str | None, headers: dict[str, str], patience: Patience
) -> Iterator[requests.Response]:
    """The answer after all redirects; its body is not read yet."""
    asked = url
    for _ in range(_MOST_REDIRECTS):
        own = {"Authorization": f"Bearer {token}"} if token and same_origin(asked, url) else {}
        with _get(session, asked, {**headers, **own}, patience) as response:
            if response.status_code not in _REDIRECTS:
                yield response
                return
            location = response.headers.get("Location")
        if not location:
            raise NetworkError("The server redirects to nowhere.", value=host(asked), action=_OTHER)
        asked = urljoin(asked, location)
        check_redirect(asked, url)
    raise NetworkError(
        "The server redirects without end.", value=host(url), limit=_MOST_REDIRECTS, action=_OTHER
    )


def _get(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    timeout_s = (patience.connect_s, patience.stall_s)
    try:
        return session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=timeout_s)
    except _BROKEN as error:
        raise Interrupted(_reason(error, url)) from error
    except ValueError as error:  # requests looks at the address of a redirect, followed or not
        message = "The server redirects to an address that is not safe."
        raise NetworkError(message, value=host(url), action=_OTHER) from error


def _check_status(response: requests.Response, file: RemoteFile, part: Part, url: str) -> None:
    status, own = response.status_code, same_origin(response.url, url)
    if status in (200, 206):
        return
    if status == 416:
        part.restart()
        raise Interrupted("the server has no such part of the file")
    if status in _ASK_LATER or status >= 500:
        raise Interrupted(f"the server answered {status}", retry_after(response.headers))
    if status in (401, 403) and not own:
        # The address behind a redirect is good for some time only; the next try gets a new one.
        raise Interrupted(f"{host(response.url)} answered {status}")
    if status in (401, 403):
        raise _forbidden(response, file, url)
    raise NetworkError(
        f"{host(response.url)} does not have {file.path} of {file.repository}.",
        value=f"status {status}",
        action=_OTHER,
    )


def _forbidden(response: requests.Response, file: RemoteFile, url: str) -> NetworkError:
    page = url.split("/resolve/", 1)[0]
    if response.headers.get("X-Error-Code") == "GatedRepo" or response.status_code == 403:
        return gated(file.repository, page)
    return refused_token(file.repository)


def _start(response: requests.Response, file: RemoteFile, part: Part, url: str) -> None:
    """See that the body is what ``part`` lacks; on 200 it is the whole file, so begin anew."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Interrupted("the server sends the file in another coding")
    if response.status_code == 206:
        _check_range(response, file, part)
    else:
        _check_size(response, file)
        if part.length:
            part.restart()
    etag = response.headers.get("ETag")
    part.comes_from(url, etag if etag and etag.startswith('"') else None)


def _check_range(response: requests.Response, file: RemoteFile, part: Part) -> None:
    told = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != part.length:
        raise Interrupted("the server sends another part of the file than it was asked for")
    if told[2] not in ("*", str(file.size_bytes)):
        raise Interrupted(f"the server has {told[2]} bytes instead of {file.size_bytes}")


def _check_size(response: requests.Response, file: RemoteFile) -> None:
    told = response.headers.get("Content-Length")
    if told is not None and told != str(file.size_bytes):
        raise Interrupted(f"the server has {told} bytes instead of {file.size_bytes}")


def _read(
    response: requests.Response,
    file: RemoteFile,
    part: Part,
    on_bytes: Callable[[int], None],
    check: Check,
) -> None:
    while (left := file.size_bytes - part.length) > 0:
        check()
        piece = _piece(response.raw, min(_PIECE_BYTES, left), response.url)
        if not piece:
            raise Interrupted(f"the connection to {host(response.url)} broke")
        part.append(piece)
        on_bytes(len(piece))


def _piece(raw: Any, most_bytes: int, url: str) -> bytes:
    """What has come; ``read`` would wait for ``most_bytes`` and lose them where the connection breaks."""
    try:
        return bytes(raw.read1(most_bytes, decode_content=False))
    except _BROKEN as error:
        raise Interrupted(_reason(error, url)) from error


def _reason(error: Exception, url: str) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host(url)} has no valid certificate, or the connection to it is disturbed"
    if isinstance(error, requests.ConnectionError):
        return f"{host(url)} cannot be reached"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return f"{host(url)} sends nothing any more"
    return f"the connection to {host(url)} broke"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The pause in seconds that the header asks for, as a number or a date; None where it says neither."""
    told = headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        when = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when.tzinfo else None
