/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stories of stops: each tells, at which time and with which modules, what the
 * next move is. Times are seconds after the beginning.
 */

#include "unit.h"

#include "base/str.h"
#include "policy/stopping.h"

#define BEGIN (1000 * USEC_PER_SEC)

static char *const ours[] = { (char *)"nvidia", (char *)"nvidia-uvm", (char *)"nvidia_modeset",
        (char *)"nvidia_drm", NULL };

typedef struct Story {
        Stopping s;
        ModuleFacts facts;
        const char *module;
} Story;

static void story_done(Story *t)
{
        module_facts_done(&t->facts);
}

static Story tell(StopPolicy policy)
{
        return (Story){
                .s = {
                        .policy = policy,
                        .drop_drm = true,
                        .grace = 4 * USEC_PER_SEC,
                        .deadline = BEGIN + 8 * USEC_PER_SEC,
                },
        };
}

static ModuleFact *find(Story *t, const char *name)
{
        return (ModuleFact *)module_facts_find(&t->facts, name);
}

static void add(Story *t, const char *name, int refcnt, const char *holders)
{
        ModuleFact m = { .name = strdup(name), .state = MOD_LIVE, .refcnt = refcnt };

        ck_assert_int_eq(strv_split(holders, " ", &m.holders), 0);
        ck_assert_int_eq(module_facts_add(&t->facts, &m), 0);
}

/* The whole driver, and so many open nodes of nvidia itself and of nvidia_drm. */
static void load(Story *t, int nvidia, int drm)
{
        module_facts_done(&t->facts);
        add(t, "nvidia", 2 + nvidia, "nvidia_modeset nvidia_uvm");
        add(t, "nvidia_drm", drm, "");
        add(t, "nvidia_modeset", 1, "nvidia_drm");
        add(t, "nvidia_uvm", 0, "");
}

static void without_drm(Story *t)
{
        find(t, "nvidia_drm")->state = MOD_ABSENT;
        find(t, "nvidia_modeset")->refcnt = 0;
        find(t, "nvidia_modeset")->holders = strv_free(find(t, "nvidia_modeset")->holders);
}

static void expect(Story *t, double at, StoppingMove move, const char *module)
{
        StoppingMove got = stopping_next(
                        &t->s, &t->facts, ours, BEGIN + (usec_t)(at * (double)USEC_PER_SEC), &t->module);

        ck_assert_msg(got == move, "at %.1f: %s instead of %s", at, stopping_move_to_string(got),
                        stopping_move_to_string(move));
        if (module)
                ck_assert_str_eq(t->module, module);
}

START_TEST(test_idle)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 0, 0);
        expect(&t, 0, STOPPING_UNLOAD, "nvidia_drm");
        without_drm(&t);
        expect(&t, 0.1, STOPPING_UNLOAD, "nvidia_modeset");
        /* A deadline is for those who hold it, not for us. */
        expect(&t, 100, STOPPING_UNLOAD, "nvidia_modeset");
        module_facts_done(&t.facts);
        expect(&t, 101, STOPPING_DONE, NULL);
}
END_TEST

/* nvidia is in use: only nvidia_drm goes, what a program of the rest may still need stays. */
START_TEST(test_leave)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 1, 0);
        expect(&t, 0, STOPPING_UNLOAD, "nvidia_drm");
        without_drm(&t);
        expect(&t, 0.1, STOPPING_ASK, NULL);
        expect(&t, 0.2, STOPPING_WAIT, NULL);
        t.s.answered = true;
        expect(&t, 1, STOPPING_WAIT, NULL);
        expect(&t, 5.9, STOPPING_WAIT, NULL);
        expect(&t, 6, STOPPING_ASK, NULL); /* fresh names */
        expect(&t, 6.1, STOPPING_WAIT, NULL);
        t.s.answered = true;
        expect(&t, 7.9, STOPPING_WAIT, NULL);
        expect(&t, 8, STOPPING_BUSY, NULL);
}
END_TEST

START_TEST(test_leave_and_they_go)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 1, 1);
        expect(&t, 0, STOPPING_ASK, NULL);
        expect(&t, 3, STOPPING_WAIT, NULL);
        load(&t, 0, 0);
        expect(&t, 3.1, STOPPING_UNLOAD, "nvidia_drm");
}
END_TEST

/* nvidia_drm itself is in use: nothing is touched. */
START_TEST(test_leave_all)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE), other = tell(STOP_POLICY_LEAVE);

        load(&t, 0, 1);
        expect(&t, 0, STOPPING_ASK, NULL);
        expect(&t, 7, STOPPING_WAIT, NULL); /* the question is not answered: no second one */
        expect(&t, 8, STOPPING_BUSY, NULL);

        other.s.drop_drm = false;
        load(&other, 1, 0);
        expect(&other, 0, STOPPING_ASK, NULL);
}
END_TEST

/* A short deadline is not spent on asking twice. */
START_TEST(test_leave_briefly)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        t.s.deadline = BEGIN + USEC_PER_SEC;
        load(&t, 0, 1);
        expect(&t, 0, STOPPING_ASK, NULL);
        t.s.answered = true;
        expect(&t, 0.5, STOPPING_WAIT, NULL);
        expect(&t, 1, STOPPING_BUSY, NULL);
}
END_TEST

/* CLEAR and roll-backs: whoever waits there waits in BUSY. */
START_TEST(test_hasty)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_EVICT);

        t.s.hasty = true;
        t.s.drop_drm = false;
        load(&t, 1, 0);
        expect(&t, 0, STOPPING_ASK, NULL);
        expect(&t, 0.1, STOPPING_WAIT, NULL);
        t.s.answered = true;
        expect(&t, 0.2, STOPPING_BUSY, NULL);
        ck_assert_uint_eq(t.s.terminated, 0);
}
END_TEST

START_TEST(test_wait)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_WAIT);

        t.s.deadline = USEC_INFINITY;
        load(&t, 1, 1);
        expect(&t, 0, STOPPING_ASK, NULL);
        expect(&t, 60, STOPPING_WAIT, NULL);
        t.s.answered = true;
        expect(&t, 61, STOPPING_ASK, NULL);
        t.s.answered = true;
        expect(&t, 90, STOPPING_WAIT, NULL);
        expect(&t, 91, STOPPING_ASK, NULL);
        expect(&t, 1e6, STOPPING_WAIT, NULL);
        load(&t, 0, 0);
        expect(&t, 1e6, STOPPING_UNLOAD, "nvidia_drm");
}
END_TEST

START_TEST(test_evict)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_EVICT);

        t.s.kill = _i;
        load(&t, 1, 1);
        expect(&t, 0, STOPPING_ASK, NULL);
        expect(&t, 0.1, STOPPING_WAIT, NULL);
        t.s.answered = true;
        expect(&t, 0.2, STOPPING_TERMINATE, NULL);
        expect(&t, 0.3, STOPPING_WAIT, NULL);
        expect(&t, 4.1, STOPPING_WAIT, NULL);
        expect(&t, 4.2, STOPPING_ASK, NULL);
        expect(&t, 4.3, STOPPING_WAIT, NULL);
        t.s.answered = true;
        if (!t.s.kill) {
                expect(&t, 4.4, STOPPING_BUSY, NULL);
                return;
        }
        expect(&t, 4.4, STOPPING_KILL, NULL);
        expect(&t, 4.5, STOPPING_WAIT, NULL);
        expect(&t, 7.9, STOPPING_WAIT, NULL); /* it may hang in the kernel for a while */
        expect(&t, 8, STOPPING_BUSY, NULL);
        load(&t, 0, 0);
        expect(&t, 8, STOPPING_UNLOAD, "nvidia_drm");
}
END_TEST

/* Whatever comes late, the deadline holds. */
START_TEST(test_evict_late)
{
        _cleanup_(story_done) Story never = tell(STOP_POLICY_EVICT), late = tell(STOP_POLICY_EVICT);

        load(&never, 1, 1);
        expect(&never, 0, STOPPING_ASK, NULL);
        expect(&never, 8, STOPPING_BUSY, NULL);

        load(&late, 1, 1);
        expect(&late, 0, STOPPING_ASK, NULL);
        late.s.answered = true;
        expect(&late, 5, STOPPING_TERMINATE, NULL);
        expect(&late, 8, STOPPING_BUSY, NULL);
}
END_TEST

/* A module that we do not know holds ours: as good as a program, and signals do not help. */
START_TEST(test_stranger)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 0, 0);
        find(&t, "nvidia")->refcnt = 3;
        ck_assert_int_eq(strv_push(&find(&t, "nvidia")->holders, "stranger"), 0);
        ck_assert_int_eq(stopping_count_users(&t.facts, ours), 4); /* and nvidia_drm on nvidia_modeset */
        ck_assert(stopping_is_used(&t.facts, ours));
        expect(&t, 0, STOPPING_UNLOAD, "nvidia_drm");
        without_drm(&t);
        expect(&t, 0.1, STOPPING_ASK, NULL);
}
END_TEST

START_TEST(test_cannot_unload)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 0, 0);
        for (size_t i = 0; i < t.facts.n; i++)
                t.facts.items[i].refcnt = -1;
        ck_assert_int_eq(stopping_count_users(&t.facts, ours), 0);
        expect(&t, 0, STOPPING_KEPT, NULL);
}
END_TEST

static const ModState moving[] = { MOD_COMING, MOD_GOING };

/* Somebody else loads or unloads it, and does not come to an end. */
START_TEST(test_moving)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        add(&t, "nvidia", 1, "");
        t.facts.items[0].state = moving[_i];
        expect(&t, 0, STOPPING_WAIT, NULL);
        expect(&t, 7.9, STOPPING_WAIT, NULL);
        expect(&t, 8, STOPPING_STUCK, NULL);
        t.facts.items[0].state = MOD_ABSENT;
        expect(&t, 9, STOPPING_DONE, NULL);
}
END_TEST

/* It looks free, and the kernel does not think so: that ends, too. */
START_TEST(test_refused)
{
        _cleanup_(story_done) Story t = tell(STOP_POLICY_LEAVE);

        load(&t, 0, 0);
        expect(&t, 0, STOPPING_UNLOAD, "nvidia_drm");
        t.s.refused = true;
        expect(&t, 7.9, STOPPING_UNLOAD, "nvidia_drm");
        expect(&t, 8, STOPPING_BUSY, NULL);
        load(&t, 1, 0);
        expect(&t, 8, STOPPING_BUSY, NULL);
        t.s.refused = false;
        expect(&t, 8, STOPPING_UNLOAD, "nvidia_drm");
}
END_TEST

START_TEST(test_spare)
{
        Holder h = { .pid = 4711 };

        ck_assert_ptr_null(stopping_spare(&h, 99, "0::/a\n", "0::/b\n"));
        ck_assert_ptr_null(stopping_spare(&h, 99, NULL, NULL));
        ck_assert_ptr_null(stopping_spare(&h, 99, NULL, "0::/b\n"));
        ck_assert_ptr_null(stopping_spare(&h, 99, "0::/a\n", NULL));
        ck_assert_str_eq(stopping_spare(&h, 99, "0::/b\n", "0::/b\n"), "it belongs to this service");
        ck_assert_str_eq(stopping_spare(&h, 4711, "0::/a\n", "0::/b\n"), "it is this program");
        h.pid = 1;
        ck_assert_str_eq(stopping_spare(&h, 99, "0::/a\n", "0::/b\n"), "it is init");
}
END_TEST

START_TEST(test_names)
{
        for (StoppingMove a = 0; a < _STOPPING_MOVE_MAX; a++)
                for (StoppingMove b = 0; b < a; b++)
                        ck_assert_str_ne(stopping_move_to_string(a), stopping_move_to_string(b));
        ck_assert_str_eq(stopping_move_to_string(_STOPPING_MOVE_MAX), "invalid");
        ck_assert_str_eq(stopping_move_to_string(_STOPPING_MOVE_INVALID), "invalid");
}
END_TEST

UNIT_MAIN("stopping", UNIT_TEST(test_idle), UNIT_TEST(test_leave), UNIT_TEST(test_leave_and_they_go),
                UNIT_TEST(test_leave_all), UNIT_TEST(test_leave_briefly), UNIT_TEST(test_hasty),
                UNIT_TEST(test_wait), UNIT_LOOP(test_evict, 2), UNIT_TEST(test_evict_late),
                UNIT_TEST(test_stranger), UNIT_TEST(test_cannot_unload),
                UNIT_LOOP(test_moving, ELEMENTSOF(moving)), UNIT_TEST(test_refused), UNIT_TEST(test_spare),
                UNIT_TEST(test_names))
