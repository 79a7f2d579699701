"""What links keep of the fields that come back (schemas.BASES): with a decision, right before a write, and once it was answered; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from crm_pipeline.schemas import BASES

Agreed = Mapping[str, Sequence[int]] | None
"""Of one record, by unit the two bases that it has once a write was answered; None where none was."""


def keeping(
    qbench_id: pd.Series, *, bases: Iterable[Any], sending: Sequence[Any], open_until: pd.Series, touched_at: pd.Series
) -> pd.DataFrame:
    """What links keep (schemas.BASES), row by row; ``open_until`` counts only where something is ``sending``."""
    index = qbench_id.index
    return BASES.build(
        {
            "qbench_id": qbench_id,
            "bases": pd.Series([*bases], index=index, dtype=object),
            "sending": pd.Series([*sending], index=index, dtype=object),
            "open_until": open_until.where(pd.Series([bool(one) for one in sending], index=index, dtype=bool)),
            "touched_at": touched_at,
        }
    )


def about_to_send(kept: pd.DataFrame, agreed: Iterable[Agreed], *, call: tuple[datetime, datetime]) -> pd.DataFrame:
    """What links keep (schemas.BASES) while a call is under way that sends ``agreed`` (units.Decided.agreed) to the CRM.

    ``call``: when it begins, earlier readings say nothing from then on, and when it must be over.
    """
    sending = [
        {**(before or {}), **{unit: there for unit, (_, there) in (now or {}).items()}} or None
        for before, now in zip(kept["sending"], agreed, strict=True)
    ]
    return _around_a_call(kept, kept["bases"], sending, call=call)


def arrived(kept: pd.DataFrame, agreed: Iterable[Agreed], *, call: tuple[datetime, datetime] | None = None) -> pd.DataFrame:
    """What links keep (schemas.BASES) once ``agreed`` (units.Decided.agreed) was written, in the CRM or in QBench.

    ``call``: what ``about_to_send`` was told of it, where that is not ``kept``.
    """
    bases, sending = [], []
    for before, on_the_way, now in zip(kept["bases"], kept["sending"], agreed, strict=True):
        bases.append({**(before or {}), **(now or {})} or None)
        sending.append({unit: digest for unit, digest in (on_the_way or {}).items() if unit not in (now or {})} or None)
    return _around_a_call(kept, bases, sending, call=call)


def _around_a_call(
    kept: pd.DataFrame, bases: Iterable[Any], sending: Sequence[Any], *, call: tuple[datetime, datetime] | None
) -> pd.DataFrame:
    open_until, touched_at = kept["open_until"], kept["touched_at"]
    if call is not None:
        began, over = map(pd.Timestamp, call)
        open_until, touched_at = open_until.where(open_until.gt(over), over), pd.Series(began, index=kept.index)
    return keeping(kept["qbench_id"], bases=bases, sending=sending, open_until=open_until, touched_at=touched_at)
