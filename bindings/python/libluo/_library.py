# SPDX-License-Identifier: LGPL-2.1-or-later

"""The shared library: where it is, its functions and structures, and its errors as exceptions."""

from __future__ import annotations

import ctypes
import errno
import operator
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Protocol, Union

from . import _config

STORE_KEEP_ENVIRONMENT = 1 << 0
STORE_ANY_ROOM = 1 << 1
STORE_LEAVE_FOREIGN = 1 << 2
STORE_SHARED = 1 << 3
STORE_NO_POLL = 1 << 0
STORE_ADD = 1 << 1
STORE_ENTRY_FOREIGN = 1 << 0
MEMFD_SEALABLE = 1 << 0


class StoreEntry(ctypes.Structure):
    """libluo_store_entry"""

    _fields_ = [("name", c_char_p), ("fd", c_int), ("flags", c_uint32)]


class PreflightResult(ctypes.Structure):
    """libluo_preflight"""

    _fields_ = [
        ("verdict", c_int),
        ("error", c_int),
        ("losses", c_uint32),
        ("unknown_seals", c_uint32),
        ("certain", c_int),
        ("size", c_uint64),
        ("allocated", c_uint64),
        ("sparse_cost", c_uint64),
    ]


# What libluo.h declares, less the prefix: result and arguments
PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "version": (c_char_p,),
    "strerror": (c_char_p, c_int),
    "fd_preflight": (c_int, c_int, POINTER(PreflightResult), c_size_t),
    "verdict_to_string": (c_char_p, c_int),
    "memfd_new": (c_int, c_char_p, c_uint64, c_uint32),
    "notify": (c_int, c_char_p),
    "store_open": (c_int, c_uint32, POINTER(c_void_p)),
    "store_free": (c_void_p, c_void_p),
    "store_count": (c_size_t, c_void_p),
    "store_get_entry": (c_int, c_void_p, c_size_t, POINTER(StoreEntry), c_size_t),
    "store_get_fd": (c_int, c_void_p, c_char_p, c_uint32),
    "store_get_data": (c_int, c_void_p, c_char_p, c_uint32, POINTER(c_void_p), POINTER(c_size_t)),
    "store_map_data": (c_int, c_void_p, c_char_p, c_uint32, POINTER(c_void_p), POINTER(c_size_t)),
    "store_map": (c_int, c_void_p, c_char_p, c_size_t, c_uint32, c_uint32, POINTER(c_void_p)),
    "store_open_session": (c_int, c_void_p, c_char_p, c_uint32, c_uint64, POINTER(c_int), POINTER(c_int)),
    "store_put_fd": (c_int, c_void_p, c_char_p, c_int, c_uint32),
    "store_put_data": (c_int, c_void_p, c_char_p, c_char_p, c_size_t, c_uint32),
    "store_remove": (c_int, c_void_p, c_char_p),
    "store_barrier_fd": (c_int, c_void_p, c_uint64),
}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _load() -> ctypes.CDLL:
    """The library that was installed with this module, wherever both were moved to, or else what the linker finds."""
    above = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    path = os.path.normpath(os.path.join(above, os.path.relpath(_config.LIBRARY, _config.FOLDER)))
    if not os.path.exists(path):
        path = os.path.basename(_config.LIBRARY)
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"cannot load the library of libluo: {error}") from error

    library.libluo_version.restype = c_char_p
    found = library.libluo_version().decode()
    if _numbers(found) < _numbers(_config.VERSION):
        raise ImportError(f"this module needs the library of libluo {_config.VERSION}, and {path} is {found}")
    for name, (result, *arguments) in PROTOTYPES.items():
        function = getattr(library, f"libluo_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


_library = _load()
_libc = ctypes.CDLL(None)
_libc.free.restype = None
_libc.free.argtypes = (c_void_p,)
_libc.munmap.restype = c_int
_libc.munmap.argtypes = (c_void_p, c_size_t)

free = _libc.free
munmap = _libc.munmap


def function(name: str) -> Any:
    """A function of libluo.h, less its prefix."""
    return getattr(_library, f"libluo_{name}")


class Error(OSError):
    """A call of libluo failed.

    errno is the error, strerror says in a sentence what it means here, and filename is the name in the store, if the
    call was about one.
    """


class NotFoundError(Error, FileNotFoundError):
    """Nothing is stored under the name (ENOENT)."""


class TimedOutError(Error, TimeoutError):
    """The service manager did not come to it in time (ETIMEDOUT)."""


_CLASSES: dict[int, type[Error]] = {errno.ENOENT: NotFoundError, errno.ETIMEDOUT: TimedOutError}


_NAME_SENTENCES = {
    errno.EINVAL: 'a name has to be printable ASCII without ":" and "~", and of a length that fits',
    errno.ENOENT: "nothing is stored under this name",
}


def error(number: int, name: str | None = None) -> Error:
    """The exception for an errno, of a call about a name in the store if there is one."""
    sentence = (_NAME_SENTENCES.get(number) if name is not None else None) or function("strerror")(number).decode()
    return _CLASSES.get(number, Error)(number, sentence, name)


def check(result: int, name: str | None = None) -> int:
    """What a function returned, if that is no error."""
    if result < 0:
        raise error(-result, name)
    return result


class HasFileno(Protocol):
    """What has a file descriptor: files, sockets, FileDescriptor, ..."""

    def fileno(self) -> int: ...


FileDescriptorLike = Union[int, HasFileno]


def fileno(file: FileDescriptorLike) -> int:
    """The number of a file descriptor."""
    if isinstance(file, bool) or not (isinstance(file, int) or hasattr(file, "fileno")):
        raise TypeError(f"not a file descriptor, nor an object with a fileno(): {file!r}")
    fd = file if isinstance(file, int) else file.fileno()
    return number("the file descriptor", fd, 31)


class Owner:
    """What owns something that exists once: a second object that owns it, too, would free it a second time."""

    __slots__ = ()

    def __reduce_ex__(self, _: object) -> Any:
        """Refuses copy.copy(), copy.deepcopy() and pickle."""
        raise TypeError(f"a {type(self).__name__} cannot be copied")


def number(what: str, value: int, bits: int) -> int:
    """An unsigned number; ctypes would cut it without a word."""
    value = operator.index(value)
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{what} is not from 0 to 2**{bits} - 1: {value}")
    return value


def text(string: str) -> bytes:
    """A string for the library, to which it ends at a NUL."""
    if not isinstance(string, str):
        raise TypeError(f"not a str: {string!r}")
    if "\0" in string:
        raise ValueError("there is a NUL in the string")
    return os.fsencode(string)


def microseconds(seconds: float | None) -> int:
    """A time limit; None is none."""
    if seconds is None:
        return (1 << 64) - 1
    if not seconds >= 0:
        raise ValueError(f"the time is negative: {seconds}")
    return (1 << 64) - 2 if seconds >= (1 << 64) / 1_000_000 else int(seconds * 1_000_000)
