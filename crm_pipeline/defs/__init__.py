"""One folder per integration, each with a ``defs.yaml``; see README.md beside this file."""
