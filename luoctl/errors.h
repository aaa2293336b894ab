/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libluo.h>

/* An error of libluo may have one reason here and another there. Who knows what was called can say which one it is. */

enum call {
        CALL_CREATE,       /* libluo_session_create() */
        CALL_RETRIEVE,     /* libluo_session_retrieve() */
        CALL_PRESERVE,     /* libluo_session_preserve() and libluo_bundle_writer_add() */
        CALL_RETRIEVE_FD,  /* libluo_session_retrieve_fd() */
        CALL_FINISH,       /* libluo_session_finish() */
        CALL_BUNDLE,       /* libluo_bundle_open() */
        CALL_INDEX,        /* libluo_bundle_open_index() and libluo_index_features() */
        CALL_TAKE,         /* libluo_bundle_take() */
        CALL_STORE,        /* libluo_store_…() */
        CALL_OPEN_SESSION, /* libluo_store_open_session() */
        CALL_COPY,         /* content_to_memfd(), most errors of which are of read(2) and write(2) */
};

/* What an error of this call means, as a sentence without a full stop. Takes the negative errno; never NULL. */
const char *error_reason(enum call call, int error);

/* The same for what preserving this file failed with: looks at the file where there are several reasons. */
const char *preserve_reason(int fd, int error);

/* What is said behind the reason why a file cannot be preserved, if a copy of its content could be */
const char *copy_advice(libluo_verdict verdict);
