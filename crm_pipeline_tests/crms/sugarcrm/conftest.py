"""A site of SugarCRM, and an adapter on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms import sugarcrm_bench


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    """SugarCRM alone."""
    return sugarcrm_bench.open_bench(sandbox)


@pytest.fixture
def site(sandbox: Sandbox) -> SugarSite:
    """The site behind it."""
    assert sandbox.site is not None
    return sandbox.site


@pytest.fixture
def connect(bench: Bench) -> Iterator[Callable[..., Crm]]:
    """Makes adapters without an external key's field, unless the settings say otherwise."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(closing(bench.connect(**{"external_key": None, **settings})))


@pytest.fixture
def crm(connect: Callable[..., Crm]) -> Crm:
    """One of them."""
    return connect()


@pytest.fixture
def sandbox_url(sandbox: Sandbox) -> str:
    """The site's address."""
    assert sandbox.sugarcrm_url is not None
    return sandbox.sugarcrm_url
