"""Every case of a field that QBench and a CRM may both change, and what is done in each direction (docs/rules.md, 46).

docs/both-ways.md shows this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from crm_pipeline.mapping.directions import Direction


class Fact(Enum):
    """What can be true of a row. A blank that clears nothing is no change."""

    NEW_IN_CRM = "the record is about to be made in the CRM"
    NEW_IN_QBENCH = "the record is about to be made in QBench"
    FIRST_LINK = "the two records are linked for the first time"
    FIRST_READING = "nothing of the CRM's field was accepted yet"
    AGREES = "both sides show the same"
    QBENCH_CHANGED = "QBench changed"
    CRM_CHANGED = "the CRM changed"
    QBENCH_BLANK = "QBench is blank"
    CRM_BLANK = "the CRM is blank"
    EMPTIED = "one side was emptied, and the mapping has no clear"
    CLEARS = "the mapping has clear"


class Deed(Enum):
    """What is done."""

    AGREE = "no write; both bases are set"
    LEAVE = "no write"
    ACCEPT = "no write; each side is accepted as it is"
    SEND = "to the CRM"
    TAKE = "to QBench"
    BY_RULE = "by the rule"
    QBENCH_UNLESS_PREFERRED = "to the CRM; to QBench if the rule prefers the CRM"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: its number, what must hold, and what is done for each direction."""

    number: int
    holds: Mapping[Fact, bool]
    to_crm: Deed
    from_crm: Deed
    both: Deed

    def deed(self, direction: Direction) -> Deed:
        """What is done for this direction."""
        return {Direction.TO_CRM: self.to_crm, Direction.FROM_CRM: self.from_crm, Direction.BOTH: self.both}[direction]


_AGREE, _LEAVE, _ACCEPT, _SEND, _TAKE = Deed.AGREE, Deed.LEAVE, Deed.ACCEPT, Deed.SEND, Deed.TAKE
_Q, _C = Fact.QBENCH_CHANGED, Fact.CRM_CHANGED

# fmt: off
CASES: tuple[Case, ...] = (
    #    what holds                                                                   to_crm  from_crm both
    Case(1, {Fact.AGREES: True},                                                      _AGREE, _AGREE,  _AGREE),
    Case(9, {Fact.NEW_IN_CRM: True},                                                  _SEND,  _ACCEPT, _SEND),
    Case(9, {Fact.NEW_IN_QBENCH: True},                                               _LEAVE, _TAKE,   _TAKE),
    Case(8, {Fact.FIRST_LINK: True, Fact.CRM_BLANK: True},                            _SEND,  _ACCEPT, _SEND),
    Case(8, {Fact.FIRST_LINK: True, Fact.QBENCH_BLANK: True, Fact.CLEARS: True},      _SEND,  _TAKE,   _TAKE),
    Case(8, {Fact.FIRST_LINK: True, Fact.QBENCH_BLANK: True},                         _LEAVE, _TAKE,   _TAKE),
    Case(8, {Fact.FIRST_LINK: True},                                                  _SEND,  _TAKE,   Deed.QBENCH_UNLESS_PREFERRED),
    Case(7, {Fact.FIRST_READING: True, _Q: False},                                    _LEAVE, _ACCEPT, _ACCEPT),
    Case(7, {Fact.FIRST_READING: True, _Q: True},                                     _SEND,  _ACCEPT, _SEND),
    Case(6, {Fact.EMPTIED: True, _Q: False, _C: False},                               _LEAVE, _ACCEPT, _ACCEPT),
    Case(2, {_Q: False, _C: False},                                                   _LEAVE, _LEAVE,  _LEAVE),
    Case(3, {_Q: True, _C: False},                                                    _SEND,  _ACCEPT, _SEND),
    Case(4, {_Q: False, _C: True},                                                    _LEAVE, _TAKE,   _TAKE),
    Case(5, {_Q: True, _C: True},                                                     _SEND,  _TAKE,   Deed.BY_RULE),
)
# fmt: on
"""In this order: the first line holds of which everything is so. The numbers are those of the design, and stay."""

NOT_FIT = 10
"""The case of a value that would go to QBench and that QBench cannot hold, or would not want again in the CRM."""
