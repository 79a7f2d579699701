"""What comes next on the way to an integration's first load, in commands that can be typed as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.beginnings import was_loaded, was_read
from crm_pipeline.store.database import Store
from crm_pipeline.store.versions import versions
from crm_pipeline.sync.hours import PARTITION_FORMAT


def next_steps(specs: Sequence[IntegrationSpec], store: Store) -> Iterator[str]:
    """A sentence for each integration that was not loaded yet. Makes no tables where there are none: then nothing was read."""
    with store.reading() as connection:
        current, needed = versions(connection)
        has_tables = current == needed
        for spec in specs:
            if has_tables and was_loaded(connection, spec.name):
                continue
            yield _planned_next(spec) if has_tables and was_read(connection, spec.name) else _read_next(spec)


def _read_next(spec: IntegrationSpec) -> str:
    closes = spec.start + timedelta(hours=1)
    if closes > datetime.now(UTC):
        return f"Next: wait until {closes:%H:%M} UTC, when the first hour of {spec.name} closes; then it can be read."
    return (
        f"Next: read QBench, which writes nothing there nor in a CRM, then look at what would be sent:\n"
        f"  dg launch --assets '+key:\"{spec.name}/normalized/*\"' --partition {_first(spec)}\n"
        f"  crm-pipeline plan --integration {spec.name}"
    )


def _planned_next(spec: IntegrationSpec) -> str:
    return f"Next, where that is what you want, the first load:\n  dg launch --job {spec.name}__sync --partition {_first(spec)}"


def _first(spec: IntegrationSpec) -> str:
    return spec.start.strftime(PARTITION_FORMAT)
