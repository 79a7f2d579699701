"""Carries plans out: a load in stages, and the preview that counts what a load would do."""
