"""The frames that cross module borders, column by column."""

from crm_pipeline.schemas.crms import *  # noqa: F403 - named in one place
from crm_pipeline.schemas.records import *  # noqa: F403
from crm_pipeline.schemas.state import *  # noqa: F403
