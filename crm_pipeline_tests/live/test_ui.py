"""What a data engineer does in the browser: backfill the asset graph, find the partition that failed, materialize it again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.live.conftest import INTEGRATION, LOCATION, REPOSITORY, LiveDagster
from crm_pipeline_tests.tenants import add_laboratories

BROWSER = shutil.which("chromium")
REQUIRED = os.environ.get("CRM_PIPELINE_TEST_BROWSER") == "required"
SCREENSHOTS = REPOSITORY / "artifacts" / "screenshots"
PATIENCE_MILLISECONDS = 90_000
COMPANIES, CONTACTS, ACCOUNTS = "hubspot/companies", "hubspot/contacts", "salesforce/accounts"
NUMBERS = 5_000
"""The laboratories of this file are numbered from here."""

pytestmark = [
    pytest.mark.skipif(BROWSER is None and not REQUIRED, reason="chromium is not installed; CI installs it"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a headless browser that waits patiently for what it expects."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        yield page
        browser.close()


def keep(page: Page, name: str) -> Path:
    """Take a screenshot and keep it with CI's artefacts."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path


@contextmanager
def dialog(page: Page, *, opened_by: str) -> Iterator[Locator]:
    """The dialog behind a button."""
    page.get_by_role("button", name=opened_by).first.click()
    opened = page.get_by_role("dialog")
    yield opened
    expect(opened).to_have_count(0)


def asset_page(live: LiveDagster, asset: str, view: str) -> str:
    return f"{live.url}/assets/{INTEGRATION}/{asset}?view={view}"


def shows_partitions(page: Page, live: LiveDagster, asset: str, **counts: int) -> None:
    """Whether an asset's partitions tab comes to count so many of each status."""
    page.goto(asset_page(live, asset, "partitions"))
    for status, count in counts.items():
        expect(page.get_by_text(f"{status.capitalize()} ({count})", exact=True)).to_be_visible()


def done(live: LiveDagster, asset: str) -> int:
    """How many partitions of an asset are materialized by now."""
    return len(live.instance.get_materialized_partitions(dg.AssetKey([INTEGRATION, *asset.split("/")])))


def backfills(live: LiveDagster) -> list[dg.DagsterRun]:
    """The runs of backfills that have ended."""
    return [run for run in live.instance.get_runs() if "dagster/backfill" in run.tags and run.is_finished]


def test_a_backfill_succeeds_and_a_failed_partition_turns_green_once_it_is_materialized_again(live: LiveDagster, page: Page) -> None:
    add_laboratories(live.sandbox.tenant, 3, contacts_each=1, at=live.within_hour(6), first_number=NUMBERS)
    companies, contacts, accounts = (done(live, asset) for asset in (COMPANIES, CONTACTS, ACCOUNTS))

    page.goto(f"{live.url}/locations/{LOCATION}/asset-groups/{INTEGRATION}")
    expect(page.get_by_text("companies", exact=True).first).to_be_visible()
    with dialog(page, opened_by="Materialize all") as launching:
        expect(launching).to_contain_text("materialize 8 assets")
        hours = launching.get_by_role("textbox").first
        hours.fill(f"[{live.hour(5)}...{live.hour(10)}]")
        hours.press("Enter")
        expect(launching).to_contain_text("6 partitions")
        keep(page, "launch-backfill")
        launching.get_by_role("button", name="Launch backfill").click()
    await_that(lambda: backfills(live), "the backfill's run has ended", every=0.3)
    assert len(backfills(live)) == 1, "six hours of eight assets are one run"
    shows_partitions(page, live, CONTACTS, materialized=contacts + 6)

    live.sandbox.faults.add(Fault(service="hubspot", path="companies/batch/upsert", times=None, status=503))
    add_laboratories(live.sandbox.tenant, 1, at=live.within_hour(12), first_number=NUMBERS + 10)
    live.await_end(live.launch(live.hour(12)))
    shows_partitions(page, live, ACCOUNTS, materialized=accounts + 7, failed=0)
    shows_partitions(page, live, COMPANIES, materialized=companies + 6, failed=1)
    keep(page, "failed-partition")
    page.goto(asset_page(live, COMPANIES, "checks"))
    page.get_by_text("no_failed_records", exact=True).first.click()
    expect(page.get_by_text("1 records have something wrong with them.")).to_be_visible()
    keep(page, "check-warns")

    live.sandbox.faults.clear()
    page.goto(asset_page(live, COMPANIES, "partitions"))
    with dialog(page, opened_by="Materialize") as launching:
        launching.get_by_role("button", name="Failed", exact=True).click()
        expect(launching).to_contain_text("1 partition")
        launching.get_by_role("button", name=re.compile("Launch")).click()
    await_that(lambda: done(live, COMPANIES) == companies + 7, "the failed hour is materialized", every=0.3)
    shows_partitions(page, live, COMPANIES, materialized=companies + 7, failed=0)
    page.goto(asset_page(live, COMPANIES, "checks"))
    page.get_by_text("no_failed_records", exact=True).first.click()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    keep(page, "check-passed")
    page.goto(asset_page(live, COMPANIES, "overview"))
    expect(page.get_by_text("rows", exact=True).first).to_be_visible()
    keep(page, "asset-overview")
    page.goto(f"{live.url}/locations/{LOCATION}/asset-groups/{INTEGRATION}")
    expect(page.get_by_text("companies", exact=True).first).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    keep(page, "asset-graph")
