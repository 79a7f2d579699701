"""Gives new CRM records their owners (docs/rules.md, 34): resolved once per load, sent with the create, never later."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import pandas as pd

from crm_pipeline.crms.abilities import OwnersCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import OwnerUnreadException
from crm_pipeline.mapping.owners import OWNER_RULES, applying_rule
from crm_pipeline.mapping.presets import owner_field
from crm_pipeline.model import Operation
from crm_pipeline.schemas import UNREAD
from crm_pipeline.sync.order import LoadOrder, usual_object
from crm_pipeline.sync.planning.accounts import Accounts
from crm_pipeline.sync.planning.plan import PLAN, Plan, undone
from crm_pipeline.sync.planning.reasons import joined

logger = logging.getLogger(__name__)

SAID: Mapping[str, str] = MappingProxyType({UNREAD: "the CRM fails to tell who the user is, the records wait for that"})
"""What is said of a problem that does not leave the owner out."""


class Owners:
    """The owners of one load's new records. Nothing is asked of the CRM before a record needs it.

    ``notes``: takes, by rule that gives no owner, how many records lack one. ``accounts``: those that contacts refer
    to, some of whose owners are known beforehand.
    """

    def __init__(self, order: LoadOrder, *, crm: Crm, notes: Counter[str], accounts: Accounts) -> None:
        self._order = order
        self._crm = crm
        self._notes = notes
        self._field = owner_field(order.crm)
        self._rules = [rule for rule in order.record.owner if order.crm in rule.users or rule.takes_accounts_owner]
        self._accounts = accounts

    def give(self, planned: Plan, normalized: pd.DataFrame) -> Plan:
        """The plan whose creates carry their owner; every plan of a load gets the owner's column.

        An owner that is unknown, inactive or ambiguous is left out: the row's reason names the field, a note the rule. A record
        whose owner the CRM fails to tell is not created: it would stay without one.
        """
        if not self._rules or self._field is None:
            return planned
        met = normalized.get(OWNER_RULES, pd.Series(None, index=normalized.index, dtype=object))
        rule = applying_rule(met, self._order.record.owner, crm=self._order.crm).where(planned.rows["operation"] == Operation.CREATE)
        owner_ids, problems = self._users(rule)
        if rule.isin(self._taking_accounts_owner).any():
            owner_ids, problems = self._owners_of_accounts(planned.rows, rule, owner_ids, problems, field=self._field)
        self._note_problems(rule, problems)
        unread = problems.eq(UNREAD).fillna(value=False).astype("bool")
        planned = with_owner(planned, owner_ids, field=self._field, left_out=problems.notna() & ~unread)
        if not unread.any():
            return planned
        return undone(planned, unread, error=OwnerUnreadException, reason="owner rule " + (rule + 1).astype("str"))

    @cached_property
    def _of_accounts(self) -> dict[str, str | None]:
        """The owners that are known, by the CRM id of their account."""
        return dict(self._accounts.owners)

    @property
    def _taking_accounts_owner(self) -> list[int]:
        return [position for position, rule in enumerate(self._order.record.owner) if rule.takes_accounts_owner]

    @cached_property
    def _resolved(self) -> pd.DataFrame:
        """schemas.OWNERS of every user that a rule names, by rule position."""
        users = {
            position: rule.users[self._order.crm] for position, rule in enumerate(self._order.record.owner) if self._order.crm in rule.users
        }
        owners = self._asked(list(users.values())).set_index("user")
        return owners.reindex(list(users.values())).set_axis(list(users))

    def _asked(self, users: list[str]) -> pd.DataFrame:
        if not isinstance(self._crm, OwnersCrm):
            raise TypeError(f"{self._order.crm} has a field for owners, so its client needs the method owners")
        return self._crm.owners(users)

    def _users(self, rule: pd.Series) -> tuple[pd.Series, pd.Series]:
        named = rule.where(~rule.isin(self._taking_accounts_owner))
        if not named.notna().any():
            nothing = pd.Series(None, index=rule.index, dtype="str")
            return nothing, nothing
        return named.map(self._resolved["owner_id"]).astype("str"), named.map(self._resolved["problem"]).astype("str")

    def _owners_of_accounts(
        self, rows: pd.DataFrame, rule: pd.Series, owner_ids: pd.Series, problems: pd.Series, *, field: str
    ) -> tuple[pd.Series, pd.Series]:
        accounts = rows["parent_crm_id"].where(rule.isin(self._taking_accounts_owner))
        unread = self._ask_accounts([account for account in accounts.dropna().unique() if account not in self._of_accounts], field=field)
        problems = problems.mask(accounts.isin(unread), UNREAD)
        owners = accounts.map(self._of_accounts).astype("str")
        asked = self._asked(owners.dropna().unique().tolist()).set_index("user") if owners.notna().any() else None
        if asked is None:
            return owner_ids, problems
        return owner_ids.fillna(owners.map(asked["owner_id"])), problems.fillna(owners.map(asked["problem"]))

    def _ask_accounts(self, accounts: list[str], *, field: str) -> set[str]:
        """Learn who owns these accounts; those that the CRM fails to read."""
        if not accounts:
            return set()
        held = self._crm.read(usual_object(self._order.state.accounts), accounts, [field])
        told = held["error_type"].isna()
        self._of_accounts.update(dict(zip(held.loc[told, "crm_id"], held.loc[told, field], strict=True)))
        return set(held.loc[~told, "crm_id"])

    def _note_problems(self, rule: pd.Series, problems: pd.Series) -> None:
        for (position, problem), count in rule.groupby([rule, problems]).size().items():
            note = f"owner rule {int(position) + 1}: {SAID.get(problem, f'the user is {problem}, the owner is left out')}"
            if note not in self._notes:
                logger.warning("%s %s %ss: %s", self._order.integration, self._order.crm, self._order.record.record_type, note)
            self._notes[note] += int(count)


def with_owner(planned: Plan, owner_ids: pd.Series, *, field: str, left_out: pd.Series) -> Plan:
    """The plan with a column for the owner, sent where there is one; the reason names it where it was ``left_out``."""
    omitted = pd.Series(f"omitted: {field}", index=planned.rows.index, dtype="str").where(left_out)
    rows = planned.rows.assign(reason=joined(planned.rows["reason"], omitted))
    return Plan(
        PLAN.build(rows), planned.values.assign(**{field: owner_ids.astype("str")}), planned.sent.assign(**{field: owner_ids.notna()})
    )
