"""Is an edit ever lost? A thousand worlds of QBench and two CRMs that people edit, with the product's own decision for each field.

Runs break off at any point, searches and transactions come late, clocks are wrong, one CRM cuts and the other one reformats what is
written, readings are left out. Some figures leave time between a fresh reading and the write: what is edited then is what no
API offers to protect. Then a thousand customers and contacts in the three stand-ins, with the pipeline's own steps over HTTP and on
PostgreSQL: there people edit in that moment too, and the CRMs' histories tell it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import psycopg
from sqlalchemy import make_url

from benchmarks.figures import Figure
from crm_pipeline.store.embedded import embedded_postgres
from crm_pipeline_tests.sync.merging.judging import Judgement, judged
from crm_pipeline_tests.sync.merging.parties import World
from crm_pipeline_tests.sync.merging.rounds import Pipeline
from crm_pipeline_tests.sync.simulation.fleets import CONTACTS, CUSTOMERS
from crm_pipeline_tests.sync.simulation.world import Hours
from crm_pipeline_tests.sync.simulation.world import judged as judged_over_http

WORLDS = 1_000
CRASH = 0.08
"""How likely a run ends at each of its boundaries."""
GAPS = (1, 3)
"""Ticks between a fresh reading and the write; 75 are an hour."""
SERVED = 100
"""Customers, or contacts, of one set of stand-ins, each a world of its own: an hour costs as much for a few."""
EDITS = 20
"""How many people make to them before each step."""
BREAKS = 0.5
"""How likely an hour of a set of stand-ins breaks off."""
SHORT = Hours(busy=4, quiet=3, idle=1)
FLEETS = (CUSTOMERS, CONTACTS)


def measure(scale: float) -> list[Figure]:
    """Edits that vanished, parties that do not agree, and writes once nobody edits; ``scale`` shrinks the number of worlds."""
    worlds = math.ceil(WORLDS * scale)
    figures: list[Figure] = []
    for crash in (0.0, CRASH):
        figures += _figures("with crashes" if crash else "without crashes", _tried(worlds, crash=crash))
    for gap in GAPS:
        found = _tried(worlds, crash=CRASH, gap=gap)
        lost, edits = sum(len(one.lost) for one in found), sum(one.edits for one in found)
        figures.append(
            Figure("both-ways", f"edits lost where a write comes {gap}/75 of a cycle after reading", 100 * lost / edits, unit="%")
        )
    return [*figures, *_figures("over HTTP", _served(worlds))]


def _served(worlds: int) -> list[Judgement]:
    """What became of as many customers and contacts in stand-ins, with crashes."""
    found: list[Judgement] = []
    with embedded_postgres() as server:
        for seed in range(math.ceil(worlds / SERVED)):
            url = make_url(server).set(database=f"world_{seed}").render_as_string(hide_password=False)
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE world_{seed}")
            fleet = FLEETS[seed % len(FLEETS)]
            found += judged_over_http(url, seed, records=SERVED, fleet=fleet, hours=SHORT, edits=EDITS, crash=BREAKS)
    return found


def _tried(worlds: int, *, crash: float, gap: int = 0) -> list[Judgement]:
    return judged([Pipeline(World(seed, crash=crash), gap=gap) for seed in range(worlds)])


def _figures(how: str, found: list[Judgement]) -> Iterator[Figure]:
    counts = {
        "edits lost without a note": sum(len(one.lost) for one in found),
        "long texts cut short in QBench": sum(len(one.shortened) for one in found),
        "worlds whose parties do not agree": sum(bool(one.disagreeing) for one in found),
        "writes once nobody edits": sum(one.idle_writes for one in found),
    }
    yield Figure("both-ways", f"edits in {len(found):,} worlds {how}", sum(one.edits for one in found))
    for name, count in counts.items():
        yield Figure("both-ways", f"{name}, {how}", count, limit=0)
    changed, earlier = sum(one.changed for one in found), sum(one.not_the_latest for one in found)
    yield Figure("both-ways", f"fields ruled by time whose last edit did not win, {how}", 100 * earlier / changed, unit="%")
