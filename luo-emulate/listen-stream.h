/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ListenStream= of a socket unit: sockets by their address.
 */

/* Whether it is an address: "/PATH", "@NAME", "PORT", "IPV4:PORT" or "[IPV6]:PORT". 0, -EINVAL or -ENAMETOOLONG. */
int listen_stream_check(const char *address);

/* Returns a socket that listens, or a negative errno. */
int listen_stream_open(const char *address);

/* Closes it, and removes its file. */
void listen_stream_close(const char *address, int fd);
