"""Which record did which interrupted create make, where several have one name?"""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.sync.loading.namesakes import PAIRS, told_apart

ECO: dict[str, object] = {"Name": "Eco Labs"}
ONE, TWO, NEITHER = ({**ECO, "Phone": phone} for phone in "129")


def decided(sent: dict[int, dict[str, object]], held: dict[str, dict[str, object]]) -> tuple[dict[int, str], list[int]]:
    """Who made what, and who cannot tell, where every create may have made every record."""
    pairs = PAIRS.build(pd.DataFrame([(number, record) for number in sent for record in held], columns=PAIRS.names))
    frame = pd.DataFrame([{"crm_id": record, "parent_crm_id": None, **values} for record, values in held.items()])
    certain, unsure = told_apart(pairs, sent=sent, held=frame)
    return dict(zip(certain["qbench_id"], certain["crm_id"], strict=True)), sorted(unsure["qbench_id"].unique())


@pytest.mark.parametrize(
    ("sent", "held", "made", "unsure"),
    [
        (
            {1: ONE, 2: TWO},
            {"b": TWO, "a": ONE},
            {1: "a", 2: "b"},
            [],
        ),
        ({1: ONE, 2: TWO}, {"b": TWO}, {2: "b"}, []),
        (
            {1: ONE, 2: TWO},
            {"a": NEITHER, "b": TWO},
            {1: "a", 2: "b"},
            [],
        ),
        ({1: ONE}, {"a": ONE, "x": NEITHER}, {1: "a"}, []),
        ({1: ECO, 2: TWO}, {"b": TWO, "a": ECO}, {1: "a", 2: "b"}, []),
        ({1: ECO, 2: TWO}, {"b": TWO}, {2: "b"}, []),
        ({1: ECO, 2: ECO}, {"a": ECO, "b": ECO}, {1: "a", 2: "b"}, []),
        ({1: ECO, 2: ECO, 3: ECO}, {"a": ECO, "b": ECO}, {1: "a", 2: "b"}, []),
        ({1: ECO}, {"a": ECO, "b": ECO}, {}, [1]),
        ({1: ONE, 2: TWO}, {"a": NEITHER}, {}, [1, 2]),
        ({1: {"Name": " ECO labs", "Employees": 5}}, {"a": {**ECO, "Employees": 5.0}, "b": {**ECO, "Employees": 6.0}}, {1: "a"}, []),
        (
            {1: {**ECO, "Notes": "two  words\u2019"}, 2: {**ECO, "Notes": "two  others\u2019"}},
            {"a": {**ECO, "Notes": "TWO WORDS'"}, "b": {**ECO, "Notes": "TWO OTHERS'"}},
            {1: "a", 2: "b"},
            [],
        ),
        (
            {1: {**ECO, "parent_crm_id": "p"}, 2: {**ECO, "parent_crm_id": "q"}},
            {"a": {**ECO, "parent_crm_id": "q"}, "b": {**ECO, "parent_crm_id": "p"}},
            {1: "b", 2: "a"},
            [],
        ),
    ],
    ids=[
        "each by its own",
        "one was never made",
        "one was changed since",
        "one of somebody else",
        "a blank and a value",
        "a blank and a value, one never made",
        "equal ones",
        "equal ones, one never made",
        "more records than creates",
        "nothing tells them apart",
        "in another form",
        "by a text that the CRM writes in its own way",
        "by their account",
    ],
)
def test_all_that_was_sent_tells_namesakes_apart(
    sent: dict[int, dict[str, object]], held: dict[str, dict[str, object]], made: dict[int, str], unsure: list[int]
) -> None:
    assert decided(sent, held) == (made, unsure)
