"""The tests of the conformance suite, by what a CRM does. ``testing.suite`` gathers them."""
