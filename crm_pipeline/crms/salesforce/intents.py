"""Which records the creates of open intents made (docs/rules.md, 4): found by what was sent, who created it, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, LEADS
from crm_pipeline.crms.salesforce.queries import SelectIn, compare
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.frames import Column, FrameSchema

IDENTIFYING_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {ACCOUNTS.name: ("Name",), CONTACTS.name: ("Email", "LastName", "AccountId"), LEADS.name: ("Email", "LastName", "Company")}
)
"""By object, what tells a record that an intent made; the first field is the one asked for, every record that syncs has it."""

PARENT_IN_INTENT: Mapping[str, str] = MappingProxyType({"AccountId": "parent_crm_id"})
CLOCK_SKEW = pd.Timedelta(minutes=5)
"""How far our clock may be ahead of Salesforce's; assumed."""

RESOLVED = FrameSchema(
    "resolved_intents",
    (Column("qbench_id", "int64", "QBench id"), Column("crm_id", "str", "id of a record that the create may have made")),
)


def matching_intents(transport: SalesforceTransport, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
    """The records (columns ``qbench_id``, ``crm_id``) that may be the intents' (schemas.INTENTS), a row for each."""
    if intents.empty:
        return RESOLVED.empty()
    fields = IDENTIFYING_FIELDS[crm_object.name]
    wanted = _wanted(intents, fields)
    records, failed = _created_by_us(transport, crm_object.name, fields, wanted, since=intents["created_at"].min() - CLOCK_SKEW)
    matches = wanted.merge(records, on=list(fields))
    matches = matches[matches["CreatedDate"] >= matches["created_at"] - CLOCK_SKEW]
    untold = wanted.loc[wanted["asked"].isin(failed), ["qbench_id"]].assign(crm_id=None)
    matches = matches.rename(columns={"Id": "crm_id"})[RESOLVED.names]
    return RESOLVED.build(pd.concat([matches, untold], ignore_index=True) if failed else matches)


def _wanted(intents: pd.DataFrame, fields: tuple[str, ...]) -> pd.DataFrame:
    sent = {
        name: intents["sent"].map(lambda values, name=name: values.get(PARENT_IN_INTENT.get(name, name)) or values.get(name))
        for name in fields
    }
    return pd.DataFrame(
        {
            "qbench_id": intents["qbench_id"],
            "created_at": intents["created_at"],
            "asked": sent[fields[0]].astype("str"),
            **{name: _comparable(name, values) for name, values in sent.items()},
        }
    )


def _created_by_us(
    transport: SalesforceTransport, sobject: str, fields: tuple[str, ...], wanted: pd.DataFrame, *, since: pd.Timestamp
) -> tuple[pd.DataFrame, set[str]]:
    """The records that our user created since then, of those asked for, and the values on which Salesforce fails."""
    where = [compare("CreatedById", "=", transport.user_id()), compare("CreatedDate", ">=", since.to_pydatetime())]
    statement = SelectIn(sobject, ["Id", "CreatedDate", *fields], fields[0], where)
    records, failed = transport.query_in(statement, wanted["asked"].dropna())
    frame = pd.DataFrame(records, columns=["Id", "CreatedDate", *fields])
    created = pd.to_datetime(frame["CreatedDate"], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return frame.assign(CreatedDate=created, **{name: _comparable(name, frame[name]) for name in fields}), failed


def _comparable(name: str, values: pd.Series) -> pd.Series:
    """Text as Salesforce keeps it (trimmed) without case; ids by their first 15 characters; a null as an empty text."""
    text = values.astype("str").fillna("").str.strip()
    return text.str.slice(0, 15) if name.endswith("Id") else text.str.casefold()
