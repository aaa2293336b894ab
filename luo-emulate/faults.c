/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "internal.h"
#include "kernel-abi.h"

#define ERROR_MAX 4095 /* what the kernel can return as an error */

#define SESSION_NAME_MAX (KERNEL_LUO_NAME_SIZE - 1)

static const struct {
        const char *name;
        size_t name_max; /* of what it concerns; 0: nothing that has one */
        bool has_token;
} operations[N_OPERATIONS] = {
        [OPERATION_OPEN] = { "open", 0, false },
        [OPERATION_CREATE] = { "create", SESSION_NAME_MAX, false },
        [OPERATION_RETRIEVE_SESSION] = { "retrieve-session", SESSION_NAME_MAX, false },
        [OPERATION_PRESERVE] = { "preserve", SESSION_NAME_MAX, true },
        [OPERATION_RETRIEVE] = { "retrieve", SESSION_NAME_MAX, true },
        [OPERATION_FINISH] = { "finish", SESSION_NAME_MAX, false },
        [OPERATION_GET_NAME] = { "get-name", SESSION_NAME_MAX, false },
        [OPERATION_FDSTORE_RESTORE] = { "fdstore-restore", LIBLUO_ENTRY_NAME_MAX, false },
};

const char *operation_name(enum operation operation) {
        return operations[operation].name;
}

/* All digits, nothing else: strtoull() takes signs and spaces, too. */
static bool parse_number(const char *string, uint64_t *ret) {
        unsigned long long value;
        char *end;

        if (*string < '0' || *string > '9')
                return false;

        errno = 0;
        value = strtoull(string, &end, 0);
        if (errno != 0 || *end)
                return false;

        *ret = value;
        return true;
}

int error_from_string(const char *string) {
        uint64_t number;

        if (parse_number(string, &number))
                return number >= 1 && number <= ERROR_MAX ? (int) number : 0;

        for (int error = 1; error <= ERROR_MAX; error++) {
                const char *name = strerrorname_np(error);

                if (name && strcmp(name, string) == 0)
                        return error;
        }

        return 0;
}

static const char *parse_error(char *text, struct fault *fault) {
        char *asterisk = strchr(text, '*');

        if (asterisk) {
                uint64_t count;

                *asterisk = 0;
                if (!parse_number(asterisk + 1, &count) || count == 0 || count > UINT32_MAX)
                        return "the count after the error's \"*\" is not a number from 1 up";
                fault->limited = true;
                fault->remaining = (unsigned long) count;
        }

        fault->error = error_from_string(text);
        if (fault->error == 0)
                return "the error after \"=\" is neither an errno's name (like EIO) nor its number (1 to 4095)";

        return NULL;
}

/* Takes specification apart, which is overwritten. Returns what is wrong, or NULL. */
static const char *parse(char *specification, struct fault *fault) {
        char *equals = strrchr(specification, '='), *operation = specification, *name, *colon;
        size_t boot_length = strspn(specification, "0123456789");
        const char *reason;
        int i;

        if (!equals)
                return "\"=ERROR\" is missing";
        *equals = 0;

        reason = parse_error(equals + 1, fault);
        if (reason)
                return reason;

        fault->any_boot = true;
        if (boot_length > 0 && specification[boot_length] == '/') {
                uint64_t boot;

                specification[boot_length] = 0;
                if (!parse_number(specification, &boot) || boot > UINT32_MAX)
                        return "the boot's number is too large";
                fault->any_boot = false;
                fault->boot = (unsigned) boot;
                operation += boot_length + 1;
        }

        name = strchr(operation, ':');
        if (name)
                *name++ = 0;

        for (i = 0; i < N_OPERATIONS; i++)
                if (strcmp(operation, operations[i].name) == 0)
                        break;
        if (i == N_OPERATIONS)
                return "the operation is none of open, create, retrieve-session, preserve, retrieve, finish, get-name, "
                       "fdstore-restore";
        fault->operation = (enum operation) i;

        fault->any_token = true;
        if (!name)
                return NULL;
        if (operations[i].name_max == 0)
                return "this operation concerns nothing that has a name";

        /* A session's name may have colons in it: what comes after the last one is a token only if it looks like one */
        colon = strrchr(name, ':');
        if (operations[i].has_token && colon && strcmp(colon + 1, "*") == 0)
                *colon = 0;
        else if (operations[i].has_token && colon && parse_number(colon + 1, &fault->token)) {
                *colon = 0;
                fault->any_token = false;
        }

        if (strcmp(name, "*") == 0)
                return NULL;
        if (!*name)
                return "the name is empty (\"*\" stands for any)";
        if (strlen(name) > operations[i].name_max)
                return operations[i].name_max == SESSION_NAME_MAX
                        ? "the session's name is longer than 63 bytes"
                        : "the entry's name is longer than 255 bytes";

        fault->name = strdup(name);
        return fault->name ? NULL : "out of memory";
}

int faults_add(struct faults *faults, const char *specification, const char **ret_reason) {
        struct fault fault = {}, *list;
        char *copy;

        *ret_reason = "out of memory";
        copy = strdup(specification);
        fault.specification = strdup(specification);
        list = reallocarray(faults->list, faults->n + 1, sizeof(*list));
        if (list)
                faults->list = list;
        if (!copy || !fault.specification || !list) {
                free(copy);
                free(fault.specification);
                return -ENOMEM;
        }

        *ret_reason = parse(copy, &fault);
        free(copy);
        if (*ret_reason) {
                free(fault.specification);
                return -EINVAL;
        }

        faults->list[faults->n++] = fault;
        return 0;
}

void faults_done(struct faults *faults) {
        for (size_t i = 0; i < faults->n; i++) {
                free(faults->list[i].specification);
                free(faults->list[i].name);
        }
        free(faults->list);
        *faults = (struct faults) {};
}

bool faults_have(const struct faults *faults, enum operation operation) {
        for (size_t i = 0; i < faults->n; i++)
                if (faults->list[i].operation == operation)
                        return true;

        return false;
}

bool faults_tell_unused(const struct faults *faults) {
        bool found = false;

        for (size_t i = 0; i < faults->n; i++) {
                if (faults->list[i].has_fitted)
                        continue;
                fprintf(stderr, "luo-emulate: --fail=%s: there was no such operation.\n",
                        faults->list[i].specification);
                found = true;
        }

        return found;
}

int faults_check(
        struct faults *faults, unsigned boot, enum operation operation, const char *name, uint64_t token) {

        for (size_t i = 0; i < faults->n; i++) {
                struct fault *fault = faults->list + i;

                if (fault->operation != operation || (!fault->any_boot && fault->boot != boot) ||
                        (fault->name && (!name || strcmp(fault->name, name) != 0)) ||
                        (!fault->any_token && fault->token != token) ||
                        (fault->limited && fault->remaining == 0))
                        continue;

                fault->has_fitted = true;
                if (fault->limited)
                        fault->remaining--;
                return -fault->error;
        }

        return 0;
}
