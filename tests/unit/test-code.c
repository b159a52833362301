/* SPDX-License-Identifier: Apache-2.0 */

/* The table of failure codes is a contract with users' scripts, so this test holds a copy of what must not
 * change. */

#include "unit.h"

#include "base/root.h"
#include "base/str.h"
#include "policy/code.h"

/* Published names and statuses. New codes are appended; a line that is here is never changed. */
static const struct {
        const char *name;
        int status;
        bool transient;
} contract[] = {
        { "ok", 0, false },
        { "already-running", 1, false },
        { "usage", 2, false },
        { "not-running", 3, false },
        { "not-permitted", 4, false },
        { "not-ready", 5, true },
        { "no-gpu", 10, false },
        { "driver-source-missing", 11, false },
        { "driver-source-invalid", 12, false },
        { "driver-source-version", 13, false },
        { "kernel-tree-missing", 14, false },
        { "kernel-tree-unusable", 15, false },
        { "kernel-tree-mismatch", 16, false },
        { "kernel-tree-dirty", 17, false },
        { "prepare-failed", 18, false },
        { "toolchain-missing", 19, false },
        { "compile-failed", 20, false },
        { "out-of-memory", 21, true },
        { "no-space", 22, true },
        { "link-failed", 23, false },
        { "build-mismatch", 24, false },
        { "build-damaged", 25, false },
        { "store-failed", 26, true },
        { "build-timeout", 27, true },
        { "compiler-mismatch", 28, false },
        { "driver-too-old", 29, false },
        { "load-refused", 30, false },
        { "load-no-device", 31, false },
        { "load-format", 32, false },
        { "load-symbols", 33, false },
        { "load-failed", 34, true },
        { "devices-missing", 35, true },
        { "nodes-failed", 36, true },
        { "gpu-claimed", 37, false },
        { "parameter-unknown", 38, false },
        { "firmware-hidden", 39, true },
        { "busy", 40, true },
        { "stuck", 41, false },
        { "unload-failed", 42, true },
        { "foreign-driver", 43, false },
        { "devices-lost", 44, true },
        { "modules-lost", 45, true },
        { "interrupted", 46, false },
        { "service-failed", 47, true },
        { "gpu-lost", 48, false },
        { "gpu-error", 49, true },
        { "signature-required", 50, false },
        { "signing-key-unusable", 51, false },
        { "sign-failed", 52, false },
        { "symbol-mismatch", 53, false },
        { "package-invalid", 54, false },
        { "store-locked", 55, true },
        { "build-unknown", 56, false },
        { "download-failed", 57, true },
        { "toolchain-invalid", 58, false },
        { "toolchain-mismatch", 59, false },
        { "driver-fallback", 60, true },
        { "gpus-conflict", 61, false },
        { "header-missing", 62, false },
        { "kernel-config-changed", 65, false },
        { "node-blocked", 66, false },
        { "internal", 70, false },
        { "resources", 71, true },
        { "config-invalid", 78, false },
};

START_TEST(test_contract)
{
        Code code = code_from_string(contract[_i].name);

        ck_assert_int_ge(code, 0);
        ck_assert_str_eq(code_to_string(code), contract[_i].name);
        ck_assert_int_eq(code_exit_status(code), contract[_i].status);
        ck_assert_int_eq(code_from_exit_status(contract[_i].status), code);
        ck_assert_int_eq(code_is_transient(code), contract[_i].transient);
}
END_TEST

/* A new code also gets its line above: with that, names and statuses are unique. */
START_TEST(test_contract_is_complete)
{
        ck_assert_uint_eq(ELEMENTSOF(contract), _CODE_MAX);
        for (size_t i = 1; i < ELEMENTSOF(contract); i++)
                ck_assert_int_lt(contract[i - 1].status, contract[i].status);
}
END_TEST

START_TEST(test_texts)
{
        const char *name = code_to_string(_i), *sentence = code_sentence(_i), *remedy = code_remedy(_i);

        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        ck_assert_msg(sentence && strlen(sentence) >= 10, "%s has no sentence", name);
        ck_assert_msg(remedy && strlen(remedy) >= 10, "%s has no next step", name);
        ck_assert_msg(!strpbrk(sentence, "\n\t") && !strpbrk(remedy, "\n\t"), "%s: more than a line", name);
        ck_assert_msg(strchr(".?", remedy[strlen(remedy) - 1]), "%s: the next step is no sentence", name);
        for (Code other = 0; other < _i; other++)
                ck_assert_str_ne(sentence, code_sentence(other));
}
END_TEST

/* Statuses that belong to shells (126 and above) and to systemd (200 and above) are not ours. */
START_TEST(test_range)
{
        ck_assert_int_ge(code_exit_status(_i), 0);
        ck_assert_int_lt(code_exit_status(_i), 126);
}
END_TEST

START_TEST(test_outside)
{
        static const Code outside[] = { _CODE_MAX, _CODE_INVALID, -1 };

        for (size_t i = 0; i < ELEMENTSOF(outside); i++) {
                ck_assert_str_eq(code_to_string(outside[i]), "invalid");
                ck_assert_int_eq(code_exit_status(outside[i]), 70);
                ck_assert_str_eq(code_sentence(outside[i]), "");
                ck_assert_str_eq(code_remedy(outside[i]), "");
                ck_assert(!code_is_transient(outside[i]));
        }
        ck_assert_int_eq(code_from_string("invalid"), _CODE_INVALID);
        ck_assert_int_eq(code_from_string(""), _CODE_INVALID);
        ck_assert_int_eq(code_from_string("OK"), _CODE_INVALID);
        ck_assert_int_eq(code_from_exit_status(-1), _CODE_INVALID);
        ck_assert_int_eq(code_from_exit_status(127), _CODE_INVALID);
        ck_assert_int_eq(code_from_exit_status(6), _CODE_INVALID);
}
END_TEST

START_TEST(test_write)
{
        ck_assert_int_eq(code_of_write(-ENOSPC, CODE_STORE_FAILED), CODE_NO_SPACE);
        ck_assert_int_eq(code_of_write(-EDQUOT, CODE_STORE_FAILED), CODE_NO_SPACE);
        ck_assert_int_eq(code_of_write(-EIO, CODE_STORE_FAILED), CODE_STORE_FAILED);
        ck_assert_int_eq(code_of_write(0, CODE_OK), CODE_OK);
}
END_TEST

/* What a restart cannot mend must not be restarted for ever; what it can, must. UNIT is the built unit file.
 */
START_TEST(test_unit_file)
{
        const char *path = getenv("UNIT");
        bool named[126] = {};
        size_t n_lines = 0;
        FILE *f = path && *path ? fopen(path, "re") : NULL;
        char line[1024];

        if (!f)
                return; /* a tree without units */
        while (fgets(line, sizeof(line), f)) {
                const char *value = startswith(line, "RestartPreventExitStatus=");
                _cleanup_strv_ char **words = NULL;

                if (!value)
                        continue;
                n_lines++;
                ck_assert_int_eq(strv_split(value, " \t\n", &words), 0);
                STRV_FOREACH (word, words) {
                        uint64_t status;

                        ck_assert_msg(str_to_u64(*word, 10, 1, 125, &status) == 0, "\"%s\" is no status",
                                        *word);
                        ck_assert_msg(!named[status], "%s is named twice", *word);
                        named[status] = true;
                }
        }
        (void)fclose(f);

        ck_assert_uint_ge(n_lines, 1);
        for (int status = 1; status < (int)ELEMENTSOF(named); status++) {
                Code code = code_from_exit_status(status);

                ck_assert_msg(named[status] == (code > CODE_OK && code_prevents_restart(code)),
                                "exit status %d (%s)", status, code_to_string(code));
        }
}
END_TEST

/* What passes is never for ever: neither within the daemon nor for the service manager. */
START_TEST(test_error)
{
        static const int passing[] = { ENOMEM, EMFILE, ENFILE, EAGAIN, ENOSPC, EDQUOT, EROFS, EIO };

        for (size_t i = 0; i < ELEMENTSOF(passing); i++)
                ck_assert_int_eq(code_of_error(-passing[i]), CODE_RESOURCES);
        ck_assert_int_eq(code_of_error(-ENOENT), CODE_INTERNAL);
        ck_assert_int_eq(code_of_error(-EINVAL), CODE_INTERNAL);
        ck_assert(code_is_transient(CODE_RESOURCES));
}
END_TEST

START_TEST(test_restart)
{
        ck_assert(!code_prevents_restart(CODE_OK));
        ck_assert(!code_prevents_restart(CODE_INTERNAL));
        ck_assert(!code_prevents_restart(CODE_RESOURCES));
        ck_assert(!code_prevents_restart(CODE_BUSY));
        ck_assert(!code_prevents_restart(_CODE_MAX));
        ck_assert(!code_prevents_restart(_CODE_INVALID));
        ck_assert(code_prevents_restart(CODE_NO_GPU));
        ck_assert(code_prevents_restart(CODE_STUCK));
}
END_TEST

UNIT_MAIN("code", UNIT_LOOP(test_contract, ELEMENTSOF(contract)), UNIT_TEST(test_contract_is_complete),
                UNIT_LOOP(test_texts, _CODE_MAX), UNIT_LOOP(test_range, _CODE_MAX), UNIT_TEST(test_outside),
                UNIT_TEST(test_write), UNIT_TEST(test_error), UNIT_TEST(test_restart),
                UNIT_TEST(test_unit_file))
