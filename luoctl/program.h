/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The path of the program that execvp(3) would run, for the caller to free. Returns 0, or a negative errno: -ENOENT
 * there is none, -EACCES it is not executable.
 */
int program_find(const char *name, char **ret_path);
