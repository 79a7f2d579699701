"""Processes that use one portal keep its limits together, which a strict portal is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from sqlalchemy import text

from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.crms.hubspot.test_transport import hurry
from crm_pipeline_tests.crms.hubspot_bench import KEY, open_bench

CALLS, SEARCHES = 14, 4
ASK = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from crm_pipeline.crms.hubspot import COMPANIES, KIND, HubSpotSettings
from crm_pipeline.pacing import share_pace
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases

database, url, variable = sys.argv[1:]
settings = {{"url": url, "token": {{"env": variable}}, "external_key": "{KEY}", "attempts": 1, "limits": {{"calls": 30, "seconds": 5}}}}
crm = KIND.connect(HubSpotSettings.model_validate(settings), variable.lower())
share_pace(crm, PaceLeases(Store(database)))
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(10) as threads:
    asked = [threads.submit(crm.find, COMPANIES, "{KEY}", ["1"]) for _ in range({CALLS})]
    asked += [threads.submit(crm.has_keyed_records, COMPANIES) for _ in range({SEARCHES})]
    for one in asked:
        one.result()
"""


def test_three_processes_with_one_token_stay_within_its_limits_of_calls_and_searches(
    sandbox: Sandbox, portal: HubSpotPortal, database_url: str, store: Store
) -> None:
    open_bench(sandbox)
    portal.burst_calls = 30
    hurry(portal, times=2)
    variables = [f"HUBSPOT_TOKEN_{number}" for number in range(3)]
    environment = {**os.environ, **dict.fromkeys(variables, os.environ["HUBSPOT_TOKEN"])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, database_url, sandbox.hubspot_url, variable],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        for variable in variables
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    calls = sandbox.journal.calls("hubspot")
    assert Counter(call.path.rpartition("/")[2] for call in calls) == {"read": 3 * CALLS, "search": 3 * SEARCHES}
    assert {call.status for call in calls} == {200, 207}
    with store.transaction() as connection:
        accounts = connection.execute(text("SELECT account FROM crm_pipeline.pace")).scalars().all()
    assert len(accounts) == 2
    assert not any(os.environ["HUBSPOT_TOKEN"] in account for account in accounts)
