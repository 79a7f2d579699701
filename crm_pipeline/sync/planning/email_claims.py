"""Which contacts claim an email address in one CRM? Gathers the claims; emails.py decides between them.

A claim rests on the staged records and on links only, never on outcomes: who wins does not depend on the order in which records
were loaded, and two contacts can never wait for each other. So a create that the CRM refused for good keeps its claim until its
record changes.
"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import looked_up
from crm_pipeline.mapping.digests import NO_DIGEST, digest_frame, digests, nullable
from crm_pipeline.mapping.presets import preset_field
from crm_pipeline.model import MODELS
from crm_pipeline.store import emails as store_emails
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.links.usable import UNUSABLE
from crm_pipeline.sync.planning import emails
from crm_pipeline.sync.planning.eligibility import parent_crm_ids
from crm_pipeline.sync.planning.plan import Plan


def contenders(connection: Connection, state: CrmState, *, addresses: pd.Series, ids: pd.Series) -> pd.DataFrame:
    """Who could claim the addresses of these contacts (store.emails.CONTENDERS), over all staged ones, but for who alone has its own."""
    given = addresses.notna()
    return store_emails.contenders(
        connection,
        state,
        emails=addresses[given].tolist(),
        asking=ids[given].tolist(),
        email_field=_field(state),
        required=MODELS[state.record_type].required_to_create,
        unusable=UNUSABLE,
    )


def winners(addresses: pd.Series, found: pd.DataFrame, parents: pd.DataFrame) -> pd.Series:
    """Per row the QBench id to which its address belongs (Int64), null where nobody claims it, or nobody else has it.

    ``found``: their contenders. ``parents``: eligibility.PARENTS of the contenders.
    """
    if found.empty:
        return pd.Series(pd.NA, index=addresses.index, dtype="Int64")
    eligible = found["able"] & parent_crm_ids(found["customer_id"], parents).notna()
    wanted = nullable(digests(addresses.to_frame("email"))["email"])
    return emails.winners(addresses, wanted, emails.CLAIMS.build(found.assign(eligible=eligible)))


def given_up(state: CrmState, *, frame: pd.DataFrame, links: pd.DataFrame, digests: pd.DataFrame, verdicts: pd.DataFrame) -> set[int]:
    """The addresses (digests) that linked contacts, which may sync, held so far and are given another one for.

    ``frame``: normalized rows, of which ``digests`` (of their payload) and ``verdicts`` (eligibility.VERDICTS) have one row each.
    ``links``: schemas.LINKS.
    """
    field = _field(state)
    if field not in digests or links.empty:
        return set()
    held, wanted = _held(field, links=links, ids=frame["qbench_id"]), nullable(digests[field])
    older = frame["version"] < frame["qbench_id"].map(links.set_index("qbench_id")["version"])
    leaves = verdicts["error_type"].isna() & ~older & held.ne(wanted).fillna(value=False)
    return set(held[leaves].tolist())


def marked(planned: Plan, state: CrmState, *, links: pd.DataFrame, digests: pd.DataFrame) -> Plan:
    """A plan of contacts with the addresses that its writes give up and take (emails.with_emails).

    ``links``: schemas.LINKS. ``digests``: of the rows' payload.
    """
    field = _field(state)
    none = pd.Series(NO_DIGEST, index=digests.index, dtype="int64")
    held = _held(field, links=links, ids=planned.rows["qbench_id"])
    return emails.with_emails(planned, held=held, wanted=nullable(digests.get(field, none)))


def _held(field: str, *, links: pd.DataFrame, ids: pd.Series) -> pd.Series:
    """Per id the digest (Int64) of the address last sent for it; as floats, beside the nulls, digests would be rounded."""
    if links.empty:
        return pd.Series(pd.NA, index=ids.index, dtype="Int64")
    held = nullable(digest_frame(links["digests"], [field])[field])
    return looked_up(ids, pd.DataFrame({"qbench_id": links["qbench_id"], field: held}), field)


def _field(state: CrmState) -> str:
    return preset_field(state.crm, state.record_type, "email") or ""
