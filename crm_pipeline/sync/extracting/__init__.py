"""From QBench into the state: what changed is staged, and normalized."""
