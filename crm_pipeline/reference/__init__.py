"""Writes the documents that come from the code: errors, keys of the YAML, and what answers must hold."""
