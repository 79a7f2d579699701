"""How much CPU does a plan take? 100,000 linked contacts, of which 1 % changed, in frames as a load reads them.

Timed is what a load does between reading a frame and writing it: payload, digests and plan. Salesforce's field list is the
stand-in's own; rows and links are made before the clock starts.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from benchmarks.figures import Figure
from benchmarks.workbench import HOUR, Workbench, workbench
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digest_dicts, digests
from crm_pipeline.mapping.normalize import normalize
from crm_pipeline.mapping.payload import build_payload
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, LinkOrigin, LinkStatus, Operation, RecordType
from crm_pipeline.schemas import LINKS, RAW
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.sync import eligibility
from crm_pipeline.sync.matching import MATCHES
from crm_pipeline.sync.planning import Inputs, plan
