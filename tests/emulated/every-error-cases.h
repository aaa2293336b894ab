/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of cases: CASE(boot, function, errno, what is called, what is wrong...), and groups of them that
 * every-error.h has. No #pragma once: it is included with different definitions of CASE.
 */

/* clang-format off */

CASE(0, libluo_device_open, EACCES, device_open, FAILS(OPEN, EPERM))
CASE(0, libluo_device_open, EBUSY, device_open_busy, .object = GOOD)
CASE(0, libluo_device_open, EIO, device_open, FAILS(OPEN, EIO))
CASE(0, libluo_device_open, EMFILE, device_open, FAILS(OPEN, EMFILE))
CASE(0, libluo_device_open, ENFILE, device_open, FAILS(OPEN, ENFILE))
CASE(0, libluo_device_open, ENODEV, device_open, FAILS(OPEN, ENOENT))
CASE(0, libluo_device_open, ENOMEM, device_open, FAILS(OPEN, ENOMEM))
CASE(0, libluo_device_open, EPROTO, device_open, FAILS(OPEN, ELOOP))

DEVICE_CASES(libluo_device_probe, device_probe, KERNEL_LUO_CREATE_SESSION)
CASE(1, libluo_device_probe, EBUSY, device_probe_busy, .object = GOOD)
CASE(1, libluo_device_probe, EINVAL, device_probe_nothing, .object = GOOD)
CASE(1, libluo_device_probe, ENOSPC, device_probe, IOCTL_FAILS(KERNEL_LUO_CREATE_SESSION, ENOSPC))

DEVICE_CASES(libluo_session_create, device_create_it, KERNEL_LUO_CREATE_SESSION)
CASE(1, libluo_session_create, EEXIST, device_create_existing, .object = GOOD)
CASE(1, libluo_session_create, EINVAL, device_create_empty, .object = GOOD)
CASE(1, libluo_session_create, ENAMETOOLONG, device_create_long, .object = GOOD)
CASE(1, libluo_session_create, ENOSPC, device_create_it, IOCTL_FAILS(KERNEL_LUO_CREATE_SESSION, ENOSPC))

DEVICE_CASES(libluo_session_retrieve, device_retrieve_nothing, KERNEL_LUO_RETRIEVE_SESSION)
CASE(1, libluo_session_retrieve, EBUSY, device_retrieve_again, .object = GOOD)
CASE(1, libluo_session_retrieve, EINVAL, device_retrieve_empty, .object = GOOD)
CASE(1, libluo_session_retrieve, ENAMETOOLONG, device_retrieve_long, .object = GOOD)
CASE(1, libluo_session_retrieve, ENOENT, device_retrieve_nothing, .object = GOOD)

PRESERVE_CASES(1, libluo_session_preserve, preserve)
CASE(1, libluo_session_preserve, EBUSY, preserve_again, .object = GOOD)
CASE(1, libluo_session_preserve, EEXIST, preserve_token_taken, .object = GOOD)
CASE(1, libluo_session_preserve, EOPNOTSUPP, preserve_pipe, .object = GOOD)

RETRIEVE_CASES(1, libluo_session_retrieve_fd, retrieve_fd)
CASE(1, libluo_session_retrieve_fd, ENOENT, retrieve_fd_unknown, .object = GOOD)

SESSION_CASES(1, libluo_session_finish, finish, KERNEL_LUO_FINISH, OUTGOING)
CASE(1, libluo_session_finish, EBUSY, finish, IOCTL_FAILS(KERNEL_LUO_FINISH, EBUSY))

CASE(0, libluo_session_get_name, EBADF, get_name, .object = CLOSED)
CASE(0, libluo_session_get_name, EINVAL, get_name_nothing, .object = GOOD)
CASE(0, libluo_session_get_name, EMEDIUMTYPE, get_name, .object = OTHER_KIND)
CASE(0, libluo_session_get_name, ENAMETOOLONG, get_name, .old_kernel = true, .proc_error = ENAMETOOLONG)
CASE(0, libluo_session_get_name, ENOMEM, get_name, IOCTL_FAILS(KERNEL_LUO_GET_NAME, ENOMEM))
CASE(0, libluo_session_get_name, ENOSYS, get_name, .old_kernel = true, .proc_error = ENOENT)
CASE(0, libluo_session_get_name, EPROTO, get_name, IOCTL_FAILS(KERNEL_LUO_GET_NAME, EXDEV))

CASE(0, libluo_fd_is_session, EBADF, is_session, .object = CLOSED)
CASE(0, libluo_fd_is_session, ENOMEM, is_session, IOCTL_FAILS(KERNEL_LUO_GET_NAME, ENOMEM))
CASE(0, libluo_fd_is_session, ENOSYS, is_session, .old_kernel = true, .proc_error = ENOENT)
CASE(0, libluo_fd_is_session, EPROTO, is_session, IOCTL_FAILS(KERNEL_LUO_GET_NAME, EXDEV))

CASE(1, libluo_bundle_writer_new, EBADF, bundle_new, .object = CLOSED)
CASE(1, libluo_bundle_writer_new, EBADFD, bundle_new, .object = INCOMING)
CASE(1, libluo_bundle_writer_new, EINVAL, bundle_new_nothing, .object = GOOD)
CASE(1, libluo_bundle_writer_new, EMEDIUMTYPE, bundle_new, .object = OTHER_KIND)
CASE(1, libluo_bundle_writer_new, ENOMEM, bundle_new, FAILS(ALLOCATE, ENOMEM))
CASE(1, libluo_bundle_writer_new, ENOSYS, bundle_new, .old_kernel = true, .proc_error = ENOENT)
CASE(1, libluo_bundle_writer_new, EPROTO, bundle_new, IOCTL_FAILS(KERNEL_LUO_GET_NAME, EXDEV))

PRESERVE_CASES(1, libluo_bundle_writer_add, bundle_add)
CASE(1, libluo_bundle_writer_add, E2BIG, bundle_add_many, .object = GOOD)
CASE(1, libluo_bundle_writer_add, EBUSY, bundle_add_preserved, .object = GOOD)
CASE(1, libluo_bundle_writer_add, EEXIST, bundle_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EEXIST))
CASE(1, libluo_bundle_writer_add, EINVAL, bundle_add_bad_name, .object = GOOD)
CASE(1, libluo_bundle_writer_add, EOPNOTSUPP, bundle_add_pipe, .object = GOOD)
CASE(1, libluo_bundle_writer_add, EOVERFLOW, bundle_add_hole, .object = GOOD)

CASE(1, libluo_bundle_writer_add_shared, E2BIG, shared_add_many, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EBADF, shared_add_nothing, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EBADFD, shared_add, .object = INCOMING)
CASE(1, libluo_bundle_writer_add_shared, EBUSY, shared_add_preserved, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EEXIST, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EEXIST))
CASE(1, libluo_bundle_writer_add_shared, EFBIG, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EFBIG))
CASE(1, libluo_bundle_writer_add_shared, EINVAL, shared_add_bad_name, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, ELOOP, shared_loop, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EMEDIUMTYPE, shared_add, .object = OTHER_KIND)
CASE(1, libluo_bundle_writer_add_shared, ENAMETOOLONG, shared_add, .old_kernel = true, .proc_error = ENAMETOOLONG)
CASE(1, libluo_bundle_writer_add_shared, ENOMEM, shared_add, FAILS(ALLOCATE, ENOMEM))
CASE(1, libluo_bundle_writer_add_shared, ENOSPC, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, ENOSPC))
CASE(1, libluo_bundle_writer_add_shared, ENOSYS, shared_add, .old_kernel = true, .proc_error = ENOENT)
CASE(1, libluo_bundle_writer_add_shared, EOPNOTSUPP, shared_add_pipe, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EOVERFLOW, shared_add_hole, .object = GOOD)
CASE(1, libluo_bundle_writer_add_shared, EPROTO, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EXDEV))

PRESERVE_CASES(1, libluo_bundle_writer_write, bundle_write)
CASE(1, libluo_bundle_writer_write, E2BIG, bundle_write, FAILS(WRITE, EFBIG))
CASE(1, libluo_bundle_writer_write, EBUSY, bundle_write, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EBUSY))
CASE(1, libluo_bundle_writer_write, EEXIST, bundle_write_taken, .object = GOOD)
CASE(1, libluo_bundle_writer_write, EINVAL, bundle_write_twice, .object = GOOD)
CASE(1, libluo_bundle_writer_write, EMFILE, bundle_write, FAILS(MEMFD, EMFILE))
CASE(1, libluo_bundle_writer_write, ENFILE, bundle_write, FAILS(MEMFD, ENFILE))
CASE(1, libluo_bundle_writer_write, EOPNOTSUPP, bundle_write, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EOPNOTSUPP))

RETRIEVE_CASES(1, libluo_bundle_open, bundle_open)
CASE(1, libluo_bundle_open, EBADMSG, bundle_open_junk, .object = GOOD)
CASE(1, libluo_bundle_open, EINVAL, bundle_open_nothing, .object = GOOD)
CASE(1, libluo_bundle_open, ENOENT, bundle_open_none, .object = GOOD)
CASE(1, libluo_bundle_open, EPROTONOSUPPORT, bundle_open_future, .object = GOOD)

CASE(1, libluo_bundle_open_index, EACCES, index_open_write_only, .object = GOOD)
CASE(1, libluo_bundle_open_index, EBADF, index_open, .object = CLOSED)
CASE(1, libluo_bundle_open_index, EBADMSG, index_open_junk, .object = GOOD)
CASE(1, libluo_bundle_open_index, EINVAL, index_open_nothing, .object = GOOD)
CASE(1, libluo_bundle_open_index, ENOMEM, index_open, FAILS(ALLOCATE, ENOMEM))
CASE(1, libluo_bundle_open_index, EPROTONOSUPPORT, index_open_future, .object = GOOD)

CASE(1, libluo_index_features, EACCES, index_features_write_only, .object = GOOD)
CASE(1, libluo_index_features, EBADF, index_features, .object = CLOSED)
CASE(1, libluo_index_features, EBADMSG, index_features_junk, .object = GOOD)
CASE(1, libluo_index_features, ENOMEM, index_features, FAILS(ALLOCATE, ENOMEM))

RETRIEVE_CASES(1, libluo_bundle_take, take_plain)
CASE(1, libluo_bundle_take, EACCES, again_read_only, .proc_error = EPERM)
CASE(1, libluo_bundle_take, EPERM, take_read_only, FAILS(FCHMOD, EPERM))
CASE(1, libluo_bundle_take, EINVAL, take_none, .object = GOOD)
CASE(1, libluo_bundle_take, ENODATA, take_lost, .object = GOOD)
CASE(1, libluo_bundle_take, ENOENT, take_after_finish, .object = GOOD)
CASE(1, libluo_bundle_take, ENOLINK, take_shared, .object = GOOD)

CASE(1, libluo_bundle_take_all, EINVAL, take_all, .object = GOOD)

CASE(1, libluo_bundle_get, EINVAL, get_none, .object = GOOD)

CASE(1, libluo_bundle_get_memory, EINVAL, get_memory_few, .object = GOOD)
CASE(1, libluo_bundle_get_memory, ENOMEM, get_memory, FAILS(ALLOCATE, ENOMEM))

CASE(0, libluo_device_holder, EINVAL, device_holder_nothing, .object = GOOD)
CASE(0, libluo_device_holder, EMFILE, device_holder, FAILS(OPENDIR, EMFILE))
CASE(0, libluo_device_holder, ENFILE, device_holder, FAILS(OPENDIR, ENFILE))
CASE(0, libluo_device_holder, ENOENT, device_holder, .object = GOOD)
CASE(0, libluo_device_holder, ENOMEM, device_holder, FAILS(OPENDIR, ENOMEM))
CASE(0, libluo_device_holder, ENOSYS, device_holder, FAILS(OPENDIR, ENOENT))

CASE(0, libluo_memfd_new, EACCES, memfd_new, FAILS(MEMFD, EACCES))
CASE(0, libluo_memfd_new, EFBIG, memfd_new_large, .object = GOOD)
CASE(0, libluo_memfd_new, EINVAL, memfd_new_nothing, .object = GOOD)
CASE(0, libluo_memfd_new, EMFILE, memfd_new, FAILS(MEMFD, EMFILE))
CASE(0, libluo_memfd_new, ENFILE, memfd_new, FAILS(MEMFD, ENFILE))
CASE(0, libluo_memfd_new, ENOMEM, memfd_new, FAILS(MEMFD, ENOMEM))
CASE(0, libluo_memfd_new, EPROTO, memfd_new, FAILS(MEMFD, EXDEV))

SESSION_CASES(1, libluo_bundle_finish, bundle_finish, KERNEL_LUO_FINISH, OUTGOING)
CASE(1, libluo_bundle_finish, EBUSY, bundle_finish, IOCTL_FAILS(KERNEL_LUO_FINISH, EBUSY))
CASE(1, libluo_bundle_finish, EINVAL, bundle_finish_nothing, .object = GOOD)

CASE(1, libluo_bundle_set_shared, EBADMSG, set_shared_wrong, .object = GOOD)
CASE(1, libluo_bundle_set_shared, EINVAL, set_shared_nothing, .object = GOOD)
CASE(1, libluo_bundle_set_shared, ELOOP, set_shared_self, .object = GOOD)

CASE(0, libluo_fd_preflight, EBADF, preflight, .object = CLOSED)
CASE(0, libluo_fd_preflight, EINVAL, preflight_nothing, .object = GOOD)
CASE(0, libluo_fd_preflight, EMFILE, preflight, FAILS(OPEN, EMFILE))
CASE(0, libluo_fd_preflight, ENFILE, preflight, FAILS(OPEN, ENFILE))
CASE(0, libluo_fd_preflight, EPROTO, preflight, FAILS(FSTATFS, EXDEV))

NOTIFY_CASES(libluo_store_put_fd, store_put)
CASE(0, libluo_store_put_fd, EBADF, store_put_nothing, .object = GOOD)
CASE(0, libluo_store_put_fd, EBADF, store_put_path, .object = GOOD)
CASE(0, libluo_store_put_fd, EEXIST, store_put_same, .object = GOOD)
CASE(0, libluo_store_put_fd, EINVAL, store_put_bad_name, .object = GOOD)
CASE(0, libluo_store_put_fd, ENOBUFS, store_put_full, .object = GOOD)
CASE(0, libluo_store_put_fd, ENOMEDIUM, store_put_off, .object = GOOD)
CASE(0, libluo_store_put_fd, ENOTUNIQ, store_put_one_of_two, .object = GOOD)

NOTIFY_CASES(libluo_store_put_data, store_put_data)
CASE(0, libluo_store_put_data, EFAULT, store_put_data_bad_address, .object = GOOD)
CASE(0, libluo_store_put_data, EFBIG, store_put_data, FAILS(WRITE, EFBIG))
CASE(0, libluo_store_put_data, EINVAL, store_put_data_bad_name, .object = GOOD)
CASE(0, libluo_store_put_data, ENOBUFS, store_put_data_full, .object = GOOD)
CASE(0, libluo_store_put_data, ENOMEDIUM, store_put_data_off, .object = GOOD)

NOTIFY_CASES(libluo_store_remove, store_remove)
CASE(0, libluo_store_remove, EINVAL, store_remove_null, .object = GOOD)
CASE(0, libluo_store_remove, ENOENT, store_remove_none, .object = GOOD)

NOTIFY_CASES(libluo_store_barrier, store_barrier)
CASE(0, libluo_store_barrier, EINVAL, store_barrier_null, .object = GOOD)

NOTIFY_CASES(libluo_store_barrier_fd, store_barrier_fd)
CASE(0, libluo_store_barrier_fd, EINVAL, store_barrier_fd_null, .object = GOOD)

NOTIFY_CASES(libluo_notify, store_notify)
CASE(0, libluo_notify, EINVAL, store_notify_null, .object = GOOD)

CASE(0, libluo_store_get_fd, EBADF, store_get, .object = CLOSED)
CASE(0, libluo_store_get_fd, EINVAL, store_get_null, .object = GOOD)
CASE(0, libluo_store_get_fd, EMFILE, store_get, FCNTL_FAILS(F_DUPFD_CLOEXEC, EMFILE))
CASE(0, libluo_store_get_fd, ENOENT, store_get_none, .object = GOOD)
CASE(0, libluo_store_get_fd, ENOMEM, store_get, FCNTL_FAILS(F_DUPFD_CLOEXEC, ENOMEM))
CASE(0, libluo_store_get_fd, ENOTUNIQ, store_get_two, .object = GOOD)

CASE(0, libluo_store_get_entry, EINVAL, store_get_entry_none, .object = GOOD)

CASE(0, libluo_store_map_data, EBADF, store_map_data, .object = CLOSED)
CASE(0, libluo_store_map_data, EINVAL, store_map_data_null, .object = GOOD)
CASE(0, libluo_store_map_data, EISNAM, store_map_data_unsealed, .object = GOOD)
CASE(0, libluo_store_map_data, ENOENT, store_map_data_none, .object = GOOD)
CASE(0, libluo_store_map_data, ENOMEM, store_map_data, FAILS(MMAP, ENOMEM))
CASE(0, libluo_store_map_data, ENOTUNIQ, store_map_data_two, .object = GOOD)

NOTIFY_CASES(libluo_store_map, store_map)
CASE(0, libluo_store_map, EACCES, store_map, FAILS(MEMFD, EACCES))
CASE(0, libluo_store_map, EBADF, store_map_passed, .object = CLOSED)
CASE(0, libluo_store_map, EFBIG, store_map_large, .object = GOOD)
CASE(0, libluo_store_map, EINVAL, store_map_small, .object = GOOD)
CASE(0, libluo_store_map, EISNAM, store_map_pipe, .object = GOOD)
CASE(0, libluo_store_map, EMSGSIZE, store_map_other_size, .object = GOOD)
CASE(0, libluo_store_map, ENOBUFS, store_map_full, .object = GOOD)
CASE(0, libluo_store_map, ENOMEDIUM, store_map_off, .object = GOOD)
CASE(0, libluo_store_map, ENOMEM, store_map, FAILS(PWRITE, ENOSPC))
CASE(0, libluo_store_map, ENOTUNIQ, store_map_two, .object = GOOD)
CASE(0, libluo_store_map, EROFS, store_map_read_only, .object = GOOD)
CASE(0, libluo_store_map, ESTALE, store_map_passed, .object = GOOD)

CASE(0, libluo_store_get_data, EBADF, store_get_data, .object = CLOSED)
CASE(0, libluo_store_get_data, EINVAL, store_get_data_null, .object = GOOD)
CASE(0, libluo_store_get_data, EISNAM, store_get_data_pipe, .object = GOOD)
CASE(0, libluo_store_get_data, ENOENT, store_get_data_none, .object = GOOD)
CASE(0, libluo_store_get_data, ENOMEM, store_get_data, FAILS(ALLOCATE, ENOMEM))
CASE(0, libluo_store_get_data, ENOTUNIQ, store_get_data_two, .object = GOOD)

CASE(0, libluo_store_get_sessions, EBADF, store_sessions, .object = CLOSED)
CASE(0, libluo_store_get_sessions, EINVAL, store_sessions_null, .object = GOOD)
CASE(0, libluo_store_get_sessions, EMEDIUMTYPE, store_sessions_file, .object = GOOD)
CASE(0, libluo_store_get_sessions, EMFILE, store_sessions, FCNTL_FAILS(F_DUPFD_CLOEXEC, EMFILE))
CASE(0, libluo_store_get_sessions, ENOENT, store_sessions_none, .object = GOOD)
CASE(0, libluo_store_get_sessions, ENOMEM, store_sessions, IOCTL_FAILS(KERNEL_LUO_GET_NAME, ENOMEM))
CASE(0, libluo_store_get_sessions, ENOSYS, store_sessions, .old_kernel = true, .proc_error = ENOENT)
CASE(0, libluo_store_get_sessions, EPROTO, store_sessions, IOCTL_FAILS(KERNEL_LUO_GET_NAME, EXDEV))

CASE(0, libluo_store_open, EBADMSG, store_open_environment, .object = GOOD)
CASE(0, libluo_store_open, EINVAL, store_open_flags, .object = GOOD)
CASE(0, libluo_store_open, ENOMEM, store_open, FAILS(ALLOCATE, ENOMEM))

/* clang-format on */
