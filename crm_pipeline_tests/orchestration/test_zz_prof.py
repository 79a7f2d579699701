import time, cProfile, pstats
from crm_pipeline_tests.tenants import *
from crm_pipeline_tests.orchestration.conftest import *
from crm_pipeline_tests.conftest import *
def test_x(sandbox, dagster):
    c = sandbox.tenant.add_customer(customer_name="Eco Labs", employees=55, at=BEFORE_START)
    sandbox.tenant.add_contact(customer_ids=[c], email_address="a@ecolabs.example.org", first_name="A", last_name="B", phone="(512) 555-0102", at=BEFORE_START)
    spec = integration(sandbox)
    for i in range(3):
        t=time.time(); u=time.process_time()
        r = dagster.run(spec, FIRST)
        print("run", time.time()-t, time.process_time()-u, r.success)
        if not r.success:
            for e in r.all_events:
                if e.is_failure: print(e.message, e.event_specific_data)
    p=cProfile.Profile(); p.enable(); dagster.run(spec, SECOND); p.disable()
    pstats.Stats(p).sort_stats("cumtime").print_stats(45)
