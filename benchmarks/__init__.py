"""What the product must reach, measured: API calls, memory, import time and planning. Run with ``python -m benchmarks``."""
