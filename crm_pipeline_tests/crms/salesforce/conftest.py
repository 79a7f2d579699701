"""What the tests of Salesforce's adapter share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.crms.salesforce_bench import connect_salesforce, open_bench


@pytest.fixture
def crm(sandbox: Sandbox) -> Iterator[SalesforceCrm]:
    """An adapter with an external key, and an organization that has the benches' fields."""
    open_bench(sandbox)
    with closing(connect_salesforce(sandbox)) as adapter:
        assert isinstance(adapter, SalesforceCrm)
        yield adapter
