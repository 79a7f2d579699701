from __future__ import annotations

from crm_pipeline.mapping.directions import Direction


def test_each_direction_says_which_side_it_writes() -> None:
    ways = {direction: (direction.goes_out, direction.comes_back) for direction in Direction}
    assert ways == {Direction.TO_CRM: (True, False), Direction.FROM_CRM: (False, True), Direction.BOTH: (True, True)}
