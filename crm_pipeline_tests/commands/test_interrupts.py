"""Ctrl-C ends a command whatever it meets."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator

import pytest

from crm_pipeline.commands.interrupts import SIGNALS, interruptible
from crm_pipeline_tests.awaiting import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of this process, back in their places at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupted:
    """Ctrl-C comes while it is finalized."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_either_signal_ends_the_block_and_is_ignored_from_then_on(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)
    assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}


def test_an_interrupt_in_a_finalizer_is_neither_lost_nor_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def finalizes_something_and_goes_on() -> None:
        Interrupted()
        threading.Event().wait(PATIENCE_SECONDS)

    with pytest.raises(KeyboardInterrupt), interruptible():
        finalizes_something_and_goes_on()
    assert capsys.readouterr().err == ""


def test_what_breaks_by_an_interrupt_is_an_interrupt_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            logging.getLogger("library").error("an exception during reset")
            raise AssertionError

    with pytest.raises(KeyboardInterrupt), interruptible():
        breaks()
    assert caplog.messages == []
    logging.getLogger("library").error("another day")
    assert caplog.messages == ["another day"]


def test_other_errors_leave_it_as_they_are_and_the_handlers_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), interruptible():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before
