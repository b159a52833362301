/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/verdict.h"

typedef struct Case {
        int error;
        ModState after;
        Verdict verdict;
        Code code;
} Case;

static const Case loads[] = {
        /* the state decides, whatever was said */
        { 0, MOD_LIVE, VERDICT_DONE, CODE_OK },
        { EEXIST, MOD_LIVE, VERDICT_DONE, CODE_OK },
        { VERDICT_NO_WORD, MOD_LIVE, VERDICT_DONE, CODE_OK },
        { ENODEV, MOD_LIVE, VERDICT_DONE, CODE_OK },
        { EEXIST, MOD_BUILTIN, VERDICT_DONE, CODE_OK },
        { VERDICT_NO_WORD, MOD_COMING, VERDICT_WAIT, CODE_OK },
        { EEXIST, MOD_COMING, VERDICT_WAIT, CODE_OK },
        { 0, MOD_GOING, VERDICT_WAIT, CODE_OK },
        { 0, _MOD_STATE_INVALID, VERDICT_FAILED, CODE_INTERNAL },
        { 0, _MOD_STATE_MAX, VERDICT_FAILED, CODE_INTERNAL },
        /* it is not there: the errno tells why */
        { EEXIST, MOD_ABSENT, VERDICT_RETRY, CODE_OK },
        { EBUSY, MOD_ABSENT, VERDICT_RETRY, CODE_OK },
        { EAGAIN, MOD_ABSENT, VERDICT_RETRY, CODE_OK },
        { EINTR, MOD_ABSENT, VERDICT_RETRY, CODE_OK },
        { ENODEV, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_NO_DEVICE },
        { ENOEXEC, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_FORMAT },
        { ENOENT, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_SYMBOLS },
        { EKEYREJECTED, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EKEYREVOKED, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EKEYEXPIRED, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { ENOKEY, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EBADMSG, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EPERM, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EACCES, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_REFUSED },
        { EIO, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_FAILED },
        { ENOMEM, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_FAILED },
        { 0, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_FAILED },
        { VERDICT_NO_WORD, MOD_ABSENT, VERDICT_FAILED, CODE_LOAD_FAILED },
};

static const Case unloads[] = {
        { 0, MOD_ABSENT, VERDICT_DONE, CODE_OK },
        { ENOENT, MOD_ABSENT, VERDICT_DONE, CODE_OK },
        { EAGAIN, MOD_ABSENT, VERDICT_DONE, CODE_OK },
        { VERDICT_NO_WORD, MOD_ABSENT, VERDICT_DONE, CODE_OK },
        { VERDICT_NO_WORD, MOD_GOING, VERDICT_WAIT, CODE_OK },
        { EBUSY, MOD_COMING, VERDICT_WAIT, CODE_OK },
        { EAGAIN, MOD_LIVE, VERDICT_BUSY, CODE_BUSY },
        { EWOULDBLOCK, MOD_LIVE, VERDICT_BUSY, CODE_BUSY },
        { EBUSY, MOD_LIVE, VERDICT_BUSY, CODE_BUSY },
        { 0, MOD_LIVE, VERDICT_RETRY, CODE_OK },
        { ENOENT, MOD_LIVE, VERDICT_RETRY, CODE_OK },
        { EINTR, MOD_LIVE, VERDICT_RETRY, CODE_OK },
        { VERDICT_NO_WORD, MOD_LIVE, VERDICT_RETRY, CODE_OK },
        { EPERM, MOD_LIVE, VERDICT_FAILED, CODE_UNLOAD_FAILED },
        { EIO, MOD_LIVE, VERDICT_FAILED, CODE_UNLOAD_FAILED },
        { 0, MOD_BUILTIN, VERDICT_FAILED, CODE_UNLOAD_FAILED },
        { 0, _MOD_STATE_INVALID, VERDICT_FAILED, CODE_INTERNAL },
        { 0, _MOD_STATE_MAX, VERDICT_FAILED, CODE_INTERNAL },
};

static void assert_case(const Case *c, Verdict verdict, Code code)
{
        ck_assert_msg(verdict == c->verdict, "error %d, %s: expected %s, got %s", c->error,
                        mod_state_to_string(c->after), verdict_to_string(c->verdict),
                        verdict_to_string(verdict));
        ck_assert_str_eq(code_to_string(code), code_to_string(c->code));
}

START_TEST(test_load)
{
        Code code = _CODE_INVALID;
        Verdict verdict = verdict_load(loads[_i].error, loads[_i].after, &code);

        assert_case(&loads[_i], verdict, code);
}
END_TEST

START_TEST(test_unload)
{
        Code code = _CODE_INVALID;
        Verdict verdict = verdict_unload(unloads[_i].error, unloads[_i].after, &code);

        assert_case(&unloads[_i], verdict, code);
}
END_TEST

/* No errno and no state may give an undocumented pair of verdict and code. */
START_TEST(test_every_pair)
{
        for (int error = VERDICT_NO_WORD; error < 256; error++)
                for (ModState s = 0; s < _MOD_STATE_MAX; s++)
                        for (int unload = 0; unload < 2; unload++) {
                                Code code = _CODE_INVALID;
                                Verdict v = unload ? verdict_unload(error, s, &code)
                                                   : verdict_load(error, s, &code);

                                ck_assert(v >= 0 && v < _VERDICT_MAX);
                                ck_assert_int_eq(code == CODE_OK, v < VERDICT_BUSY);
                                ck_assert_int_eq(code == CODE_BUSY, v == VERDICT_BUSY);
                        }
}
END_TEST

START_TEST(test_names)
{
        for (Verdict v = 0; v < _VERDICT_MAX; v++)
                ck_assert_str_ne(verdict_to_string(v), "invalid");
        ck_assert_str_eq(verdict_to_string(_VERDICT_INVALID), "invalid");
        ck_assert_str_eq(verdict_to_string(_VERDICT_MAX), "invalid");
}
END_TEST

UNIT_MAIN("verdict", UNIT_LOOP(test_load, ELEMENTSOF(loads)), UNIT_LOOP(test_unload, ELEMENTSOF(unloads)),
                UNIT_TEST(test_every_pair), UNIT_TEST(test_names))
