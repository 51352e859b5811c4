"""A process that downloads one file and may be killed: ``downloader.py FILE_AS_JSON TARGET``.

Prints how much memory it took.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil

from core.catalogue.remote import RemoteFile
from core.catalogue.transfer.download import download
from core.catalogue.transfer.pace import Patience
from tests.fakes.small_buffers import session_of_small_buffers


def main() -> None:
    """Download and report."""
    fields = json.loads(sys.argv[1])
    file = RemoteFile(**{**fields, "mirrors": tuple(fields["mirrors"])})
    before = psutil.Process().memory_info().rss
    most = before

    def measure(_: object) -> None:
        nonlocal most
        most = max(most, psutil.Process().memory_info().rss)

    with session_of_small_buffers() as session:
        patience = Patience(first_s=0.01)
        download(file, Path(sys.argv[2]), session=session, patience=patience, on_progress=measure)
    print(json.dumps({"grown_bytes": most - before}))


if __name__ == "__main__":
    main()
