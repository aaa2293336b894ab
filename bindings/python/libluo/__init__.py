# SPDX-License-Identifier: LGPL-2.1-or-later

"""State of services that lives through restarts, and through kexecs by the kernel's Live Update Orchestrator (LUO).

    import libluo

    store = libluo.Store()
    state = store.map("state", size=1 << 20, version=1)  # the same memory at the next start
    store.barrier(timeout=5)
    libluo.notify("READY=1")

Store has what a service keeps in the fd store of its service manager, preflight() says what LUO makes of a file, and
memfd_new() makes memory that it preserves. Functions are those of libluo.h: man libluo_store_open has the details.

Failures are exceptions: Error, with errno and libluo's sentence. What holds a file descriptor has close() and is a
context manager. Numbers that do not fit, and objects that were closed, are a ValueError.
"""

from . import _library
from ._config import VERSION as __version__
from ._files import FileDescriptor, Loss, Preflight, Verdict, memfd_new, preflight
from ._library import Error, NotFoundError, TimedOutError
from ._store import Entry, Sessions, Store, notify

__all__ = [
    "Entry",
    "Error",
    "FileDescriptor",
    "Loss",
    "NotFoundError",
    "Preflight",
    "Sessions",
    "Store",
    "TimedOutError",
    "Verdict",
    "memfd_new",
    "notify",
    "preflight",
    "version",
]


def version() -> str:
    """The version of the library in use; that of this module is __version__."""
    found: str = _library.function("version")().decode()
    return found
