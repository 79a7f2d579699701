"""What a site's set-up says beside its fields: the modules that the user has, and what the user may do there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from crm_pipeline.crms.sugarcrm import KIND
from crm_pipeline.crms.sugarcrm.contracts import MODULES
from crm_pipeline.crms.sugarcrm.transport import Transport
from crm_pipeline.diagnosis import Finding

AREA = KIND.name
ACTIONS = ("list", "view", "edit")
"""What the sync does with records, by the names that roles have for it."""


def rights(transport: Transport, modules: Collection[str]) -> Iterator[Finding]:
    """Whether roles let the user do in these modules what the sync does.

    Assumed of the answer's form: ``acls`` of each module as ``[{action, access}, ...]``; an action that is not listed is allowed.
    """
    told = {
        module["module_key"]: module for module in transport.ask("get_available_modules", "all", label="describe", holds=MODULES)["modules"]
    }
    for name in modules:
        subject = f"{name}: rights"
        if name not in told:
            remedy = f"enable the module {name} for the integration's user by a role, and display it in the administration"
            yield Finding("problem", AREA, subject, "the user does not have this module", remedy)
            continue
        lacking = [action for action in ACTIONS if action in _denied(told[name])]
        if lacking:
            remedy = f"give the integration's user a role with {', '.join(ACTIONS)} on {name}"
            yield Finding("problem", AREA, subject, f"the user may not {', '.join(lacking)} records", remedy)
        else:
            yield Finding("ok", AREA, subject, f"the user may {', '.join(ACTIONS)}")


def _denied(module: dict[str, Any]) -> set[str]:
    return {str(acl["action"]) for acl in module.get("acls") or () if not acl["access"]}
