# SPDX-License-Identifier: LGPL-2.1-or-later

"""File descriptors that have an owner, and what LUO makes of them."""

from __future__ import annotations

import enum
import os
from ctypes import byref, sizeof
from dataclasses import dataclass

from . import _library
from ._library import FileDescriptorLike


class FileDescriptor(_library.Owner):
    """A file descriptor that this object owns: closed by close(), at the end of a "with", or with the object.

    It can be given to whatever takes an object with a fileno(). What wants the file descriptor for itself gets it by
    detach(): open(fd.detach(), "rb"), socket.socket(fileno=fd.detach()).
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        """Takes a file descriptor over: its number. What has an owner already, like a file, is refused."""
        if not isinstance(fd, int):
            raise TypeError(f"not the number of a file descriptor: {fd!r}")
        self._fd = _library.fileno(fd)

    def fileno(self) -> int:
        """The number, which stays this object's."""
        if self._fd < 0:
            raise ValueError("the file descriptor is closed")
        return self._fd

    def detach(self) -> int:
        """The number, for the caller to close."""
        fd = self.fileno()
        self._fd = -1
        return fd

    def close(self) -> None:
        """Closes it; once more does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def closed(self) -> bool:
        """Whether it was closed or detached."""
        return self._fd < 0

    def __enter__(self) -> FileDescriptor:
        self.fileno()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Not there if the number was refused
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def __repr__(self) -> str:
        return "<FileDescriptor, closed>" if self.closed else f"<FileDescriptor {self._fd}>"


class Verdict(enum.IntEnum):
    """Why LUO would not preserve a file, or FINE."""

    FINE = 0
    TYPE = 1
    """no file of memory: a socket, a pipe, a file of a disk, ..."""
    SESSION = 2
    """a LUO session: it survives by itself, but not inside of another"""
    NAMED = 3
    """a file of tmpfs that has a name; it could be preserved once unlinked"""
    HUGETLB = 4
    """a memfd of huge pages"""
    SEAL = 5
    """it has a seal that LUO does not know, see unknown_seals"""
    PRESERVED = 6
    """it is preserved already, in whatever session"""
    TOO_LARGE = 7
    """over 2**32 - 1 pages"""
    HOLES = 8
    """filling its holes needs more memory than there is"""

    @classmethod
    def _missing_(cls, value: object) -> Verdict | None:
        """One of a later version of the library."""
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"VERDICT_{value}"
        member._value_ = value
        return member


class Loss(enum.IntFlag):
    """What will be lost of a file that is preserved."""

    WRITING = 1 << 0
    """x bits and F_SEAL_EXEC: nobody can write to it after the kexec"""


@dataclass(frozen=True)
class Preflight:
    """What LUO would make of a file."""

    verdict: Verdict
    reason: str
    """the verdict as a sentence"""
    error: int
    """the errno that preserving it would fail with, or 0"""
    losses: Loss
    unknown_seals: int
    """F_SEAL_ flags"""
    certain: bool
    """false if it could not be found out whether the file is preserved already; all else is certain"""
    size: int
    """bytes; 0 if it has no size"""
    allocated: int
    """bytes of memory in use"""
    sparse_cost: int
    """bytes of memory that preserving it will take for its holes"""

    @property
    def fine(self) -> bool:
        """Whether it would be preserved."""
        return self.verdict == Verdict.FINE


def preflight(file: FileDescriptorLike) -> Preflight:
    """Whether LUO would preserve a file, and if not, why.

    Needs neither device nor session nor privileges. What is no file of memory is not asked anything.
    See libluo_fd_preflight(3).
    """
    result = _library.PreflightResult()
    fd = _library.fileno(file)
    _library.check(_library.function("fd_preflight")(fd, byref(result), sizeof(result)))
    return Preflight(
        verdict=Verdict(result.verdict),
        reason=_library.function("verdict_to_string")(result.verdict).decode(),
        error=result.error,
        losses=Loss(result.losses),
        unknown_seals=result.unknown_seals,
        certain=bool(result.certain),
        size=result.size,
        allocated=result.allocated,
        sparse_cost=result.sparse_cost,
    )


def memfd_new(name: str, size: int = 0, *, sealable: bool = False) -> FileDescriptor:
    """Makes a file of memory, all zero, that LUO preserves and that can still be written afterwards.

    Works with any setting of vm.memfd_noexec. sealable: for data that is going to be sealed, which need not stay
    writable. See libluo_memfd_new(3).
    """
    flags = _library.MEMFD_SEALABLE if sealable else 0
    new = _library.function("memfd_new")(_library.text(name), _library.number("the size", size, 64), flags)
    return FileDescriptor(_library.check(new))
