"""A stand-in for one HubSpot account: its state (``HubSpotPortal``) and its HTTP face (``hubspot_app``)."""

from crm_pipeline.sandbox.hubspot.app import hubspot_app
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal

__all__ = ["HubSpotPortal", "hubspot_app"]
