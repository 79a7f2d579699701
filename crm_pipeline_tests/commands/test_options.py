"""What options that several commands have take, and what they refuse."""

from __future__ import annotations

import click
import pytest

from crm_pipeline.commands.options import qbench_ids


def test_ids_are_taken_once_each_in_their_order() -> None:
    assert qbench_ids("13, 12,13") == (13, 12)


@pytest.mark.parametrize("given", ["", "12,", "x", "-5", "1_000", "12;13", "99999999999999999999", "1.0"])
def test_what_is_no_id_of_qbench_is_refused_before_anything_is_asked(given: str) -> None:
    with pytest.raises(click.BadParameter, match="12,13,14"):
        qbench_ids(given)
