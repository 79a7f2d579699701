"""The demo's integration."""
