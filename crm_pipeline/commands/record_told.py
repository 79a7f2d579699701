"""What ``crm-pipeline explain`` and ``crm-pipeline link show`` say of one record: as plain values, and as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from textwrap import fill
from typing import Any

from rich.console import Console

from crm_pipeline.commands.options import connected
from crm_pipeline.counting import counted
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.store.conflicts import Conflict
from crm_pipeline.store.standing import Condition
from crm_pipeline.store.stories import Pair, Part, Story, Told
from crm_pipeline.sync.explaining import ORIGINS, Around, Explained, explained, explained_back, moment, notes, shown_parts
from crm_pipeline.sync.returning.newcomers import makes_from

SHOWN_OF_HISTORY = 5
"""Lines of the history that the text has for each CRM; the plain values have all that is kept in the story."""

_COLOURS = {Condition.SYNCED: "green", Condition.LEFT_OUT: "blue", Condition.WAITING: "yellow", Condition.FAILED: "red"}
"""From the best to the worst."""

_NAMES = ("name", "first_name", "last_name", "email")


def record_of(story: Story, spec: IntegrationSpec, *, values: bool) -> dict[str, Any]:
    """Which record of QBench a story is about, in plain values; ``values``: with its name and email address."""
    read = story.read
    return {
        "integration": story.integration,
        "record_type": str(story.record_type),
        "qbench_id": story.qbench_id,
        "page": None if story.qbench_id is None else spec.qbench.record_url(story.record_type, story.qbench_id),
        "changed_at": None if read is None else datetime.fromtimestamp(read.version, UTC).isoformat(),
        "read_at": None if read is None else _iso(read.read_at),
        "deleted": None if read is None else read.deleted,
        "customer_id": None if read is None else read.customer_id,
        **({name: read.fields[name] for name in _NAMES if name in read.fields} if values and read is not None else {}),
    }


def described(story: Story, spec: IntegrationSpec, *, values: bool) -> dict[str, Any]:
    """A record's story in plain values, with a sentence for each CRM; ``values``: with its name and those of its conflicts.

    Of a contact and the lead that it may be instead, only the one that counts is told. Makes no call.
    """
    return {
        **record_of(story, spec, values=values),
        "crms": [_part(story, part, spec) for part in shown_parts(story)],
        "conflicts": [_conflict(each, values=values) for each in story.conflicts],
    }


def conditions(told: Mapping[str, Any]) -> set[Condition]:
    """The conditions of a described record in the CRMs."""
    return {_worst(part) for part in told["crms"]}


def show(told: Mapping[str, Any]) -> None:
    """Print a described record."""
    console = Console(highlight=False)
    console.print(f"{told['integration']}: {heading(told)}", style="bold", markup=False)
    if told["qbench_id"] is not None:
        _print(console, _in_qbench(told))
    if not told["crms"]:
        console.print("\nBy its YAML, the integration sends no such records to a CRM.")
    for part in told["crms"]:
        condition = _worst(part)
        console.print(f"\n[bold]{part['title']}[/], {part['record_type']}: [{_COLOURS[condition]}]{condition}[/]")
        _print(console, _lines(part))
    if told["conflicts"]:
        console.print("\n[bold]Conflicts[/]")
        _print(console, _conflicts(told))


def heading(told: Mapping[str, Any]) -> str:
    """What a described record is called: its type and id in QBench, its customer, and its name where that is shown."""
    if told["qbench_id"] is None:
        return "no record of QBench"
    record = MODELS[RecordType(told["record_type"])].qbench_object.removesuffix("s")
    of = f" of customer {told['customer_id']}" if told["customer_id"] is not None else ""
    words = [str(told[name]) for name in _NAMES if told.get(name)]
    return f"{record} {told['qbench_id']}{of}" + (f", {' '.join(words)}" if words else "")


def _print(console: Console, lines: Iterator[tuple[str, str]]) -> None:
    """Print labels and words; an address or an id stays whole, whatever the terminal's width."""
    for label, words in lines:
        wrapped = fill(
            words,
            console.width,
            initial_indent=f"  {label:<9} ",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
        console.print(wrapped, markup=False, soft_wrap=True)


def _in_qbench(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Page", told["page"]
    if told["changed_at"] is not None:
        yield "QBench", f"{'deleted' if told['deleted'] else 'changed'} {_time(told['changed_at'])}, read {_time(told['read_at'])}"


def _part(story: Story, part: Part, spec: IntegrationSpec) -> dict[str, Any]:
    kind, settings = crm_kinds()[part.crm], spec.crms.configured[part.crm]
    around = Around(
        crm=kind.title,
        sends=spec.active and settings.send,
        makes=part.record_type in spec.read and makes_from(spec.read[part.record_type], part.crm),
        first_until=spec.start + timedelta(hours=1),
        first_load=spec.first_load,
        now=datetime.now(UTC),
    )
    told = sorted(
        [*(("to_crm", each) for each in part.history), *(("from_crm", each) for each in part.change_history)], key=_when, reverse=True
    )
    return {
        "crm": part.crm,
        "title": kind.title,
        "record_type": str(part.record_type),
        "to_crm": None if story.qbench_id is None else _way(explained(story, part, around), part.latest),
        "from_crm": None if (back := explained_back(part, around)) is None else _way(back, part.change),
        "notes": list(notes(part, around)),
        "crm_id": part.crm_id,
        "link": None if part.pair is None else _link(part.pair),
        "page": _page(part, part.pair, spec),
        "history": [{"direction": direction, **_event(each)} for direction, each in sorted(told, key=_when, reverse=True)],
    }


def _when(event: tuple[str, Told]) -> datetime:
    return event[1].at


def _way(found: Explained, latest: Told | None) -> dict[str, Any]:
    return {
        **asdict(found),
        "condition": str(found.condition),
        "outcome": None if latest is None else latest.outcome,
        "error_type": None if latest is None else latest.error_type,
        "attempts": 0 if latest is None else latest.attempts,
        "next_attempt_at": None if latest is None else _iso(latest.next_attempt_at),
        "run_id": None if latest is None else latest.run_id,
        "at": None if latest is None else _iso(latest.at),
    }


def _link(pair: Pair) -> dict[str, Any]:
    return {name: _iso(value) if isinstance(value, datetime) else value for name, value in asdict(pair).items()}


def _page(part: Part, pair: Pair | None, spec: IntegrationSpec) -> str | None:
    """The page of the record in the CRM; made without a call."""
    if pair is None:
        return None
    kind = crm_kinds()[part.crm]
    crm_object = kind.usual(part.record_type) if pair.object is None else kind.object(part.record_type, pair.object)
    with connected(spec, part.crm) as client:
        return client.record_url(crm_object, pair.crm_id, org_id=pair.org_id)


def _event(told: Told) -> dict[str, Any]:
    return {
        "at": _iso(told.at),
        "outcome": told.outcome,
        "error_type": told.error_type,
        "reason": told.reason,
        "run_id": told.run_id,
        "partition": told.partition_key,
    }


def _conflict(conflict: Conflict, *, values: bool) -> dict[str, Any]:
    return {
        "id": conflict.id,
        "crm": conflict.state.crm,
        "record_type": str(conflict.state.record_type),
        "field": conflict.field,
        "winner": conflict.winner,
        "evidence": conflict.evidence,
        "at": _iso(conflict.at),
        "restored_at": _iso(conflict.restored_at),
        **({"qbench_value": dict(conflict.qbench_value), "crm_value": dict(conflict.crm_value)} if values else {}),
    }


def _worst(part: Mapping[str, Any]) -> Condition:
    """The condition of the record's way to the CRM or that of its way back, whichever is worse."""
    found = [Condition(way["condition"]) for way in (part["to_crm"], part["from_crm"]) if way is not None]
    return max(found, key=list(_COLOURS).index, default=Condition.SYNCED)


def _lines(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for label, way in (("", part["to_crm"]), ("Back", part["from_crm"])):
        if way is not None:
            yield label, way["sentence"]
            yield from ((word, way[name]) for word, name in (("Waits for", "waits"), ("To do", "remedy")) if way[name] is not None)
    for note in part["notes"]:
        yield "Note", note
    link = part["link"]
    if link is not None:
        yield "Link", f"{link['crm_id']}, {ORIGINS[link['origin']]} {_time(link['linked_at'])}; {_status(link)}"
        yield "Page", part["page"]
    elif part["crm_id"] is not None:
        yield "Link", f"none: {part['crm_id']} belongs to no record of QBench"
    if "would_send" in part:
        yield from _would_send(part["would_send"])
    yield from _history(part["history"])


def _status(link: Mapping[str, Any]) -> str:
    if link["merged_into"] is None:
        return str(link["status"])
    winner = f", that of QBench id {link['merged_into_qbench_id']}" if link["merged_into_qbench_id"] is not None else ""
    return f"{link['status']}: merged into {link['merged_into']}{winner}"


def _would_send(forecast: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if forecast["error"] is not None:
        yield "Now", f"cannot be told: {forecast['error']}"
    elif not forecast["fields"]:
        why = ", ".join(word for word in (forecast["operation"], forecast["reason"]) if word) or "it is not prepared yet"
        yield "Now", f"nothing would be sent: {why}"
    else:
        yield "Now", f"{forecast['operation']}, {counted(len(forecast['fields']), 'field')} would be sent: {', '.join(forecast['fields'])}"
    for name, value in forecast.get("values", {}).items():
        yield "", f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}"


def _history(history: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for number, event in enumerate(history[:SHOWN_OF_HISTORY]):
        way = "" if event["direction"] == "to_crm" else "back into QBench: "
        what = " ".join(filter(None, (event["outcome"], event["error_type"])))
        reason = f" ({event['reason']})" if event["reason"] else ""
        yield "" if number else "History", f"{_time(event['at'])} {way}{what}{reason}, run {_short(event['run_id'])}"
    if len(history) > SHOWN_OF_HISTORY:
        yield "", f"and {len(history) - SHOWN_OF_HISTORY} earlier, which --json shows"


def _conflicts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in told["conflicts"]:
        side = "QBench's" if each["winner"] == "qbench" else "the CRM's"
        yield str(each["id"]), f"{_time(each['at'])} {each['crm']} {each['field']}: {side} value stands, by {each['evidence']}"
    yield "To do", f"`crm-pipeline conflicts --ids {told['qbench_id']} --values` shows both values, `conflicts restore ID` puts one back."


def _short(run_id: str) -> str:
    """A run's id as Dagster's pages show it, the first 8 characters of its UUID, behind what a command put before it."""
    return run_id[: len(run_id) - 28] if len(run_id) >= 36 else run_id


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _time(written: str) -> str:
    return moment(datetime.fromisoformat(written))
