"""Customers and contacts from QBench to both CRMs by a bare script: ``python -m benchmarks.peer_scripts.bare_script FILE``.

The file keeps how far QBench was read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks.peer_scripts.services import HUBSPOT_PAIRS, KINDS, LIST, QBENCH_API, Crms, Row, needed, new_session, qbench_token


def main() -> None:
    """Read what changed since the last time, and write it."""
    file = Path(sys.argv[1])
    read_to: dict[str, int] = json.loads(file.read_text()) if file.exists() else dict.fromkeys(KINDS, 0)
    qbench, crms = new_session(), Crms()
    qbench.headers["Authorization"] = f"Bearer {qbench_token(qbench)}"
    for kind in KINDS:
        rows: list[Row] = []
        for page in _pages(qbench, kind, since=read_to[kind]):
            rows += [needed(kind, record) for record in page]
            if len(rows) >= HUBSPOT_PAIRS:
                _write(crms, kind, rows, read_to)
                rows = []
        _write(crms, kind, rows, read_to)
    file.write_text(json.dumps(read_to))


def _pages(qbench: requests.Session, kind: str, *, since: int) -> Iterator[list[Row]]:
    number, last = 1, 1
    while number <= last:
        query = {**LIST, "last_updated": since, "page_num": number}
        response = qbench.get(f"{os.environ['QBENCH_URL']}{QBENCH_API}/{kind}", params=query)
        response.raise_for_status()
        answer = response.json()
        yield answer["data"]
        number, last = number + 1, answer["total_pages"]


def _write(crms: Crms, kind: str, rows: list[Row], read_to: dict[str, int]) -> None:
    if rows:
        crms.write(kind, rows)
        read_to[kind] = rows[-1]["last_updated"]


if __name__ == "__main__":
    main()
