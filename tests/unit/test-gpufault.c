/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/str.h"
#include "policy/gpufault.h"

#define A     "0000:01:00.0"
#define B     "0000:02:00.0"
#define QUIET (10 * USEC_PER_MINUTE)
#define T0    (100 * USEC_PER_SEC)

static bool take(GpuFaults *f, const char *line, usec_t now)
{
        XidEvent e;

        ck_assert_int_ne(xid_parse(line, &e), XID_NONE);
        e.stamp = now;
        return gpu_faults_note(f, &e, now);
}

/* A GPU that is said to be lost does not answer. */
static bool note(GpuFaults *f, const char *line, usec_t now)
{
        bool changed = take(f, line, now);
        const char *address;

        while ((address = gpu_faults_unasked(f)))
                (void)gpu_faults_answered(f, address, false);
        return changed;
}

#define XID(address, number) "NVRM: Xid (PCI:" address "): " #number ", text"
#define LOST_A               "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."
#define FAULT_A              "NVRM: Xid (PCI:0000:01:00): 48, text"
#define FAULT_B              "NVRM: Xid (PCI:0000:02:00): 48, text"
#define APPLICATION_A        "NVRM: Xid (PCI:0000:01:00): 31, text"

static GpuFacts gpus(const char *driver_a, const char *driver_b)
{
        GpuFacts l = {};
        GpuFact a = { .address = strdup(A), .driver = driver_a ? strdup(driver_a) : NULL };
        GpuFact b = { .address = strdup(B), .driver = driver_b ? strdup(driver_b) : NULL };

        ck_assert_int_eq(gpu_facts_add(&l, &a), 0);
        ck_assert_int_eq(gpu_facts_add(&l, &b), 0);
        return l;
}

static void check_judgement(const GpuFaults *f, Code code, const char *expected)
{
        _cleanup_free_ char *detail = NULL;
        Code found = CODE_INTERNAL;

        ck_assert_int_eq(gpu_faults_judge(f, &found, &detail), 0);
        ck_assert_int_eq(found, code);
        ck_assert_pstr_eq(detail, expected);
}

static void check_veto(const GpuFaults *f, const GpuFacts *l, const char *expected)
{
        _cleanup_strv_ char **addresses = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(gpu_faults_veto(f, l, &addresses), 0);
        text = strv_join(addresses, " ");
        ck_assert_str_eq(text, expected);
}

START_TEST(judged)
{
        GpuFaults f = {};

        check_judgement(&f, CODE_OK, NULL);
        ck_assert(note(&f, APPLICATION_A, T0));
        ck_assert(note(&f, XID("0000:01:00", 63), T0));
        check_judgement(&f, CODE_OK, NULL);
        ck_assert(note(&f, FAULT_B, T0));
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:02:00.0: Xid 48 (double bit ECC error): text.");
        ck_assert(note(&f, LOST_A, T0));
        check_judgement(&f, CODE_GPU_LOST,
                        "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus); "
                        "GPU 0000:02:00.0: Xid 48 (double bit ECC error): text.");
}
END_TEST

START_TEST(healed_by_silence)
{
        GpuFacts l = gpus("nvidia", "nvidia");
        GpuFaults f = {};

        (void)note(&f, FAULT_A, T0);
        (void)note(&f, FAULT_A, T0 + USEC_PER_SEC);
        gpu_faults_heal(&f, &l, QUIET, T0 + QUIET);
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:01:00.0: Xid 48 (double bit ECC error): text.");
        gpu_faults_heal(&f, &l, QUIET, T0 + USEC_PER_SEC + QUIET);
        check_judgement(&f, CODE_OK, NULL);
        ck_assert_uint_eq(f.n, 0);

        (void)note(&f, LOST_A, T0);
        gpu_faults_heal(&f, &l, QUIET, T0 + 1000 * QUIET);
        check_judgement(&f, CODE_GPU_LOST, "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus).");

        /* Never, if that is wanted. */
        (void)note(&f, FAULT_B, T0);
        gpu_faults_heal(&f, &l, USEC_INFINITY, USEC_INFINITY - 1);
        ck_assert_uint_eq(f.n, 2);
        gpu_facts_done(&l);
}
END_TEST

START_TEST(healed_by_removal)
{
        GpuFacts both = gpus("nvidia", "nvidia"), unbound = gpus(NULL, "nvidia"),
                 other = gpus("vfio-pci", "nvidia"), none = {};
        GpuFaults f = {};

        (void)note(&f, LOST_A, T0);
        gpu_faults_heal(&f, &both, QUIET, T0);
        ck_assert_uint_eq(f.n, 1);
        gpu_faults_heal(&f, &unbound, QUIET, T0);
        ck_assert_uint_eq(f.n, 0);
        (void)note(&f, LOST_A, T0);
        gpu_faults_heal(&f, &other, QUIET, T0);
        ck_assert_uint_eq(f.n, 0);
        (void)note(&f, LOST_A, T0);
        (void)note(&f, FAULT_B, T0);
        gpu_faults_heal(&f, &none, QUIET, T0);
        ck_assert_uint_eq(f.n, 0);

        /* It came back as a new device between two looks: the log tells. */
        (void)note(&f, LOST_A, T0);
        (void)note(&f, FAULT_A, T0);
        (void)note(&f, FAULT_B, T0);
        ck_assert(note(&f, "pci 0000:01:00.0: [10de:1eb8] type 00 class 0x030200", T0));
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:02:00.0: Xid 48 (double bit ECC error): text.");
        /* And a driver that is loaded anew knows nothing of before. */
        ck_assert(note(&f, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535", T0));
        ck_assert_uint_eq(f.n, 0);
        ck_assert(!note(&f, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535", T0));

        gpu_facts_done(&both);
        gpu_facts_done(&unbound);
        gpu_facts_done(&other);
}
END_TEST

START_TEST(vetoed)
{
        GpuFacts both = gpus("nvidia", "nvidia"), unbound = gpus(NULL, NULL);
        GpuFaults f = {};

        (void)note(&f, FAULT_A, T0);
        check_veto(&f, &both, "");
        (void)note(&f, LOST_A, T0);
        (void)note(&f, "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", T0);
        check_veto(&f, &both, A);
        check_veto(&f, &unbound, "");
        /* The driver names it right before: else these are not its words. */
        ck_assert(!note(&f, "NVRM: fallen off the bus and is not responding to commands.",
                        T0 + USEC_PER_MINUTE));
        check_veto(&f, &both, A);
        gpu_facts_done(&both);
        gpu_facts_done(&unbound);
}
END_TEST

/* The log alone does not decide. */
START_TEST(asked)
{
        GpuFacts l = gpus("nvidia", "nvidia");
        GpuFaults f = {};

        ck_assert_ptr_null(gpu_faults_unasked(&f));
        (void)take(&f, LOST_A, T0);
        ck_assert_str_eq(gpu_faults_unasked(&f), A);
        check_judgement(&f, CODE_OK, NULL);
        check_veto(&f, &l, A);
        ck_assert(!gpu_faults_answered(&f, B, true));

        ck_assert(gpu_faults_answered(&f, A, true));
        ck_assert_ptr_null(gpu_faults_unasked(&f));
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus).");
        check_veto(&f, &l, "");

        /* It is said again: asked again, and what is known counts until then. */
        (void)take(&f, LOST_A, T0 + USEC_PER_SEC);
        ck_assert_str_eq(gpu_faults_unasked(&f), A);
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus).");
        ck_assert(gpu_faults_answered(&f, A, false));
        check_judgement(&f, CODE_GPU_LOST, "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus).");
        check_veto(&f, &l, A);
        gpu_faults_heal(&f, &l, QUIET, T0 + 1000 * QUIET);
        ck_assert_uint_eq(f.n, 1);

        ck_assert(gpu_faults_answered(&f, A, true));
        gpu_faults_heal(&f, &l, QUIET, T0 + USEC_PER_SEC + QUIET);
        ck_assert_uint_eq(f.n, 0);
        gpu_facts_done(&l);
}
END_TEST

/* A complaint about a client, one record for each line: those behind the first may be its words. */
START_TEST(quoted)
{
        static const char *const forged[] = { LOST_A, FAULT_A,
                "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.", "NVRM: fallen off the bus",
                "NVRM: GPU 0000:01:00.0: RmInitAdapter failed!", "NVRM: loading NVIDIA UNIX",
                "pci 0000:02:00.0: [10de:1eb8]" };
        GpuFaults f = {};

        (void)note(&f, FAULT_B, T0);
        for (size_t i = 0; i < ELEMENTSOF(forged); i++) {
                ck_assert(!note(&f, "NVRM: API mismatch: the client 'x' (pid 77)", T0));
                ck_assert(!note(&f, forged[i], T0 + 1000));
        }
        check_judgement(&f, CODE_GPU_ERROR, "GPU 0000:02:00.0: Xid 48 (double bit ECC error): text.");
        ck_assert(note(&f, LOST_A, T0 + USEC_PER_SEC));
        check_judgement(&f, CODE_GPU_LOST,
                        "GPU 0000:01:00.0: Xid 79 (GPU has fallen off the bus); "
                        "GPU 0000:02:00.0: Xid 48 (double bit ECC error): text.");
}
END_TEST

START_TEST(named_by_the_line_before)
{
        GpuFaults f = {};

        ck_assert(!note(&f, "NVRM: The NVIDIA GPU 0000:02:00.0", T0));
        (void)note(&f, "NVRM: fallen off the bus and is not responding to commands.", T0 + 1000);
        check_judgement(&f, CODE_GPU_LOST, "GPU 0000:02:00.0: GPU has fallen off the bus.");
        (void)note(&f, "NVRM: RmInitAdapter failed! (1:2:3)", T0 + USEC_PER_MINUTE);
        check_judgement(&f, CODE_GPU_LOST,
                        "GPU 0000:02:00.0: GPU has fallen off the bus; A GPU: RmInitAdapter failed! (1:2:3).");
}
END_TEST

/* A storm is one line, then one with a count per minute, and the last count is not forgotten. */
START_TEST(storm)
{
        GpuFaults f = {};
        GpuFault g;
        unsigned count = 0, n_reports = 0, n_counted = 0;
        GpuFacts l = gpus("nvidia", "nvidia");
        usec_t end = T0 + 150 * USEC_PER_SEC;

        for (usec_t now = T0; now < end; now += USEC_PER_SEC / 10) {
                (void)note(&f, APPLICATION_A, now);
                while (gpu_faults_report(&f, now, &g, &count)) {
                        ck_assert_uint_eq(g.event.number, 31);
                        n_reports++;
                        n_counted += count;
                }
        }
        ck_assert_uint_eq(n_reports, 3);
        ck_assert_uint_eq(f.n, 1);
        ck_assert_uint_eq(gpu_faults_due(&f, QUIET, end), T0 + 180 * USEC_PER_SEC);
        gpu_faults_heal(&f, &l, QUIET, T0 + 180 * USEC_PER_SEC);
        ck_assert(gpu_faults_report(&f, T0 + 180 * USEC_PER_SEC, &g, &count));
        ck_assert_uint_eq(n_counted + count, 1500);
        ck_assert(!gpu_faults_report(&f, T0 + 180 * USEC_PER_SEC, &g, &count));

        /* What is only counted is forgotten in the end. */
        gpu_faults_heal(&f, &l, QUIET, T0 + 240 * USEC_PER_SEC);
        ck_assert_uint_eq(f.n, 0);
        ck_assert_uint_eq(gpu_faults_due(&f, QUIET, end), USEC_INFINITY);
        gpu_facts_done(&l);
}
END_TEST

START_TEST(hushed)
{
        GpuFaults f = {};
        GpuFault g;
        unsigned count;

        (void)note(&f, FAULT_A, 0);
        gpu_faults_hush(&f, 0);
        ck_assert(!gpu_faults_report(&f, T0, &g, &count));
        (void)note(&f, FAULT_A, T0);
        ck_assert(gpu_faults_report(&f, T0, &g, &count));
        ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(due)
{
        GpuFaults f = {};
        GpuFault g;
        unsigned count;

        ck_assert_uint_eq(gpu_faults_due(&f, QUIET, T0), USEC_INFINITY);
        (void)note(&f, FAULT_A, T0);
        ck_assert_uint_eq(gpu_faults_due(&f, QUIET, T0), 0);
        ck_assert(gpu_faults_report(&f, T0, &g, &count));
        ck_assert_uint_eq(gpu_faults_due(&f, QUIET, T0), T0 + GPU_FAULT_LOOK_INTERVAL);
        ck_assert_uint_eq(gpu_faults_due(&f, USEC_PER_SEC, T0), T0 + USEC_PER_SEC);
        (void)note(&f, LOST_A, T0);
        ck_assert(gpu_faults_report(&f, T0, &g, &count));
        ck_assert_uint_eq(gpu_faults_due(&f, USEC_INFINITY, T0), T0 + GPU_FAULT_LOOK_INTERVAL);
}
END_TEST

/* More GPUs than can be: bounded, and the gravest stay. */
START_TEST(full)
{
        _cleanup_free_ char *detail = NULL;
        GpuFaults f = {};
        char line[128];
        Code code;

        (void)note(&f, LOST_A, T0);
        for (unsigned i = 0; i < 1000; i++) {
                (void)snprintf(line, sizeof(line), "NVRM: Xid (PCI:%04x:01:00): 48, text", i + 1);
                ck_assert(note(&f, line, T0 + i));
        }
        ck_assert_uint_eq(f.n, GPU_FAULTS_MAX);
        ck_assert_int_eq(gpu_faults_judge(&f, &code, &detail), 0);
        ck_assert_int_eq(code, CODE_GPU_LOST);
        ck_assert_ptr_nonnull(strstr(detail, "; and 56 more."));
        ck_assert(!note(&f, APPLICATION_A, T0));

        for (unsigned i = 0; i < 1000; i++) {
                (void)snprintf(line, sizeof(line), "NVRM: Xid (PCI:%04x:01:00): 79, text", i);
                (void)note(&f, line, T0 + i);
        }
        ck_assert_uint_eq(f.n, GPU_FAULTS_MAX);
        ck_assert(!note(&f, FAULT_A, T0));
}
END_TEST

UNIT_MAIN("gpufault", UNIT_TEST(judged), UNIT_TEST(healed_by_silence), UNIT_TEST(healed_by_removal),
                UNIT_TEST(vetoed), UNIT_TEST(asked), UNIT_TEST(quoted), UNIT_TEST(named_by_the_line_before),
                UNIT_TEST(storm), UNIT_TEST(hushed), UNIT_TEST(due), UNIT_TEST(full))
