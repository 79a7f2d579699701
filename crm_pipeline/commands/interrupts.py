"""Ctrl-C and a supervisor's request end a command at once and quietly, whatever they interrupt."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What ends a command. A shell may have told what it started in the background to ignore the first."""
AGAIN_SECONDS = 0.01


@contextmanager
def interruptible() -> Iterator[None]:
    """Either signal raises KeyboardInterrupt in this block, and nothing else leaves the block then.

    A signal may meet any line. In a finalizer or a callback of Python's the exception would be printed and lost: it is raised once more,
    a moment later. In the cleaning up of a library it makes that fail with an error of its own, and log it: neither is the command's.
    """
    handlers = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    logged = logging.root.manager.disable
    hook, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        yield
    except BaseException as error:
        if not _of_an_interrupt(error):
            raise
        # The command is over; who asks once more need not see where Python is with ending.
        handlers = dict.fromkeys(SIGNALS, signal.SIG_IGN)
        raise KeyboardInterrupt from None
    finally:
        logging.disable(logged)
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    logging.disable()
    raise KeyboardInterrupt


def _unraisable(lost: UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        Timer(AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


def _of_an_interrupt(error: BaseException | None) -> bool:
    """Whether it is one, or arose while one was on its way."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
