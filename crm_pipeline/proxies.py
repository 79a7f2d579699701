"""Which proxy leads to a service? The environment tells it (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_to(url: str) -> str | None:
    """The URL of the HTTP proxy that requests to this one go through; null where none does."""
    parts, named = urlsplit(url), getproxies()
    past = {name.strip() for name in named.get("no", "").split(",")}
    # With its port, which NO_PROXY may name too.
    if "*" in past or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    found = (proxy if "://" in proxy else f"http://{proxy}" for proxy in map(named.get, (parts.scheme, "all")) if proxy)
    return next((proxy for proxy in found if urlsplit(proxy).scheme in {"http", "https"}), None)
