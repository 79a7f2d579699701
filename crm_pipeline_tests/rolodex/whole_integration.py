"""A whole integration that feeds both editions of Rolodex, in the folder that is named: written, loaded, planned, run, checked.

What happened is printed as JSON. The environment names a migrated database, and has the credentials of QBench's stand-in.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from click.testing import CliRunner
from pydantic import ValidationError
from sqlalchemy import text

from crm_pipeline.cli import main as command_line
from crm_pipeline.integration import IntegrationSpec, WrittenAttributes
from crm_pipeline.orchestration.names import job_name, links_job_name
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Call, Journal
from crm_pipeline.sandbox.qbench import QBenchTenant, qbench_app
from crm_pipeline.sandbox.server import serve
from crm_pipeline.scaffolding import new_integration
from crm_pipeline.store.database import Store

from . import KIND
from .light import KIND as LIGHT_KIND
from .server import KEY, LIGHT, Rolodex, rolodex_app

COMPONENT = "crm_pipeline.CrmIntegration"
FIRST = "2026-11-01-00:00"
BEFORE = int(datetime(2026, 10, 31, tzinfo=UTC).timestamp())
OWNED = {"owner": [{"rolodex": "ana@acme.example"}]}


def main(folder: Path) -> None:
    """Do it all and print what happened."""
    tenant, rolodexes, journal = QBenchTenant(), {KIND.name: Rolodex(), LIGHT_KIND.name: Rolodex(LIGHT)}, Journal()
    apps = {name: rolodex_app(rolodex) for name, rolodex in rolodexes.items()}
    firms = [tenant.add_customer(customer_name=f"Lab {number}", phone=f"512 555 010{number}", at=BEFORE) for number in (1, 2, 3)]
    person: dict[str, Any] = {"first_name": "Ana", "last_name": "Ruiz", "phone": "512 555 0109", "at": BEFORE}
    people = [
        tenant.add_contact(customer_ids=[firm], email_address=f"person{number}@example.org", **person) for number, firm in enumerate(firms)
    ]
    matched = {name: rolodex.add("firms", {"name": "LAB 2"}) for name, rolodex in rolodexes.items()}
    with serve({"qbench": qbench_app(tenant), **apps}, journal=journal, faults=Faults()) as urls:
        attributes = integration(urls)
        told: dict[str, Any] = {"scaffolded": yaml.safe_load(new_integration(["rolodex"], type_name=COMPONENT, now=datetime.now(UTC)))}
        told["schema"] = list(WrittenAttributes.model_json_schema()["$defs"]["Crms"]["properties"])
        told["owner_refused"] = refusal({**attributes, "accounts": {**attributes["accounts"], **OWNED}})
        keyed_light = {**attributes["crms"]["rolodex_light"], "external_key": KEY}
        told["key_refused"] = refusal({**attributes, "crms": {**attributes["crms"], "rolodex_light": keyed_light}})
        definitions = loaded(folder, attributes)
        told["assets"] = sorted(key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys())
        with dg.DagsterInstance.ephemeral() as instance:
            job = definitions.resolve_job_def(job_name("acme"))
            read = [dg.AssetKey(["acme", *key.split("/")]) for key in ("qbench/customers", "qbench/contacts", "normalized/accounts")]
            read.append(dg.AssetKey(["acme", "normalized", "contacts"]))
            assert job.execute_in_process(partition_key=FIRST, instance=instance, asset_selection=read).success
            for asked in ("doctor", "provision"):
                found = command(asked, "--json")
                told[asked] = {name: {one["subject"]: one["level"] for one in found if one["area"] == name} for name in rolodexes}
            plans = command("plan", "--json")
            told["plan"] = {name: [plan for plan in plans if plan["crm"] == name] for name in rolodexes}
            told["written_by_the_plan"] = len(writes(journal))
            result = job.execute_in_process(partition_key=FIRST, instance=instance)
            told["checks"] = {
                f"{'/'.join(check.asset_key.path[1:])} {check.check_name}": check.passed for check in result.get_asset_check_evaluations()
            }
            told["held"] = {name: held(rolodex) for name, rolodex in rolodexes.items()}
            told["largest_calls"] = {name: max(call.rows or 0 for call in writes(journal) if call.service == name) for name in rolodexes}
            journal.clear()
            assert job.execute_in_process(partition_key=FIRST, instance=instance).success
            told["written_again"] = len(writes(journal))
            full = rolodexes[KIND.name]
            prospect = full.add("prospects", {"email": "person0@example.org", "first": "Ana", KEY: str(people[0])})
            link_to_prospect(people[0], prospect)
            tenant.edit_contact(people[0], first_name="Bea", at=BEFORE + 60)
            assert job.execute_in_process(partition_key=FIRST, instance=instance).success
            told["first_names"] = {
                name: sorted(one["values"]["first"] for one in full.records[name].values()) for name in ("people", "prospects")
            }
            for name, rolodex in rolodexes.items():
                rolodex.delete("firms", matched[name])
            links = definitions.resolve_job_def(links_job_name("acme"))
            checked = links.execute_in_process(instance=instance, tags={"crm_pipeline/links": "full"})
            told["links"] = {
                event.materialization.asset_key.path[1]: {name: value.value for name, value in event.materialization.metadata.items()}
                for event in checked.get_asset_materialization_events()
            }
    print(json.dumps(told, default=str))


def integration(urls: dict[str, str]) -> dict[str, Any]:
    """What the integration's YAML says."""
    return {
        "start": "2026-11-01T00:00Z",
        "default_region": "US",
        "qbench": {"url": urls["qbench"], "client_id": {"env": "QBENCH_CLIENT_ID"}, "client_secret": {"env": "QBENCH_CLIENT_SECRET"}},
        "crms": {
            "rolodex": {"url": urls["rolodex"], "token": {"env": "ROLODEX_TOKEN"}, "external_key": KEY},
            "rolodex_light": {"url": urls["rolodex_light"], "token": {"env": "ROLODEX_TOKEN"}},
        },
        "accounts": {
            "map": {
                **{"name": "customer_name", "phone_number": "phone"},
                **{f"{name}.notes": {"constant": "from  QBench"} for name in ("rolodex", "rolodex_light")},
            },
            "sync_on": [{"name": {"rolodex": "name", "rolodex_light": "name"}}],
        },
        "contacts": {
            "map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"},
            "sync_on": [{"email": {"rolodex": "email", "rolodex_light": "email"}}],
            "owner": [{"same_as_account": True}],
        },
    }


def loaded(folder: Path, attributes: dict[str, Any]) -> dg.Definitions:
    """The definitions of a project whose only integration has these attributes."""
    package = folder / "project"
    (package / "defs" / "acme").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "defs" / "__init__.py").touch()
    (package / "defs" / "acme" / "defs.yaml").write_text(yaml.safe_dump({"type": COMPONENT, "attributes": attributes}))
    (folder / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "project"\n')
    sys.path.insert(0, str(folder))
    return dg.load_from_defs_folder(path_within_project=package)


def link_to_prospect(contact: int, crm_id: str) -> None:
    """Let a contact be linked to a record of the other object that takes contacts."""
    statement = text(
        "UPDATE crm_pipeline.link SET object = 'prospects', crm_id = :crm_id "
        "WHERE crm = 'rolodex' AND record_type = 'contact' AND qbench_id = :id"
    )
    with closing(Store()) as store, store.transaction() as connection:
        assert connection.execute(statement, {"crm_id": crm_id, "id": contact}).rowcount == 1


def command(*words: str) -> Any:
    """What a command prints as JSON."""
    result = CliRunner().invoke(command_line, [*words, "-m", "project.defs"], catch_exceptions=False)
    return json.loads(result.output) if result.exit_code == 0 else result.output


def refusal(attributes: dict[str, Any]) -> str:
    """Why these attributes are refused."""
    try:
        IntegrationSpec.model_validate({"name": "acme", **attributes})
    except ValidationError as error:
        return str(error)
    return "not refused"


def held(rolodex: Rolodex) -> dict[str, Any]:
    """What a Rolodex holds: the names and keys of its firms, and the names of the firms of its people."""
    firms, people = (rolodex.records[name].values() for name in ("firms", "people"))
    return {
        "names": sorted(one["values"]["name"] for one in firms),
        "keys": sorted(one["values"][KEY] for one in firms if KEY in one["values"]),
        "firms_of_people": sorted(rolodex.records["firms"][one["firm_id"]]["values"]["name"] for one in people),
    }


def writes(journal: Journal) -> list[Call]:
    """The calls that wrote to a Rolodex."""
    return [call for call in journal.calls() if call.service != "qbench" and call.path.rpartition("/")[2] in ("create", "update", "upsert")]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
