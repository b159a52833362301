/* SPDX-License-Identifier: Apache-2.0 */

#include "tmproot.h"
#include "unit.h"

#include "base/str.h"
#include "policy/firmware.h"
#include "sys/firmware.h"

#define VERSION   "535.261.03"
#define RELEASE   "6.1.0-1-amd64"
#define PARAMETER "sys/module/firmware_class/parameters/path"
#define TARGET    FIRMWARE_PUBLIC "/nvidia/" VERSION

static const struct {
        const char *parameter, *visible, *source;
        bool is_public, init_sees, disabled;
        FirmwareAction action;
        const char *why; /* a part of it */
} decisions[] = {
        { "", NULL, "/x", false, false, true, FIRMWARE_NONE, "NVreg_EnableGpuFirmware=0" },
        { "", "/lib/firmware/nvidia/" VERSION, "/x", false, false, false, FIRMWARE_NONE,
                        "/lib/firmware/nvidia/" VERSION },
        { "/mine", "/mine/nvidia/" VERSION, NULL, false, false, false, FIRMWARE_NONE, "/mine" },
        { "", NULL, NULL, false, false, false, FIRMWARE_MISSING, VERSION },
        { NULL, NULL, NULL, false, false, false, FIRMWARE_MISSING, VERSION },
        { NULL, NULL, "/x", false, false, false, FIRMWARE_HIDDEN, "firmware_class" },
        { "/mine", NULL, "/x", false, false, false, FIRMWARE_HIDDEN,
                        "somebody has set firmware_class.path to /mine" },
        { "", NULL, "/" TARGET, true, false, false, FIRMWARE_HIDDEN, "shared" },
        { "", NULL, "/" TARGET, true, true, false, FIRMWARE_POINT, NULL },
        { "", NULL, "/x", false, false, false, FIRMWARE_COPY, NULL },
        { "/" FIRMWARE_PUBLIC, NULL, "/x", false, false, false, FIRMWARE_COPY, NULL },
};

START_TEST(decided)
{
        FirmwareFacts f = {
                .parameter = (char *)decisions[_i].parameter,
                .visible = (char *)decisions[_i].visible,
                .source = (char *)decisions[_i].source,
                .is_public = decisions[_i].is_public,
                .init_sees = decisions[_i].init_sees,
        };
        _cleanup_free_ char *why = NULL;

        ck_assert_int_eq(firmware_decide(&f, VERSION, decisions[_i].disabled, &why), decisions[_i].action);
        if (decisions[_i].why)
                ck_assert_ptr_nonnull(strstr(why, decisions[_i].why));
        else
                ck_assert_ptr_null(why);
}
END_TEST

START_TEST(disabled)
{
        static const char *const yes[] = { "NVreg_EnableGpuFirmware=0", "NVreg_EnableGpuFirmware=0x0",
                "NVreg_EnableGpuFirmware=00 x=1", "NVreg_EnableGpuFirmware=1 NVreg_EnableGpuFirmware=0" };
        static const char *const no[] = { "", " ", "NVreg_EnableGpuFirmware",
                "NVreg_EnableGpuFirmware=", "NVreg_EnableGpuFirmware=1", "NVreg_EnableGpuFirmware=18",
                "NVreg_EnableGpuFirmware=0x12", "NVreg_EnableGpuFirmware=0 NVreg_EnableGpuFirmware=1",
                "NVreg_EnableGpuFirmwareLogs=0", "xNVreg_EnableGpuFirmware=0",
                "NVreg_EnableGpuFirmware=0x" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                ck_assert_msg(firmware_is_disabled(yes[i]), "%s", yes[i]);
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                ck_assert_msg(!firmware_is_disabled(no[i]), "%s", no[i]);
        ck_assert(!firmware_is_disabled(NULL));
        ck_assert_str_eq(firmware_action_to_string(FIRMWARE_COPY), "copy");
        ck_assert_str_eq(firmware_action_to_string(_FIRMWARE_ACTION_MAX), "invalid");
}
END_TEST

static FirmwareFacts look(TmpRoot *t, char *const *sources)
{
        FirmwareFacts f = {};

        ck_assert_int_eq(firmware_read(t->root, RELEASE, VERSION, sources, &f), 0);
        return f;
}

/* Each place of the kernel's search, the first one that has it wins. */
START_TEST(kernels_search)
{
        static const char *const places[] = { "lib/firmware", "lib/firmware/" RELEASE,
                "lib/firmware/updates", "lib/firmware/updates/" RELEASE, "srv/fw" };
        TmpRoot t = tmproot_new();
        char path[256];
        FirmwareFacts f = look(&t, NULL);

        ck_assert_ptr_null(f.parameter);
        ck_assert_ptr_null(f.visible);
        ck_assert_ptr_null(f.source);
        firmware_facts_done(&f);

        tmproot_write(&t, PARAMETER, "/srv/fw\n");
        /* An empty directory, or another version, is not the firmware. */
        tmproot_mkdir(&t, "lib/firmware/updates/nvidia/" VERSION);
        tmproot_write(&t, "lib/firmware/nvidia/1.2/gsp_tu10x.bin", "x");
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                (void)snprintf(path, sizeof(path), "%s/nvidia/" VERSION "/gsp_tu10x.bin", places[i]);
                tmproot_write(&t, path, "x");
                f = look(&t, NULL);
                (void)snprintf(path, sizeof(path), "/%s/nvidia/" VERSION, places[i]);
                ck_assert_pstr_eq(f.visible, path);
                ck_assert_str_eq(f.parameter, "/srv/fw");
                ck_assert_ptr_null(f.source);
                firmware_facts_done(&f);
        }
        tmproot_done(&t);
}
END_TEST

/* What init sees counts, and its links lead through its own root. */
START_TEST(inits_view)
{
        char *sources[] = { (char *)"/opt/fw", (char *)"/opt/other", NULL };
        TmpRoot t = tmproot_new();
        FirmwareFacts f;

        tmproot_write(&t, PARAMETER, "\n");
        tmproot_write(&t, "lib/firmware/nvidia/" VERSION "/gsp_tu10x.bin", "x");
        tmproot_mkdir(&t, "proc/1/root");
        f = look(&t, sources);
        ck_assert_ptr_null(f.visible);
        ck_assert_str_eq(f.parameter, "");
        ck_assert_str_eq(f.source, "/lib/firmware/nvidia/" VERSION);
        ck_assert(!f.is_public);
        firmware_facts_done(&f);

        tmproot_write(&t, "opt/other/gsp_ga10x.bin", "x");
        f = look(&t, sources);
        ck_assert_str_eq(f.source, "/opt/other");
        firmware_facts_done(&f);

        tmproot_write(&t, "proc/1/root/usr/lib/firmware/nvidia/" VERSION "/gsp_tu10x.bin.xz", "x");
        tmproot_link(&t, "/usr/lib", "proc/1/root/lib");
        f = look(&t, sources);
        ck_assert_pstr_eq(f.visible, "/lib/firmware/nvidia/" VERSION);
        firmware_facts_done(&f);
        tmproot_done(&t);
}
END_TEST

START_TEST(public_place)
{
        TmpRoot t = tmproot_new();
        FirmwareFacts f;

        tmproot_write(&t, PARAMETER, "\n");
        tmproot_write(&t, TARGET "/gsp_tu10x.bin", "x");
        f = look(&t, NULL);
        ck_assert_str_eq(f.source, "/" TARGET);
        ck_assert(f.is_public && f.init_sees);
        ck_assert(firmware_is_shown(t.root, VERSION));
        ck_assert(!firmware_is_shown(t.root, "1.2"));
        firmware_facts_done(&f);

        tmproot_mkdir(&t, "proc/1/root");
        f = look(&t, NULL);
        ck_assert(f.is_public && !f.init_sees);
        ck_assert(!firmware_is_shown(t.root, VERSION));
        firmware_facts_done(&f);

        /* In a pid namespace of our own process 1 tells nothing: the public place is believed in, no other
         * is. */
        tmproot_link(&t, "pid:[4026532000]", "proc/self/ns/pid");
        tmproot_write(&t, "lib/firmware/nvidia/" VERSION "/gsp_tu10x.bin", "x");
        f = look(&t, NULL);
        ck_assert_ptr_null(f.visible);
        ck_assert_str_eq(f.source, "/lib/firmware/nvidia/" VERSION);
        ck_assert(firmware_is_shown(t.root, VERSION));
        firmware_facts_done(&f);
        tmproot_write(&t, PARAMETER, "/" FIRMWARE_PUBLIC "\n");
        f = look(&t, NULL);
        ck_assert_pstr_eq(f.visible, "/" TARGET);
        firmware_facts_done(&f);
        tmproot_done(&t);
}
END_TEST

static void expect_parameter(TmpRoot *t, const char *text, size_t size)
{
        _cleanup_free_ char *data = NULL;
        size_t n = 0;

        ck_assert_int_eq(root_read_file(t->root, PARAMETER, 4096, &data, &n), 0);
        ck_assert_uint_eq(n, size);
        ck_assert_mem_eq(data, text, size);
}

START_TEST(pointed)
{
        TmpRoot t = tmproot_new();

        ck_assert_int_eq(firmware_point(t.root, "", "/x"), FIRMWARE_E_ABSENT);
        tmproot_write(&t, PARAMETER, "\n");
        ck_assert_int_eq(firmware_point(t.root, "/y", "/x"), FIRMWARE_E_TAKEN);
        expect_parameter(&t, "\n", 1);
        ck_assert_int_eq(firmware_point(t.root, "", "/x"), 0);
        expect_parameter(&t, "/x", 2);
        ck_assert_int_eq(firmware_point(t.root, "", "/z"), FIRMWARE_E_TAKEN);
        ck_assert_int_eq(firmware_point(t.root, "/x", ""), 0);
        expect_parameter(&t, "", 1);
        tmproot_done(&t);
}
END_TEST

static bool is_there(TmpRoot *t, const char *path)
{
        return root_exists(t->root, path);
}

START_TEST(copied)
{
        TmpRoot t = tmproot_new();
        _cleanup_free_ char *failed = NULL, *text = NULL;

        tmproot_write(&t, "src/gsp_tu10x.bin", "turing");
        tmproot_write(&t, "src/gsp_ga10x.bin", "ampere");
        tmproot_mkdir(&t, "src/directory");
        /* What a copy left that was killed. */
        tmproot_write(&t, FIRMWARE_PUBLIC "/nvidia/." VERSION "/gsp_tu10x.bin", "tur");
        ck_assert_int_eq(firmware_copy(t.root, "src", TARGET, &failed), 0);
        ck_assert_int_eq(root_read_file(t.root, TARGET "/gsp_tu10x.bin", 100, &text, NULL), 0);
        ck_assert_str_eq(text, "turing");
        ck_assert(is_there(&t, TARGET "/gsp_ga10x.bin"));
        ck_assert(!is_there(&t, TARGET "/directory"));
        ck_assert(!is_there(&t, FIRMWARE_PUBLIC "/nvidia/." VERSION));

        /* Another one in its place. */
        ck_assert_int_eq(root_unlink(t.root, "src/gsp_ga10x.bin"), 0);
        ck_assert_int_eq(firmware_copy(t.root, "src", TARGET, &failed), 0);
        ck_assert(!is_there(&t, TARGET "/gsp_ga10x.bin"));
        ck_assert(!is_there(&t, FIRMWARE_PUBLIC "/nvidia/." VERSION));

        /* One that fails leaves the one that is there. */
        tmproot_link(&t, "nowhere", "src/gsp_zz.bin");
        ck_assert_int_eq(firmware_copy(t.root, "src", TARGET, &failed), -ENOENT);
        ck_assert_str_eq(failed, "gsp_zz.bin");
        ck_assert(is_there(&t, TARGET "/gsp_tu10x.bin"));
        ck_assert(!is_there(&t, FIRMWARE_PUBLIC "/nvidia/." VERSION));
        ck_assert_int_lt(firmware_copy(t.root, "nothing", TARGET, &failed), 0);
        ck_assert_int_lt(firmware_copy(t.root, "src", "target", &failed), 0);
        tmproot_done(&t);
}
END_TEST

START_TEST(too_many)
{
        TmpRoot t = tmproot_new();
        _cleanup_free_ char *failed = NULL;
        char path[128];

        for (unsigned i = 0; i < 65; i++) {
                (void)snprintf(path, sizeof(path), "src/gsp_%u", i);
                tmproot_write(&t, path, "");
        }
        ck_assert_int_eq(firmware_copy(t.root, "src", TARGET, &failed), -E2BIG);
        ck_assert(!is_there(&t, TARGET));
        tmproot_rm(&t, "src");
        /* Bigger than any firmware, but no data at all. */
        tmproot_write(&t, "src/gsp", "");
        (void)snprintf(path, sizeof(path), "%s/src/gsp", t.path);
        ck_assert_int_eq(truncate(path, 513 * 1024 * 1024), 0);
        ck_assert_int_eq(firmware_copy(t.root, "src", TARGET, &failed), -EFBIG);
        ck_assert_str_eq(failed, "gsp");
        ck_assert(!is_there(&t, TARGET));
        tmproot_done(&t);
}
END_TEST

START_TEST(removed)
{
        static const char *const bad[] = { "", ".", "..", "../x", "a/b" };
        TmpRoot t = tmproot_new();

        ck_assert_int_eq(firmware_remove(t.root, VERSION), 0);
        tmproot_write(&t, TARGET "/gsp_tu10x.bin", "x");
        tmproot_write(&t, FIRMWARE_PUBLIC "/nvidia/1.2/gsp_tu10x.bin", "x");
        tmproot_mkdir(&t, "run/nvidia/validations");
        ck_assert_int_eq(firmware_remove(t.root, VERSION), 0);
        ck_assert(!is_there(&t, TARGET));
        ck_assert(is_there(&t, FIRMWARE_PUBLIC "/nvidia/1.2/gsp_tu10x.bin"));
        ck_assert_int_eq(firmware_remove(t.root, "1.2"), 0);
        ck_assert(!is_there(&t, "run/nvidia/driver"));
        ck_assert(is_there(&t, "run/nvidia/validations"));

        /* A link is not ours, and not followed. */
        tmproot_write(&t, "elsewhere/gsp", "x");
        tmproot_link(&t, "/elsewhere", TARGET);
        ck_assert_int_eq(firmware_remove(t.root, VERSION), 0);
        ck_assert(is_there(&t, "elsewhere/gsp"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ck_assert_int_eq(firmware_remove(t.root, bad[i]), -EINVAL);
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("firmware", UNIT_LOOP(decided, ELEMENTSOF(decisions)), UNIT_TEST(disabled),
                UNIT_TEST(kernels_search), UNIT_TEST(inits_view), UNIT_TEST(public_place),
                UNIT_TEST(pointed), UNIT_TEST(copied), UNIT_TEST(too_many), UNIT_TEST(removed))
