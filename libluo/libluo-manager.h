/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBLUO_MANAGER_H
#define LIBLUO_MANAGER_H

/*
 * For service managers and shutdown programs: files that several bundles share, what taking a bundle costs, and who has
 * the device.
 *
 * This is no part of the stable ABI: it may change with every version. The functions are in the static library
 * (libluo.a) only, which is linked whole into one program and changes with it.
 *
 * What libluo.h says of ownership, errors and threads applies.
 */

#include <libluo.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------------------------- shared bundles ---- */

/*
 * libluo_bundle_writer_add_shared(): like libluo_bundle_writer_add(), for a file that several bundles have: it is
 * preserved in shared, a bundle that is written in a session of its own, unless it is there already, and writer gets
 * an entry that refers to it. All entries of a bundle that are shared have to be in the same one; both are to be
 * written.
 *
 * Returns 0, the errors of libluo_bundle_writer_add(), or, with no entry made, the errors of libluo_session_get_name()
 * for the session of shared, or
 *   -EINVAL  also: shared was written, or is not the one that earlier entries are in
 *   -ELOOP   shared is writer itself or refers to another bundle, or writer is one that others refer to
 *   -E2BIG   one of the two has LIBLUO_BUNDLE_ENTRIES_MAX entries
 *   -ENOMEM  no entry was made
 */
int libluo_bundle_writer_add_shared(
        libluo_bundle_writer *writer, int fd, const char *name, uint32_t flags, libluo_bundle_writer *shared);

/*
 * libluo_bundle_get_shared_name(): the name of the session whose bundle the shared entries are in; belongs to the
 * bundle. NULL if it has no such entries.
 */
const char *libluo_bundle_get_shared_name(const libluo_bundle *bundle);

/*
 * libluo_bundle_set_shared(): says where shared entries are to be taken from: shared is an opened bundle, that of the
 * session libluo_bundle_get_shared_name() names. It is borrowed for as long as bundle exists. Returns 0, or
 *   -EINVAL   one of the two was opened from an index alone
 *   -ELOOP    shared is bundle itself, or refers to another one itself
 *   -EBADMSG  shared lacks a token that an entry of bundle refers to
 */
int libluo_bundle_set_shared(libluo_bundle *bundle, libluo_bundle *shared);

/* ------------------------------------------------------------------------------------------------- memory ---- */

/*
 * libluo_bundle_get_memory(): how much memory is charged to a control group whose process takes all entries but those
 * that are skipped (skip[i] is not 0; skip may be NULL, otherwise n_skip is the count of entries), and perhaps a
 * little less: for each file, however many of the remaining entries have it, what libluo_entry.memory says, and 1/256
 * of that and 16 KiB on top. Lost entries cost nothing. Returns 0, or
 *   -EINVAL  n_skip is not the count of entries
 *   -ENOMEM
 */
int libluo_bundle_get_memory(
        const libluo_bundle *bundle, const uint8_t *skip, size_t n_skip, uint64_t *ret_bytes);

/*
 * libluo_memory_for_holes(): how many bytes of memory the holes of files may take that are preserved now:
 * libluo_bundle_writer_add() counts one that needs more as lost, and libluo_fd_preflight() says so. Both look at one
 * file; who has several needs the sum of what they cost.
 */
uint64_t libluo_memory_for_holes(void);

/* ------------------------------------------------------------------------------------------------- device ---- */

/*
 * libluo_device_holder(): who has /dev/liveupdate open, for a message: *ret_pid gets the process, ret_name the name of
 * its program (as in /proc/PID/comm, cut to name_size bytes with the NUL; may be NULL if name_size is 0). Looks at what
 * it may see only: all processes for root. Opens none of the files that processes have. Returns 0, or
 *   -ENOENT  no such process was found
 *   -ENOSYS  /proc is not mounted
 *   -EINVAL, -EMFILE, -ENFILE, -ENOMEM
 */
int libluo_device_holder(pid_t *ret_pid, char *ret_name, size_t name_size);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_MANAGER_H */
