"""What became of creates without an answer: by whose clock they are old enough to be looked for (docs/rules.md, 4)."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import make_url, text

from crm_pipeline.store.database import Store
from crm_pipeline.sync.loading.intents import UNDER_WAY, settle_intents
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import begun, sent, stages

BEHIND = "interval '1 day'"


def with_a_clock_behind(url: str) -> Store:
    """The database as one whose clock is behind that of this host."""
    options = {"options": "-csearch_path=behind,pg_catalog,public"}
    store = Store(make_url(url).update_query_dict(options).render_as_string(hide_password=False))
    with store.transaction() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS behind"))
        body = f"SELECT pg_catalog.now() - {BEHIND}"
        connection.execute(text(f"CREATE OR REPLACE FUNCTION behind.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ {body} $$"))
    return store


def test_create_is_as_old_as_the_database_says_whatever_this_hosts_clock_says(salesforce: Bench, database_url: str) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load, closing(with_a_clock_behind(database_url)) as behind:
        begun(load, load.plan(1))
        with behind.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.intent SET created_at = now()"))
        settled = settle_intents(load.job.order.state, store=behind, crm=load.job.crm, org_id=load.job.org_id)
        with behind.transaction() as connection:
            connection.execute(text("DROP SCHEMA behind CASCADE"))
    assert settled.undecided == {1: UNDER_WAY}


def test_contact_that_a_create_without_an_answer_made_leaves_its_account_where_its_customer_is_another_by_now(hubspot: Bench) -> None:
    spec = hubspot.spec(external_keys=False, contacts=BY_EMAIL)
    accounts = hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    hubspot.stage(spec, CONTACT, contact(11, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        sent(load, load.plan(11))
    hubspot.stage(spec, CONTACT, contact(11, 200, of=2))
    assert hubspot.load(spec, CONTACT).outcomes == {"updated": 1}
    assert [company for _, company, _ in hubspot.sandbox.portal.associations()] == [accounts[2]]
