/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of cases: CASE(boot, function, name, expected result). No #pragma once: it is included with different
 * definitions of CASE. The cases of a boot run in this order; their places in the table are their numbers in
 * docs/conformance.md. A KERNEL_CASE is one that luo-emulate does not take part in; docs/conformance.md says why.
 */

CASE(0, device_cold_boot, "device: RETRIEVE_SESSION at a cold boot", "ENOENT")
CASE(0, device_cloexec, "device: open with O_CLOEXEC", "ok, FD_CLOEXEC set")
CASE(0, device_without_cloexec, "device: open without O_CLOEXEC", "ok, FD_CLOEXEC not set")
KERNEL_CASE(0, device_is_character_device, "device: fstat", "character device")
CASE(0, device_stat, "device: stat and access",
        "stat character device, lstat character device, statx character device, mode 600, links 1, access F_OK ok, "
        "R_OK and W_OK ok, X_OK EACCES, readlink EINVAL")
CASE(0, device_other_paths, "device: by other paths",
        "by .. ok, link ok, link of a link ok, stat of it character device, access of it ok, "
        "link with O_NOFOLLOW ELOOP, with O_NOFOLLOW ok, with O_DIRECTORY ENOTDIR, "
        "with O_CREAT ok, with O_EXCL EEXIST, in a folder ok, by what is open of it EBUSY")
CASE(0, device_opened_twice, "device: open while it is open", "EBUSY (2 times)")
CASE(0, device_failed_open_keeps_it_busy, "device: a failed open does not end the first one",
        "second EBUSY, third EBUSY, afterwards ok")
CASE(0, device_opened_after_close, "device: open after close", "ok (2 times)")
CASE(0, device_opened_by_child, "device: open by a child", "while the parent has it EBUSY, afterwards ok")
CASE(0, device_inherited, "device: open while a child has inherited it",
        "while the child has it EBUSY, afterwards ok")
CASE(0, device_duplicated, "device: open while a duplicate is open",
        "with the duplicate open EBUSY, afterwards ok")
CASE(0, device_access_modes, "device: CREATE_SESSION with each access mode",
        "O_RDONLY ok, O_WRONLY ok, O_RDWR ok")
CASE(0, device_by_relative_path, "device: openat with a relative path", "ok, again EBUSY")
CASE(0, device_read_and_write, "device: read and write", "read EINVAL, write EINVAL")
CASE(0, device_not_needed_by_sessions, "device: sessions work with the device closed",
        "CREATE_SESSION ok, GET_NAME ok, PRESERVE_FD ok")

CASE(0, structures_size_exact, "structures: exact size",
        "CREATE_SESSION ok, RETRIEVE_SESSION ENOENT, PRESERVE_FD ok, GET_NAME ok")
CASE(0, structures_size_one_less, "structures: size one byte too small",
        "CREATE_SESSION EINVAL, RETRIEVE_SESSION EINVAL, PRESERVE_FD EINVAL, GET_NAME EINVAL")
CASE(0, structures_size_zero, "structures: size 0",
        "CREATE_SESSION EINVAL, RETRIEVE_SESSION EINVAL, PRESERVE_FD EINVAL, GET_NAME EINVAL")
CASE(0, structures_size_larger, "structures: larger, with a tail of zeros",
        "CREATE_SESSION ok, RETRIEVE_SESSION ENOENT, PRESERVE_FD ok, GET_NAME ok")
CASE(0, structures_size_much_larger, "structures: larger by two pages of zeros",
        "CREATE_SESSION ok, RETRIEVE_SESSION ENOENT, PRESERVE_FD ok, GET_NAME ok")
CASE(0, structures_size_larger_nonzero_tail, "structures: larger, with a tail that is not zero",
        "CREATE_SESSION E2BIG, RETRIEVE_SESSION E2BIG, PRESERVE_FD E2BIG, GET_NAME E2BIG")
CASE(0, structures_size_larger_nonzero_behind_tail, "structures: larger, with something behind the tail",
        "CREATE_SESSION ok, RETRIEVE_SESSION ENOENT, PRESERVE_FD ok, GET_NAME ok")
CASE(0, structures_name_reserved, "structures: GET_NAME with its reserved field set", "EINVAL")
CASE(0, structures_fields_after_success, "structures: fields of CREATE_SESSION after success",
        "ok, size +16, name \"structure\", fd set")
CASE(0, structures_fields_after_failure, "structures: fields of CREATE_SESSION after failure",
        "EEXIST, fd not set")
CASE(0, structures_pointer_null, "structures: no pointer",
        "CREATE_SESSION EFAULT, RETRIEVE_SESSION EFAULT, PRESERVE_FD EFAULT, GET_NAME EFAULT")
CASE(0, structures_pointer_at_end_of_memory, "structures: structure at the end of memory",
        "all of it there ok, tail missing EFAULT, 4 GiB EFAULT, "
        "name missing EFAULT, name missing and size too small EINVAL")
CASE(0, structures_pointer_unaligned, "structures: structure at an odd address", "ok")
CASE(0, structures_read_only_create, "structures: CREATE_SESSION with a structure that cannot be written",
        "EFAULT, again ok")
CASE(0, structures_read_only_preserve, "structures: PRESERVE_FD with a structure that cannot be written",
        "EFAULT, frozen, again EEXIST")
CASE(0, structures_read_only_name, "structures: GET_NAME with a structure that cannot be written", "EFAULT")
CASE(0, structures_unknown_numbers_device, "structures: requests that the device does not have",
        "0xba02 EINVAL, 0xba3f EINVAL, 0xba40 EINVAL, 0xba41 EINVAL, "
        "0xba42 EINVAL, 0xba43 EINVAL, 0xba44 EINVAL, 0xbaff EINVAL")
CASE(0, structures_unknown_numbers_session, "structures: requests that a session does not have",
        "0xba00 EINVAL, 0xba01 EINVAL, 0xba02 EINVAL, 0xba3f EINVAL, 0xba44 EINVAL, 0xbaff EINVAL")
CASE(0, structures_directions_device, "structures: numbers of the device with other direction or size",
        "0xc048ba00 ENOTTY, 0x8004ba01 ENOTTY, 0x4004ba02 EINVAL")
CASE(0, structures_directions_session, "structures: numbers of a session with other direction or size",
        "0xc010ba40 ENOTTY, 0xc010ba41 ENOTTY, 0x8004ba43 ENOTTY, 0x4004ba44 EINVAL")
CASE(0, structures_order_of_number_and_pointer, "structures: no pointer, and a wrong request",
        "unknown number on the device EINVAL, wrong direction on the device EFAULT, "
        "unknown number on a session EINVAL, wrong direction on a session EFAULT, "
        "request of incoming sessions EFAULT")
KERNEL_CASE(0, structures_foreign_requests_device, "structures: other drivers' requests on the device",
        "0xbb00 ENOTTY, 0xbb02 EINVAL, isatty ENOTTY")
KERNEL_CASE(0, structures_foreign_requests_session, "structures: other drivers' requests on a session",
        "0xbb40 ENOTTY, 0xbb44 EINVAL, isatty EINVAL")
CASE(0, structures_other_files, "structures: LUO's requests on other files",
        "memfd ENOTTY, pipe ENOTTY, socket ENOTTY, eventfd ENOTTY, "
        "folder ENOTTY, /dev/null ENOTTY, O_PATH EBADF, no file EBADF")

CASE(0, names_empty, "names: empty", "CREATE_SESSION EINVAL, RETRIEVE_SESSION ENOENT")
CASE(0, names_without_nul, "names: 64 bytes and no NUL", "CREATE_SESSION EINVAL, RETRIEVE_SESSION ENOENT")
CASE(0, names_of_one_byte, "names: one byte", "ok, GET_NAME the same")
CASE(0, names_of_63_bytes, "names: 63 bytes", "ok, GET_NAME the same")
CASE(0, names_with_any_bytes, "names: bytes that are not ASCII, slashes, line breaks",
        "ok, GET_NAME the same")
CASE(0, names_end_at_nul, "names: bytes behind the NUL do not count",
        "ok, GET_NAME the same, with other bytes behind the NUL EEXIST")
CASE(0, names_taken, "names: the same name twice", "ok, EEXIST (2 times)")
CASE(0, names_alike, "names: names that differ by a byte", "ok (4 times)")
CASE(0, names_free_after_close, "names: the same name again after close", "ok (3 times)")
CASE(0, names_of_outgoing_not_retrieved, "names: RETRIEVE_SESSION of an outgoing session", "ENOENT")
CASE(0, names_session_cloexec, "names: CREATE_SESSION and close-on-exec", "FD_CLOEXEC set")
CASE(0, names_session_read_and_write, "names: read and write of a session", "read EINVAL, write EINVAL")
CASE(0, names_without_fds, "names: no fd left",
        "good name EMFILE, empty name EMFILE, RETRIEVE_SESSION EMFILE, with fds ok")

CASE(0, preserve_token_in_use, "preserve: a token in use comes before all else",
        "ok, another file EEXIST, the same file EEXIST, no file EEXIST, a pipe EEXIST, the session EEXIST")
CASE(0, preserve_bad_fd, "preserve: bad fds",
        "-1 EBADF, -100 EBADF, closed EBADF, not opened EBADF, O_PATH EBADF")
CASE(0, preserve_wrong_direction, "preserve: an outgoing session does not retrieve",
        "RETRIEVE_FD EINVAL, unknown token EINVAL, nonzero tail EINVAL, FINISH EINVAL, "
        "RETRIEVE_FD without fds EINVAL, frozen")
CASE(0, preserve_tokens, "preserve: tokens 0, 1, 2^32, 2^63 - 1, 2^64 - 1", "ok (5 times)")
CASE(0, preserve_same_token_in_other_session, "preserve: the same token in two sessions", "ok (2 times)")
CASE(0, preserve_same_file, "preserve: the same file again",
        "ok, same session EBUSY, other session EBUSY, duplicate EBUSY, opened again EBUSY, "
        "opened again and same session EBUSY")
CASE(0, preserve_pipes_and_sockets, "preserve: files of other types",
        "pipe ENOENT, socket ENOENT, eventfd ENOENT, epoll ENOENT, timerfd ENOENT, inotify ENOENT, pidfd ENOENT")
CASE(0, preserve_files_with_names, "preserve: files with names",
        "folder ENOENT, /dev/null ENOENT, file of procfs ENOENT, program ENOENT")
CASE(0, preserve_luo_files, "preserve: LUO's own files", "itself ENOENT, other session ENOENT, device ENOENT")
CASE(0, preserve_tmpfs_file, "preserve: a file of tmpfs",
        "with its name ENOENT, not frozen, unlinked ok, frozen")
CASE(0, preserve_tmpfs_file_with_one_of_two_names, "preserve: a file of tmpfs with two names",
        "one name left ENOENT, none left ok")
CASE(0, preserve_tmpfs_unnamed_file, "preserve: a file of tmpfs that never had a name", "O_TMPFILE ok")
CASE(0, preserve_huge_and_secret, "preserve: hugetlb memfd and secret memory, where the kernel has them",
        "hugetlb refused, memfd_secret refused")
CASE(0, preserve_access_modes, "preserve: a memfd opened read-only, write-only, read-write",
        "ok, frozen, ok, frozen, ok, frozen")
CASE(0, preserve_sizes, "preserve: sizes that are no whole pages",
        "0 ok, 1 ok, 4095 ok, 4096 ok, 4097 ok, 1048576 ok")
CASE(0, preserve_too_large, "preserve: a memfd of 2^32 pages", "EFBIG, not frozen, made smaller ok, frozen")
CASE(0, preserve_failed_leaves_no_trace, "preserve: a file is as before after failure",
        "ok, token in use EEXIST, not frozen, other token ok, busy EBUSY, token of the busy one ok")
CASE(0, preserve_holes, "preserve: holes get pages", "1 pages, ok, 16 pages, closed 16 pages")
CASE(0, preserve_each_seal, "preserve: each seal", "0x1 ok, 0x2 ok, 0x4 ok, 0x8 ok, 0x10 ok, 0x3e ok")
CASE(0, preserve_all_seals, "preserve: all seals, none, MFD_NOEXEC_SEAL",
        "noexec 0x20 ok, all 0x3f ok, no sealing 0x1 ok, adding an unknown one EINVAL")
CASE(0, preserve_then_seal, "preserve: seals added to a preserved memfd",
        "ok, 0x2 ok, 0x4 ok, 0x8 EBUSY, 0x10 ok, 0x1 ok")

CASE(0, frozen_ftruncate, "frozen: ftruncate",
        "ok, shrink EPERM, to nothing EPERM, grow EPERM, grow by pages EPERM, same size ok, \"12345\"")
CASE(0, frozen_ftruncate_otherwise, "frozen: ftruncate by another description, truncate, O_TRUNC",
        "ok, other description EPERM, by path EPERM, O_TRUNC EPERM, \"12345\"")
CASE(0, frozen_fallocate, "frozen: fallocate",
        "ok, inside EPERM, beyond the end EPERM, keep size EPERM, punch hole EPERM, unknown mode EOPNOTSUPP, \"12345\"")
CASE(0, frozen_write_inside, "frozen: write inside",
        "ok, pwrite ok, \"ABCDE\", write ok, offset 3, \"AbcDE\"")
CASE(0, frozen_write_beyond_the_end, "frozen: write beyond the end",
        "ok, across the end EPERM, at the end EPERM, behind it EPERM, write EPERM, offset 5, O_APPEND EPERM, \"12345\"")
CASE(0, frozen_write_nothing, "frozen: write of no bytes behind the end", "ok (2 times), \"12345\"")
CASE(0, frozen_mmap, "frozen: mmap", "ok, mmap ok, \"A234E\", MADV_REMOVE EPERM, \"A234E\"")
CASE(0, frozen_metadata, "frozen: mode and times", "ok, fchmod ok, futimens ok")
CASE(0, frozen_empty, "frozen: an empty memfd", "ok, write EPERM, grow EPERM, same size ok")
CASE(0, frozen_until_closed, "frozen: all is as before once the session is closed",
        "ok, frozen, write ok, shrink ok, grow ok, fallocate ok")

CASE(0, lifetimes_close, "lifetimes: close un-preserves",
        "ok, open frozen, closed not frozen, preserved again ok")
CASE(0, lifetimes_duplicate, "lifetimes: a duplicate keeps the session",
        "ok, one open frozen, its name EEXIST, none open not frozen")
CASE(0, lifetimes_forked, "lifetimes: a child keeps the session",
        "ok, child has it frozen, its name EEXIST, child ended not frozen, its name ok")
CASE(0, lifetimes_creator_ended, "lifetimes: a session ends with the process that made it",
        "in the child ok, afterwards ok")
CASE(0, lifetimes_preserved_by_child,
        "lifetimes: a file stays preserved when the process ends that preserved it",
        "ok, child ended frozen, again EEXIST, closed not frozen")
CASE(0, lifetimes_in_flight, "lifetimes: a message in flight keeps the session",
        "ok, in flight frozen, its name EEXIST, sockets closed not frozen")
CASE(0, lifetimes_received, "lifetimes: a session that was received",
        "ok, received frozen, PRESERVE_FD ok, closed not frozen")
CASE(0, lifetimes_preserved_file_closed, "lifetimes: the preserved fd can be closed",
        "ok, its token EEXIST, another file ok")
CASE(0, lifetimes_fd_number_reused, "lifetimes: the number of a preserved fd is used again",
        "ok, same number, other file not frozen, ok, closed not frozen")
CASE(0, lifetimes_one_of_two_sessions_closed, "lifetimes: one of two sessions is closed",
        "ok (2 times), of the closed one not frozen, of the other frozen, both closed not frozen")

CASE(0, structures_left, "left for the next boot: files for structures", "ok (7 times)")
CASE(0, names_left, "left for the next boot: sessions for names", "ok (4 times)")
CASE(0, lifetimes_left, "left for the next boot: sessions for lifetimes", "ok (4 times)")
CASE(0, retrieve_left_contents, "left for the next boot: files with contents", "ok (12 times)")
CASE(0, retrieve_left_descriptions, "left for the next boot: files with flags and offsets", "ok (7 times)")
CASE(0, retrieve_left_types, "left for the next boot: files with seals", "ok (12 times)")
CASE(0, retrieve_left_sessions, "left for the next boot: sessions to be retrieved", "ok (17 times)")
CASE(0, kexecs_left, "left for the next boot: sessions for the second kexec", "ok (6 times)")
CASE(0, kexecs_many_files_left, "left for the next boot: 1000 files in one session", "1000 files ok")
CASE(0, kexecs_many_sessions_left, "left for the next boot: 300 sessions", "300 sessions ok")

CASE(1, structures_incoming_size_exact, "structures: exact size, incoming session",
        "RETRIEVE_FD ok, FINISH ok, GET_NAME ok")
CASE(1, structures_incoming_size_one_less, "structures: size one byte too small, incoming session",
        "RETRIEVE_FD EINVAL, FINISH EINVAL, GET_NAME EINVAL")
CASE(1, structures_incoming_size_larger, "structures: larger, with a tail of zeros, incoming session",
        "RETRIEVE_FD ok, FINISH ok, GET_NAME ok")
CASE(1, structures_incoming_size_larger_nonzero_tail,
        "structures: larger, with a tail that is not zero, incoming session",
        "RETRIEVE_FD E2BIG, FINISH E2BIG, GET_NAME E2BIG")
CASE(1, structures_incoming_reserved, "structures: reserved fields set, incoming session",
        "FINISH EINVAL, GET_NAME EINVAL, afterwards RETRIEVE_FD ok")
CASE(1, structures_read_only_retrieve_session,
        "structures: RETRIEVE_SESSION with a structure that cannot be written", "EFAULT, again ENOENT")
CASE(1, structures_read_only_retrieve_and_finish,
        "structures: RETRIEVE_FD and FINISH with a structure that cannot be written",
        "RETRIEVE_FD EFAULT, again ok, \"not-writable\", FINISH EFAULT, afterwards RETRIEVE_FD ENOENT")

CASE(1, names_after_kexec, "names: long and odd names after a kexec",
        "63 bytes ok, GET_NAME the same, any bytes ok, GET_NAME the same")
CASE(1, names_prefix_after_kexec, "names: RETRIEVE_SESSION with a byte less or more",
        "one byte less ENOENT, one byte more ENOENT")
CASE(1, names_outgoing_beside_incoming, "names: outgoing beside incoming of the same name",
        "CREATE_SESSION ok, RETRIEVE_SESSION ok, GET_NAME of the outgoing one the same, "
        "GET_NAME of the incoming one the same, CREATE_SESSION again EEXIST")
CASE(1, names_retrieved_without_fds, "names: RETRIEVE_SESSION with no fd left", "EMFILE, with fds ok")

CASE(1, lifetimes_closed_before_kexec, "lifetimes: sessions closed before the kexec", "ENOENT (2 times)")
CASE(1, lifetimes_duplicate_at_kexec, "lifetimes: a session of which a duplicate was open", "ok, \"content\"")
CASE(1, lifetimes_in_flight_at_kexec, "lifetimes: a session in flight", "ok, \"content\"")
CASE(1, lifetimes_held_by_child_at_kexec, "lifetimes: a session that a child had", "ok, \"content\"")

CASE(1, retrieve_content, "retrieve: content, of a file that was closed", "ok, \"content\"")
CASE(1, retrieve_written, "retrieve: content written after PRESERVE_FD", "\"after!\", \"mapped\"")
CASE(1, retrieve_sizes, "retrieve: sizes", "0, 1, 4095, 4096, 4097, 1048576")
CASE(1, retrieve_holes, "retrieve: holes", "16 pages, 4 bytes that are not zero, \"hole\"")
CASE(1, retrieve_flags, "retrieve: access mode, O_APPEND, O_NONBLOCK, FD_CLOEXEC",
        "flags 0100002, FD_CLOEXEC set, write ok, \"AB345\", "
        "read-only 0100002, FD_CLOEXEC set, write ok, \"AB345\", "
        "append 0100002, FD_CLOEXEC set, write ok, \"AB345\"")
CASE(1, retrieve_metadata, "retrieve: mode, owner, links, name",
        "ok, mode 0100777, owned by who retrieves it, 0 names, name lost")
CASE(1, retrieve_offset, "retrieve: offset, changed after PRESERVE_FD, too",
        "offset 3, offset-behind-end 100, offset-changed 2")
CASE(1, retrieve_again, "retrieve: the same token again",
        "ok (2 times), other fd, same inode, same offset, ok, \"again\", offset 1")
CASE(1, retrieve_in_child_first, "retrieve: retrieved by a child first", "child ok, parent ok, \"child\"")
CASE(1, retrieve_tmpfs_file, "retrieve: an unlinked file of tmpfs", "\"tmpfs\", mode 0100777, seals 0x1")
CASE(1, retrieve_seals, "retrieve: each seal",
        "0x0: 0x0, write ok, 0x1: 0x1, write ok, 0x2: 0x2, write ok, 0x4: 0x4, write ok, "
        "0x8: 0x8, write EPERM, 0x10: 0x10, write EPERM, 0x20: 0x3e, write EPERM, 0x3f: 0x3f, write EPERM")
CASE(1, retrieve_noexec, "retrieve: MFD_NOEXEC_SEAL", "mode 0100777, seals 0x3e, write EPERM, \"a\"")
CASE(1, retrieve_sealed_after_preserve, "retrieve: seals added after PRESERVE_FD", "seals 0x0, sealing ok")
CASE(1, retrieve_not_frozen, "retrieve: the size before FINISH", "grow ok, shrink ok, fallocate ok, write ok")
CASE(1, retrieve_tokens, "retrieve: tokens in any order",
        "\"last\", \"one\", \"zero\", \"two\", unknown ENOENT (2 times)")
CASE(1, retrieve_without_fds, "retrieve: no fd left", "EMFILE, unknown token EMFILE, with fds ok, \"emfile\"")
CASE(1, retrieve_preserve_on_incoming, "retrieve: an incoming session does not preserve",
        "EINVAL, not frozen, token in use EINVAL, bad fd EINVAL, nonzero tail EINVAL, "
        "no pointer EFAULT, RETRIEVE_FD ok")
CASE(1, retrieve_preserved_before_finish, "retrieve: PRESERVE_FD of a retrieved file",
        "before EBUSY, FINISH ok, after ok, frozen, closed not frozen")
CASE(1, retrieve_finish, "retrieve: FINISH, and what comes after it",
        "ok, twice ok, RETRIEVE_FD ENOENT, PRESERVE_FD EINVAL, GET_NAME ok, RETRIEVE_SESSION EINVAL, \"finish\", "
        "once closed RETRIEVE_SESSION ENOENT")
CASE(1, retrieve_closed_without_finish, "retrieve: close instead of FINISH, with a file retrieved",
        "\"finish-closed\", write ok, PRESERVE_FD ok, RETRIEVE_SESSION ENOENT")
CASE(1, retrieve_nothing_and_close, "retrieve: close with nothing retrieved", "ok, ENOENT")
CASE(1, retrieve_nothing_and_finish, "retrieve: FINISH with nothing retrieved",
        "FINISH ok, RETRIEVE_FD ENOENT")
CASE(1, retrieve_session_twice, "retrieve: RETRIEVE_SESSION twice",
        "ok, FD_CLOEXEC set, EINVAL, closed ENOENT")
CASE(1, retrieve_session_duplicated, "retrieve: an incoming session and its duplicate",
        "RETRIEVE_SESSION EINVAL, RETRIEVE_FD ok, \"duplicate\", both closed ENOENT")
CASE(1, retrieve_session_inherited, "retrieve: an incoming session that a child has inherited",
        "child has it EINVAL, child ended ENOENT")
CASE(1, retrieve_session_unknown, "retrieve: RETRIEVE_SESSION of a name that is not there",
        "ENOENT, empty name ENOENT")
CASE(1, retrieve_empty_session, "retrieve: an empty session", "ok, RETRIEVE_FD ENOENT, FINISH ok")

CASE(1, kexecs_many_files, "kexecs: 1000 files of one session", "1000 files, one more ENOENT, FINISH ok")
CASE(1, kexecs_many_sessions, "kexecs: 300 sessions", "300 sessions, one more ENOENT")

CASE(1, kexecs_incoming_held, "left for the next boot: incoming sessions that stay open", "ok (5 times)")
CASE(1, kexecs_passed_on, "left for the next boot: a retrieved file preserved again",
        "ok (2 times), write ok, ok, new file ok")
CASE(1, kexecs_same_name, "left for the next boot: an outgoing session of an incoming one's name",
        "incoming ok, outgoing ok, ok, incoming ok, \"same-name\", ok")

CASE(2, kexecs_not_carried_over, "kexecs: incoming sessions are not carried over",
        "untouched ENOENT, held ENOENT, half ENOENT, finished ENOENT, many-files ENOENT, session 0 ENOENT")
CASE(2, kexecs_passed_on_twice, "kexecs: a file after two kexecs",
        "ok, \"passed-on, again\", offset 16, \"new\", FINISH ok")
CASE(2, kexecs_same_name_twice, "kexecs: the outgoing session of two with one name",
        "ok, \"outgoing\", closed ENOENT")
CASE(2, kexecs_empty_session_again, "kexecs: an empty session", "ok, RETRIEVE_FD ENOENT")
CASE(2, kexecs_preserve_again, "kexecs: preserving after two kexecs",
        "CREATE_SESSION ok, PRESERVE_FD ok, frozen, closed not frozen")
