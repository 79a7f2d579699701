"""Everything Dagster: assets, windows, resources, schedules."""
