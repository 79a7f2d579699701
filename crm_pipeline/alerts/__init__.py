"""Alerts: which incidents are open, in what words they are told, and by which channels."""
