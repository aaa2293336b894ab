# SPDX-License-Identifier: LGPL-2.1-or-later

"""A service's state in the service manager's fd store."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import threading
import time
import weakref
from collections.abc import Iterator
from ctypes import byref, c_size_t, c_void_p, sizeof
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _library
from ._files import FileDescriptor
from ._library import FileDescriptorLike, check, function, text

if TYPE_CHECKING:
    from typing import Union

    # collections.abc.Buffer is there since Python 3.12
    BytesLike = Union[bytes, bytearray, memoryview]

# poll(2) takes no more milliseconds; waiting goes in steps
_POLL_MAX = 3_600_000

# How many seconds the library may wait for room in the service manager's socket, until handlers of signals run
_ROOM_WAIT = 0.05

# Of Python's copy of the environment, too: the library removes them from that of C
_LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Entry(NamedTuple):
    """What is in a store, as an iteration over it gives it."""

    name: str
    """several entries may have the same"""
    fd: int
    """the store's own: not to be closed, and valid until the next put or remove, or until the store is closed"""
    foreign: bool
    """may be of a socket unit, and so not of the fd store"""

    def fileno(self) -> int:
        """The same as fd."""
        return self.fd

    def duplicate(self) -> FileDescriptor:
        """A file descriptor of one's own for the same open file."""
        return FileDescriptor(os.dup(self.fd))


class Sessions(NamedTuple):
    """LUO sessions of one name, as Store.open_session() gives them."""

    restored: FileDescriptor | None
    """the one that came from the previous system, if there is one"""
    next: FileDescriptor
    """the one that goes to the next"""


def _mapped(address: int | None, size: int) -> memoryview:
    """Memory that was mapped by the library; unmapped when no view of it is left."""
    if not address:
        return memoryview(b"")
    array = (ctypes.c_ubyte * size).from_address(address)
    # At the exit of the interpreter somebody may still use a view: the kernel unmaps it soon enough
    weakref.finalize(array, _library.munmap, address, size).atexit = False
    return memoryview(array).cast("B")


# All there are, for a child process
_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """Who has locked a store is not there any more."""
    for store in list(_stores):
        if store._lock.acquire(blocking=False):
            store._lock.release()
        else:
            # It was in the middle of something, and is left as it was
            store._handle = None
        store._lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)


class Store(_library.Owner):
    """What a service has in the fd store of the service manager, by names.

    It lives through restarts of the service and, with FileDescriptorStorePreserve=yes in the unit, through kexecs. The
    unit needs FileDescriptorStoreMax= with room for one entry more than the service keeps. Iteration gives all entries:
    those that were passed to the process in their order, then those that were put.

    Errors of the library are raised as Error, see there. A store may be used by any number of threads. One process of a
    service writes to its store, or several in turn, each with shared. A store cannot be copied. One that another thread
    uses while a process forks is closed in the child.
    """

    def __init__(
        self,
        *,
        keep_environment: bool = False,
        any_room: bool = False,
        leave_foreign: bool = False,
        shared: bool = False,
    ) -> None:
        """Takes over all file descriptors that the service manager passed to this process. To be done once.

        keep_environment: leave LISTEN_FDS and its kin in the environment.
        any_room: take a $FDSTORE that is not set for an fd store without limit, as before systemd 254.
        leave_foreign: file descriptors that a socket unit may have passed remain the caller's. They are in the store,
        and not closed by it.
        shared: other processes of the service write to the store, too. A put asks the service manager for room, which
        takes a twentieth of a second, and takes the place of what others have put.

        See libluo_store_open(3).
        """
        self._handle: c_void_p | None = None
        self._lock = threading.RLock()
        handle = c_void_p()
        flags = (
            (_library.STORE_KEEP_ENVIRONMENT if keep_environment else 0)
            | (_library.STORE_ANY_ROOM if any_room else 0)
            | (_library.STORE_LEAVE_FOREIGN if leave_foreign else 0)
            | (_library.STORE_SHARED if shared else 0)
        )
        check(function("store_open")(flags, byref(handle)))
        self._handle = handle
        _stores.add(self)
        if not keep_environment:
            for variable in _LISTEN_VARIABLES:
                os.environ.pop(variable, None)

    def close(self) -> None:
        """Closes what the object holds; once more does nothing. What is in the fd store stays there."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                function("store_free")(handle)

    def __enter__(self) -> Store:
        if self._handle is None:
            raise ValueError("the store is closed")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def _call(self, name: str, *arguments: Any, about: str | None = None) -> int:
        with self._lock:
            if self._handle is None:
                raise ValueError("the store is closed")
            return check(function(f"store_{name}")(self._handle, *arguments), about)

    # ---- what is in it

    def __iter__(self) -> Iterator[Entry]:
        entries = []
        with self._lock:
            for i in range(self._call("count")):
                entry = _library.StoreEntry()
                self._call("get_entry", i, byref(entry), sizeof(entry))
                foreign = bool(entry.flags & _library.STORE_ENTRY_FOREIGN)
                entries.append(Entry(os.fsdecode(entry.name), entry.fd, foreign))
        return iter(entries)

    def __contains__(self, name: object) -> bool:
        """Whether something is stored under a name."""
        try:
            encoded = _library.text(name)
        except (TypeError, ValueError):  # nothing can be stored under that
            return False
        try:
            FileDescriptor(self._call("get_fd", encoded, 0)).close()
        except _library.Error as error:
            if error.errno == errno.ENOENT:
                return False
            if error.errno != errno.ENOTUNIQ:
                raise
        return True

    def get_fd(self, name: str) -> FileDescriptor:
        """What is stored under a name: a new reference to the same open file. See libluo_store_get_fd(3)."""
        return FileDescriptor(self._call("get_fd", text(name), 0, about=name))

    def get_data(self, name: str) -> bytes:
        """A copy of the data that is stored under a name. See libluo_store_get_data(3)."""
        data, size = c_void_p(), c_size_t()
        self._call("get_data", text(name), 0, byref(data), byref(size), about=name)
        try:
            return ctypes.string_at(data, size.value)
        finally:
            _library.free(data)

    def map_data(self, name: str) -> memoryview:
        """What put_data() stored under a name, without a copy: a view that cannot be written.

        The memory is there until the view and all that was made of it are gone, whatever becomes of the store.
        See libluo_store_map_data(3).
        """
        data, size = c_void_p(), c_size_t()
        self._call("map_data", text(name), 0, byref(data), byref(size), about=name)
        return _mapped(data.value, size.value).toreadonly()

    def map(self, name: str, size: int, version: int) -> memoryview:
        """Memory of the service that lives on: size bytes, for reading and writing.

        What is stored under the name is taken if it has this size, and if its first four bytes, an unsigned number in
        the machine's order, are version. Where nothing is stored it is made, all zero but for the version, and stored.
        The memory is mapped until the view and all that was made of it are gone. See libluo_store_map(3).
        """
        memory = c_void_p()
        if size < 4:
            raise ValueError(f"the size has no room for the version, which takes 4: {size}")
        size, version = _library.number("the size", size, 63), _library.number("the version", version, 32)
        self._call("map", text(name), size, version, 0, byref(memory), about=name)
        return _mapped(memory.value, size)

    def open_session(self, name: str, *, busy_timeout: float | None = 10) -> Sessions:
        """LUO sessions for what the process is to preserve itself, as it cannot be stored.

        For programs that this one executes with them, and for extension modules: sessions are used from C. busy_timeout
        is for how many seconds to wait if somebody else has /dev/liveupdate open; None: any time.
        See libluo_store_open_session(3).
        """
        restored, following = ctypes.c_int(-1), ctypes.c_int(-1)
        timeout = _library.microseconds(busy_timeout)
        self._call("open_session", text(name), 0, timeout, byref(restored), byref(following))
        return Sessions(
            FileDescriptor(restored.value) if restored.value >= 0 else None,
            FileDescriptor(following.value),
        )

    # ---- what is put into it

    def put_fd(self, name: str, file: FileDescriptorLike, *, no_poll: bool = False, add: bool = False) -> None:
        """Stores a file descriptor under a name, in the place of what is stored under it.

        no_poll: the service manager is not to drop it on EPOLLHUP or EPOLLERR.
        add: beside what is stored under the name, not in its place.

        It is safe after a barrier. file remains the caller's. See libluo_store_put_fd(3).
        """
        flags = (_library.STORE_NO_POLL if no_poll else 0) | (_library.STORE_ADD if add else 0)
        self._call("put_fd", text(name), _library.fileno(file), flags, about=name)

    def put_data(self, name: str, data: BytesLike, *, add: bool = False) -> None:
        """Stores a copy of data under a name, in the place of what is stored under it, or with add beside that.

        It is safe after a barrier. To store much without a copy, write it into a memfd_new() and put that.
        See libluo_store_put_data(3).
        """
        content = data if isinstance(data, bytes) else bytes(memoryview(data))
        self._call("put_data", text(name), content, len(content), _library.STORE_ADD if add else 0, about=name)

    def remove(self, name: str) -> None:
        """Removes all that is stored under a name. See libluo_store_remove(3)."""
        self._call("remove", text(name), about=name)

    # ---- whether it has arrived

    def barrier(self, timeout: float | None) -> None:
        """Waits until the service manager has handled all that was sent before, for so many seconds; None: any time.

        From then on a crash of this process loses nothing. TimedOutError if it took longer.
        See libluo_store_barrier(3).
        """
        _library.microseconds(timeout)  # refuses what is no time
        end = None if timeout is None else time.monotonic() + timeout
        # Waits here and not in the library, so that handlers of signals run meanwhile
        with self._begin_barrier(end) as fd:
            poll = select.poll()
            poll.register(fd.fileno(), 0)
            while not poll.poll(_POLL_MAX if end is None else min(max(0.0, end - time.monotonic()) * 1000, _POLL_MAX)):
                if end is not None and time.monotonic() >= end:
                    raise _library.error(errno.ETIMEDOUT)

    def _begin_barrier(self, end: float | None) -> FileDescriptor:
        while True:
            left = _ROOM_WAIT if end is None else end - time.monotonic()
            try:
                return self.barrier_fd(min(max(0.0, left), _ROOM_WAIT))
            except _library.TimedOutError:
                if end is not None and time.monotonic() >= end:
                    raise

    def barrier_fd(self, timeout: float | None = 0) -> FileDescriptor:
        """The same for an event loop: a file descriptor that gets POLLHUP when all was handled.

        timeout: how many seconds it may take to send the message, 0 if it must not wait.
        See libluo_store_barrier_fd(3).
        """
        return FileDescriptor(self._call("barrier_fd", _library.microseconds(timeout)))

    async def barrier_async(self) -> None:
        """The same for asyncio. asyncio.timeout() or asyncio.wait_for() limit the time."""
        import asyncio  # for who uses it

        loop = asyncio.get_running_loop()
        while True:
            try:
                fd = self.barrier_fd()
                break
            except _library.TimedOutError:  # the service manager's socket is full, and cannot be waited for
                await asyncio.sleep(0.05)

        with fd:
            handled = asyncio.Event()
            loop.add_reader(fd.fileno(), handled.set)
            try:
                await handled.wait()
            finally:
                loop.remove_reader(fd.fileno())


def notify(state: str) -> None:
    """Sends lines of sd_notify(3) to the service manager, "READY=1" for example. See libluo_notify(3)."""
    check(function("notify")(text(state)))
