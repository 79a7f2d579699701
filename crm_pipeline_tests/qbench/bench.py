"""A QBench tenant that answers over HTTP, and a client that reads it: what every test of this folder starts from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.reading import read_changes
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.qbench import QBenchTenant, qbench_app
from crm_pipeline.sandbox.server import serve
from crm_pipeline.schemas import RAW
from crm_pipeline.source import Page
from crm_pipeline_tests.tenants import SHORT_WAITS

NOW = 2_000_000_000
"""The tenant's time: later than every window of these tests."""

FAST = {"calls": 100_000, "seconds": 1}


@dataclass(frozen=True)
class Bench:
    tenant: QBenchTenant
    client: QBenchClient
    journal: Journal
    faults: Faults
    url: str

    def statuses(self) -> list[int]:
        return [call.status for call in self.journal.calls()]

    def read(
        self, record_type: RecordType = RecordType.ACCOUNT, *, since: int | None = None, until: int = NOW, **more: Any
    ) -> pd.DataFrame:
        return frame_of(list(read_changes(self.client, record_type, since=since, until=until, **more)))


def frame_of(pages: list[Page]) -> pd.DataFrame:
    frames = [RAW.check(page.frame) for page in pages]
    return pd.concat([RAW.empty(), *frames], ignore_index=True) if frames else RAW.empty()


def keys_of(frame: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(frame["qbench_id"].tolist(), frame["version"].tolist(), strict=True))


def quiet_tenant() -> QBenchTenant:
    """A tenant without limits whose users edit at NOW."""
    return QBenchTenant(
        client_id=SANDBOX_CREDENTIALS["QBENCH_CLIENT_ID"],
        client_secret=SANDBOX_CREDENTIALS["QBENCH_CLIENT_SECRET"],
        clock=lambda: NOW,
        limits=None,
    )


def settings_for(url: str, **changes: Any) -> QBenchSettings:
    given = {
        "url": url,
        "client_id": {"env": "QBENCH_CLIENT_ID"},
        "client_secret": {"env": "QBENCH_CLIENT_SECRET"},
        "limits": FAST,
        "waits": SHORT_WAITS,
        **changes,
    }
    return QBenchSettings.model_validate(given)


@contextmanager
def bench(tenant: QBenchTenant | None = None, **settings: Any) -> Iterator[Bench]:
    tenant = tenant or quiet_tenant()
    journal, faults = Journal(), Faults()
    with serve({"qbench": qbench_app(tenant)}, journal=journal, faults=faults) as urls:
        url = urls["qbench"]
        with QBenchClient(settings_for(url, **settings), integration="acme") as client:
            yield Bench(tenant, client, journal, faults, url)
