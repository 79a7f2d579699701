"""Which proxy leads to a service? The environment tells it (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

logger = logging.getLogger(__name__)


def proxy_to(url: str) -> str | None:
    """The URL of the HTTP proxy that requests to this one go through; null where none does.

    The log tells of a proxy of another kind, which is passed over.
    """
    parts, named = urlsplit(url), getproxies()
    past = {name.strip() for name in named.get("no", "").split(",")}
    # With its port, which NO_PROXY may name too.
    if "*" in past or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    found = [proxy if "://" in proxy else f"http://{proxy}" for proxy in map(named.get, (parts.scheme, "all")) if proxy]
    schemes = [urlsplit(proxy).scheme for proxy in found]
    taken = next((proxy for proxy, scheme in zip(found, schemes, strict=True) if scheme in {"http", "https"}), None)
    if found and taken is None:
        logger.warning(
            "the environment names a %s proxy for %s, which is not used; set %s_PROXY to an http:// proxy, or name the host in NO_PROXY",
            schemes[0],
            parts.hostname,
            parts.scheme.upper(),
        )
    return taken
