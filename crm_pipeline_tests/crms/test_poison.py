"""One record on which a CRM fails, or which it refuses, in a batch of others: by every path, in every way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, cast

import pandas as pd
import pytest

from crm_pipeline.crms.abilities import ChangesCrm, ConvertingCrm, EditsCrm, OwnersCrm, VersionsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.crms.examining import examined, left_since
from crm_pipeline.errors import ServiceError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.schemas import UNREAD
from crm_pipeline.testing.batches import Put, associations_of, intents_of, valid, writes_of
from crm_pipeline.testing.bench import Bench

ACCOUNT, CONTACT, LEAD = RecordType
MANY = 12
BAD = 4
"""The place of the record that is not like the others."""
POISON = "Zaphod"
ATTEMPTS = 2
"""Of one call, as the benches connect."""

BODIES: Mapping[str, Any] = MappingProxyType(
    {
        "salesforce": [{"errorCode": "OF_ITS_OWN", "message": "no"}],
        "hubspot": {"status": "error", "category": "OF_ITS_OWN", "message": "no"},
        "sugarcrm": {"name": "Access Denied", "number": 40, "description": "no"},
    }
)
REFUSALS = (400, 403, 404, 405, 409, 412, 413, 414, 415, 422, 431)
FAILURES = (500, 502, 503, 504, "html", "drop_before", "bend")
"""Statuses and kinds of a call that may have been carried out."""
ALL_WAYS: tuple[int | str, ...] = (*REFUSALS, *FAILURES)
USUAL_WAYS: tuple[int | str, ...] = (400, 403, 500, 504, "html", "drop_before", "bend")
FEW_WAYS: tuple[int | str, ...] = (400, 404, 500, "bend")
TRIED_THROUGHOUT = frozenset({"find by email", "upsert", "create"})
"""Paths that are tried in every way; other writes, and what takes many calls, in a few, to save time."""


ALIKE: Mapping[str, tuple[tuple[int | str, ...], tuple[int | str, ...]]] = {
    "sugarcrm": ((400, 403, 413, 500, 504, "html", "drop_before"), (403, 500))
}
"""Ways of a CRM whose refusals are alike, whatever their status: one of each, and fewer of what is not tried throughout."""


def ways_of(path: str, crm: str) -> tuple[int | str, ...]:
    if crm in ALIKE:
        return ALIKE[crm][path not in TRIED_THROUGHOUT]
    if path in TRIED_THROUGHOUT:
        return ALL_WAYS
    return FEW_WAYS if path in {*WRITES, *SEARCHED} else USUAL_WAYS


@pytest.fixture(autouse=True)
def no_pace_of_searches(sandbox: Sandbox) -> None:
    sandbox.portal.search_calls = None


def unhurried(bench: Bench, **settings: Any) -> Crm:
    """An adapter that waits for no pace of searches."""
    return bench.connect(**({"limits": {"searches_per_second": 1_000}} if bench.kind.name == "hubspot" else {}), **settings)


def fault(bench: Bench, way: int | str, *, holding: str | None = None, showing: str | None = None) -> Fault:
    """A fault in the service's own form; 502, and a page in the place of an answer, are a gateway's."""
    where: dict[str, Any] = {"service": bench.kind.name, "holding": holding, "returning": showing, "times": None}
    if way == "bend":
        return Fault(kind="bend", bend=lambda _answer: {"never": "heard of"}, **where)
    if isinstance(way, str):
        return Fault(kind=way, **where)  # type: ignore[arg-type]
    if way == 502:
        return Fault(kind="html", status=way, **where)
    # SugarCRM tells its own errors with the status of success.
    own = 200 if bench.kind.name == "sugarcrm" and way == 403 else way
    return Fault(status=own, body=BODIES[bench.kind.name], **where)


@dataclass(frozen=True)
class Reading:
    """A call that is to tell of several items, and what it says of each: null, or an error's name; one of which nothing is said is missing.

    ``poison``: what the request for the bad item alone holds, or else what only an answer that ``shows`` it holds.
    """

    call: Callable[[Crm], Mapping[str, str | None]]
    items: Sequence[str]
    poison: str
    shows: bool = False
    key: str | None = "usual"

    def connect(self, bench: Bench) -> Crm:
        return unhurried(bench, **({} if self.key else {"external_key": None}))

    def fault(self, bench: Bench, way: int | str) -> Fault:
        """What befalls each call for the bad item."""
        return fault(bench, way, showing=self.poison) if self.shows else fault(bench, way, holding=self.poison)


def errors_by(frame: pd.DataFrame, column: str) -> dict[str, str | None]:
    rows = frame.astype("object").where(frame.notna(), None)
    return dict(zip(map(str, rows[column]), rows["error_type"], strict=True))


def errors_of(results: list[WriteResult]) -> dict[str, str | None]:
    return {str(one.qbench_id): one.error_type for one in results}


def made(bench: Bench, record_type: RecordType) -> list[str]:
    return [bench.add(record_type, valid(bench, record_type, number) | {bench.key: f"key-{number}"}) for number in range(10, 10 + MANY)]


def find(bench: Bench, record_type: RecordType, field: str, form: str) -> Reading:
    made(bench, record_type)
    values = [form.format(number) for number in range(10, 10 + MANY)]
    return Reading(lambda crm: errors_by(crm.find(bench.object(record_type), field, values), "value"), values, values[BAD])


def read(bench: Bench, record_type: RecordType) -> Reading:
    ids = made(bench, record_type)
    return Reading(
        lambda crm: errors_by(crm.read(bench.object(record_type), ids, [bench.fields[record_type].match]), "crm_id"), ids, ids[BAD]
    )


def examine(bench: Bench, record_type: RecordType) -> Reading:
    ids = made(bench, record_type)

    def states(crm: Crm) -> dict[str, str | None]:
        found = examined(crm, bench.object(record_type), ids, key=bench.key)
        assert set(found["state"]) <= {"live"}
        return dict.fromkeys(found["crm_id"])

    return Reading(states, ids, ids[BAD])


def converted(bench: Bench) -> Reading:
    """Leads that people converted. Of a CRM that keeps none, contacts are read."""
    if bench.convert is None:
        return read(bench, CONTACT)
    ids = made(bench, LEAD)
    for lead in ids:
        bench.convert(lead)
    return Reading(lambda crm: errors_by(cast(ConvertingCrm, crm).converted(bench.object(LEAD), ids), "crm_id"), ids, ids[BAD])


def changed(bench: Bench, record_type: RecordType) -> Reading:
    ids = made(bench, record_type)
    fields = [bench.fields[record_type].match]

    def told(crm: Crm) -> dict[str, str | None]:
        until = datetime.now(UTC) + timedelta(hours=1)
        frames = [frame for _, frame in cast(ChangesCrm, crm).changed({bench.object(record_type): fields}, since=None, until=until)]
        return dict.fromkeys(crm_id for frame in frames for crm_id in frame.loc[frame["error_type"].isna(), "crm_id"])

    return Reading(told, ids, ids[BAD], shows=True)


def edits(bench: Bench, record_type: RecordType) -> Reading:
    ids, field = made(bench, record_type), bench.fields[record_type].text
    for crm_id in ids:
        cast(Callable[..., None], bench.edit)(record_type, crm_id, {field: "Edited"})
    return Reading(lambda crm: dict.fromkeys(cast(EditsCrm, crm).edits(bench.object(record_type), ids, [field])["crm_id"]), ids, ids[BAD])


def versions(bench: Bench) -> Reading:
    """Of contacts: Salesforce keeps none of the accounts' long text. A CRM that tells no versions is asked for edits."""
    ids, field = made(bench, CONTACT), bench.fields[CONTACT].text
    for crm_id in ids:
        cast(Callable[..., None], bench.edit)(CONTACT, crm_id, {field: "Edited"})
    since = datetime.now(UTC) - timedelta(days=1)

    def told(crm: Crm) -> dict[str, str | None]:
        if not isinstance(crm, VersionsCrm):
            return dict.fromkeys(cast(EditsCrm, crm).edits(bench.object(CONTACT), ids, [field])["crm_id"])
        return dict.fromkeys(crm.versions(bench.object(CONTACT), ids, [field], since=since)["crm_id"])

    return Reading(told, ids, ids[BAD])


def left(bench: Bench) -> Reading:
    """Records that were merged away."""
    ids = made(bench, ACCOUNT)
    winners = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(50, 50 + MANY)]
    for winner, loser in zip(winners, ids, strict=True):
        bench.merge(ACCOUNT, winner, loser)
    since = datetime.now(UTC) - timedelta(days=1)
    return Reading(lambda crm: dict.fromkeys(set(left_since(crm, bench.object(ACCOUNT), since)) & set(ids)), ids, ids[BAD], shows=True)


def intents(bench: Bench, record_type: RecordType) -> Reading:
    match = bench.fields[record_type].match
    sent = {number: valid(bench, record_type, number) for number in range(10, 10 + MANY)}
    with closing(bench.connect(external_key=None)) as crm:
        results = crm.write(bench.object(record_type), writes_of(*(Put(number, values) for number, values in sent.items())))
        ids = {one.qbench_id: str(one.crm_id) for one in results}

    def told(crm: Crm) -> dict[str, str | None]:
        found = crm.resolve_intents(bench.object(record_type), intents_of(*sent.items()))
        return {str(row.qbench_id): "untold" if pd.isna(row.crm_id) else None for row in found.itertuples()}

    items = [str(number) for number in sent]
    if bench.kind.capabilities.own_ids:
        return Reading(told, items, ids[10 + BAD], key=None)
    return Reading(told, items, str(sent[10 + BAD][match]), shows=record_type is ACCOUNT, key=None)


ADD_OWNER: Mapping[str, Callable[[Sandbox, str], str]] = MappingProxyType(
    {
        "salesforce": lambda sandbox, name: sandbox.org.add_user(username=name, last_name="Owner"),
        "hubspot": lambda sandbox, name: sandbox.portal.add_owner(name),
        "sugarcrm": lambda sandbox, name: cast(SugarSite, sandbox.site).add_user(name, last_name="Owner"),
    }
)


def owners(bench: Bench, sandbox: Sandbox, *, by: Literal["name", "id"]) -> Reading:
    names = [f"owner{number}@example.com" for number in range(10, 10 + MANY)]
    ids = [ADD_OWNER[bench.kind.name](sandbox, name) for name in names]
    users = names if by == "name" else ids

    def told(crm: Crm) -> dict[str, str | None]:
        found = cast(OwnersCrm, crm).owners(users)
        known = found[found["problem"].isna()]
        assert set(known["owner_id"]) <= set(ids)
        assert set(found["problem"].dropna()) <= {UNREAD}
        return errors_by(found.rename(columns={"problem": "error_type"}), "user")

    return Reading(told, users, names[BAD] if by == "name" else ids[BAD], shows=True)


READINGS: Mapping[str, Callable[[Bench, Sandbox], Reading]] = MappingProxyType(
    {
        "find by key": lambda bench, _: find(bench, ACCOUNT, bench.key, "key-{}"),
        "find by email": lambda bench, _: find(bench, CONTACT, bench.fields[CONTACT].match, "person{}@example.com"),
        "find by name": lambda bench, _: find(bench, ACCOUNT, bench.fields[ACCOUNT].match, "Laboratory {}"),
        "read accounts": lambda bench, _: read(bench, ACCOUNT),
        "read contacts": lambda bench, _: read(bench, CONTACT),
        "examine accounts": lambda bench, _: examine(bench, ACCOUNT),
        "examine contacts": lambda bench, _: examine(bench, CONTACT),
        "converted leads": lambda bench, _: converted(bench),
        "records that left": lambda bench, _: left(bench),
        "changes of accounts": lambda bench, _: changed(bench, ACCOUNT),
        "changes of contacts": lambda bench, _: changed(bench, CONTACT),
        "edits of accounts": lambda bench, _: edits(bench, ACCOUNT),
        "edits of contacts": lambda bench, _: edits(bench, CONTACT),
        "versions of contacts": lambda bench, _: versions(bench),
        "intents of accounts": lambda bench, _: intents(bench, ACCOUNT),
        "intents of contacts": lambda bench, _: intents(bench, CONTACT),
        "owners by name": lambda bench, sandbox: owners(bench, sandbox, by="name"),
        "owners by id": lambda bench, sandbox: owners(bench, sandbox, by="id"),
    }
)
"""Every call of the protocol that reads records (crms.base.Crm) but for a scan, which is below. What asks for the account, or for an
object's fields (``organization``, ``fields``, ``is_up``), has no record in it that could be passed over."""

SILENT = frozenset(
    {
        "examine accounts",
        "examine contacts",
        "records that left",
        *(f"{what} of {of}" for what in ("changes", "edits", "versions") for of in ("accounts", "contacts")),
    }
)
"""Readings that give nothing in the place of what cannot be read."""

SEARCHED = frozenset({"records that left", "intents of accounts", "changes of accounts", "changes of contacts"})
"""Readings that may ask for more than the bad item, by ranges of ids."""

ONE_BY_ONE = frozenset({"owners by name", "owners by id"})
"""Readings that are carried out item by item where they fail, there being no other way and few items."""


@pytest.mark.parametrize("path", READINGS)
def test_record_on_which_a_reading_fails_is_named_and_the_others_are_read(bench: Bench, sandbox: Sandbox, path: str) -> None:
    reading, journal, faults = READINGS[path](bench, sandbox), bench.journal, bench.faults
    bad = reading.items[BAD]
    with closing(reading.connect(bench)) as crm:
        assert reading.call(crm) == dict.fromkeys(reading.items)
        usual = len(journal.calls())
    for way in ways_of(path, bench.kind.name):
        faults.clear()
        with closing(reading.connect(bench)) as crm:
            crm.organization()
            faults.add(reading.fault(bench, way))
            before = len(journal.calls())
            told = reading.call(crm)
            calls = len(journal.calls()) - before
        assert {item for item, error in told.items() if error} == (set() if path in SILENT else {bad}), way
        assert set(reading.items) - set(told) == ({bad} if path in SILENT else set()), way
        parts = DIGITS if path in SEARCHED else MANY if path in ONE_BY_ONE else math.log2(MANY)
        assert calls <= usual + 2 * ATTEMPTS + 2 * parts + 2, way


@pytest.mark.parametrize("path", READINGS)
def test_service_that_fails_on_every_reading_is_down_after_a_few_calls(bench: Bench, sandbox: Sandbox, path: str) -> None:
    reading, journal, faults = READINGS[path](bench, sandbox), bench.journal, bench.faults
    for way in ways_of(path, bench.kind.name)[::2]:
        faults.clear()
        with closing(reading.connect(bench)) as crm:
            crm.organization()
            faults.add(fault(bench, way))
            before = len(journal.calls())
            with pytest.raises(ServiceError):
                reading.call(crm)
        assert len(journal.calls()) - before <= ATTEMPTS + 2 * math.log2(MANY) + 2, way


@pytest.mark.parametrize("path", ["find by key", "find by email", "find by name", "read accounts", "examine accounts", "owners by name"])
def test_each_record_is_open_by_itself_where_a_reading_fails_on_all_of_them(bench: Bench, sandbox: Sandbox, path: str) -> None:
    reading, faults = READINGS[path](bench, sandbox), bench.faults
    marks = {"find by key": "key-", "find by email": "person", "find by name": "aboratory ", "owners by name": "@example.com"}
    # Ids begin alike, but for random UUIDs, which are of version 4.
    mark = marks.get(path, "-4" if "-4" in reading.items[BAD] else reading.items[BAD][:9])
    with closing(reading.connect(bench)) as crm:
        crm.organization()
        faults.add(fault(bench, 500, showing=mark) if reading.shows else fault(bench, 500, holding=mark))
        told = reading.call(crm)
        assert [item for item in reading.items if told.get(item, "unread") is None] == []
        faults.clear()
        assert reading.call(crm) == dict.fromkeys(reading.items)


@pytest.mark.parametrize("way", [400, 403, 404, 409, 500])
def test_value_that_is_asked_for_alone_is_to_blame_while_others_are_answered(bench: Bench, way: int) -> None:
    bench.faults.add(fault(bench, way, holding="zaphod@"))
    with closing(bench.connect()) as crm:
        found = errors_by(crm.find(bench.object(CONTACT), bench.fields[CONTACT].match, ["zaphod@example.com"]), "value")
        assert found == {"zaphod@example.com": "CrmFailsOnRecordException"}


def written(bench: Bench, kind: str) -> tuple[Callable[[Crm], Mapping[str, str | None]], str]:
    """A write of a batch of one kind, with what only the bad row's request holds."""
    text = bench.fields[ACCOUNT].text
    if kind == "association":
        account, contacts = bench.add(ACCOUNT, valid(bench, ACCOUNT)), made(bench, CONTACT)
        rows = associations_of(*((number, contact, account) for number, contact in enumerate(contacts)))
        return lambda crm: errors_of(crm.associate(rows)), contacts[BAD]
    ids = made(bench, ACCOUNT) if kind == "update" else [None] * MANY
    puts = [
        Put(
            number,
            ({} if crm_id else valid(bench, ACCOUNT, number)) | {text: POISON if number == BAD else "plain"},
            crm_id=crm_id,
            key=f"new-{number}" if kind == "upsert" else None,
        )
        for number, crm_id in enumerate(ids)
    ]
    return lambda crm: errors_of(crm.write(bench.object(ACCOUNT), writes_of(*puts))), POISON


WRITES = ("upsert", "update", "create", "association")


@pytest.mark.parametrize("kind", WRITES)
def test_record_for_which_a_write_is_refused_or_fails_is_named_and_the_others_arrive(bench: Bench, kind: str) -> None:
    call, poison = written(bench, kind)
    for way in REFUSALS if kind == "create" and bench.kind.name not in ALIKE else ways_of(kind, bench.kind.name):
        bench.faults.clear()
        bench.faults.add(fault(bench, way, holding=poison))
        with closing(bench.connect()) as crm:
            told = call(crm)
            calls = crm.calls.snapshot()
            # A CRM that refuses nothing is looked at after each write, and asked before what its fields take.
            made_calls = sum(calls.values()) - (0 if bench.kind.capabilities.validates else calls["read"] + calls["describe"])
            # Of a new record's id of ours: what was made in an earlier way is there, so that its create fails and goes as an update.
            made_calls //= 1 + bench.kind.capabilities.own_ids
        assert {number for number, error in told.items() if error} == {str(BAD)}, way
        assert len(told) == MANY, way
        assert made_calls <= 1 + ATTEMPTS + 2 * math.log2(MANY) + 2, way


@pytest.mark.parametrize("kind", WRITES)
def test_service_that_refuses_every_write_for_what_may_be_no_records_fault_is_asked_a_few_times(bench: Bench, kind: str) -> None:
    call, _ = written(bench, kind)
    for way in (403, 404, 415):
        bench.faults.clear()
        bench.faults.add(fault(bench, way))
        with closing(bench.connect(attempts=1)) as crm:
            with pytest.raises(ServiceError):
                call(crm)
            assert sum(crm.calls.snapshot().values()) <= 1 + 1 + 2 * math.log2(MANY) + 2, way


# --- readings that name no record: the CRM fails wherever its answer would hold one


SCANNED = 130
"""More than a page of either CRM holds, below."""


DIGITS = 45
"""Binary digits of a CRM's id, or fewer."""


def scanned(bench: Bench, crm: Crm, field: str) -> tuple[set[str], int]:
    """The values that a scan shows, and how many records it cannot show."""
    found = pd.concat(list(crm.scan(bench.object(ACCOUNT), field)))
    return set(found["value"].dropna()), int(found["error_type"].notna().sum())


def fill(bench: Bench, sandbox: Sandbox, *, bad: Sequence[int]) -> list[str]:
    """Accounts of which some are not like the others, by what their answers hold."""
    sandbox.org.page_size = 50
    names = bench.fields[ACCOUNT]
    values = [{names.match: f"{POISON if number in bad else 'Laboratory'} {number}"} for number in range(SCANNED)]
    return [bench.add(ACCOUNT, value) for value in values]


@pytest.mark.parametrize(("way", "bad"), [(500, [0]), (403, [SCANNED - 1]), ("html", [3, 70, 71])], ids=str)
def test_record_that_breaks_its_page_of_a_scan_hides_no_other(bench: Bench, sandbox: Sandbox, way: int | str, bad: list[int]) -> None:
    field = bench.fields[ACCOUNT].match
    fill(bench, sandbox, bad=bad)
    bench.faults.add(replace(fault(bench, way), returning=POISON))
    with closing(unhurried(bench)) as crm:
        shown, hidden = scanned(bench, crm, field)
        calls = sum(crm.calls.snapshot().values())
    assert shown == {f"Laboratory {number}" for number in range(SCANNED) if number not in bad}
    assert hidden == len(bad)
    assert calls <= 20 + len(bad) * 2 * DIGITS


def test_service_that_fails_on_every_page_of_a_scan_is_down_after_a_few_calls(bench: Bench, sandbox: Sandbox) -> None:
    fill(bench, sandbox, bad=[])
    with closing(bench.connect()) as crm:
        crm.fields(bench.object(ACCOUNT))
        bench.faults.add(fault(bench, 500))
        with pytest.raises(ServiceError):
            list(crm.scan(bench.object(ACCOUNT), bench.fields[ACCOUNT].match))
        assert sum(crm.calls.snapshot().values()) <= ATTEMPTS + 4


def test_whether_any_record_has_a_value_is_told_where_the_crm_fails_on_the_one_it_would_show(bench: Bench) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    bench.faults.add(replace(fault(bench, 500), returning=f'"{crm_id}"'))
    with closing(bench.connect()) as crm:
        assert crm.has_values(bench.object(ACCOUNT), bench.fields[ACCOUNT].match)


def test_value_of_a_record_that_a_scan_cannot_show_is_told_apart_from_others(bench: Bench, sandbox: Sandbox) -> None:
    field = bench.fields[ACCOUNT].match
    fill(bench, sandbox, bad=[70])
    bench.faults.add(replace(fault(bench, 500), returning=f"{POISON} 70"))
    with closing(unhurried(bench)) as crm:
        wanted = [f"{POISON} 70", "LABORATORY 7", *(f"New {number}" for number in range(150))]
        found = crm.find(bench.object(ACCOUNT), field, wanted)
    assert errors_by(found, "value") == {f"{POISON} 70": "CrmFailsOnRecordException", "LABORATORY 7": None}
