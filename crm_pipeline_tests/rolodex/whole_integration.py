"""A whole integration that feeds Rolodex, in the folder that is named: written, loaded, planned, run through Dagster, checked.

What happened is printed as JSON. The environment names a migrated database, and has the credentials of QBench's stand-in.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from crm_pipeline.cli import main as command_line
from crm_pipeline.integration import IntegrationSpec, WrittenAttributes
from crm_pipeline.orchestration.names import job_name, links_job_name
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.qbench import QBenchTenant, qbench_app
from crm_pipeline.sandbox.server import serve
from crm_pipeline.scaffolding import new_integration

from .server import KEY, Rolodex, rolodex_app

COMPONENT = "crm_pipeline.CrmIntegration"
FIRST = "2026-11-01-00:00"
BEFORE = int(datetime(2026, 10, 31, tzinfo=UTC).timestamp())
OWNED = {"owner": [{"rolodex": "ana@acme.example"}]}


def main(folder: Path) -> None:
    """Do it all and print what happened."""
    tenant, rolodex, journal = QBenchTenant(), Rolodex(), Journal()
    firms = [tenant.add_customer(customer_name=f"Lab {number}", phone=f"512 555 010{number}", at=BEFORE) for number in (1, 2, 3)]
    for number, firm in enumerate(firms):
        email = f"person{number}@example.org"
        tenant.add_contact(customer_ids=[firm], email_address=email, first_name="Ana", last_name="Ruiz", phone="512 555 0109", at=BEFORE)
    matched = rolodex.add("firms", {"name": "LAB 2"})
    with serve({"qbench": qbench_app(tenant), "rolodex": rolodex_app(rolodex)}, journal=journal, faults=Faults()) as urls:
        attributes = integration(urls)
        told: dict[str, Any] = {"scaffolded": yaml.safe_load(new_integration(["rolodex"], type_name=COMPONENT, now=datetime.now(UTC)))}
        told["schema"] = list(WrittenAttributes.model_json_schema()["$defs"]["Crms"]["properties"])
        told["owner_refused"] = refusal({**attributes, "accounts": {**attributes["accounts"], **OWNED}})
        definitions = loaded(folder, attributes)
        told["assets"] = sorted(key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys())
        with dg.DagsterInstance.ephemeral() as instance:
            job = definitions.resolve_job_def(job_name("acme"))
            read = [dg.AssetKey(["acme", *key.split("/")]) for key in ("qbench/customers", "qbench/contacts", "normalized/accounts")]
            read.append(dg.AssetKey(["acme", "normalized", "contacts"]))
            assert job.execute_in_process(partition_key=FIRST, instance=instance, asset_selection=read).success
            told["plan"] = command("plan", "--json")
            told["written_by_the_plan"] = len(writes(journal))
            result = job.execute_in_process(partition_key=FIRST, instance=instance)
            told["checks"] = {
                f"{'/'.join(check.asset_key.path[1:])} {check.check_name}": check.passed for check in result.get_asset_check_evaluations()
            }
            told["names"] = sorted(one["values"]["name"] for one in rolodex.records["firms"].values())
            told["keyed"] = sorted(int(one["values"][KEY]) for one in rolodex.records["firms"].values()) == firms
            told["firms_of_people"] = [
                rolodex.records["firms"][one["firm_id"]]["values"]["name"] for one in rolodex.records["people"].values()
            ]
            journal.clear()
            assert job.execute_in_process(partition_key=FIRST, instance=instance).success
            told["written_again"] = len(writes(journal))
            rolodex.delete("firms", matched)
            links = definitions.resolve_job_def(links_job_name("acme"))
            checked = links.execute_in_process(instance=instance, tags={"crm_pipeline/links": "full"})
            told["links"] = {
                name: value.value
                for event in checked.get_asset_materialization_events()
                if event.asset_key == dg.AssetKey(["acme", "rolodex", "links"])
                for name, value in event.materialization.metadata.items()
            }
    print(json.dumps(told, default=str))


def integration(urls: dict[str, str]) -> dict[str, Any]:
    """What the integration's YAML says."""
    return {
        "start": "2026-11-01T00:00Z",
        "default_region": "US",
        "qbench": {"url": urls["qbench"], "client_id": {"env": "QBENCH_CLIENT_ID"}, "client_secret": {"env": "QBENCH_CLIENT_SECRET"}},
        "crms": {"rolodex": {"url": urls["rolodex"], "token": {"env": "ROLODEX_TOKEN"}, "external_key": KEY}},
        "accounts": {
            "map": {"name": "customer_name", "phone_number": "phone", "rolodex.notes": {"constant": "from QBench"}},
            "sync_on": [{"name": {"rolodex": "name"}}],
        },
        "contacts": {
            "map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"},
            "sync_on": [{"email": {"rolodex": "email"}}],
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


def writes(journal: Journal) -> list[Any]:
    """The calls that wrote to Rolodex."""
    return [call for call in journal.calls("rolodex") if call.path.rpartition("/")[2] in ("create", "update", "upsert")]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
