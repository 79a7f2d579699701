"""What a frame's columns are: declared once as data, used to build, check and describe every frame that crosses a border."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.types import pandas_dtype

Flags = NDArray[np.bool_]
"""Which rows are meant, one by one: an array, which costs a small frame a fraction of a column."""

_NOBODY = np.iinfo(np.int64).min
"""Stands for a null among integers; no record has this id."""
_NO_TEXT = pa.scalar(None, pa.large_string())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a declared frame: its name, its pandas dtype and what it holds."""

    name: str
    dtype: str
    meaning: str


class FrameError(Exception):
    """A frame does not have the columns or types that its schema declares; a fault of ours, never of the data."""


@dataclass(frozen=True, slots=True)
class FrameSchema:
    """The declared columns of one kind of frame."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The column names in their declared order."""
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        """A frame of no rows with the declared columns."""
        return _empty(self).copy(deep=False)

    def build(self, data: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
        """A frame with the declared columns in their order and types; a column that ``data`` lacks is all null. A null bool is False.

        Columns that the schema does not declare are kept behind the declared ones (CRM fields, for instance).
        Raises FrameError where values cannot take the declared type.
        """
        given, rows = _arrays(data)
        # Arrays, not series: nothing is to be aligned, and small frames are built all the time.
        arrays = {column.name: self._array(given.get(column.name), column, rows) for column in self.columns}
        return _framed(arrays | {name: given[name].copy() for name in given if name not in arrays}, rows)

    def of_rows(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
        """A frame of plain rows: the values under these names, with the declared columns only (see ``of_columns``)."""
        return self.of_columns(dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}, len(rows))

    def of_columns(self, columns: Mapping[str, Sequence[Any]], rows: int) -> pd.DataFrame:
        """A frame of plain values by column, as a query finds them: the declared columns only.

        Every column is made once, in its declared type: guessing first would make floats of the integers beside a null.
        Raises FrameError where values cannot take the declared type.
        """
        arrays = {column.name: self._array_of(columns.get(column.name) if rows else None, column, rows) for column in self.columns}
        return _framed(arrays, rows)

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The same frame, when every declared column is there with its declared type; raises FrameError when not."""
        types = dict(zip(frame.columns, frame.dtypes, strict=True))
        for column in self.columns:
            if column.name not in types:
                raise FrameError(f"frame {self.name}: column {column.name} is missing")
            if types[column.name] != _dtype(column.dtype):
                raise FrameError(f"frame {self.name}: column {column.name} is {types[column.name]}, declared {column.dtype}")
        return frame

    def _array(self, values: Any, column: Column, rows: int) -> Any:
        if values is None:
            return self._blank(column, rows)
        # Of the plain types pandas wraps NumPy's array, with a type of its own.
        held = values.to_numpy() if isinstance(values, pd.arrays.NumpyExtensionArray) else values
        if held.dtype == _dtype(column.dtype):
            return _objects(held.copy()) if column.dtype == "object" else held.copy()
        if column.dtype == "bool":
            # Else a null would be True, as whatever is not nothing.
            values = np.where(pd.isna(values), False, values)
        try:
            if column.dtype == "object":
                return _objects(values.astype("object"))
            return _made(values, column.dtype) if values.dtype == "object" else values.astype(column.dtype)
        except (TypeError, ValueError) as error:
            raise FrameError(f"frame {self.name}: column {column.name} does not hold {column.dtype}") from error

    def _array_of(self, values: Sequence[Any] | None, column: Column, rows: int) -> Any:
        if values is None or (values[0] is None and values.count(None) == rows):
            return self._blank(column, rows)
        dtype = _dtype(column.dtype)
        try:
            if column.dtype == "object":
                return _objects(np.fromiter(values, dtype, rows))
            return np.fromiter(values, dtype, rows) if isinstance(dtype, np.dtype) else _made(values, column.dtype)
        except (TypeError, ValueError) as error:
            raise FrameError(f"frame {self.name}: column {column.name} does not hold {column.dtype}") from error

    def _blank(self, column: Column, rows: int) -> Any:
        if column.dtype == "bool":
            return np.zeros(rows, dtype=bool)
        if column.dtype in {"int64", "float64"} and rows:
            raise FrameError(f"frame {self.name}: column {column.name} must be given: {column.dtype} knows no null")
        if column.dtype == "object":
            return np.full(rows, None, dtype=object)
        if column.dtype == "str":
            return _no_texts(rows)
        if column.dtype == "Int64":
            return pd.arrays.IntegerArray(np.zeros(rows, dtype="int64"), np.ones(rows, dtype=bool))
        return pd.api.extensions.take(_no_values(column.dtype), np.full(rows, -1), allow_fill=True)


def _framed(arrays: Mapping[str, Any], rows: int) -> pd.DataFrame:
    """A frame of arrays that are nobody else's: pandas would copy each again."""
    return pd.DataFrame(arrays, index=pd.RangeIndex(rows), copy=False)


def _objects(values: Any) -> pd.Series:
    """The same as a series: of an array a frame would make texts where there is nothing else, which objects need not be."""
    return pd.Series(values, dtype=object)


def _made(values: Any, dtype: str) -> Any:
    """An array of plain values and nulls. Arrow makes one of what is of its type already, in a fraction of pandas' time."""
    try:
        if dtype == "str":
            return pd.arrays.ArrowStringArray(pa.array(values, pa.large_string(), from_pandas=True), dtype=_dtype(dtype))
        if dtype == "Int64":
            found = pa.array(values, from_pandas=True)
            # Told to make integers it would cut what stands behind a point.
            if found.type in (pa.int64(), pa.null()):
                filled = found.cast(pa.int64()).fill_null(0).to_numpy().copy()
                return pd.arrays.IntegerArray(filled, found.is_null().to_numpy(zero_copy_only=False))
    except (pa.ArrowException, UnicodeEncodeError):
        pass
    return pd.array(values, dtype=_dtype(dtype))


@cache
def _empty(schema: FrameSchema) -> pd.DataFrame:
    return schema.build({})


def where(frame: pd.DataFrame, mask: pd.Series | np.ndarray) -> pd.DataFrame:
    """The rows of a frame (a RangeIndex) where the mask (bool, row by row) holds, indexed anew: the same frame where all do."""
    if mask.all():
        return frame
    return (frame[np.asarray(mask)] if mask.any() else frame[:0]).reset_index(drop=True)


def instead(column: pd.Series, mask: np.ndarray, values: Any = pd.NA) -> pd.Series:
    """A column with these values (a series of its index, or one for all) where the mask (bool) holds; itself where it holds nowhere."""
    return column.mask(mask, values) if mask.any() else column


def arrow_texts(given: pa.LargeStringArray | pa.ChunkedArray, index: pd.Index | None) -> pd.Series:
    """Arrow's texts (large_string) as a column (str)."""
    return pd.Series(pd.arrays.ArrowStringArray(given, dtype=_dtype("str")), index=index)


def text_column(values: Sequence[str | None] | NDArray[np.object_]) -> pd.Series:
    """Texts and nulls as a column (str)."""
    return pd.Series(_made(values, "str"))


def texts_where(chosen: Flags, texts: pd.Series, otherwise: pd.Series | None = None) -> pd.Series:
    """The texts (str) where they are chosen, elsewhere the other ones, or null: as ``where``, in a fraction of its time."""
    if chosen.all():
        return texts
    others = _NO_TEXT if otherwise is None else otherwise.array.__arrow_array__()
    return arrow_texts(pc.if_else(pa.array(chosen), texts.array.__arrow_array__(), others), texts.index)


def one_text(text: str, index: pd.Index) -> pd.Series:
    """The same text in each row (str)."""
    return arrow_texts(pa.repeat(pa.scalar(text, pa.large_string()), len(index)), index)


def blank(column: pd.Series) -> Flags:
    """Where a column holds nothing."""
    flags: Flags = np.asarray(column.array.isna(), dtype=bool)
    return flags


def no_text(index: pd.Index) -> pd.Series:
    """A null per row (str)."""
    return pd.Series(_no_texts(len(index)), index=index)


def _no_texts(rows: int) -> Any:
    return pd.arrays.ArrowStringArray(pa.nulls(rows, pa.large_string()), dtype=_dtype("str"))


def plain(series: pd.Series) -> list[Any]:
    """A column as a list of plain Python values, null as None."""
    array = series.array
    if isinstance(array, pd.arrays.ArrowStringArray | pd.arrays.IntegerArray):
        # pandas' own way costs a small column twenty times as much.
        found: list[Any] = array.__arrow_array__().to_pylist()
        return found
    values: list[Any] = series.tolist()
    if array.dtype.kind in "iub":
        return values
    return [None if value is pd.NA or value is pd.NaT or value != value else value for value in values] if series.hasnans else values


def aligned(frame: pd.DataFrame, ids: pd.Series, *, columns: Mapping[str, str], by: str = "qbench_id") -> dict[str, pd.Series]:
    """Columns of a frame, each id's row of it, null where it has none; ``columns``: their names there by those they get.

    ``frame``: at most one row per id, which its column ``by`` holds; a null id is nobody's. What a merge gives, without its cost
    on small frames.
    """
    places = -1 if frame.empty else pd.Index(_keys(frame[by])).get_indexer(_keys(ids))
    positions = np.where(blank(ids), -1, places)
    none = bool((positions < 0).all())
    return {name: pd.Series(_taken(frame[given].array, positions, none=none), index=ids.index) for name, given in columns.items()}


def _taken(values: Any, positions: np.ndarray, *, none: bool) -> Any:
    """The values at these positions, null at -1; ``none``: that is all of them."""
    return _no_texts(len(positions)) if none and values.dtype == "str" else pd.api.extensions.take(values, positions, allow_fill=True)


def looked_up(ids: pd.Series, frame: pd.DataFrame, name: str, *, by: str = "qbench_id") -> pd.Series:
    """One column of a frame for each id (see ``aligned``)."""
    return aligned(frame, ids, columns={name: name}, by=by)[name]


def among(column: pd.Series, texts: pd.Series) -> pd.Series:
    """Which of a column's texts are among these (bool; null is not), both str: as ``isin``, which makes an object of each of them."""
    found = pc.is_in(column.array.__arrow_array__(), value_set=texts.dropna().array.__arrow_array__().combine_chunks())
    return pd.Series(_flags(found), index=column.index)


def equal(column: pd.Series, text: str) -> Flags:
    """Where a column (str) holds this text: as ``eq``, in a fraction of its time."""
    found = pc.equal(column.array.__arrow_array__(), pa.scalar(text, pa.large_string()))
    return _flags(pc.fill_null(found, fill_value=False) if found.null_count else found)


def one_of(column: pd.Series, texts: Collection[str]) -> Flags:
    """Where a column (str) holds one of these texts: as ``isin``, in a fraction of its time."""
    return _flags(pc.is_in(column.array.__arrow_array__(), value_set=pa.array(texts, pa.large_string())))


def _flags(found: pa.ChunkedArray | pa.BooleanArray) -> Flags:
    flags: Flags = found.to_numpy(zero_copy_only=False)
    return flags


def _keys(ids: pd.Series) -> Any:
    return ids.to_numpy("int64", na_value=_NOBODY) if ids.dtype == "Int64" else ids.array


@cache
def _no_values(name: str) -> Any:
    return pd.array([], dtype=_dtype(name))


@cache
def _dtype(name: str) -> Any:
    return pandas_dtype(name)


def _arrays(data: Mapping[str, Any] | pd.DataFrame) -> tuple[dict[str, Any], int]:
    """The columns as arrays, and their length."""
    if isinstance(data, Mapping) and not data:
        return {}, 0
    columns = list(data.values()) if isinstance(data, Mapping) else []
    if columns and all(isinstance(column, pd.Series) and column.index.equals(columns[0].index) for column in columns):
        return {name: column.array for name, column in data.items()}, len(columns[0])
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(dict(data))
    return {str(name): column.array for name, column in frame.items()}, len(frame)


@dataclass(frozen=True, slots=True)
class FrameStream:
    """Frames of a few thousand rows that can be read again and again; each pass opens its source anew."""

    schema: FrameSchema
    open: Callable[[], Iterator[pd.DataFrame]]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for frame in self.open():
            yield self.schema.check(frame)
