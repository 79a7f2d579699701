"""Reads QBench, the source."""
