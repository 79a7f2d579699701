"""``python -m benchmarks [NAME …]``: measures, prints each figure beside its limit, and exits with 1 when one is missed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import click
from rich.console import Console

from benchmarks import (
    backfill,
    both_ways,
    calls,
    changes,
    disk,
    first_load,
    hourly,
    idle,
    imports,
    loading,
    memory,
    million,
    pacing,
    peers,
    planning,
    reading,
    standing,
    year,
)
from benchmarks.figures import Figure, table
from benchmarks.workbench import BenchmarkError

BENCHMARKS: Mapping[str, Callable[[float], list[Figure]]] = MappingProxyType(
    {
        "imports": imports.measure,
        "planning": planning.measure,
        "calls": calls.measure,
        "hourly": hourly.measure,
        "idle": idle.measure,
        "backfill": backfill.measure,
        "memory": memory.measure,
        "million": million.measure,
        "both-ways": both_ways.measure,
        "changes": changes.measure,
        "loading": loading.measure,
        "first-load": first_load.measure,
        "pacing": pacing.measure,
        "peers": peers.measure,
        "standing": standing.measure,
        "reading": reading.measure,
        "disk": disk.measure,
        "year": year.measure,
    }
)

ONLY_NAMED = frozenset({"year"})
"""The benchmarks that cost too much to be run unasked: 10 GB of disk and twenty minutes."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--scale", default=1.0, show_default=True, help="Share of the records to measure with, for a first look.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(*, names: tuple[str, ...], scale: float, as_json: bool) -> None:
    """Measure what the product must reach: what is named, or all but `year`, which takes 10 GB of disk and twenty minutes."""
    told = Console(stderr=True)
    figures: list[Figure] = []
    for name in names or [name for name in BENCHMARKS if name not in ONLY_NAMED]:
        with told.status(f"measuring {name} …"):
            try:
                found = BENCHMARKS[name](scale)
            except BenchmarkError as error:
                raise click.ClickException(f"{name}: {error}") from None
        figures += found
        if not as_json:
            Console().print(table(name, found))
    if as_json:
        click.echo(json.dumps([figure.as_json() for figure in figures], indent=2))
    sys.exit(not all(figure.passed for figure in figures))


if __name__ == "__main__":
    main()
