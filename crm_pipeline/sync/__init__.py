"""Decides what is to be done to each record in a CRM, and does it."""
