from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import cast

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.examining import examined, left_since
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import EXAMINED
from crm_pipeline.testing.batches import valid
from crm_pipeline.testing.bench import Bench

ACCOUNT = RecordType.ACCOUNT


class WithoutMerges:
    """A CRM that can do no more than read."""

    def __init__(self, crm: Crm) -> None:
        self.read = crm.read


def test_records_of_a_crm_that_tells_no_merges_are_live_or_deleted(bench: Bench) -> None:
    live, keyed, gone = (bench.add(ACCOUNT, valid(bench, ACCOUNT, number) | keys) for number, keys in enumerate([{}, {bench.key: "7"}, {}]))
    bench.delete(ACCOUNT, gone)
    with closing(bench.connect()) as crm:
        plain = cast(Crm, WithoutMerges(crm))
        found = EXAMINED.check(examined(plain, bench.object(ACCOUNT), [live, keyed, gone, live], key=bench.key)).astype("object")
        told = found.where(found.notna(), None)[["crm_id", "state", "leads_to", "key"]].to_numpy().tolist()
        assert {crm_id: rest for crm_id, *rest in told} == {
            live: ["live", live, None],
            keyed: ["live", keyed, "7"],
            gone: ["deleted", None, None],
        }
        assert len(told) == 3
        assert examined(plain, bench.object(ACCOUNT), [], key=bench.key).empty
        assert left_since(plain, bench.object(ACCOUNT), datetime.now(UTC)) == []
        assert crm.calls.snapshot()["read"] == 1


def test_record_that_such_a_crm_fails_to_read_has_no_row(bench: Bench) -> None:
    class Failing:
        def read(self, *_: object) -> pd.DataFrame:
            return pd.DataFrame({"crm_id": ["1"], "parent_crm_id": [None], "error_type": ["CrmFailsOnRecordException"]})

    assert examined(cast(Crm, Failing()), bench.object(ACCOUNT), ["1"], key=None).empty
