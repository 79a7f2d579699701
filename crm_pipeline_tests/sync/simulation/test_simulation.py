"""Whatever people do in QBench and in both CRMs, and wherever runs break off: no edit is lost without a note, and all agree in the end.

The merging model's own worlds are tried in test_three_parties.py; here the services answer over HTTP, and the steps are the pipeline's.
`python -m benchmarks both-ways` tries more seeds.
"""

from __future__ import annotations

from crm_pipeline_tests.sync.simulation.world import Hours, judged

SEED = 8
"""Its hours show the harm of readings that are older than our write, and of bases that are not each CRM's own."""
FEW = Hours(busy=3, quiet=3, idle=1)


def test_no_edit_is_lost_without_a_note_all_agree_and_nothing_is_written_once_nobody_edits(database_url: str) -> None:
    found = judged(database_url, SEED, records=15, hours=FEW, edits=6)
    assert [edit for one in found for edit in one.lost] == []
    assert [name for one in found for name in one.shortened] == []
    assert [name for one in found for name in one.disagreeing] == []
    assert found[0].idle_writes == 0
    assert sum(one.edits for one in found) > 40
    assert sum(one.told for one in found) > 0
