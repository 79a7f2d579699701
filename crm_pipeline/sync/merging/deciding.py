"""The decision: for each record and field, whose value goes where? One pure function over frames (docs/rules.md, 45 to 50)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm_pipeline.frames import text_column
from crm_pipeline.mapping.digests import NO_DIGEST
from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sync.merging.cases import CASES, NOT_FIT, Deed, Fact
from crm_pipeline.sync.merging.fields import DECISIONS, FIELDS, Evidence, Side, Situation, Verdict
from crm_pipeline.sync.merging.times import crm_is_later, moments, times

Digests = NDArray[np.int64]
Flags = NDArray[np.bool_]
"""A truth per row."""

JUST_BEFORE = np.timedelta64(1, "us")

_DIRECTIONS = list(Direction)
_DEEDS = list(Deed)
_NUMBERS = np.array([case.number for case in CASES])
_TABLE = np.array([[_DEEDS.index(case.deed(direction)) for direction in _DIRECTIONS] for case in CASES])
"""By line of the table and direction: the position of what is done."""


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of each row, an array each: the two sides, and the bases once the echo of our own write is known as one."""

    wanted: Digests
    shown: Digests
    sent: Digests
    seen: Digests
    has_seen: Flags
    sending: Digests
    is_sending: Flags
    comes_back: Flags
    known: Flags
    echo: Flags
    first: Flags

    @property
    def agreed(self) -> Flags:
        """Whether the bases are one value, so that each side knew what the other one had."""
        equal: Flags = self.sent == self.seen
        return self.has_seen & equal


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where each row's value goes (flags); no way at all where it stays."""

    send: Flags
    take: Flags
    not_taken: Flags


def decide(fields: pd.DataFrame) -> pd.DataFrame:
    """What is to be done (fields.DECISIONS) about each row (fields.FIELDS, a RangeIndex), in its order.

    A field that comes back and has no reading that counts is unread and stays as it is. Of those a load reads the ones whose ``wanted``
    is not what was ``sent``; a run that brings changes home reads all again.
    """
    state = _state(FIELDS.check(fields))
    facts = _facts(state, fields)
    line = _lines(facts)
    unread = state.comes_back & ~state.known
    direction = fields["direction"].to_numpy(object)
    decided = np.select([direction == way for way in _DIRECTIONS], list(_TABLE[line].T))
    does = {deed: ~unread & (decided == position) for position, deed in enumerate(_DEEDS)}
    later, evidence = crm_is_later(fields)
    ways = _ways(fields, does, facts, later=later)
    conflict = _loses_something(fields, state, facts, ways)
    sent, seen, has_seen = _bases(state, does, ways)
    return DECISIONS.build(
        {
            "verdict": _texts(_verdict(state, does, ways, unread=unread), np.ones(len(fields), dtype=bool)),
            "case": _nullable(np.where(ways.not_taken, NOT_FIT, _NUMBERS[line]), ~unread),
            "sent": pd.Series(sent),
            "seen": _nullable(seen, has_seen),
            "agreed": _nullable(np.where(ways.send, state.wanted, state.shown), ways.send | ways.take),
            "sending": _nullable(state.sending, state.is_sending & ~state.echo & ~_is_over(fields, state)),
            "touched_at": _touched_at(fields, state),
            "conflict": pd.Series(conflict),
            "winner": _texts(np.where(ways.take, Side.CRM, Side.QBENCH), conflict),
            "evidence": _texts(_decided_by(fields, does, facts, evidence), conflict),
        }
    )


def _state(fields: pd.DataFrame) -> _State:
    """The rows with their reading, where it counts, and with the echo of our own write taken for what it is."""
    situation, seen = fields["situation"].to_numpy(object), fields["seen"]
    comes_back = fields["direction"].to_numpy(object) != Direction.TO_CRM
    new_in_crm, first = situation == Situation.NEW_IN_CRM, situation != Situation.LINKED
    read_at = moments(fields["read_at"])
    known = new_in_crm | (~np.isnat(read_at) & ~(read_at <= moments(fields["touched_at"])))
    wanted = np.where(situation == Situation.NEW_IN_QBENCH, NO_DIGEST, fields["wanted"].to_numpy())
    shown = np.where(new_in_crm, NO_DIGEST, fields["shown"].to_numpy())
    sending, is_sending = fields["sending"].to_numpy("int64", na_value=NO_DIGEST), fields["sending"].notna().to_numpy()
    echo = comes_back & known & ~first & is_sending & (shown == sending)
    return _State(
        wanted=wanted,
        shown=shown,
        sent=np.where(echo, shown, np.where(first, NO_DIGEST, fields["sent"].to_numpy())),
        seen=np.where(echo, shown, seen.to_numpy("int64", na_value=NO_DIGEST)),
        has_seen=comes_back & ~first & (echo | seen.notna().to_numpy()),
        sending=sending,
        is_sending=is_sending,
        comes_back=comes_back,
        known=known,
        echo=echo,
        first=first,
    )


def _facts(state: _State, fields: pd.DataFrame) -> dict[Fact, Flags]:
    situation, clear = fields["situation"].to_numpy(object), fields["clear"].to_numpy()
    qbench_clears = fields["clears_crm"].to_numpy() & fields["whole"].to_numpy()
    q_differs = state.wanted != state.sent
    c_differs = state.has_seen & state.known & (state.shown != state.seen)
    q_emptied = q_differs & (state.wanted == NO_DIGEST) & ~qbench_clears
    c_emptied = c_differs & (state.shown == NO_DIGEST) & ~clear
    return {
        Fact.NEW_IN_CRM: situation == Situation.NEW_IN_CRM,
        Fact.NEW_IN_QBENCH: situation == Situation.NEW_IN_QBENCH,
        Fact.FIRST_LINK: situation == Situation.FIRST_LINK,
        Fact.FIRST_READING: state.comes_back & ~state.has_seen,
        Fact.AGREES: state.known & (state.wanted == state.shown),
        Fact.QBENCH_CHANGED: q_differs & ~q_emptied,
        Fact.CRM_CHANGED: c_differs & ~c_emptied,
        Fact.QBENCH_BLANK: state.wanted == NO_DIGEST,
        Fact.CRM_BLANK: state.known & (state.shown == NO_DIGEST),
        Fact.EMPTIED: q_emptied | c_emptied,
        Fact.CLEARS: qbench_clears,
    }


def _lines(facts: Mapping[Fact, Flags]) -> NDArray[np.intp]:
    """The position of each row's line of the table: the first of which everything holds."""
    hold = [np.logical_and.reduce([facts[fact] == so for fact, so in case.holds.items()]) for case in CASES]
    first: NDArray[np.intp] = np.argmax(np.array(hold), axis=0)
    return first


def _ways(fields: pd.DataFrame, does: Mapping[Deed, Flags], facts: Mapping[Fact, Flags], *, later: Flags) -> _Ways:
    rule = fields["rule"].to_numpy(object)
    prefers_crm = rule == Rule.PREFER_CRM
    crm_wins = np.where(rule == Rule.LATER, later, prefers_crm & ~facts[Fact.CRM_BLANK])
    open_, first = does[Deed.BY_RULE], does[Deed.QBENCH_UNLESS_PREFERRED]
    take = does[Deed.TAKE] | (open_ & crm_wins) | (first & prefers_crm)
    fits = fields["fits"].to_numpy()
    return _Ways(
        send=does[Deed.SEND] | (open_ & ~crm_wins) | (first & ~prefers_crm),
        take=take & fits,
        not_taken=take & ~fits,
    )


def _loses_something(fields: pd.DataFrame, state: _State, facts: Mapping[Fact, Flags], ways: _Ways) -> Flags:
    """Where the value that is written over is one that the other side did not know."""
    crm_loses = facts[Fact.CRM_CHANGED] | (~state.agreed & (state.shown != NO_DIGEST))
    # What was cut or left out for the CRM, nobody there could know.
    unknown = ~fields["whole"].to_numpy() | (~state.agreed & (state.wanted != NO_DIGEST))
    qbench_loses = facts[Fact.QBENCH_CHANGED] | unknown
    loses: Flags = (ways.send & state.comes_back & crm_loses) | (ways.take & qbench_loses)
    return loses


def _bases(state: _State, does: Mapping[Deed, Flags], ways: _Ways) -> tuple[Digests, Digests, Flags]:
    """The bases to store with the decision (``sent``, ``seen`` and whether there is one), before anything is written.

    Of a write both are the value that it replaces: told as lost where it was unknown, it is known from now on, and the other value is
    the only change. So whatever breaks off, the next run goes on with the same write, and tells nothing twice. Where a side's changes
    do not travel, its base follows it: a direction that is switched on later begins with what is there.
    """
    both = state.comes_back
    first = both & ways.not_taken & ~state.has_seen
    follows = both & (does[Deed.LEAVE] | does[Deed.ACCEPT])
    agrees = does[Deed.AGREE]
    sent = np.select(
        [agrees, both & ways.send, (both & ways.take) | follows | first],
        [state.wanted, state.shown, state.wanted],
        state.sent,
    )
    seen = np.select(
        [both & agrees, (both & ways.send) | follows, both & ways.take, first],
        [state.wanted, state.shown, state.wanted, np.full_like(state.seen, NO_DIGEST)],
        state.seen,
    )
    return sent, seen, both & (state.has_seen | agrees | ways.send | ways.take | follows | first)


def _is_over(fields: pd.DataFrame, state: _State) -> Flags:
    """Where what was about to be sent cannot arrive any more, and a reading shows that it is not there; a new pair awaits nothing."""
    still_open = moments(fields["read_at"]) <= moments(fields["open_until"])
    over: Flags = state.comes_back & state.known & (state.first | ~still_open)
    return over


def _touched_at(fields: pd.DataFrame, state: _State) -> pd.Series:
    """From when on readings count: this one may be decided again, an earlier one not."""
    read_at, touched_at = moments(fields["read_at"]), moments(fields["touched_at"])
    counted = state.comes_back & state.known & ~np.isnat(read_at)
    return times(np.where(counted, read_at - JUST_BEFORE, touched_at))


def _verdict(state: _State, does: Mapping[Deed, Flags], ways: _Ways, *, unread: Flags) -> NDArray[Any]:
    drifts = does[Deed.LEAVE] & state.comes_back
    words: list[Any] = [Verdict.AGREED, Verdict.DRIFT, Verdict.TO_CRM, Verdict.TO_QBENCH, Verdict.NOT_TAKEN, Verdict.UNREAD]
    told: NDArray[Any] = np.select([does[Deed.AGREE], drifts, ways.send, ways.take, ways.not_taken, unread], words, Verdict.KEPT)
    return told


def _decided_by(fields: pd.DataFrame, does: Mapping[Deed, Flags], facts: Mapping[Fact, Flags], by_time: NDArray[Any]) -> NDArray[Any]:
    """What decides a conflict (Evidence), of every row."""
    ruled, timed = does[Deed.BY_RULE], fields["rule"].to_numpy(object) == Rule.LATER
    both_changed = facts[Fact.QBENCH_CHANGED] & facts[Fact.CRM_CHANGED]
    words: list[Any] = [Evidence.FIRST_LINK, by_time, Evidence.PREFERRED, Evidence.DIRECTION]
    deciding: NDArray[Any] = np.select([facts[Fact.FIRST_LINK], ruled & timed, ruled, both_changed], words, Evidence.ONLY_CHANGE)
    return deciding


def _nullable(values: Digests, there: Flags) -> pd.Series:
    """A column of integers, null where there is none."""
    return pd.Series(pd.arrays.IntegerArray(values.astype("int64"), ~there))


def _texts(words: NDArray[Any], there: Flags) -> pd.Series:
    """A column of words, null where there is none."""
    told = words.astype(object)
    told[~there] = None
    return text_column(told)
