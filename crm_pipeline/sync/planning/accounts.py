"""Which accounts can be the parents of contacts? Asks the state and decides nothing; sync.planning.eligibility does that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.schemas import OUTCOMES
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.normalized_records import staged_errors
from crm_pipeline.sync.links.usable import account_crm_ids
from crm_pipeline.sync.planning import eligibility


class Accounts(Protocol):
    """What became of accounts in the CRM, or will by the time that their contacts are written; of contacts, whose leads are."""

    @property
    def owners(self) -> Mapping[str, str | None]:
        """Owners of accounts that the CRM cannot be asked for, since it does not hold them yet, by their CRM id."""
        ...

    def checked_links(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The links (schemas.CHECKED_LINKS) of these QBench ids."""
        ...

    def outcomes(self, connection: Connection, *, ids: list[int]) -> pd.DataFrame:
        """The latest outcomes (schemas.OUTCOMES) of these QBench ids."""
        ...


def parents_of(connection: Connection, state: CrmState, *, accounts: Accounts, customer_ids: pd.Series) -> pd.DataFrame:
    """What the parents of contacts, whose state it is, are in the CRM (eligibility.PARENTS).

    ``customer_ids``: QBench ids of the contacts' customers, which may repeat and be null.
    """
    unique = customer_ids.dropna().astype("int64").unique().tolist()
    errors = staged_errors(connection, state.integration, state.accounts.record_type, ids=unique)
    links = accounts.checked_links(connection, ids=unique)
    # What became last of one that can be used decides nothing.
    rest = sorted(set(unique).difference(account_crm_ids(links).dropna().index))
    outcomes = accounts.outcomes(connection, ids=rest) if rest else OUTCOMES.empty()
    return eligibility.known_parents(customer_ids, links, outcomes, errors=errors)
