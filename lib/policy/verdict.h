/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a load or an unload went: judged by the state of the module afterwards;
 * what the helper said only explains a failure.
 */

#include "policy/code.h"
#include "policy/facts.h"

typedef enum Verdict {
        VERDICT_DONE,
        VERDICT_WAIT,  /* the kernel is still at it: read the state again, do nothing */
        VERDICT_RETRY, /* it came to nothing for a reason that has passed: do it again */
        VERDICT_BUSY,  /* somebody holds the module */
        VERDICT_FAILED,
        _VERDICT_MAX,
        _VERDICT_INVALID = -EINVAL,
} Verdict;

const char *verdict_to_string(Verdict verdict);

/* In place of an errno: the helper was killed or said nothing that makes sense. */
enum { VERDICT_NO_WORD = -1 };

/*
 * @error is the kernel's positive errno as the helper reported it, 0 if it
 * reported success, or VERDICT_NO_WORD; @after is the module's state read
 * afterwards. *@ret_code is CODE_OK for DONE, WAIT and RETRY, CODE_BUSY for
 * BUSY, else the reason. Callers bound WAIT by a deadline and RETRY by a count.
 */
Verdict verdict_load(int error, ModState after, Code *ret_code);
Verdict verdict_unload(int error, ModState after, Code *ret_code);
