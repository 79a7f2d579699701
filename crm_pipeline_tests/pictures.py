"""Takes the pictures of README anew, in a real browser, of what `crm-pipeline dev` shows: ``make pictures``. Needs chromium."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from crm_pipeline.sandbox.demo import DEFINITIONS, INTEGRATION

DOCS = Path(__file__).parents[1] / "docs"
PATIENCE_MILLISECONDS = 120_000
WIDTH = 1440


def asset_graph(page: Page, url: str) -> None:
    """The assets of one integration, two of them red."""
    # Assets outside of the window are not drawn.
    page.set_viewport_size({"width": 1760, "height": 2000})
    page.goto(f"{url}/locations/{DEFINITIONS}/asset-groups/{INTEGRATION}")
    page.get_by_text("companies", exact=True).first.wait_for()


def failed_partition(page: Page, url: str) -> None:
    """The hours of a load, of which one failed."""
    page.set_viewport_size({"width": WIDTH, "height": 700})
    page.goto(f"{url}/assets/{INTEGRATION}/hubspot/companies?view=partitions")
    page.get_by_text("Failed (1)", exact=True).first.wait_for()


def materialization(page: Page, url: str) -> None:
    """What a load says of its hour, its first one here."""
    page.set_viewport_size({"width": WIDTH, "height": 1250})
    hours = f"{url}/assets/{INTEGRATION}/salesforce/contacts?view=partitions"
    page.goto(hours)
    page.get_by_text("Materialized (3)", exact=True).wait_for()
    first = page.get_by_role("textbox").first.input_value().strip("[]").partition("...")[0]
    page.goto(f"{hours}&partition={quote(first)}")
    page.get_by_text("errors", exact=True).first.wait_for()


def check_warns(page: Page, url: str) -> None:
    """What the check of all records says."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(f"{url}/assets/{INTEGRATION}/salesforce/contacts?view=checks")
    page.get_by_text("no_failed_records", exact=True).first.click()
    page.get_by_text("Evaluation result", exact=True).wait_for()


def sync_health(page: Page, url: str) -> None:
    """How all records stand, as the asset tells once it is materialized."""
    page.set_viewport_size({"width": WIDTH, "height": 800})
    page.goto(f"{url}/assets/{INTEGRATION}/records?view=events")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("health", exact=True).first.wait_for()


PICTURES = {
    "asset-graph": asset_graph,
    "failed-partition": failed_partition,
    "materialization": materialization,
    "check-warns": check_warns,
    "sync-health": sync_health,
}


@contextmanager
def demo() -> Iterator[str]:
    """The demo of `crm-pipeline dev`; yields the UI's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("crm-pipeline")), "dev", "--port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as dev:
        try:
            assert dev.stdout is not None
            yield next(found[1] for line in dev.stdout if (found := re.search(r"Dagster UI: (http://\S+)", line)))
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait()


def take(page: Page, url: str) -> None:
    """Take every picture."""
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    for name, show in PICTURES.items():
        show(page, url)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=DOCS / f"{name}.png")
        print(f"docs/{name}.png")


def main() -> None:
    """Take them of the UI that is named, or of a demo of their own."""
    browser_path = shutil.which("chromium")
    if browser_path is None:
        sys.exit("chromium is not installed: the pictures are taken in it")
    with nullcontext(sys.argv[1]) if sys.argv[1:] else demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        take(browser.new_page(reduced_motion="reduce", color_scheme="light"), url)
        browser.close()


if __name__ == "__main__":
    main()
