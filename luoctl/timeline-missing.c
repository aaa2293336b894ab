/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "luoctl.h"
#include "timeline.h"

/* In the place of timeline-journal.c where there is no libsystemd to build with */
int timeline_read(const char *directory, const char *boot, struct timeline *ret) {
        (void) directory;
        (void) boot;
        (void) ret;

        return fail(-EOPNOTSUPP,
                "this luoctl was built without libsystemd, so it cannot read the journal; "
                "rebuild it with -Dsystemd=enabled");
}
