"""A batch as the CSV of an ingest job, and each of its rows found again in the job's results; no I/O.

Source: "Prepare CSV Files" in the Bulk API 2.0 guide: an empty cell leaves a field alone, ``#N/A`` clears it. The results repeat every
column that was given, in any order of rows. Line ends within quotes must be those of the job, as users report.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from hashlib import blake2b

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.crms.salesforce.rows import PARENT_FIELD, json_value
from crm_pipeline.frames import plain
from crm_pipeline.model import Verb

NULL = "#N/A"
RECORD, CREATED, ERROR = "sf__Id", "sf__Created", "sf__Error"
ROWS_AT_ONCE = 2_000
"""Rows of a result that stand in memory with all that was sent."""
_OTHER_LINE_END = "\r"
_SPECIAL = '[",\n]'
"""In a cell with one of these everything stands in quotes."""


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
    # Where there is no other cell, an empty one would make an empty line, which is no row.
    special = _SPECIAL if len(cells.columns) > 1 else f"{_SPECIAL}|^$"
    columns = [pa.chunked_array([pa.array([name], pa.large_string()), *_cells(values).chunks]) for name, values in cells.items()]
    lines = pc.binary_join_element_wise(*(_quoted(column, special) for column in columns), _text(",")).cast(pa.large_binary())
    return b"\n".join([*lines.to_pylist(), b""])


def most_bytes(cells: pd.DataFrame) -> int:
    """As large as the CSV of these cells can be: each quoted, and all that it holds quotes."""
    held = sum(pc.sum(pc.binary_length(_cells(values))).as_py() or 0 for _, values in cells.items())
    names = sum(map(len, map(str.encode, cells.columns)))
    return 2 * (held + names) + 3 * (len(cells) + 1) * len(cells.columns)


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


def _cells(values: pd.Series) -> pa.ChunkedArray:
    found: pa.ChunkedArray = values.array.__arrow_array__()
    return found


def _quoted(column: pa.ChunkedArray, special: str) -> pa.ChunkedArray:
    """Cells with those in quotes that need them."""
    needs = pc.match_substring_regex(column, special)
    if not pc.any(needs).as_py():
        return column
    in_quotes = pc.binary_join_element_wise(_text('"'), pc.replace_substring(column, '"', '""'), _text('"'), _text(""))
    return pc.if_else(needs, in_quotes, column)


def _text(value: str) -> pa.LargeStringScalar:
    return pa.scalar(value, pa.large_string())


def _column(values: pd.Series, sent: pd.Series) -> pd.Series:
    texts = values if values.dtype == "str" else pd.Series([_told(value) for value in plain(values)], index=values.index, dtype="str")
    return texts.mask(texts.isna() | texts.eq(""), NULL).where(sent.astype("bool"), "")


def _told(value: object) -> str | None:
    told = json_value(value)
    if told is None or isinstance(told, str):
        return told
    return str(told).lower() if isinstance(told, bool) else str(told)


def _digest(cells: Iterable[str]) -> str:
    return blake2b("\x1f".join(cells).encode(errors="surrogatepass"), digest_size=12).hexdigest()
