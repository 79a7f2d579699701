"""The whole sandbox: stand-ins for QBench, Salesforce, HubSpot and, where asked for, SugarCRM, running together on 127.0.0.1."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.hubspot import HubSpotPortal, hubspot_app
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.qbench import QBenchTenant, qbench_app
from crm_pipeline.sandbox.salesforce import SalesforceOrg, salesforce_app
from crm_pipeline.sandbox.server import HOST, serve
from crm_pipeline.sandbox.sugarcrm import SugarSite, sugarcrm_app

__all__ = ["SANDBOX_CREDENTIALS", "SUGARCRM_CREDENTIALS", "Sandbox", "seeded_sandbox", "start_sandbox"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: where its services answer, what they hold, what was asked of them, and what is to go wrong."""

    qbench_url: str
    salesforce_url: str
    hubspot_url: str
    tenant: QBenchTenant
    org: SalesforceOrg
    portal: HubSpotPortal
    journal: Journal
    faults: Faults
    sugarcrm_url: str | None = None
    """Where the site's pages would be; its API is at ``site.path`` below. None where no site runs."""
    site: SugarSite | None = None


@contextmanager
def start_sandbox(
    *,
    tenant: QBenchTenant | None = None,
    org: SalesforceOrg | None = None,
    portal: HubSpotPortal | None = None,
    site: SugarSite | None = None,
    ports: Mapping[str, int] | None = None,
    host: str = HOST,
) -> Iterator[Sandbox]:
    """Run the stand-ins until the block ends; what is not given is empty and accepts ``SANDBOX_CREDENTIALS``.

    A ``site`` of SugarCRM runs only where it is given. ``ports`` are by service (qbench, salesforce, hubspot, sugarcrm); a missing one,
    or 0, is any free port. ``host`` is the address of this machine at which they answer. Raises OSError when a port is taken.
    """
    tenant = tenant or QBenchTenant()
    org = org or SalesforceOrg()
    portal = portal or HubSpotPortal()
    journal, faults = Journal(), Faults()
    apps = {"qbench": qbench_app(tenant), "salesforce": salesforce_app(org), "hubspot": hubspot_app(portal)}
    if site is not None:
        apps["sugarcrm"] = sugarcrm_app(site)
    with serve(apps, ports=ports, host=host, journal=journal, faults=faults) as urls:
        yield Sandbox(
            qbench_url=urls["qbench"],
            salesforce_url=urls["salesforce"],
            hubspot_url=urls["hubspot"],
            tenant=tenant,
            org=org,
            portal=portal,
            journal=journal,
            faults=faults,
            sugarcrm_url=urls.get("sugarcrm"),
            site=site,
        )


@contextmanager
def seeded_sandbox(
    *,
    customers: int,
    contacts: int,
    seed: int,
    dirty: bool,
    until: int | None = None,
    clock: Callable[[], float] = time.time,
    ports: Mapping[str, int] | None = None,
    sugarcrm: bool = False,
) -> Iterator[Sandbox]:
    """A sandbox whose QBench holds made-up records, and whose CRMs have the external key.

    A ``dirty`` one has the faults of a real tenant, and CRM records that already exist. ``until``: Unix seconds before which
    all records were edited last, now when left out. ``clock``: what the services take for the true time. ``sugarcrm``: one of its
    sites runs too.
    """
    from crm_pipeline.sandbox.existing import seed_existing, seed_existing_site
    from crm_pipeline.sandbox.seed import seed_tenant

    tenant = seed_tenant(seed=seed, customers=customers, contacts=contacts, now=until or int(time.time()), dirty=dirty)
    tenant.clock = clock
    # Its user may make fields, so that people can try `crm-pipeline provision` on it.
    org = SalesforceOrg(external_keys=True, customizes=True, clock=lambda: datetime.fromtimestamp(clock(), UTC))
    portal = HubSpotPortal(external_keys=True, clock=clock)
    site = SugarSite(external_keys=True, clock=clock) if sugarcrm else None
    if dirty:
        seed_existing(tenant, org, portal, seed=seed)
    if dirty and site is not None:
        seed_existing_site(tenant, site, seed=seed)
    with start_sandbox(tenant=tenant, org=org, portal=portal, site=site, ports=ports) as running:
        yield running
