"""A stand-in for one Salesforce organization: its state, and its REST API over HTTP."""

from crm_pipeline.sandbox.salesforce.app import salesforce_app
from crm_pipeline.sandbox.salesforce.duplicates import DuplicateRule
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg, ValidationRule

__all__ = ["DuplicateRule", "SalesforceOrg", "ValidationRule", "salesforce_app"]
