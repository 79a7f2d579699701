"""What runs on the machine at hand, for trying out and for tests: nothing of it is left behind."""
