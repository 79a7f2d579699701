"""What must an answer hold before it is believed? The expected JSON as data, and where an answer differs from it.

An answer without what it must hold reads like an empty one: a list that is missing is no list without rows. So each service has
one table, its ``contracts`` module, with the form of every answer that is used, and nothing is read out of an answer before.
A fault is told by names and positions, never by values. Members that no form names are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from crm_pipeline.counting import counted


@dataclass(frozen=True, slots=True)
class One:
    """A value that passes a test; ``kind`` says what it is."""

    kind: str
    test: Callable[[Any], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rows:
    """A list whose entries have one form. ``exactly``: how many there must be; ``most``: how many there may be.

    ``rule`` looks at the entries together, once each is right, and gives a fault in words or None.
    """

    of: Form
    exactly: int | None = None
    most: int | None = None
    rule: Callable[[list[Any]], str | None] | None = field(default=None, repr=False)
    kind = "a list"


@dataclass(frozen=True, slots=True)
class Members:
    """An object. ``rule`` looks at its members together, once each is right, and gives a fault in words or None."""

    members: Mapping[str, Form | May]
    rule: Callable[[Mapping[str, Any]], str | None] | None = field(default=None, repr=False)
    kind = "an object"

    def within(self, **changes: Form | May) -> Members:
        """The same object with other forms of some members."""
        return replace(self, members={**self.members, **changes})


@dataclass(frozen=True, slots=True)
class Nullable:
    """A form, or null in its place; ``null`` says what that means."""

    form: One | Rows | Members
    null: str

    @property
    def kind(self) -> str:
        """The form's word, or null."""
        return f"{self.form.kind} or null"


Form = One | Rows | Members | Nullable


@dataclass(frozen=True, slots=True)
class May:
    """A member that its service may leave out, or give as null; ``absent`` says what that means.

    ``needed`` tells, by the members beside it, where it must be there all the same; ``where`` says that in words.
    """

    form: Form
    absent: str
    needed: Callable[[Mapping[str, Any]], bool] | None = field(default=None, repr=False)
    where: str = ""


TEXT = One("a text that is not empty", lambda value: isinstance(value, str) and value != "" and not value.isspace())
FLAG = One("true or false", lambda value: isinstance(value, bool))
COUNT = One("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0)
ID = One("an id", lambda value: TEXT.test(value) or COUNT.test(value))
ANYTHING = One("anything", lambda _: True)
OBJECT = Members({})


def fault_of(answer: Any, form: Form, at: str = "") -> str | None:
    """Where an answer first departs from its form, in words that hold no value of it; None where it does not.

    ``at``: the place within a larger answer, ``results[2]`` for instance.
    """
    match form:
        case Nullable():
            return None if answer is None else fault_of(answer, form.form, at)
        case One() if form.test(answer):
            return None
        case Rows() if isinstance(answer, list):
            return _fault_of_rows(answer, form, at)
        case Members() if isinstance(answer, dict):
            return _fault_of_members(answer, form, at)
    return f"{_place(at)} is {_type(answer)}, not {form.kind}"


def which_are_right(values: Sequence[Any], form: Form) -> list[bool]:
    """Of values that are judged one by one, whether each has a form."""
    if _are_right(values, form):
        return [True] * len(values)
    return [fault_of(value, form) is None for value in values]


def members_of(form: Form, at: str = "") -> Iterator[tuple[str, Form | May]]:
    """Every member that a form names, with its place: ``results[].id``. A list's place stands before those of its entries."""
    match form:
        case Nullable():
            yield from members_of(form.form, at)
        case Rows():
            yield from members_of(form.of, f"{at}[]")
        case Members():
            for name, member in form.members.items():
                place = f"{at}.{name}" if at else name
                yield place, member
                yield from members_of(member.form if isinstance(member, May) else member, place)


def _fault_of_rows(answer: list[Any], form: Rows, at: str) -> str | None:
    if form.exactly is not None and len(answer) != form.exactly:
        return f"{_place(at)} holds {counted(len(answer), 'entry', 'entries')}, not {form.exactly}"
    if form.most is not None and len(answer) > form.most:
        return f"{_place(at)} holds {counted(len(answer), 'entry', 'entries')}, more than {form.most}"
    if not _are_right(answer, form.of):
        # Where it stands is of interest only where it is broken.
        faults = (fault_of(entry, form.of, f"{at}[{position}]") for position, entry in enumerate(answer))
        return next(filter(None, faults), None)
    return form.rule(answer) if form.rule else None


def _are_right(values: Sequence[Any], form: Form) -> bool:
    """Whether all of these values have a form: member by member, which costs a fraction of value by value."""
    match form:
        case Nullable():
            return _are_right([value for value in values if value is not None], form.form)
        case One():
            return all(map(form.test, values))
        case Rows(exactly=None, most=None, rule=None):
            return all(isinstance(value, list) for value in values) and _are_right(list(chain.from_iterable(values)), form.of)
        case Rows():
            return all(fault_of(value, form) is None for value in values)
    if not all(isinstance(value, dict) for value in values):
        return False
    for name, member in form.members.items():
        if isinstance(member, May):
            if member.form is ANYTHING and not member.needed:
                continue
            given = [value[name] for value in values if value.get(name) is not None]
            if member.needed and len(given) < len(values) and any(member.needed(value) for value in values if value.get(name) is None):
                return False
            right = _are_right(given, member.form)
        else:
            right = all(name in value for value in values) and _are_right([value[name] for value in values], member)
        if not right:
            return False
    return form.rule is None or not any(map(form.rule, values))


def _fault_of_members(answer: dict[str, Any], form: Members, at: str) -> str | None:
    for name, member in form.members.items():
        if isinstance(member, May):
            if answer.get(name) is None and not (member.needed and member.needed(answer)):
                continue
            member = member.form
        if name not in answer or fault_of(answer[name], member):
            place = f"{at}.{name}" if at else name
            return fault_of(answer[name], member, place) if name in answer else f"{_place(place)} is missing"
    return form.rule(answer) if form.rule else None


def _place(at: str) -> str:
    return at.removeprefix(".") or "the answer"


def _type(value: Any) -> str:
    """What a value is, in JSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text" if value.strip() else "an empty text"
        case list():
            return "a list"
    return "an object"
