"""Writes that may still be carried out: those under way, and those whose answer was lost (a time-out, a killed run).

A write is stored before it is sent and taken away with its results. What stays is watched until the CRM cannot carry it out
any more, and after that until a later write of the record was answered: whether it was carried out nobody knows.

Links of written contacts tell of their account before it is sent, where that takes a call of its own, so that they are written once.
Until it was answered, a call of NO_CONTENT that is over says so.
"""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.schemas import OPEN_CALLS
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute, fetch

NO_CONTENT = 0
"""Stands for what a call makes of a record that has still to be given its account, and nothing else; no record has this digest."""

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"

_BEGIN = """
INSERT INTO crm_pipeline.open_call (integration, crm, record_type, qbench_ids, contents, parents, over_at)
SELECT :integration, :crm, :record_type, array_agg(qbench_id ORDER BY place), array_agg(content ORDER BY place),
  array_agg(parent ORDER BY place), now() + :lasts
FROM unnest(CAST(:calls AS integer[]), CAST(:ids AS bigint[]), CAST(:contents AS bigint[]), CAST(:parents AS text[]))
  WITH ORDINALITY AS row (call, qbench_id, content, parent, place)
GROUP BY call RETURNING id, qbench_ids[1]
"""

_END = """
WITH kept AS (
  SELECT id, array_agg(qbench_id ORDER BY qbench_id) AS qbench_ids, array_agg(content ORDER BY qbench_id) AS contents,
    array_agg(parent ORDER BY qbench_id) AS parents
  FROM crm_pipeline.open_call, unnest(qbench_ids, contents, parents) AS one (qbench_id, content, parent)
  WHERE {which} AND {stays} GROUP BY id
), changed AS (
  UPDATE crm_pipeline.open_call AS call
  SET qbench_ids = kept.qbench_ids, contents = kept.contents, parents = kept.parents, over_at = {over_at}
  FROM kept WHERE call.id = kept.id
)
DELETE FROM crm_pipeline.open_call WHERE {which} AND id NOT IN (SELECT id FROM kept)
"""

_ANSWERED = _END.format(which="id = ANY(:calls)", stays="qbench_id = ANY(:doubtful)", over_at="now() + :over_after")

_LAST_TWO = f"""
SELECT id, qbench_id FROM (
  SELECT max(id) AS id, qbench_id, row_number() OVER (PARTITION BY qbench_id, parent ORDER BY max(id) DESC) AS place
  FROM crm_pipeline.open_call, unnest(qbench_ids, contents, parents) AS one (qbench_id, content, parent)
  WHERE {_KEY} AND (over_at <= now() OR id = ANY(:calls)) AND qbench_id = ANY(:doubtful) AND content <> {NO_CONTENT}
  GROUP BY qbench_id, parent, content) AS said
WHERE place <= 2
"""
"""A link tells of one content at most, so that one of two is always in doubt, and no third makes a difference."""

_FORGET_OTHERS = _END.format(
    which=f"{_KEY} AND over_at <= now() AND id <> ALL(:calls) AND qbench_ids && CAST(:doubtful AS bigint[])",
    stays=f"(qbench_id <> ALL(:doubtful) OR content = {NO_CONTENT} OR (id, qbench_id) IN ({_LAST_TWO}))",
    over_at="call.over_at",
)

_FORGET = _END.format(
    which=f"{_KEY} AND over_at <= now() AND qbench_ids && CAST(:ids AS bigint[])",
    stays=f"(qbench_id <> ALL(CAST(:ids AS bigint[])) OR (content = {NO_CONTENT} AND NOT :with_accounts))",
    over_at="call.over_at",
)

_FORGET_ACCOUNTS = _END.format(
    which=f"{_KEY} AND qbench_ids && CAST(:ids AS bigint[])",
    stays=f"(qbench_id <> ALL(CAST(:ids AS bigint[])) OR content <> {NO_CONTENT})",
    over_at="call.over_at",
)

_OPEN_ACCOUNTS = f"""
SELECT qbench_id FROM crm_pipeline.open_call, unnest(qbench_ids, contents) AS one (qbench_id, content)
WHERE {_KEY} AND content = {NO_CONTENT}
"""

_OPEN = f"""
SELECT qbench_id, content, parent AS parent_crm_id, over_at <= now() AS over, CAST(ceil(extract(epoch FROM over_at)) AS bigint) AS over_at
FROM crm_pipeline.open_call, unnest(qbench_ids, contents, parents) AS one (qbench_id, content, parent)
WHERE {_KEY} AND qbench_ids && CAST(:ids AS bigint[]) AND qbench_id = ANY(:ids)
"""


def begin_calls(
    connection: Connection,
    state: CrmState,
    *,
    calls: list[int],
    ids: list[int],
    contents: list[int],
    parents: list[str | None],
    lasts: timedelta,
) -> list[int]:
    """Store that writes are about to be sent, which last so long at most; returns per record the number of its call.

    ``calls``: per record, which of them carries it, by any number.
    """
    if not ids:
        return []
    row = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    said = {"calls": calls, "ids": ids, "contents": contents, "parents": parents, "lasts": lasts}
    found: dict[int, int] = {first: number for number, first in execute(connection, _BEGIN, {**row, **said})}
    numbers = {call: found[qbench_id] for call, qbench_id in zip(calls, ids, strict=True) if qbench_id in found}
    return [numbers[call] for call in calls]


def end_calls(connection: Connection, state: CrmState, *, calls: list[int], doubtful: list[int], over_after: timedelta) -> None:
    """Forget writes that came back, but for the records of which it is not known what they made or, for so long, will make of them.

    And earlier ones of these records that make no difference beside them: where the CRM fails on a record, it does so each hour.
    """
    if doubtful:
        key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
        execute(connection, _ANSWERED, {"calls": calls, "doubtful": doubtful, "over_after": over_after})
        execute(connection, _FORGET_OTHERS, {**key, "calls": calls, "doubtful": doubtful})
    elif calls:
        execute(connection, "DELETE FROM crm_pipeline.open_call WHERE id = ANY(:calls)", {"calls": calls})


def open_accounts(connection: Connection, state: CrmState, *, ids: list[int]) -> None:
    """Store that the links of these contacts tell of an account which is still to be sent."""
    many = len(ids)
    begin_calls(connection, state, calls=[0] * many, ids=ids, contents=[NO_CONTENT] * many, parents=[None] * many, lasts=timedelta(0))


def forget_accounts(connection: Connection, state: CrmState, *, ids: list[int]) -> None:
    """Forget of contacts that their account is still to be sent: their links do not tell of it any more."""
    key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    execute(connection, _FORGET_ACCOUNTS, {**key, "ids": ids})


def untold_accounts(connection: Connection, state: CrmState) -> list[int]:
    """QBench ids of the contacts whose links tell of an account that is still to be sent: few, but while a load is under way."""
    key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    return list(connection.execute(text(_OPEN_ACCOUNTS), key).scalars())


def forget_calls(connection: Connection, state: CrmState, *, ids: list[int], with_accounts: bool) -> None:
    """Forget earlier writes of records that were written, or read, since: those that cannot be carried out any more.

    ``with_accounts``: their accounts were sent, too.
    """
    key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    execute(connection, _FORGET, {**key, "ids": ids, "with_accounts": with_accounts})


def open_calls(connection: Connection, state: CrmState, *, ids: list[int]) -> pd.DataFrame:
    """The writes of these QBench ids that may be, or may have been, carried out unseen (schemas.OPEN_CALLS)."""
    key = {"integration": state.integration, "crm": state.crm, "record_type": state.record_type}
    return fetch(connection, _OPEN, {**key, "ids": ids}, OPEN_CALLS)
