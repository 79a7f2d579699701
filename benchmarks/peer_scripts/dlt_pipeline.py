# /// script
# requires-python = ">=3.11"
# dependencies = ["dlt==1.31.0", "pyjwt>=2.10", "requests>=2.32"]
# ///
"""Customers and contacts from QBench to both CRMs by dlt: ``python -m benchmarks.peer_scripts.dlt_pipeline``.

As dlt's guides on REST sources, reverse ETL and performance have it: a declared source with an incremental cursor, rows made small before
they are normalized, one destination function with batches for the largest call, its state in files. QBench is read once for both CRMs.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import dlt
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.rest_api import rest_api_source

from benchmarks.peer_scripts.services import HUBSPOT_PAIRS, KINDS, LIST, QBENCH_API, Crms, Row, needed, new_session, qbench_token

crms = Crms()


@dlt.destination(batch_size=HUBSPOT_PAIRS, name="crms")  # type: ignore[untyped-decorator]
def both_crms(items: list[Row], table: dict[str, Any]) -> None:
    """Write a batch to both CRMs; dlt calls it again with a batch for which it raised."""
    crms.write(table["name"], items)


def main() -> None:
    """Run the pipeline, customers first: dlt loads the tables of one run in no order."""
    pipeline = dlt.pipeline("qbench_to_crms", destination=both_crms)
    source = _qbench()
    for kind in KINDS:
        pipeline.run(source.with_resources(kind))


def _qbench() -> Any:
    return rest_api_source(
        {
            "client": {
                "base_url": f"{os.environ['QBENCH_URL']}{QBENCH_API}/",
                "auth": BearerTokenAuth(qbench_token(new_session())),
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page_num", "total_path": "total_pages"},
            },
            "resources": [_resource(kind) for kind in KINDS],
        },
        name="qbench",
    )


def _resource(kind: str) -> Any:
    return {
        "name": kind,
        "primary_key": "id",
        "endpoint": {
            "path": kind,
            "data_selector": "data",
            "params": {**LIST, "last_updated": "{incremental.start_value}"},
            "incremental": {"cursor_path": "last_updated", "initial_value": 0, "row_order": "asc"},
        },
        "processing_steps": [{"map": partial(needed, kind)}],
    }


if __name__ == "__main__":
    main()
