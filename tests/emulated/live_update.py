# SPDX-License-Identifier: LGPL-2.1-or-later

"""A client of io.systemd.LiveUpdate in a few lines, from the interface's description alone."""

import json
import os
import socket

SOCKET = os.environ.get("LIBLUO_MANAGER_SOCKET", "/run/systemd/io.systemd.Manager")
ERRORS = "io.systemd.LiveUpdate."


class Refused(Exception):
    pass


def connect():
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(SOCKET)
    return link


def receive(link):
    """All replies to a call, and the file descriptors that came with them."""
    data, fds, replies = b"", [], []
    while True:
        while b"\0" in data:
            message, data = data.split(b"\0", 1)
            replies.append(json.loads(message))
            if "error" in replies[-1]:
                raise Refused(replies[-1]["error"].removeprefix(ERRORS))
            if not replies[-1].get("continues"):
                return replies, fds
        try:
            more, more_fds, _, _ = socket.recv_fds(link, 65536, 8)
        except ConnectionResetError:
            more = b""
        if not more:
            raise Refused("hung up")
        data += more
        fds += more_fds


def send(link, method, parameters, **flags):
    link.sendall(json.dumps({"method": method, "parameters": parameters} | flags).encode() + b"\0")


def call(method, link=None, more=False, **parameters):
    """A method of the interface, or of another one if that is named."""
    own = link is None
    link = link or connect()
    send(link, method if "." in method else ERRORS + method, parameters, **({"more": True} if more else {}))
    replies, fds = receive(link)
    if own:
        link.close()
    if more:
        return [reply["parameters"] for reply in replies]
    parameters = replies[0].get("parameters") or {}
    if "sessionFileDescriptor" in parameters:
        return fds[parameters["sessionFileDescriptor"]]
    assert not fds
    return parameters


def refused(error, method, **parameters):
    """Whether a call is, with this error; None: or in any other way."""
    try:
        result = call(method, **parameters)
    except Refused as e:
        if error in (str(e), None):
            return True
        print(f"# {method} {parameters}: {e}, not {error}")
        return False
    print(f"# {method} {parameters}: {result}, not {error}")
    return False


def sessions():
    try:
        return sorted((s["name"], s["kind"]) for s in call("ListSessions", more=True))
    except Refused as e:
        return str(e)
