# SPDX-License-Identifier: LGPL-2.1-or-later

"""Test cases in Python, as TAP."""

import contextlib
import sys
import traceback


def run(cases, first=1, plan=None):
    """Runs (name, function) each, numbered from first on. The plan is of these, of more (a number), or left out (0)."""
    failed = 0
    if plan != 0:
        print(f"1..{plan or len(cases)}", flush=True)
    for number, (name, function) in enumerate(cases, first):
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # whatever it is, the case failed
            failed = 1
            print(f"not ok {number} - {name}", flush=True)
            text = "".join(f"# {line}\n" for line in traceback.format_exc().splitlines())
            print(text, end="", flush=True)
            print(text, end="", file=sys.stderr, flush=True)
    return failed


def equal(found, expected):
    """Compares, and says what is what."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


@contextlib.contextmanager
def raises(exception, number=None):
    """The block has to fail with this exception, and this errno."""
    try:
        yield
    except exception as error:
        if number is not None:
            equal(error.errno, number)
        return
    raise AssertionError(f"no {exception.__name__}")
