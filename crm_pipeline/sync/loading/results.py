"""What became of the rows that were sent: the CRM's results become outcomes and links; no I/O."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from crm_pipeline.errors import (
    AssociationPendingException,
    CrmFailsOnRecordException,
    EmailTakenException,
    ExistingRecordException,
    LinkConflictException,
    RecordError,
    ServiceFailedException,
    UnaccountedException,
    record_errors,
)
from crm_pipeline.frames import Flags, arrow_texts, blank, equal, instead
from crm_pipeline.mapping.values import over_uniques
from crm_pipeline.model import LinkOrigin, LinkStatus, Operation, Outcome, WaitsOn
from crm_pipeline.schemas import LINKS, OUTCOMES, WRITE_RESULTS
from crm_pipeline.sync.holders import who_holds
from crm_pipeline.sync.planning.reasons import joined

_OUTCOME_OF_OPERATION: Mapping[str, Outcome] = {
    Operation.CREATE: Outcome.CREATED,
    Operation.UPDATE: Outcome.UPDATED,
    Operation.LINK: Outcome.LINKED,
}


KEPT = "kept by the CRM"
"""Begins what an outcome says of the fields of a written row that hold another value than was sent."""

_LIVE = pa.scalar(str(LinkStatus.LIVE), pa.large_string())

UNCLEAR = [ServiceFailedException.__name__, UnaccountedException.__name__]
"""Errors after which nobody knows whether the CRM stored the row."""

MAY_BE_STORED = [*UNCLEAR, CrmFailsOnRecordException.__name__]
"""Errors after which the CRM may have stored the row: those, and that of one it failed on by itself."""


def refuse_held(results: pd.DataFrame, holders: pd.DataFrame, *, integration: str) -> pd.DataFrame:
    """The results with those as conflicts whose CRM record belongs to another QBench record, or to a row before (docs/rules.md, 1).

    A merge in the CRM, or a key that a record there carried already, can lead a write to such a record. ``holders``:
    schemas.HOLDERS.
    """
    written = instead(results["crm_id"], ~blank(results["error_type"]))
    if holders.empty and written.dropna().is_unique:
        return results
    holder = holders.set_index("crm_id").reindex(written).reset_index(drop=True)
    own = holder["qbench_id"].eq(results["qbench_id"]) & holder["integration"].eq(integration)
    held = holder["qbench_id"].notna() & ~own
    conflict = held | (written.notna() & written.duplicated())
    names_both = written + (" is linked to " + who_holds(holder, integration=integration)).where(held, "")
    return WRITE_RESULTS.build(
        results.assign(
            error_type=results["error_type"].mask(conflict, LinkConflictException.__name__),
            error_ids=results["error_ids"].mask(conflict, names_both),
        )
    )


def taken_over(rows: pd.DataFrame, results: pd.DataFrame) -> list[str]:
    """The CRM records that were written for a row which takes them over from a record deleted in QBench."""
    taken = equal(rows["origin"], LinkOrigin.TAKEN_OVER)
    ids: list[str] = rows.loc[taken & blank(results["error_type"]), "crm_id"].dropna().tolist() if taken.any() else []
    return ids


EXISTING = [ExistingRecordException.__name__, EmailTakenException.__name__]


def named_as_existing(results: pd.DataFrame) -> list[str]:
    """The CRM records that stand in the way of these rows, as far as an answer names exactly one."""
    if blank(results["error_ids"]).all():
        return []
    ids: list[str] = results.loc[results["error_type"].isin(EXISTING), "error_ids"].dropna().tolist()
    return ids


def name_left_behind(results: pd.DataFrame, left: pd.DataFrame) -> pd.DataFrame:
    """The results with those as conflicts where a record that was deleted in QBench holds the CRM record in the way (docs/rules.md, 26).

    ``left``: schemas.HOLDERS, the deleted ones.
    """
    named = in_the_way(results)
    deleted = named.map(left.set_index("crm_id")["qbench_id"]).astype("Int64")
    held = deleted.notna()
    if not held.any():
        return results
    names_both = named + " is linked to QBench id " + deleted.astype("str")
    error_type = results["error_type"].mask(held, LinkConflictException.__name__)
    return WRITE_RESULTS.build(results.assign(error_type=error_type, error_ids=results["error_ids"].mask(held, names_both)))


def in_the_way(results: pd.DataFrame) -> pd.Series:
    """The ids (str) of the CRM records that stand in the way of these rows; null where none does."""
    return results["error_ids"].where(results["error_type"].isin(EXISTING))


def refused(results: pd.DataFrame) -> pd.Series:
    """Which rows (bool) the CRM refused for what was sent, not for what is there already nor for a passing cause."""
    if blank(results["error_type"]).all():
        return pd.Series(False, index=results.index)
    passing = [name for name, error in record_errors().items() if error.retryable]
    return results["error_type"].notna() & ~results["error_type"].isin([*passing, *EXISTING, *MAY_BE_STORED])


def outcomes(rows: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """The outcome (schemas.OUTCOMES) of each sent row (plan.PLAN) from its result, row by row in the same order.

    An upsert that finds the record already there is a link, not a create (docs/rules.md, 3). A contact whose parent is still to
    be associated is failed for now, and retryable (docs/rules.md, 19).
    """
    if rows.empty:
        return OUTCOMES.empty()
    error_type = instead(results["error_type"], parent_open(rows, results), AssociationPendingException.__name__)
    done = instead(over_uniques(rows["operation"], _OUTCOME_OF_OPERATION.get), _found(rows, results), str(Outcome.LINKED))
    if not blank(error_type).all():
        errors = record_errors()
        outcome = error_type.map({name: str(error.outcome) for name, error in errors.items()}).fillna(done)
        retryable = error_type.map({name: error.retryable for name, error in errors.items()}).eq(True)
        refused_write = rows["write_digest"].where(error_type.notna())
    else:
        outcome, retryable, refused_write = done, pd.Series(False, index=rows.index), error_type
    return OUTCOMES.build(
        {
            "qbench_id": rows["qbench_id"],
            "version": rows["version"],
            "outcome": outcome,
            "error_type": error_type,
            "reason": _reasons(rows, results),
            **_waits(error_type, results["error_ids"], customer=rows["parent_qbench_id"]),
            "retryable": retryable,
            "state_digest": rows["state_digest"],
            "write_digest": refused_write,
        }
    )


def links(rows: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """The links (schemas.LINKS) of the rows that the CRM wrote; the parent is kept only once it was really sent."""
    written = blank(results["error_type"]) & ~blank(results["crm_id"])
    kept, answers = (rows, results) if written.all() else (rows[written], results[written])
    # A row with no parent to send keeps the parent it has; one whose parent is still to be associated has none yet.
    # Of a move that is still open the former one is kept: it is to be left later.
    parent = instead(kept["parent_qbench_id"], parent_open(kept, answers), kept["previous_parent_qbench_id"])
    return LINKS.build(
        {
            "qbench_id": kept["qbench_id"],
            "object": kept["object"],
            "crm_id": answers["crm_id"],
            "origin": instead(kept["origin"], _found(kept, answers), str(LinkOrigin.KEY)),
            "version": kept["version"],
            "digests": kept["digests"],
            "parent_qbench_id": parent,
            "status": arrow_texts(pa.repeat(_LIVE, len(kept)), kept.index),
        }
    )


def parent_open(rows: pd.DataFrame, results: pd.DataFrame) -> Flags:
    """Which rows (bool) are written, and their wanted parent did not go with the write."""
    wanted, written = ~blank(rows["parent_crm_id"]), blank(results["error_type"])
    still_open: Flags = wanted & written & ~results["parent_sent"].to_numpy()
    return still_open


def _found(rows: pd.DataFrame, results: pd.DataFrame) -> np.ndarray:
    """Creates of records that turned out to be there."""
    there: np.ndarray = ~results["created"].to_numpy(dtype=bool, na_value=True)
    return there & equal(rows["operation"], Operation.CREATE) if there.any() else there


def decided(rows: pd.DataFrame) -> pd.DataFrame:
    """The outcomes (schemas.OUTCOMES) of rows (plan.PLAN) that need no call."""
    return OUTCOMES.build(rows[OUTCOMES.names])


def failed(rows: pd.DataFrame, *, why: type[RecordError] = ServiceFailedException, code: str | None = None) -> pd.DataFrame:
    """Results (schemas.WRITE_RESULTS) of rows whose call failed as a whole; ``code``: of what it failed with."""
    same = {"error_type": why.__name__, "error_code": code}
    alike = {name: pd.Series(np.repeat(value, len(rows)), dtype="str") for name, value in same.items() if value}
    return WRITE_RESULTS.build({"qbench_id": rows["qbench_id"], **alike})


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """Results (schemas.WRITE_RESULTS) of rows that need no write: their records are as wanted, but for a contact's account."""
    return WRITE_RESULTS.build(rows[["qbench_id", "crm_id"]])


def existing(rows: pd.DataFrame, answer: pd.DataFrame) -> pd.Series:
    """Which of the sent rows (plan.PLAN) are creates whose result (schemas.WRITE_RESULTS) says that the record is there."""
    return rows["operation"].eq(Operation.CREATE) & answer["error_type"].eq(ExistingRecordException.__name__)


def named_ids(answer: pd.DataFrame) -> list[str]:
    """Every CRM id that the results name."""
    named = answer["error_ids"].dropna().str.split(", ").explode()
    return [str(crm_id) for crm_id in named.unique()]


def unread(answer: pd.DataFrame, crm_ids: set[str]) -> pd.DataFrame:
    """The results with those open that name one of these records, which the CRM fails to read: a match key may find them later."""
    named = answer["error_ids"].fillna("").map(lambda ids: not crm_ids.isdisjoint(ids.split(", "))).astype("bool")
    return WRITE_RESULTS.build(answer.assign(error_type=answer["error_type"].mask(named, CrmFailsOnRecordException.__name__)))


def _waits(error_type: pd.Series, ids: pd.Series, *, customer: pd.Series) -> dict[str, pd.Series]:
    """What must change for another try, and whose. Of a CRM record in the way, known by its id: that record's link, or the row's own."""
    if blank(error_type).all():
        return {"waits_on": error_type, "waits_for": error_type}
    waits_on = error_type.map({name: str(error.waits_on) for name, error in record_errors().items()})
    one_in_the_way = error_type.isin(EXISTING) & ids.notna() & ~ids.str.contains(",", na=False)
    return {
        "waits_on": waits_on.mask(one_in_the_way, str(WaitsOn.HOLDER)),
        "waits_for": customer.astype("Int64").astype("str").where(waits_on.eq(WaitsOn.CUSTOMER)).mask(one_in_the_way, ids),
    }


def _reasons(rows: pd.DataFrame, results: pd.DataFrame) -> pd.Series:
    labelled = [("code", results["error_code"]), ("fields", results["error_fields"]), ("ids", results["error_ids"])]
    if not blank(kept := results["kept"]).all():
        labelled.append((KEPT, kept.map(lambda values: ", ".join(sorted(values)), na_action="ignore").astype("str")))
    said = [f"{label}: " + part for label, part in labelled if not blank(part).all()]
    return joined(instead(rows["reason"], equal(rows["reason"], "")), *said, results["note"])
