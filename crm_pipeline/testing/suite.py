"""What every CRM's client does alike: the Crm protocol, tried on a stand-in of the CRM over real HTTP.

A module of tests takes all of it with ``from crm_pipeline.testing.suite import *``; a fixture ``bench`` (testing.bench.Bench) says which
CRM. What a CRM cannot do, its capabilities say, and then the tests ask for what holds instead.
"""

from crm_pipeline.testing.conformance.associating import *  # noqa: F403 - the suite is their tests
from crm_pipeline.testing.conformance.changing import *  # noqa: F403
from crm_pipeline.testing.conformance.common import crm, keyless  # noqa: F401 - fixtures of the tests
from crm_pipeline.testing.conformance.connecting import *  # noqa: F403
from crm_pipeline.testing.conformance.converting import *  # noqa: F403
from crm_pipeline.testing.conformance.creating_once import *  # noqa: F403
from crm_pipeline.testing.conformance.deleting import *  # noqa: F403
from crm_pipeline.testing.conformance.describing import *  # noqa: F403
from crm_pipeline.testing.conformance.editing import *  # noqa: F403
from crm_pipeline.testing.conformance.examining import *  # noqa: F403
from crm_pipeline.testing.conformance.failing import *  # noqa: F403
from crm_pipeline.testing.conformance.jobs import *  # noqa: F403
from crm_pipeline.testing.conformance.listing import *  # noqa: F403
from crm_pipeline.testing.conformance.reading import *  # noqa: F403
from crm_pipeline.testing.conformance.refusing import *  # noqa: F403
from crm_pipeline.testing.conformance.writing import *  # noqa: F403
