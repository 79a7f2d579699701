"""What the runs of three parties (rounds.py) did to what people wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sync.merging.deciding import decide
from crm_pipeline_tests.sync.merging.parties import CRMS, LONGEST_IN_S, MAPPING, REFUSED, Edit, canonical, wanted
from crm_pipeline_tests.sync.merging.rounds import Decide, Pipeline, hour


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one world.

    ``lost``: edits that vanished without a note. ``shortened``: fields of which QBench lost the end. ``disagreeing``: fields on which the
    parties do not agree. ``idle_writes``: writes once nobody edits. ``told``: values that people can read about. ``changed``: fields
    ruled by time whose last edit can win; ``not_the_latest``: those where it did not.
    """

    edits: int
    lost: list[Edit]
    shortened: list[str]
    disagreeing: list[str]
    idle_writes: int
    told: int
    changed: int
    not_the_latest: int


def judged(pipelines: Sequence[Pipeline], *, busy: int = 12, quiet: int = 8, idle: int = 5, decide: Decide = decide) -> list[Judgement]:
    """Lets people edit for some hours, then nobody; nothing breaks off any more, and at last no write may be needed."""
    for _ in range(busy):
        for pipeline in pipelines:
            pipeline.world.tick(60)
        hour(pipelines, decide)
    for pipeline in pipelines:
        world = pipeline.world
        world.rate, world.crash, world.skip = 0, 0, 0
    still(pipelines, quiet, decide)
    written = [pipeline.world.writes for pipeline in pipelines]
    still(pipelines, idle, decide)
    return [judge(pipeline, pipeline.world.writes - before) for pipeline, before in zip(pipelines, written, strict=True)]


def still(pipelines: Sequence[Pipeline], hours: int, decide: Decide = decide) -> None:
    """Some hours."""
    for _ in range(hours):
        for pipeline in pipelines:
            pipeline.world.tick(20)
        hour(pipelines, decide)


def judge(pipeline: Pipeline, idle_writes: int) -> Judgement:
    """What became of one world, now that nobody edits any more."""
    world = pipeline.world
    last = {edit.name: edit for edit in world.edits if _by_time(edit.name)}
    may_win = [edit for edit in last.values() if edit.value and not edit.value.startswith(REFUSED)]
    return Judgement(
        edits=len(world.edits),
        lost=[edit for edit in world.edits if edit.unique and _is_lost(pipeline, edit)],
        shortened=[name for name in MAPPING if _is_shortened(pipeline, name)],
        disagreeing=[f"{name} in {crm}" for name in MAPPING for crm in CRMS if not _agree(pipeline, name, crm)],
        idle_writes=idle_writes,
        told=len(set(pipeline.told)),
        changed=len(may_win),
        not_the_latest=sum(not _same(edit.value, world.hub.values[edit.name]) for edit in may_win),
    )


def _by_time(name: str) -> bool:
    """Whether a field goes both ways everywhere, and the later change stands."""
    return set(MAPPING[name].ways.values()) == {Direction.BOTH} and set(MAPPING[name].rules.values()) == {Rule.LATER}


def _is_lost(pipeline: Pipeline, edit: Edit) -> bool:
    """Whether the value is nowhere, nobody replaced it who saw it, and no note has it.

    What is edited in a CRM in a field that is only sent there stands until QBench's changes, as one-way fields do.
    """
    if edit.where in CRMS and not MAPPING[edit.name].ways[edit.where].comes_back:
        return False
    stands = {canonical(party.values[edit.name]) for party in pipeline.world.parties}
    replaced = {other.before for other in pipeline.world.edits if other.name == edit.name}
    told = {value for name, value in pipeline.told if name == edit.name}
    return not any(_same(edit.value, value) for value in stands | replaced | told)


def _same(value: str, other: str) -> bool:
    """Whether they are one value, or one is the other as s keeps it."""
    return other in (value, value[:LONGEST_IN_S]) or value == other[:LONGEST_IN_S]


def _is_shortened(pipeline: Pipeline, name: str) -> bool:
    """Whether the hub holds what s made of a long text, which no person gave so, and no note has the whole."""
    value = pipeline.world.hub.values[name]
    whole = {edit.value for edit in pipeline.world.edits if edit.name == name and len(edit.value) > LONGEST_IN_S}
    given = {edit.value for edit in pipeline.world.edits if edit.name == name}
    cut = [text for text in whole if text[:LONGEST_IN_S] == value]
    return bool(cut) and value not in given and not any((name, text) in pipeline.told for text in cut)


def _agree(pipeline: Pipeline, name: str, crm: str) -> bool:
    """Whether QBench and a CRM show the same, where they must."""
    mapped, way = MAPPING[name], MAPPING[name].ways[crm]
    held = canonical(wanted(crm, pipeline.world.hub.values[name]))
    shown = canonical(pipeline.world.crms[crm].values[name])
    edited = {edit.where for edit in pipeline.world.edits if edit.name == name}
    if (way is Direction.TO_CRM and crm in edited) or (way is Direction.FROM_CRM and "q" in edited):
        # Edits on the side that does not travel stand there.
        return True
    return held == shown or shown.startswith(REFUSED) or (not mapped.clear and not (held and shown))
