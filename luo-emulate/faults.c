/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "kernel-abi.h"

#define ERROR_MAX 4095 /* what the kernel can return as an error */

static const struct {
        const char *name;
        bool has_session;
        bool has_token;
} operations[N_OPERATIONS] = {
        [OPERATION_OPEN] = { "open", false, false },
        [OPERATION_CREATE] = { "create", true, false },
        [OPERATION_RETRIEVE_SESSION] = { "retrieve-session", true, false },
        [OPERATION_PRESERVE] = { "preserve", true, true },
        [OPERATION_RETRIEVE] = { "retrieve", true, true },
        [OPERATION_FINISH] = { "finish", true, false },
        [OPERATION_GET_NAME] = { "get-name", true, false },
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
        char *equals = strrchr(specification, '='), *operation = specification, *session, *colon;
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

        session = strchr(operation, ':');
        if (session)
                *session++ = 0;

        for (i = 0; i < N_OPERATIONS; i++)
                if (strcmp(operation, operations[i].name) == 0)
                        break;
        if (i == N_OPERATIONS)
                return "the operation is none of open, create, retrieve-session, preserve, retrieve, finish, get-name";
        fault->operation = (enum operation) i;

        fault->any_token = true;
        if (!session)
                return NULL;
        if (!operations[i].has_session)
                return "this operation concerns no session";

        /* A session's name may have colons in it: what comes after the last one is a token only if it looks like one */
        colon = strrchr(session, ':');
        if (operations[i].has_token && colon && strcmp(colon + 1, "*") == 0)
                *colon = 0;
        else if (operations[i].has_token && colon && parse_number(colon + 1, &fault->token)) {
                *colon = 0;
                fault->any_token = false;
        }

        if (strcmp(session, "*") == 0)
                return NULL;
        if (!*session)
                return "the session's name is empty (\"*\" stands for any)";
        if (strlen(session) >= KERNEL_LUO_NAME_SIZE)
                return "the session's name is longer than 63 bytes";

        fault->session = strdup(session);
        return NULL;
}

int faults_add(struct faults *faults, const char *specification, const char **ret_reason) {
        struct fault fault = {}, *list;
        char *copy;

        *ret_reason = "out of memory";
        copy = strdup(specification);
        list = reallocarray(faults->list, faults->n + 1, sizeof(*list));
        if (list)
                faults->list = list;
        if (!copy || !list) {
                free(copy);
                return -ENOMEM;
        }

        *ret_reason = parse(copy, &fault);
        free(copy);
        if (*ret_reason)
                return -EINVAL;

        faults->list[faults->n++] = fault;
        return 0;
}

void faults_done(struct faults *faults) {
        for (size_t i = 0; i < faults->n; i++)
                free(faults->list[i].session);
        free(faults->list);
        *faults = (struct faults) {};
}

int faults_check(
        struct faults *faults, unsigned boot, enum operation operation, const char *session, uint64_t token) {

        for (size_t i = 0; i < faults->n; i++) {
                struct fault *fault = faults->list + i;

                if (fault->operation != operation || (!fault->any_boot && fault->boot != boot) ||
                        (fault->session && (!session || strcmp(fault->session, session) != 0)) ||
                        (!fault->any_token && fault->token != token) ||
                        (fault->limited && fault->remaining == 0))
                        continue;

                if (fault->limited)
                        fault->remaining--;
                return -fault->error;
        }

        return 0;
}
