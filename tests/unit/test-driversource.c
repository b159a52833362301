/* SPDX-License-Identifier: Apache-2.0 */

/* The reader (lib/sys) and the choice (lib/policy) of driver sources, on trees in the shape of 535.309.01.
 */

#include "unit.h"

#include "base/str.h"
#include "sys/driversource.h"
#include "tmproot.h"

static void put(TmpRoot *t, const char *base, const char *name, const char *text)
{
        _cleanup_free_ char *path = str_format("%s/%s", base, name);

        tmproot_write(t, path, text);
}

static void rm(TmpRoot *t, const char *base, const char *name)
{
        _cleanup_free_ char *path = str_format("%s/%s", base, name);

        tmproot_rm(t, path);
}

static void put_modeset(TmpRoot *t, const char *base, bool open)
{
        put(t, base, "nvidia-modeset/nvidia-modeset.Kbuild",
                        "NVIDIA_MODESET_SOURCES  = nvidia-modeset/nvidia-modeset-linux.c\n"
                        "NVIDIA_MODESET_SOURCES += nvidia-modeset/nv-kthread-q.c\n"
                        "NVIDIA_MODESET_OBJECTS = $(patsubst %.c,%.o,$(NVIDIA_MODESET_SOURCES))\n"
                        "NVIDIA_MODESET_BINARY_OBJECT := $(src)/nvidia-modeset/nv-modeset-kernel.o_binary\n");
        put(t, base, "nvidia-modeset/nvidia-modeset-linux.c",
                        open ? "  MODULE_LICENSE(\"Dual MIT/GPL\");\n" : "  MODULE_LICENSE(\"NVIDIA\");\n");
        put(t, base, "nvidia-modeset/nv-modeset-kernel.o_binary", "core");
}

static void put_uvm(TmpRoot *t, const char *base)
{
        put(t, base, "nvidia-uvm/nvidia-uvm.Kbuild",
                        "NVIDIA_UVM_OBJECTS += $(patsubst %.c,%.o,$(NVIDIA_UVM_SOURCES))\n"
                        "NVIDIA_UVM_DEBUG_OPTIMIZED_SOURCE := nvidia-uvm/uvm_debug_optimized.c\n");
        put(t, base, "nvidia-uvm/nvidia-uvm-sources.Kbuild",
                        "NVIDIA_UVM_SOURCES ?=\nNVIDIA_UVM_SOURCES_CXX ?=\n\n"
                        "NVIDIA_UVM_SOURCES += nvidia-uvm/uvm.c nvidia-uvm/uvm_gpu.c\n"
                        "# NVIDIA_UVM_SOURCES += nvidia-uvm/not.c\n"
                        "NVIDIA_UVM_SOURCES += nvidia-uvm/uvm_debug_optimized.c");
}

static void put_source(TmpRoot *t, const char *base, const char *version, bool open)
{
        _cleanup_free_ char *kbuild = str_format("ccflags-y += -DNV_VERSION_STRING=\\\"%s\\\"\n", version);

        put(t, base, "Makefile", "");
        put(t, base, "Kbuild", kbuild);
        put(t, base, "conftest.sh", "");
        put(t, base, "common/inc/nv.h", "");
        put(t, base, "nvidia/nvidia.Kbuild",
                        "# nv-procfs.c requires nv-compiler.h\n$(src)/nvidia/nv-kernel.o_binary\n");
        put(t, base, "nvidia/nvidia-sources.Kbuild", "NVIDIA_SOURCES ?=\nNVIDIA_SOURCES += nvidia/nv.c\n");
        put(t, base, "nvidia/nv-kernel.o_binary", "core");
        put_modeset(t, base, open);
        put_uvm(t, base);
}

#define BASE "usr/src/nvidia-535.309.01"

START_TEST(test_read)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_source_done) DriverSource s = {};
        char *some[] = { (char *)"nvidia_uvm", (char *)"nvidia", (char *)"none", NULL };

        put_source(&t, BASE, "535.309.01", false);
        ck_assert_int_eq(driver_source_read(t.root, "/" BASE, &s), 0);
        ck_assert_str_eq(s.path, BASE);
        ck_assert_str_eq(s.version, "535.309.01");
        ck_assert_int_eq(s.type, DRIVER_PROPRIETARY);
        ck_assert(s.exists);
        ck_assert_ptr_null(s.missing);
        ck_assert_uint_eq(s.n_modules, 3);
        ck_assert_str_eq(s.modules[0].name, "nvidia");
        ck_assert_uint_eq(s.modules[0].n_objects, 2);
        ck_assert_str_eq(s.modules[0].core, "nvidia/nv-kernel.o_binary");
        ck_assert_str_eq(s.modules[0].interface, "nv-linux.o");
        ck_assert_str_eq(s.modules[1].core, "nvidia-modeset/nv-modeset-kernel.o_binary");
        ck_assert_str_eq(s.modules[1].interface, "nv-modeset-linux.o");
        ck_assert_uint_eq(s.modules[1].n_objects, 3);
        ck_assert_ptr_null(s.modules[2].core);
        ck_assert_uint_eq(s.modules[2].n_objects, 3); /* without the file of debug builds */
        ck_assert_uint_eq(driver_source_objects(&s, NULL), 8);
        ck_assert_uint_eq(driver_source_objects(&s, some), 5);
}
END_TEST

/* The folders of an unpacked .run file; the open kind by its licence. */
START_TEST(test_folders)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_source_done) DriverSource kernel = {}, open = {}, both = {};

        put_source(&t, "opt/a/kernel", "535.309.01", false);
        put_source(&t, "opt/b/kernel-open", "550.54.14", true);
        put_source(&t, "opt/a/kernel-open", "535.309.01", true);
        ck_assert_int_eq(driver_source_read(t.root, "opt/a", &kernel), 0);
        ck_assert_str_eq(kernel.path, "opt/a/kernel");
        ck_assert_int_eq(driver_source_read(t.root, "opt/b", &open), 0);
        ck_assert_str_eq(open.path, "opt/b/kernel-open");
        ck_assert_int_eq(open.type, DRIVER_OPEN);
        ck_assert_int_eq(driver_source_read(t.root, "opt/a/kernel-open", &both), 0);
        ck_assert_int_eq(both.type, DRIVER_OPEN);
}
END_TEST

/* The licence may be in another file: nv-frontend.c in 535, nv.c from 550 on. */
START_TEST(test_licence_elsewhere)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_source_done) DriverSource s = {};

        put_source(&t, BASE, "550.54.14", false);
        rm(&t, BASE, "nvidia-modeset/nvidia-modeset-linux.c");
        put(&t, BASE, "nvidia/nv-frontend.c", "no licence here\n");
        put(&t, BASE, "nvidia/nv.c", "MODULE_LICENSE(\"Dual MIT/GPL\");\n");
        ck_assert_int_eq(driver_source_read(t.root, BASE, &s), 0);
        ck_assert_int_eq(s.type, DRIVER_OPEN);
}
END_TEST

static const struct {
        const char *remove, *missing;
} holes[] = {
        { "Makefile", "Makefile" },
        { "Kbuild", "Kbuild" },
        { "conftest.sh", "conftest.sh" },
        { "common", "common/inc" },
        { "nvidia/nvidia.Kbuild", "nvidia/nvidia.Kbuild" },
        { "nvidia/nv-kernel.o_binary", "nvidia/nv-kernel.o_binary" },
        { "nvidia-modeset/nv-modeset-kernel.o_binary", "nvidia-modeset/nv-modeset-kernel.o_binary" },
};

START_TEST(test_missing)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_sources_done) DriverSources l = {};
        _cleanup_(source_judgement_done) SourceJudgement j = {};
        _cleanup_free_ char *text = str_format("/" BASE " lacks %s", holes[_i].missing);

        put_source(&t, BASE, "535.309.01", false);
        rm(&t, BASE, holes[_i].remove);
        ck_assert_int_eq(driver_source_search(t.root, "/" BASE, NULL, &l), 0);
        ck_assert_uint_eq(l.n, 1);
        ck_assert_int_eq(driver_sources_choose(&l, NULL, _DRIVER_TYPE_INVALID, NULL, &j), 0);
        ck_assert_int_eq(j.code, CODE_SOURCE_INVALID);
        ck_assert_str_eq(j.evidence, text);
}
END_TEST

START_TEST(test_no_version)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_source_done) DriverSource s = {}, odd = {};

        put_source(&t, BASE, "535.309.01", false);
        put(&t, BASE, "Kbuild", "nothing\n");
        ck_assert_int_eq(driver_source_read(t.root, BASE, &s), 0);
        ck_assert_ptr_null(s.version);
        ck_assert(strv_contains(s.missing, "NV_VERSION_STRING in Kbuild"));
        put(&t, BASE, "Kbuild", "-DNV_VERSION_STRING=\\\"$(X)\\\"\n");
        ck_assert_int_eq(driver_source_read(t.root, BASE, &odd), 0);
        ck_assert_ptr_null(odd.version);
}
END_TEST

START_TEST(test_search)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_sources_done) DriverSources l = {}, empty = {};

        ck_assert_int_eq(driver_source_search(t.root, NULL, "535.309.01", &empty), 0);
        ck_assert_uint_eq(empty.n, 0);

        put_source(&t, "usr/src/nvidia-kernel-535.309.01", "535.309.01", false);
        put_source(&t, BASE, "535.309.01", false);
        put_source(&t, "usr/src/nvidia-current", "550.54.14", true);
        put_source(&t, "usr/src/other", "999.1", true);
        put_source(&t, "opt/nvidia/470/kernel", "470.1", false);
        put_source(&t, "run/nvidia-driverd/source", "535.183.01", false);
        put(&t, "usr/src", "nvidia-headers/README", "no source");
        put(&t, "usr/src", "nvidia.txt", "a file");
        ck_assert_int_eq(driver_source_search(t.root, NULL, "535.309.01", &l), 0);
        ck_assert_uint_eq(l.n, 5);
        ck_assert_str_eq(l.items[0].path, "run/nvidia-driverd/source");
        ck_assert_str_eq(l.items[1].path, BASE);
        ck_assert_str_eq(l.items[2].path, "usr/src/nvidia-kernel-535.309.01");
        ck_assert_str_eq(l.items[3].path, "usr/src/nvidia-current");
        ck_assert_str_eq(l.items[4].path, "opt/nvidia/470/kernel");
}
END_TEST

/* Both folders of an unpacked .run file, found or named; but only what is named. */
START_TEST(test_both)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_sources_done) DriverSources found = {}, named = {}, one = {};

        put_source(&t, "opt/nvidia/550/kernel", "550.54.14", false);
        put_source(&t, "opt/nvidia/550/kernel-open", "550.54.14", true);
        ck_assert_int_eq(driver_source_search(t.root, NULL, NULL, &found), 0);
        ck_assert_uint_eq(found.n, 2);
        ck_assert_str_eq(found.items[1].path, "opt/nvidia/550/kernel-open");
        ck_assert_int_eq(found.items[1].type, DRIVER_OPEN);
        ck_assert_int_eq(driver_source_search(t.root, "/opt/nvidia/550", NULL, &named), 0);
        ck_assert_uint_eq(named.n, 2);
        ck_assert_str_eq(named.items[0].path, "opt/nvidia/550/kernel");
        ck_assert_str_eq(named.items[1].path, "opt/nvidia/550/kernel-open");
        ck_assert_int_eq(driver_source_search(t.root, "/opt/nvidia/550/kernel-open", NULL, &one), 0);
        ck_assert_uint_eq(one.n, 1);
}
END_TEST

START_TEST(test_configured_absent)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(driver_sources_done) DriverSources l = {};
        _cleanup_(source_judgement_done) SourceJudgement j = {};
        _cleanup_(driver_source_done) DriverSource s = {};

        put_source(&t, BASE, "535.309.01", false); /* is there, and must not be taken instead */
        ck_assert_int_eq(driver_source_search(t.root, "/srv/nvidia", NULL, &l), 0);
        ck_assert_int_eq(driver_sources_choose(&l, NULL, _DRIVER_TYPE_INVALID, NULL, &j), 0);
        ck_assert_int_eq(j.code, CODE_SOURCE_MISSING);
        ck_assert_str_eq(j.evidence, "there is no directory /srv/nvidia");
        ck_assert_int_eq(driver_source_read(t.root, "srv/nvidia", &s), DRIVER_SOURCE_E_ABSENT);
        ck_assert_int_eq(driver_source_read(t.root, BASE "/Makefile", &s), DRIVER_SOURCE_E_ABSENT);
}
END_TEST

static SourceModule nvidia_only[] = { { (char *)"nvidia", 2, NULL, NULL } };
static char *broken[] = { (char *)"Makefile", NULL };

#define SRC(p, v, ty, miss)                                                                                 \
        {                                                                                                   \
                .path = (char *)(p), .version = (char *)(v), .type = (ty), .modules = nvidia_only,          \
                .n_modules = 1, .missing = (miss), .exists = true                                           \
        }

static DriverSource many[] = {
        SRC("a", "535.54.03", DRIVER_PROPRIETARY, NULL),
        SRC("b", "535.183.01", DRIVER_PROPRIETARY, NULL),
        SRC("c", "535.183.01", DRIVER_OPEN, NULL),
        SRC("d", "550.54.14", DRIVER_PROPRIETARY, broken),
};

static char *want_nvidia[] = { (char *)"nvidia", NULL },
            *want_uvm[] = { (char *)"nvidia", (char *)"nvidia-uvm", NULL };

static const struct {
        size_t first, n;
        const char *version;
        DriverType type;
        char *const *modules;
        Code code;
        size_t index;
        const char *evidence;
} choices[] = {
        { 0, 4, NULL, _DRIVER_TYPE_INVALID, want_nvidia, CODE_OK, 1, NULL },
        { 0, 4, "", _DRIVER_TYPE_INVALID, NULL, CODE_OK, 1, NULL },
        { 0, 4, "535", DRIVER_OPEN, NULL, CODE_OK, 2, NULL },
        { 0, 4, "535.54.03", _DRIVER_TYPE_INVALID, NULL, CODE_OK, 0, NULL },
        { 0, 1, "535.5", _DRIVER_TYPE_INVALID, NULL, CODE_SOURCE_VERSION, 0,
                        "/a holds version 535.54.03, wanted is 535.5" },
        { 0, 1, NULL, DRIVER_OPEN, NULL, CODE_SOURCE_VERSION, 0,
                        "/a holds the proprietary modules, wanted are the open ones" },
        { 0, 1, NULL, DRIVER_PROPRIETARY, want_uvm, CODE_SOURCE_INVALID, 0,
                        "/a has no source of module nvidia-uvm" },
        { 3, 1, NULL, _DRIVER_TYPE_INVALID, NULL, CODE_SOURCE_INVALID, 0, "/d lacks Makefile" },
        /* a whole source of another version came closer than a broken one */
        { 2, 2, "550", _DRIVER_TYPE_INVALID, NULL, CODE_SOURCE_VERSION, 0,
                        "/c holds version 535.183.01, wanted is 550" },
        { 0, 0, NULL, _DRIVER_TYPE_INVALID, NULL, CODE_SOURCE_MISSING, 0,
                        "no driver source in /usr/src, /opt/nvidia or /run/nvidia-driverd/source" },
        { 0, 0, "550", _DRIVER_TYPE_INVALID, NULL, CODE_SOURCE_MISSING, 0,
                        "no driver source of version 550 in /usr/src, /opt/nvidia or /run/nvidia-driverd/source" },
};

START_TEST(test_choose)
{
        const DriverSources l = { many + choices[_i].first, choices[_i].n };
        _cleanup_(source_judgement_done) SourceJudgement j = {};

        ck_assert_int_eq(driver_sources_choose(
                                         &l, choices[_i].version, choices[_i].type, choices[_i].modules, &j),
                        0);
        ck_assert_str_eq(code_to_string(j.code), code_to_string(choices[_i].code));
        ck_assert_uint_eq(j.index, choices[_i].index);
        if (choices[_i].evidence)
                ck_assert_str_eq(j.evidence, choices[_i].evidence);
        else
                ck_assert_ptr_null(j.evidence);
}
END_TEST

/* In ascending order. */
static const char *const versions[] = { "", "470.256.02", "535.54.03", "535.183.01", "535.183.01.01",
        "535.261.03", "550.54.14", "550.054.15", "1000.1", "x" };

START_TEST(test_versions)
{
        for (size_t a = 0; a < ELEMENTSOF(versions); a++)
                for (size_t b = 0; b < ELEMENTSOF(versions); b++)
                        ck_assert_int_eq(driver_version_compare(versions[a], versions[b]),
                                        a < b ? -1 : a > b);
        ck_assert_int_eq(driver_version_compare("535.054", "535.54"), 0);
        ck_assert(driver_version_matches("535.183.01", "535"));
        ck_assert(driver_version_matches("535.183.01", "535.183.01"));
        ck_assert(driver_version_matches(NULL, NULL));
        ck_assert(!driver_version_matches("535.183.01", "53"));
        ck_assert(!driver_version_matches(NULL, "535"));
}
END_TEST

START_TEST(test_names)
{
        for (DriverType type = 0; type < _DRIVER_TYPE_MAX; type++)
                ck_assert_int_eq(driver_type_from_string(driver_type_to_string(type)), type);
        ck_assert_int_eq(driver_type_from_string("closed"), _DRIVER_TYPE_INVALID);
        ck_assert_str_eq(driver_type_to_string(_DRIVER_TYPE_INVALID), "invalid");
}
END_TEST

UNIT_MAIN("driversource", UNIT_TEST(test_read), UNIT_TEST(test_folders), UNIT_TEST(test_licence_elsewhere),
                UNIT_LOOP(test_missing, ELEMENTSOF(holes)), UNIT_TEST(test_no_version),
                UNIT_TEST(test_search), UNIT_TEST(test_both), UNIT_TEST(test_configured_absent),
                UNIT_LOOP(test_choose, ELEMENTSOF(choices)), UNIT_TEST(test_versions), UNIT_TEST(test_names))
