"""A stand-in for one site of SugarCRM CE or SuiteCRM 7 or 8: its state (``SugarSite``) and REST v4_1 over HTTP (``sugarcrm_app``)."""

from crm_pipeline.sandbox.sugarcrm.app import sugarcrm_app
from crm_pipeline.sandbox.sugarcrm.modules import Field
from crm_pipeline.sandbox.sugarcrm.site import SugarSite

__all__ = ["Field", "SugarSite", "sugarcrm_app"]
