"""A batch as the CSV of an ingest job, and each of its rows found again in the job's results; no I/O.

Source: "Prepare CSV Files" in the Bulk API 2.0 guide: an empty cell leaves a field alone, ``#N/A`` clears it. The results repeat every
column that was given, in any order of rows. Line ends within quotes must be those of the job, as users report.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from hashlib import blake2b

import pandas as pd

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, json_value
from crm_pipeline.frames import plain
from crm_pipeline.model import Verb

NULL = "#N/A"
RECORD, CREATED, ERROR = "sf__Id", "sf__Created", "sf__Error"
ROWS_AT_ONCE = 2_000
"""Rows of a result that stand in memory with all that was sent."""
_OTHER_LINE_END = "\r"


def cells_of(batch: WriteBatch, verb: Verb, *, key_field: str | None) -> pd.DataFrame:
    """The cells (str) of a batch of one verb, a column for each field that one of its rows sends."""
    rows = batch.rows
    columns = {"Id": rows["crm_id"]} if verb is Verb.UPDATE else {}
    for name in batch.values.columns:
        if batch.sent[name].any():
            columns[name] = _column(batch.values[name], batch.sent[name])
    if rows["parent_crm_id"].notna().any():
        columns[PARENT_FIELD] = rows["parent_crm_id"]
    if key_field is not None and rows["key"].notna().any():
        columns[key_field] = rows["key"]
    return pd.DataFrame({name: values.fillna("").astype("str") for name, values in columns.items()}, index=rows.index)


def fit(cells: pd.DataFrame, batch: WriteBatch) -> pd.Series:
    """Which rows (bool) a job's CSV can carry: none of their values is its mark for null, or has the other line ends."""
    found = pd.Series(True, index=cells.index)
    for name, values in cells.items():
        found &= ~values.str.contains(_OTHER_LINE_END, regex=False)
        if name in batch.values.columns:
            given = batch.values[name]
            found &= ~(values.eq(NULL) & given.notna() & given.astype("str").str.strip().ne(""))
    return found


def names_of(cells: pd.DataFrame, verb: Verb, *, key_field: str | None) -> pd.Series:
    """By what each row is found again in the results: the record's id or key, of a create without one a digest of all its cells.

    Rows of equal cells are numbered: what became of one may as well have become of the other.
    """
    if verb is Verb.UPDATE:
        return cells["Id"]
    if verb is Verb.UPSERT and key_field is not None:
        return cells[key_field]
    columns = sorted(cells.columns)
    digests = pd.Series([_digest(row) for row in zip(*(cells[name] for name in columns), strict=True)], index=cells.index, dtype="str")
    return digests + "." + digests.groupby(digests).cumcount().astype("str")


def csv_of(cells: pd.DataFrame) -> bytes:
    """The cells as CSV with LF line ends."""
    text: str = cells.to_csv(index=False, lineterminator="\n")
    return text.encode()


def rows_in(content: bytes, *, columns: Collection[str] | None = None) -> pd.DataFrame:
    """The rows of a result (every column str), of these columns those that it has, else all; raises ValueError for what is no CSV."""
    # Each part is read whole and then cut: where only some columns are asked for, pandas takes a row with too many cells.
    with pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False, chunksize=ROWS_AT_ONCE) as parts:
        return pd.concat([_cut(part, columns) for part in parts])


def _cut(rows: pd.DataFrame, columns: Collection[str] | None) -> pd.DataFrame:
    if rows.index.dtype == "str":
        # pandas takes the first cells for names of the rows.
        raise ValueError("every row has more cells than there are columns")
    return rows if columns is None else rows[rows.columns.intersection(list(columns))]


def _column(values: pd.Series, sent: pd.Series) -> pd.Series:
    texts = values if values.dtype == "str" else pd.Series([_text(value) for value in plain(values)], index=values.index, dtype="str")
    return texts.mask(texts.isna() | texts.eq(""), NULL).where(sent.astype("bool"), "")


def _text(value: object) -> str | None:
    told = json_value(value)
    if told is None or isinstance(told, str):
        return told
    return str(told).lower() if isinstance(told, bool) else str(told)


def _digest(cells: Iterable[str]) -> str:
    return blake2b("\x1f".join(cells).encode(errors="surrogatepass"), digest_size=12).hexdigest()
