"""The variables that tell a benchmark's worker what it is to work on; without an import, so that a worker loads only what it measures."""

SPEC_VARIABLE = "BENCHMARK_INTEGRATION"

EMPTY_VARIABLE = "BENCHMARK_EMPTY"
"""Asks for assets that do nothing: ``assets``, or ``checks`` for their asset checks too."""

COPIES_VARIABLE = "BENCHMARK_COPIES"
"""Asks for so many integrations, itself and others like it that were never loaded; 0 is a deployment without any."""

PARTS_VARIABLE = "BENCHMARK_PARTS_OF_A_BATCH"
"""Asks for batches of so small a part of what a call may hold."""
