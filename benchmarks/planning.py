"""How much CPU does a plan take? 100,000 contacts against 100,000 links, 1 % of them changed, in frames as a load reads them.

Timed is what a load does between reading a frame and writing it: payload, digests and plan. The CRM's field list is the
stand-in's own; records and links are made before the clock starts.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd

from benchmarks.figures import Figure
from benchmarks.workbench import INTEGRATION, SEED, attributes
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digest_dicts, digests
from crm_pipeline.mapping.normalize import normalize
from crm_pipeline.mapping.payload import build_payload
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import routes
from crm_pipeline.model import MODELS, LinkOrigin, LinkStatus, Operation, RecordType
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, start_sandbox
from crm_pipeline.sandbox.seed import seed_tenant
from crm_pipeline.schemas import LINKS, RAW
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.sync.planning import eligibility
from crm_pipeline.sync.planning.decision import Inputs, plan
from crm_pipeline.sync.planning.matching import MATCHES
from crm_pipeline.sync.planning.plan import Plan

CONTACTS = 100_000
CONTACTS_PER_CUSTOMER = 10
LIMIT_SECONDS = 3.0
CRM = "salesforce"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def measure(scale: float) -> list[Figure]:
    """CPU seconds of the three parts and of all; ``scale`` shrinks the number of contacts, not the limit."""
    contacts = math.ceil(CONTACTS * scale)
    spec, crm_fields = _integration()
    record = spec.records[RecordType.CONTACT]
    seconds: dict[str, float] = {}
    operations: Counter[str] = Counter()
    for frame in _frames(record, contacts, region=spec.default_region):
        links = _links(frame, record, crm_fields)
        planned = _timed(frame, links, record, crm_fields, seconds)
        operations.update(planned.rows["operation"].tolist())
    changed = math.ceil(contacts / 100)
    return [
        *(Figure("planning", f"CPU of {part}", spent, unit="s") for part, spent in seconds.items()),
        Figure("planning", f"CPU of all for {contacts:,} contacts", sum(seconds.values()), unit="s", limit=LIMIT_SECONDS),
        Figure("planning", "contacts planned otherwise than they should be", abs(operations[Operation.UPDATE] - changed), limit=0),
    ]


def _timed(frame: pd.DataFrame, links: pd.DataFrame, record: RecordSpec, crm_fields: pd.DataFrame, seconds: dict[str, float]) -> Plan:
    verdicts = eligibility.assess(frame, links, parents=None)
    clock: list[float] = [time.process_time()]
    payload = build_payload(frame, routes(record, crm=CRM, crm_fields=crm_fields), crm_fields=crm_fields)
    clock.append(time.process_time())
    digested = digests(payload.values)
    clock.append(time.process_time())
    inputs = Inputs(
        normalized=frame,
        payload=payload,
        digests=digested,
        verdicts=verdicts,
        links=links,
        matches=MATCHES.empty(),
        parent_crm_ids="001" + frame["customer_id"].astype("str"),
    )
    planned = plan(inputs, model=MODELS[RecordType.CONTACT], key_of=lambda ids: ids.astype("str"))
    clock.append(time.process_time())
    for part, began, ended in zip(("payload", "digests", "plan"), clock, clock[1:], strict=False):
        seconds[part] = seconds.get(part, 0.0) + ended - began
    return planned


def _frames(record: RecordSpec, contacts: int, *, region: str | None) -> Iterator[pd.DataFrame]:
    tenant = seed_tenant(
        seed=SEED, customers=math.ceil(contacts / CONTACTS_PER_CUSTOMER), contacts=contacts, now=int(NOW.timestamp()), dirty=False
    )
    seeded = tenant.contacts()
    for start in range(0, len(seeded), FRAME_ROWS):
        rows = seeded[start : start + FRAME_ROWS]
        contents = [{**row, "customers": [{"id": customer_id} for customer_id in row["customer_ids"]]} for row in rows]
        raw = {
            "qbench_id": [row["id"] for row in rows],
            "version": [row["last_updated"] for row in rows],
            "content": pd.Series(contents, dtype=object),
        }
        yield normalize(RAW.build(raw), spec=record, default_region=region).frame


def _links(frame: pd.DataFrame, record: RecordSpec, crm_fields: pd.DataFrame) -> pd.DataFrame:
    """Links as a first load leaves them; of every hundredth record, QBench has another last name by now."""
    before = frame.assign(last_name=frame["last_name"].mask(frame.index.to_series() % 100 == 0, "Before"))
    kept = digests(build_payload(before, routes(record, crm=CRM, crm_fields=crm_fields), crm_fields=crm_fields).values)
    return LINKS.build(
        {
            "qbench_id": frame["qbench_id"],
            "crm_id": "003" + frame["qbench_id"].astype("str"),
            "origin": pd.Series(str(LinkOrigin.CREATED), index=frame.index, dtype="str"),
            "version": frame["version"],
            "digests": pd.Series(digest_dicts(kept), index=frame.index, dtype=object),
            "parent_qbench_id": frame["customer_id"],
            "status": pd.Series(str(LinkStatus.LIVE), index=frame.index, dtype="str"),
        }
    )


def _integration() -> tuple[IntegrationSpec, pd.DataFrame]:
    """The demo's integration and the contact's fields in the CRM."""
    os.environ.update(SANDBOX_CREDENTIALS)
    with start_sandbox(org=SalesforceOrg(external_keys=True)) as sandbox:
        spec = IntegrationSpec.model_validate({"name": INTEGRATION, **attributes(sandbox, start=NOW, crm_limits=True)})
        crm = crm_kinds()[CRM].connect(spec.crms.configured[CRM], INTEGRATION)
        try:
            return spec, crm.fields(crm_kinds()[CRM].usual(RecordType.CONTACT))
        finally:
            crm.close()
