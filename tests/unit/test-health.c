/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "policy/health.h"

START_TEST(the_gravest_is_shown)
{
        Health h = {};

        ck_assert_ptr_null(health_worst(&h));
        ck_assert_int_eq(health_set(&h, HEALTH_SERVICES, CODE_DEVICES_LOST, "a service"), 1);
        ck_assert_str_eq(health_worst(&h)->detail, "a service");
        ck_assert_int_eq(health_set(&h, HEALTH_MODULES, CODE_MODULES_LOST, "a module"), 1);
        ck_assert_int_eq(health_worst(&h)->code, CODE_MODULES_LOST);

        ck_assert_int_eq(health_set(&h, HEALTH_MODULES, CODE_OK, "does not count"), 1);
        ck_assert_str_eq(health_worst(&h)->detail, "a service");
        ck_assert_int_eq(health_set(&h, HEALTH_SERVICES, CODE_OK, NULL), 1);
        ck_assert_ptr_null(health_worst(&h));
        health_done(&h);
}
END_TEST

START_TEST(only_a_change_is_one)
{
        Health h = {};

        ck_assert_int_eq(health_set(&h, HEALTH_DEVICES, CODE_OK, NULL), 0);
        ck_assert_int_eq(health_set(&h, HEALTH_DEVICES, CODE_DEVICES_LOST, "x"), 1);
        ck_assert_int_eq(health_set(&h, HEALTH_DEVICES, CODE_DEVICES_LOST, "x"), 0);
        ck_assert_int_eq(health_set(&h, HEALTH_DEVICES, CODE_DEVICES_LOST, "x, y"), 1);
        ck_assert_int_eq(health_set(&h, HEALTH_DEVICES, CODE_DEVICES_LOST, NULL), 1);
        health_done(&h);
        ck_assert_ptr_null(health_worst(&h));
}
END_TEST

UNIT_MAIN("health", UNIT_TEST(the_gravest_is_shown), UNIT_TEST(only_a_change_is_one))
