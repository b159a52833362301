/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Holders as JSON: line by line between the worker, which finds them, and who
 * asked, and as the document of "nvidia-driver holders --json".
 */

#include "policy/facts.h"
#include "policy/holder.h"

/* Room for a line without its newline; strings that do not fit are cut. */
enum { HOLDERS_LINE_MAX = 4000, HOLDERS_STRING_MAX = 256 };

/* One line without its newline; the caller's. Returns 0 or -ENOMEM. */
int holders_line_holder(const Holder *h, char **ret);
int holders_line_user(uid_t uid, const char *user, char **ret);

/* The last line of the walk; what follows only puts names to users. */
int holders_line_end(unsigned n_processes, unsigned n_unreadable, char **ret);

enum {
        _HOLDERS_E_SUCCESS,
        HOLDERS_E_FOREIGN, /* not a line of ours: a library's message */
        HOLDERS_E_END,     /* the end of the walk; the counts are in @holders */
        HOLDERS_E_INVALID, /* begins like a line of ours and is none */
};

/* Takes one line into @holders. Returns 0, one of the above or -ENOMEM. */
int holders_line_parse(const char *line, Holders *holders);

/*
 * The document for scripts, indented, with a newline at the end. @modules: the
 * driver as it is loaded, with who holds it inside the kernel; @remarks, @busy:
 * of busy_judge(). Returns 0 or -ENOMEM.
 */
int holders_format(const Holders *holders, const ModuleFacts *modules, char *const *remarks, bool busy,
                char **ret);
