"""QBench and two CRMs that people edit at any moment, whatever breaks off, comes late or is cut (docs/rules.md, 45 to 50).

``python -m benchmarks both-ways`` tries a thousand seeds.
"""

from __future__ import annotations

from crm_pipeline_tests.sync.merging.judging import judged
from crm_pipeline_tests.sync.merging.parties import World
from crm_pipeline_tests.sync.merging.rounds import Pipeline

SEEDS = range(60)


def test_no_edit_is_lost_without_a_note_everybody_agrees_and_nothing_is_written_once_nobody_edits() -> None:
    found = judged([Pipeline(World(seed, crash=0.08 * (seed % 4 > 0))) for seed in SEEDS], busy=8, quiet=4, idle=1)
    assert sum(one.edits for one in found) > 8 * len(SEEDS)
    assert {seed: one.lost for seed, one in zip(SEEDS, found, strict=True) if one.lost} == {}
    assert {seed: one.shortened for seed, one in zip(SEEDS, found, strict=True) if one.shortened} == {}
    assert {seed: one.disagreeing for seed, one in zip(SEEDS, found, strict=True) if one.disagreeing} == {}
    assert {seed: one.idle_writes for seed, one in zip(SEEDS, found, strict=True) if one.idle_writes} == {}
