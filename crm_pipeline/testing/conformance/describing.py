"""What a CRM tells of itself: its organization, its fields, its pages, its owners, and what it can do."""

from __future__ import annotations

from contextlib import closing

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import OwnersCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CRM_FIELDS, OWNERS
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, added, both_types, has_keys, new, written


def test_every_crm_is_on_the_bench(bench: Bench) -> None:
    assert crm_kinds()[bench.kind.name] is bench.kind


def test_connecting_makes_no_call(bench: Bench, crm: Crm) -> None:
    assert crm.calls.snapshot() == {}
    assert bench.journal.calls() == []


def test_client_can_do_what_its_kind_can(bench: Bench, crm: Crm) -> None:
    """Settings may change how much goes into a call, and nothing else."""
    ours, kinds = crm.capabilities, bench.kind.capabilities
    assert min(ours.batch_size, ours.association_batch_size) >= 1
    for name in ("several_accounts", "parent_goes_with", "unique_keys", "own_ids", "validates", "keeps_text"):
        assert getattr(ours, name) == getattr(kinds, name)


def test_every_call_is_counted_once(bench: Bench, crm: Crm) -> None:
    crm.organization()
    crm.fields(bench.object(ACCOUNT))
    made = written(crm, bench.object(ACCOUNT), new(bench, ACCOUNT, 1))
    crm.read(bench.object(ACCOUNT), [made[1]["crm_id"]], [])
    assert sum(crm.calls.snapshot().values()) == len(bench.journal.calls(bench.kind.name))
    assert crm.calls.snapshot()["write"] == 1
    assert crm.calls.snapshot()["describe"] == 1


def test_organization_is_one_id_however_often_it_is_asked(bench: Bench, crm: Crm) -> None:
    with closing(bench.connect(external_key=None)) as other:
        assert crm.organization() == other.organization() != ""


@both_types
def test_record_page_names_the_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = added(bench, record_type)
    assert crm_id in crm.record_url(bench.object(record_type), crm_id, org_id=crm.organization())


@both_types
def test_fields_describe_match_key_and_choice_fields(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    fields = CRM_FIELDS.check(crm.fields(bench.object(record_type))).set_index("name")
    assert fields.loc[names.match, "type"] == ("text" if record_type is ACCOUNT else "email")
    if has_keys(bench):
        assert fields.loc[bench.key, ["external_key", "creatable", "updatable"]].all()
        assert fields.loc[bench.key, "unique"] or bench.kind.capabilities.own_ids
    else:
        assert not fields["external_key"].any()
    assert fields.loc[names.choice, "type"] == "choice"
    assert names.option in [value for value, _ in fields.loc[names.choice, "options"]]


def test_fields_are_asked_for_once(bench: Bench, crm: Crm) -> None:
    crm.fields(bench.object(ACCOUNT))
    crm.fields(bench.object(ACCOUNT))
    assert crm.calls.snapshot()["describe"] == 1


def test_owners_can_be_asked_for_where_there_is_a_field_for_them(bench: Bench, crm: Crm) -> None:
    """A CRM without a field for owners needs no method either: rules for it are refused in the YAML."""
    assert isinstance(crm, OwnersCrm) == (bench.kind.owner_field is not None)
    if isinstance(crm, OwnersCrm):
        asked = OWNERS.check(crm.owners(["nobody@example.com"])).astype("object")
        assert asked[["user", "problem"]].to_numpy().tolist() == [["nobody@example.com", "unknown"]]
        assert bench.kind.owner_field in set(crm.fields(bench.object(ACCOUNT))["name"])
