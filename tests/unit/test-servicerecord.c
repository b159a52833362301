/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/servicerecord.h"

static char *const argv_of_one[] = { (char *)"/bin/a", (char *)"", (char *)"x=y z", NULL };

static const struct {
        ServiceRecord record;
        const char *text;
        const char *end;
} records[] = {
        { { .argv = (char **)argv_of_one }, "main=0\nsince=0\narg=/bin/a\narg=\narg=x=y z\n",
                        "it is not known how" },
        { { .main = 4711, .since = 1700000000000000, .ready = true, .argv = (char **)argv_of_one },
                        "main=4711\nsince=1700000000000000\nready=1\narg=/bin/a\narg=\narg=x=y z\n",
                        "it is not known how" },
        { { .main = 1, .ended = true, .status = 3, .argv = (char **)argv_of_one },
                        "main=1\nsince=0\nstatus=3\narg=/bin/a\narg=\narg=x=y z\n", "exit status 3" },
        { { .main = 1, .ended = true, .status = -1, .signal = 9, .argv = (char **)argv_of_one },
                        "main=1\nsince=0\nsignal=9\narg=/bin/a\narg=\narg=x=y z\n", "signal 9 (Killed)" },
};

START_TEST(test_round_trip)
{
        _cleanup_free_ char *text = NULL, *again = NULL,
                            *end = service_record_describe_end(&records[_i].record);
        _cleanup_(service_record_done) ServiceRecord record = {};

        ck_assert_int_eq(service_record_to_text(&records[_i].record, &text), 0);
        ck_assert_str_eq(text, records[_i].text);
        ck_assert_int_eq(service_record_parse(text, &record), 0);
        ck_assert_int_eq(service_record_to_text(&record, &again), 0);
        ck_assert_str_eq(again, text);
        ck_assert_str_eq(end, records[_i].end);
        ck_assert_int_eq(record.ended, records[_i].record.ended);
        ck_assert_int_eq(record.status, records[_i].record.status);
}
END_TEST

static const char *const invalid[] = { "", "\n", "main=1\n", "arg\n", "main=x\narg=a\n", "main=-1\narg=a\n",
        "since=\narg=a\n", "arg=a\nmain=99999999999999999999\n", "arg=a\ngarbage" };

START_TEST(test_invalid)
{
        ServiceRecord record = {};

        ck_assert_int_eq(service_record_parse(invalid[_i], &record), SERVICE_RECORD_E_INVALID);
        ck_assert_ptr_null(record.argv);
}
END_TEST

/* A newer keeper may say more; what is out of range says nothing. */
START_TEST(test_lenient)
{
        _cleanup_(service_record_done) ServiceRecord record = {};

        ck_assert_int_eq(service_record_parse(
                                         "arg=a\ncolour=7\nstatus=256\nsignal=65\nsignal=0\nmain=2147483648",
                                         &record),
                        0);
        ck_assert(!record.ended && !record.ready);
        ck_assert_int_eq(record.main, 0);
        service_record_done(&record);
        service_record_done(&record);
}
END_TEST

UNIT_MAIN("servicerecord", UNIT_LOOP(test_round_trip, ELEMENTSOF(records)),
                UNIT_LOOP(test_invalid, ELEMENTSOF(invalid)), UNIT_TEST(test_lenient))
