"""Which proxy of the environment is taken."""

from __future__ import annotations

import pytest

from crm_pipeline.proxies import proxy_to

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://inside:3128"}, "http://inside:3128"),
        ({"http_proxy": "http://inside:3128"}, None),
        ({"https_proxy": "inside:3128"}, "http://inside:3128"),
        ({"all_proxy": "http://inside:3128"}, "http://inside:3128"),
        ({"https_proxy": "http://own:1", "all_proxy": "http://inside:3128"}, "http://own:1"),
        ({"all_proxy": "socks5://inside:1080"}, None),
        ({"https_proxy": "http://inside:3128", "no_proxy": "qbench.net"}, None),
        ({"https_proxy": "http://inside:3128", "no_proxy": "acme.qbench.net:8443"}, "http://inside:3128"),
        ({"https_proxy": "http://inside:3128", "no_proxy": "localhost, *"}, None),
    ],
)
def test_proxy_is_the_http_proxy_that_the_environment_names_for_the_scheme_or_for_all_but_for_hosts_left_out(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str | None
) -> None:
    only(monkeypatch, environment)
    assert proxy_to("https://acme.qbench.net") == expected


def test_proxy_of_another_kind_is_named_by_its_scheme_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    only(monkeypatch, {"all_proxy": "socks5h://user:secret@inside:1080"})
    assert proxy_to("https://acme.qbench.net") is None
    [told] = caplog.messages
    assert told.startswith("the environment names a socks5h proxy for acme.qbench.net, which is not used; set HTTPS_PROXY")
    assert "secret" not in told
    only(monkeypatch, {"all_proxy": "socks5h://inside:1080", "https_proxy": "http://inside:3128"})
    assert proxy_to("https://acme.qbench.net") == "http://inside:3128"
    only(monkeypatch, {"all_proxy": "socks5h://inside:1080", "no_proxy": "qbench.net"})
    assert proxy_to("https://acme.qbench.net") is None
    assert caplog.messages == [told]


def test_host_may_be_left_out_by_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {"https_proxy": "http://inside:3128", "no_proxy": "qbench.net:8443"})
    assert proxy_to("https://acme.qbench.net:8443") is None
    assert proxy_to("https://acme.qbench.net:8444") == "http://inside:3128"


def only(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
