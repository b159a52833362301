/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Believe sysfs, not the messenger. A helper that is killed inside a module's
 * init function dies only after init has returned: it reports "killed" while
 * the module is live. One that is told EEXIST has been overtaken by somebody
 * who did the same. So the state decides first, and only for a module that is
 * not where we want it the errno tells why.
 *
 * The errnos are those of finit_module(2) and delete_module(2) in
 * kernel/module/ of 6.1 to 6.12. A module's own init function can return any
 * errno; those that the loader itself uses for something definite are read in
 * that sense.
 */

#include "policy/verdict.h"

static const char *const verdicts[_VERDICT_MAX] = {
        [VERDICT_DONE] = "done",
        [VERDICT_WAIT] = "wait",
        [VERDICT_RETRY] = "retry",
        [VERDICT_BUSY] = "busy",
        [VERDICT_FAILED] = "failed",
};

const char *verdict_to_string(Verdict verdict)
{
        return verdict >= 0 && verdict < _VERDICT_MAX ? verdicts[verdict] : "invalid";
}

static Verdict failed(Code code, Code *ret_code)
{
        *ret_code = code;
        return VERDICT_FAILED;
}

/* Why a module that we wanted to load is not there. */
static Verdict judge_refused_load(int error, Code *ret_code)
{
        switch (error) {
        case EEXIST: /* it was there then, and has gone since */
        case EBUSY:  /* 6.6 and later: another load or unload of that name was under way */
        case EAGAIN:
        case EINTR: /* a signal while waiting for that other one */
                return VERDICT_RETRY;
        case ENODEV:
                return failed(CODE_LOAD_NO_DEVICE, ret_code);
        case ENOEXEC: /* no ELF module, or another kernel's vermagic */
                return failed(CODE_LOAD_FORMAT, ret_code);
        case ENOENT: /* "Unknown symbol" */
                return failed(CODE_LOAD_SYMBOLS, ret_code);
        case EKEYREJECTED: /* signature required, and there is none or an unknown one */
        case EKEYREVOKED:
        case EKEYEXPIRED:
        case ENOKEY:
        case EBADMSG: /* a damaged signature is refused even where none is required */
        case EPERM:   /* lockdown, kernel.modules_disabled, or no CAP_SYS_MODULE */
        case EACCES:  /* a security module's word */
                return failed(CODE_LOAD_REFUSED, ret_code);
        default:
                return failed(CODE_LOAD_FAILED, ret_code);
        }
}

Verdict verdict_load(int error, ModState after, Code *ret_code)
{
        *ret_code = CODE_OK;

        switch (after) {
        case MOD_LIVE:
        case MOD_BUILTIN:
                return VERDICT_DONE;
        case MOD_COMING:
        case MOD_GOING:
                return VERDICT_WAIT;
        case MOD_ABSENT:
                return judge_refused_load(error, ret_code);
        case _MOD_STATE_MAX:
        case _MOD_STATE_INVALID:
                break;
        }
        return failed(CODE_INTERNAL, ret_code);
}

/* Why a module that we wanted to unload is still live. */
static Verdict judge_refused_unload(int error, Code *ret_code)
{
        switch (error) {
        case EAGAIN: /* it has references: O_NONBLOCK, so the kernel does not wait */
        case EBUSY:  /* it was just being loaded or unloaded, or has no exit function */
                *ret_code = CODE_BUSY;
                return VERDICT_BUSY;
        case 0:      /* it went, and somebody loaded it again */
        case ENOENT: /* it was gone, and somebody loaded it again */
        case EINTR:
        case VERDICT_NO_WORD: /* killed before the kernel had been asked */
                return VERDICT_RETRY;
        default:
                return failed(CODE_UNLOAD_FAILED, ret_code);
        }
}

Verdict verdict_unload(int error, ModState after, Code *ret_code)
{
        *ret_code = CODE_OK;

        switch (after) {
        case MOD_ABSENT:
                return VERDICT_DONE;
        case MOD_COMING:
        case MOD_GOING:
                return VERDICT_WAIT;
        case MOD_LIVE:
                return judge_refused_unload(error, ret_code);
        case MOD_BUILTIN:
                return failed(CODE_UNLOAD_FAILED, ret_code);
        case _MOD_STATE_MAX:
        case _MOD_STATE_INVALID:
                break;
        }
        return failed(CODE_INTERNAL, ret_code);
}
