"""What is decided of the records of one load, when the answers of earlier creates were lost."""

from __future__ import annotations

from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer
from crm_pipeline_tests.sync.loading.stages import begun, stages
from crm_pipeline_tests.tenants import let_intents_settle


def test_create_that_may_be_under_way_is_not_sent_again(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        begun(load, load.plan(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        planned = load.plan(1, 2).rows
    assert planned["operation"].tolist() == ["none", "create"]
    assert planned["error_type"].fillna("").tolist() == ["ServiceFailedException", ""]


def test_lost_creates_are_settled_before_the_first_plan_and_again_when_asked(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        assert load.plan(1).rows["operation"].tolist() == ["create"]
        begun(load, load.plan(1))
        made = salesforce.add_account("Lab 1")
        let_intents_settle(salesforce.store)
        assert load.plan(1).rows["operation"].tolist() == ["create"], "what was settled holds until it is asked for anew"
        load.plans.settle_anew()
        planned = load.plan(1).rows
    assert (planned["operation"].tolist(), planned["crm_id"].tolist()) == (["update"], [made])


def test_create_that_was_not_made_goes_apart_from_others_next_time(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    numbers = range(1, 41)
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in numbers))
    with stages(salesforce, spec, ACCOUNT) as load:
        begun(load, load.plan(*numbers))
    let_intents_settle(salesforce.store)
    with stages(salesforce, spec, ACCOUNT) as load:
        load.plan(1)
        assert load.suspects.apart == dict.fromkeys(numbers, 2)
