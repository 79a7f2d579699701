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
from crm_pipeline_tests.live.conftest import INTEGRATION, LOCATION, REPOSITORY, LiveDagster, await_that
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS
from crm_pipeline_tests.tenants import add_laboratories

BROWSER = shutil.which("chromium")
REQUIRED = os.environ.get("CRM_PIPELINE_TEST_BROWSER") == "required"
SCREENSHOTS = REPOSITORY / "artifacts" / "screenshots"
PATIENCE_MILLISECONDS = 240_000
COMPANIES, SALESFORCE_ACCOUNTS = "hubspot/companies", "salesforce/accounts"
NUMBERS = 5_000
"""The laboratories of this file are numbered from here."""

pytestmark = [
    pytest.mark.skipif(BROWSER is None and not REQUIRED, reason="chromium is not installed; CI installs it"),
    pytest.mark.timeout(1800),
]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a headless browser that waits patiently for what it expects."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1600, "height": 1300}, reduced_motion="reduce")
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


def shows(page: Page, text: str) -> None:
    """Whether the page comes to show this text."""
    expect(page.get_by_text(text, exact=True).first).to_be_visible()


def turn_to(page: Page, tab: str) -> None:
    """Another tab of the asset's page, which takes a click where loading the page anew takes seconds."""
    page.get_by_role("tablist").first.get_by_role("tab", name=tab).click()


def done(live: LiveDagster, asset: str) -> int:
    """How many partitions of an asset are materialized by now."""
    return len(live.instance.get_materialized_partitions(dg.AssetKey([INTEGRATION, *asset.split("/")])))


def backfills(live: LiveDagster) -> list[dg.DagsterRun]:
    """The runs of backfills that have ended."""
    return [run for run in live.instance.get_runs() if "dagster/backfill" in run.tags and run.is_finished]


@pytest.fixture
def loaded_before(live: LiveDagster) -> dict[str, int]:
    """How many partitions of both CRMs' accounts are materialized when HubSpot fails in an hour of another one."""
    before = {asset: done(live, asset) for asset in (COMPANIES, SALESFORCE_ACCOUNTS)}
    add_laboratories(live.sandbox.tenant, 1, at=live.within_hour(12), first_number=NUMBERS + 10)
    live.sandbox.faults.add(Fault(service="hubspot", path="/", times=None, status=401))
    live.run_here(live.hour(12), assets=ACCOUNTS)
    live.sandbox.faults.clear()
    return before


def test_a_backfill_succeeds_and_a_failed_partition_turns_green_once_it_is_materialized_again(
    live: LiveDagster, loaded_before: dict[str, int], page: Page
) -> None:
    companies = loaded_before[COMPANIES]
    add_laboratories(live.sandbox.tenant, 3, contacts_each=1, at=live.within_hour(6), first_number=NUMBERS)

    page.goto(f"{live.url}/locations/{LOCATION}/asset-groups/{INTEGRATION}")
    shows(page, "companies")
    expect(page.get_by_text("Loading")).to_have_count(0)
    keep(page, "asset-graph")
    with dialog(page, opened_by="Materialize all") as launching:
        expect(launching).to_contain_text("materialize 8 assets")
        hours = launching.get_by_role("textbox").first
        hours.fill(f"[{live.hour(5)}...{live.hour(10)}]")
        hours.press("Enter")
        expect(launching).to_contain_text("6 partitions")
        keep(page, "launch-backfill")
        launching.get_by_role("button", name="Launch backfill").click()
    # A page of Dagster's that waits paints and asks all the time.
    page.goto("about:blank")
    await_that(lambda: backfills(live), "the backfill's run has ended", every=0.3)
    assert len(backfills(live)) == 1, "six hours of eight assets are one run"
    page.goto(f"{live.url}/assets/{INTEGRATION}/{COMPANIES}?view=partitions")
    shows(page, f"Materialized ({companies + 6})")
    shows(page, "Failed (1)")
    assert done(live, SALESFORCE_ACCOUNTS) == loaded_before[SALESFORCE_ACCOUNTS] + 7, "the other CRM is not concerned"
    keep(page, "failed-partition")
    turn_to(page, "Checks")
    page.get_by_text("no_failed_records", exact=True).first.click()
    keep(page, "check-warns")

    turn_to(page, "Partitions")
    with dialog(page, opened_by="Materialize") as launching:
        launching.get_by_role("button", name="Failed", exact=True).click()
        expect(launching).to_contain_text("1 partition")
        launching.get_by_role("button", name=re.compile("Launch")).click()
    await_that(lambda: done(live, COMPANIES) == companies + 7, "the failed hour is materialized", every=0.3)
    shows(page, f"Materialized ({companies + 7})")
    shows(page, "Failed (0)")
    turn_to(page, "Checks")
    page.get_by_text("no_failed_records", exact=True).first.click()
    shows(page, "Passed")
    keep(page, "check-passed")
    turn_to(page, "Overview")
    shows(page, "rows")
    keep(page, "asset-overview")
