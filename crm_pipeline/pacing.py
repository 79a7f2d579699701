"""May I call now? Waits until the next call is within a limit."""

from __future__ import annotations

from pyrate_limiter import AbstractBucket, BucketFactory, Duration, InMemoryBucket, Limiter, Rate, RateItem


class _OneWindow(BucketFactory):
    """A window that forgets old calls when it is asked; the library's own does so in a thread that nothing ends."""

    def __init__(self, bucket: InMemoryBucket) -> None:
        self._bucket = bucket

    def wrap_item(self, name: str, weight: int = 1) -> RateItem:
        return RateItem(name, self._bucket.now(), weight=weight)

    def get(self, _item: RateItem) -> AbstractBucket:
        self._bucket.leak(self._bucket.now())
        return self._bucket


class Pace:
    """Waits until a call may be made under a limit of ``calls`` per ``seconds`` in a sliding window; safe over threads."""

    def __init__(self, *, calls: int, seconds: float) -> None:
        self._limiter = Limiter(_OneWindow(InMemoryBucket([Rate(calls, int(Duration.SECOND * seconds))])))

    def wait(self) -> None:
        """Return as soon as the next call is within the limit."""
        self._limiter.try_acquire("call", blocking=True)
