/* SPDX-License-Identifier: Apache-2.0 */

/* Two lines: the code's name, the particulars. */

#include "base/result.h"
#include "base/str.h"
#include "failure.h"
#include "paths.h"

enum { FAILURE_SIZE_MAX = 8192 };

int failure_write(const Root *root, Code code, const char *detail)
{
        _cleanup_free_ char *text = str_format("%s\n%s\n", code_to_string(code), strempty(detail));
        int r;

        if (!text)
                return err_origin(-ENOMEM);
        r = root_mkdirs(root, RUNTIME_DIRECTORY, 0755);
        if (r == 0)
                /* In use: the particulars name processes of others, who are nobody's business but root's. */
                r = root_write_file(root, RUNTIME_FAILURE, text, MIN(strlen(text), (size_t)FAILURE_SIZE_MAX),
                                code == CODE_BUSY ? 0600 : 0644);
        return err_trace(r);
}

int failure_read(const Root *root, Code *ret_code, char **ret_detail)
{
        _cleanup_free_ char *text = NULL, *detail = NULL;
        char *rest;
        Code code;
        int r;

        r = root_read_file(root, RUNTIME_FAILURE, FAILURE_SIZE_MAX, &text, NULL);
        if (r == -EACCES)
                return 1;
        if (r)
                return r < 0 ? err_trace(r) : 1;
        rest = text + strcspn(text, "\n");
        if (*rest)
                *rest++ = '\0';
        code = code_from_string(text);
        if (code < 0)
                return 1;
        detail = strdup(str_strip(rest));
        if (!detail)
                return err_origin(-ENOMEM);
        *ret_code = code;
        *ret_detail = TAKE_PTR(detail);
        return 0;
}

int failure_forget(const Root *root)
{
        return err_trace(root_unlink(root, RUNTIME_FAILURE));
}
