"""How the YAML of an integration is read: the base of its models, its files, and what is said of mistakes in it."""
