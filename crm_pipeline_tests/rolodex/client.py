"""Rolodex as crm-pipeline sees it: the Crm protocol, without its optional parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pandas as pd

from crm_pipeline import (
    CRM_FIELDS,
    FOUND,
    Alone,
    Capabilities,
    CrmFailsOnRecordException,
    CrmObject,
    Limits,
    RecordType,
    UnexpectedAnswerError,
    Write,
    WriteResult,
    code_of,
    in_halves,
    read_in_halves,
)

from . import KIND, RolodexSettings
from .transport import SERVICE, Transport

ASKED_AT_ONCE = 200
FAILS = CrmFailsOnRecordException.__name__

ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "no_such_field": "MappingRefusedException",
        "not_an_option": "InvalidOptionException",
        "too_long": "ValueTooLongException",
        "not_an_email": "InvalidValueException",
        "missing": "RequiredFieldException",
        "gone": "DeletedInCrmException",
        "no_such_firm": "ParentNotFoundException",
        "taken": "DuplicateRecordException",
    }
)
"""Rolodex's error codes, and what they are here."""
OF_THE_VALUE = frozenset({"not_an_option", "too_long", "not_an_email"})

Row = dict[str, Any]


class RolodexCrm:
    """One organization of Rolodex."""

    def __init__(self, settings: RolodexSettings, integration: str, *, capabilities: Capabilities = KIND.capabilities) -> None:
        self.capabilities = capabilities
        self._settings = settings
        self._integration = integration
        self._transport = Transport(settings, integration)
        self._fields: dict[str, pd.DataFrame] = {}
        self.calls = self._transport.calls
        self.late_after = timedelta(seconds=settings.late_seconds)
        self.call_lasts = settings.attempts * timedelta(seconds=settings.timeout_seconds + settings.waits.longest_seconds)

    def limits(self) -> Limits:
        """Rolodex has none."""
        return Limits(daily_used=None, daily_total=None, calls_per_second=None)

    def organization(self) -> str:
        """The organization's id."""
        return str(self._transport.ask("GET", "/me", label="sign_in", holds="organization")[0])

    def fields(self, crm_object: CrmObject) -> pd.DataFrame:
        """The object's fields (schemas.CRM_FIELDS), asked once."""
        if crm_object.name not in self._fields:
            told, _ = self._transport.ask("GET", f"/{crm_object.name}/fields", label="describe", holds="fields")
            self._fields[crm_object.name] = CRM_FIELDS.build(pd.DataFrame(told))
        return self._fields[crm_object.name]

    def has_keyed_records(self, crm_object: CrmObject) -> bool:
        """Whether any record carries the external key."""
        key = self._settings.external_key
        return key is not None and self.has_values(crm_object, key)

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field."""
        return bool(self._page(crm_object, field, after="", rows=1))

    def find(self, crm_object: CrmObject, field: str, values: list[str]) -> pd.DataFrame:
        """Records whose field equals one of the values (schemas.FOUND); Rolodex compares without case."""
        asked = list(dict.fromkeys(values))
        records, failed = self._having(crm_object, field, asked)
        by_value: dict[str, list[Row]] = {}
        for record in records:
            by_value.setdefault(_compared(record["values"][field]), []).append(record)
        found = [self._found(record, value) for value in asked for record in by_value.get(_compared(value), [])]
        return FOUND.build(pd.DataFrame([*found, *({"value": value, "error_type": FAILS} for value in failed)], columns=FOUND.names))

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field (schemas.FOUND)."""
        after = ""
        while page := self._page(crm_object, field, after=after, rows=ASKED_AT_ONCE):
            yield FOUND.build(pd.DataFrame([self._found(record, record["values"][field]) for record in page], columns=FOUND.names))
            after = page[-1]["id"]

    def read(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Current values; no row for a record that is gone."""
        records, failed = self._asked(f"/{crm_object.name}/read", "ids", list(dict.fromkeys(crm_ids)), {})
        rows = [
            {"crm_id": one["id"], "parent_crm_id": one["firm_id"], **{name: one["values"].get(name) for name in fields}, "error_type": None}
            for one in records
        ]
        rows += [{"crm_id": crm_id, "error_type": FAILS} for crm_id in failed]
        return pd.DataFrame(rows, columns=["crm_id", "parent_crm_id", *fields, "error_type"]).astype(
            {"crm_id": "str", "parent_crm_id": "str", "error_type": "str"}
        )

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write a batch, a call for each kind of row; a person's firm goes with the verbs that may carry it."""
        key_field, results = self._settings.external_key, list[WriteResult]()
        groups: dict[str, list[Row]] = {}
        for one in writes:
            keyed = {key_field: one.key} if key_field and one.key is not None else {}
            firm_id = one.parent_crm_id if one.verb in self.capabilities.parent_goes_with else None
            if one.crm_id and not one.payload and not keyed and firm_id is None:
                results.append(WriteResult(one.qbench_id, one.crm_id))
                continue
            action = "update" if one.crm_id else "upsert" if keyed else "create"
            sent = {"id": one.crm_id, "by": key_field if action == "upsert" else None, "values": {**one.payload, **keyed}}
            groups.setdefault(action, []).append({"qbench_id": one.qbench_id, "sent": {**sent, "firm_id": firm_id}})
        for action, rows in groups.items():
            results += self._write(f"/{crm_object.name}/{action}", rows, label="write", repeatable=action != "create")
        return results

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Give people their firm; the one before is left by that."""
        moved = [
            {"qbench_id": row.qbench_id, "sent": {"id": row.crm_id, "by": None, "values": {}, "firm_id": row.parent_crm_id}}
            for row in rows.itertuples()
        ]
        return self._write("/people/update", moved, label="associate", repeatable=True)

    def resolve_intents(self, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
        """The records made since the intents with the name, or email, that was sent: columns ``qbench_id``, ``crm_id``."""
        field = "email" if crm_object.record_type is RecordType.CONTACT else "name"
        names = [str(sent[field]) for sent in intents["sent"]]
        records, failed = self._having(crm_object, field, list(dict.fromkeys(names)))
        found: list[tuple[int, str | None]] = []
        for qbench_id, name, since in zip(intents["qbench_id"], names, intents["created_at"], strict=True):
            made = [one for one in records if _compared(one["values"][field]) == _compared(name) and one["created"] >= since.timestamp()]
            found += [(qbench_id, None)] if name in failed else [(qbench_id, one["id"]) for one in made]
        return pd.DataFrame(
            {
                "qbench_id": pd.Series([one for one, _ in found], dtype="int64"),
                "crm_id": pd.Series([crm_id for _, crm_id in found], dtype="str"),
            }
        )

    def settles_after(self, crm_object: CrmObject, *, answered: bool = False) -> timedelta:  # noqa: ARG002 - alike for both
        """Until the create's call must be over: what it made is found at once."""
        return timedelta(0) if answered else self.late_after + timedelta(seconds=self._settings.timeout_seconds)

    def is_up(self) -> bool:
        """Whether Rolodex answers now."""
        return self._transport.is_up()

    def record_url(self, crm_object: CrmObject, crm_id: str, *, org_id: str) -> str:  # noqa: ARG002 - it is one for all
        """The record's page."""
        return f"{self._settings.url}/{crm_object.name}/{crm_id}"

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _page(self, crm_object: CrmObject, field: str, *, after: str, rows: int) -> list[Row]:
        body = {"field": field, "after": after, "rows": rows}
        records: list[Row] = self._transport.ask("POST", f"/{crm_object.name}/scan", body, label="read", holds="records")[0]
        return records

    def _found(self, record: Row, value: str) -> Row:
        key = record["values"].get(self._settings.external_key)
        return {"value": value, "crm_id": record["id"], "key": key, "parent_crm_id": record["firm_id"]}

    def _having(self, crm_object: CrmObject, field: str, values: list[str]) -> tuple[list[Row], set[str]]:
        return self._asked(f"/{crm_object.name}/find", "values", values, {"field": field})

    def _asked(self, path: str, name: str, items: list[str], more: Mapping[str, Any]) -> tuple[list[Row], set[str]]:
        """The records that are answered, and the items on which Rolodex fails."""

        def send(part: Sequence[str], /, *, again: bool) -> list[Row]:
            body = {**more, name: list(part)}
            answer = self._transport.ask("POST", path, body, label="read", holds="records", repeatable=not again, divisible=len(part) > 1)
            records: list[Row] = answer[0]
            return records

        batches = (items[start : start + ASKED_AT_ONCE] for start in range(0, len(items), ASKED_AT_ONCE))
        answers, failed = read_in_halves(batches, send, is_up=self.is_up)
        return [record for answer in answers for record in answer], set(failed)

    def _write(self, path: str, rows: list[Row], *, label: str, repeatable: bool) -> list[WriteResult]:
        def send(part: Sequence[Row], /, *, again: bool) -> list[WriteResult]:
            body, again_as_it_is = {"records": [row["sent"] for row in part]}, repeatable and not again
            answers, repeated = self._transport.ask(
                "POST",
                path,
                body,
                label=label,
                holds="results",
                repeatable=again_as_it_is,
                divisible=repeatable and len(part) > 1,
            )
            if len(answers) != len(part):
                raise UnexpectedAnswerError(f"{path} answers for other rows", integration=self._integration, service=SERVICE)
            return [_result(row, answer, repeated=repeated or again) for row, answer in zip(part, answers, strict=True)]

        results: list[WriteResult] = []
        for part in in_halves(rows, send, repeatable=repeatable, is_up=self.is_up):
            if isinstance(part, Alone):
                results.append(WriteResult(part.item["qbench_id"], error_type=FAILS, error_code=code_of(part.error)))
            else:
                results += part.answer
        return results


def _result(row: Row, answer: Row, *, repeated: bool) -> WriteResult:
    if "error" in answer:
        code = answer["error"]
        return WriteResult(
            row["qbench_id"],
            error_type=ERRORS.get(code, "RecordRefusedException"),
            error_code=code,
            error_fields=answer.get("field"),
            value_refused=code in OF_THE_VALUE,
        )
    # A record that an attempt before made is found by the next: whether it is new is not known.
    created = None if repeated and not answer["created"] else answer["created"]
    return WriteResult(row["qbench_id"], answer["id"], created, parent_sent=row["sent"]["firm_id"] is not None)


def _compared(value: object) -> str:
    """As Rolodex compares values."""
    return " ".join(str(value).lower().split())
