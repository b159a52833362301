/* SPDX-License-Identifier: Apache-2.0 */

/* Proprietary or open, by the GPUs: the reader of supported-gpus.json (lib/sys) and the choice (lib/policy).
 */

#include "unit.h"

#include "base/str.h"
#include "policy/drivertype.h"
#include "sys/supportjson.h"
#include "tmproot.h"

/* As they are sold, with their names from pci.ids and NVIDIA's own lists. */
enum {
        GTX_680 = 0x1180,
        GTX_1080 = 0x1b80,
        V100S = 0x1df6,
        CMP_50HX = 0x1e09,
        TESLA_T4 = 0x1eb8,
        A100 = 0x20b0,
        H100 = 0x2330,
        GH200 = 0x2342,
        RTX_4090 = 0x2684,
        B200 = 0x2901,
        RTX_5090 = 0x2b85,
};

/* Entries in the shape of 535.309.01's file, which does not know gsp_proprietary_supported ... */
#define JSON_535                                                                                            \
        "{\"chips\":[{\"devid\":\"0x1180\",\"name\":\"GeForce GTX "                                         \
        "680\",\"legacybranch\":\"470.xx\",\"features\":[]},"                                               \
        "{\"devid\":\"0x1B80\",\"name\":\"NVIDIA GeForce GTX 1080\",\"features\":[\"runtimepm\"]},"         \
        "{\"devid\":\"0x1E09\",\"name\":\"NVIDIA CMP 50HX\",\"features\":[]},"                              \
        "{\"devid\":\"0x1EB8\",\"name\":\"Tesla T4\",\"features\":[\"kernelopen\"]},"                       \
        "{\"devid\":\"0x2342\",\"subdevid\":\"0x16EB\",\"subvendorid\":\"0x10DE\",\"name\":\"NVIDIA GH200 " \
        "120GB\",\"features\":[\"kernelopen\"]},"                                                           \
        "{\"name\":\"no id\"},{\"devid\":\"1z\"},{\"devid\":7},\"text\"]}"
/* ... and of a newer one's, which does. */
#define JSON_570                                                                                            \
        "{\"chips\":[{\"devid\":\"0x1B80\",\"features\":[]},"                                               \
        "{\"devid\":\"0x1EB8\",\"features\":[\"hdmi4k\",\"kernelopen\",\"gsp_proprietary_supported\"]},"    \
        "{\"devid\":\"0x1E09\",\"features\":[\"kernelopen\",\"gsp_proprietary_supported\"]},"               \
        "{\"devid\":\"0x2342\",\"features\":[\"kernelopen\"]},{\"devid\":\"0x2901\",\"features\":[\"kernel" \
        "open\"]}]}"

static GpuSupport parsed(const char *json)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        DriverSource source = { .path = (char *)"usr/src/nvidia" };
        const DriverSources sources = { &source, 1 };
        GpuSupport s = {};

        if (json)
                tmproot_write(&t, "usr/src/nvidia/supported-gpus.json", json);
        ck_assert_int_eq(supportjson_find(t.root, &sources, &s), 0);
        return s;
}

static const struct {
        const char *json;
        uint16_t device;
        GpuModules modules;
} known[] = {
        /* the built-in ranges */
        { NULL, GTX_680, GPU_MODULES_PROPRIETARY },
        { NULL, GTX_1080, GPU_MODULES_PROPRIETARY },
        { NULL, V100S, GPU_MODULES_PROPRIETARY },
        { NULL, TESLA_T4, GPU_MODULES_BOTH },
        { NULL, A100, GPU_MODULES_BOTH },
        { NULL, H100, GPU_MODULES_BOTH },
        { NULL, GH200, GPU_MODULES_OPEN },
        { NULL, RTX_4090, GPU_MODULES_BOTH },
        { NULL, B200, GPU_MODULES_OPEN },
        { NULL, RTX_5090, GPU_MODULES_OPEN },
        { JSON_535, GTX_680, GPU_MODULES_NEITHER },
        { JSON_535, GTX_1080, GPU_MODULES_PROPRIETARY },
        { JSON_535, CMP_50HX, GPU_MODULES_PROPRIETARY }, /* though it is a Turing */
        { JSON_535, TESLA_T4, GPU_MODULES_BOTH },
        { JSON_535, GH200, GPU_MODULES_OPEN },
        { JSON_535, B200, GPU_MODULES_OPEN }, /* too new for that file */
        { JSON_570, GTX_1080, GPU_MODULES_PROPRIETARY },
        { JSON_570, CMP_50HX, GPU_MODULES_BOTH },
        { JSON_570, TESLA_T4, GPU_MODULES_BOTH },
        { JSON_570, GH200, GPU_MODULES_OPEN },
        { JSON_570, B200, GPU_MODULES_OPEN },
};

START_TEST(test_known)
{
        _cleanup_(gpu_support_done) GpuSupport s = parsed(known[_i].json);
        const GpuFact gpu = {
                .address = (char *)"0000:01:00.0", .vendor = 0x10de, .device = known[_i].device
        };

        ck_assert_ptr_null(s.problem);
        ck_assert_str_eq(gpu_modules_to_string(gpu_modules_of(&gpu, &s)),
                        gpu_modules_to_string(known[_i].modules));
}
END_TEST

static SourceModule nvidia_only[] = { { (char *)"nvidia", 2, NULL, NULL } };
static char *want_nvidia[] = { (char *)"nvidia", NULL };

#define SRC(p, v, ty)                                                                                       \
        {                                                                                                   \
                .path = (char *)(p), .version = (char *)(v), .type = (ty), .modules = nvidia_only,          \
                .n_modules = 1, .exists = true                                                              \
        }

static DriverSource many[] = {
        SRC("a/kernel-open", "535.183.01", DRIVER_OPEN),
        SRC("a/kernel", "535.183.01", DRIVER_PROPRIETARY),
        SRC("b/kernel", "570.86.10", DRIVER_PROPRIETARY),
        SRC("b/kernel-open", "570.86.10", DRIVER_OPEN),
        SRC("c", "580.65.06", DRIVER_OPEN),
};

static const struct {
        const char *what;
        size_t first, n;
        const char *version;
        DriverType type;
        uint16_t gpus[3];
        Code code;
        size_t index;
        const char *text; /* reason, warning or evidence */
} choices[] = {
        { "default of 535", 0, 2, NULL, _DRIVER_TYPE_INVALID, { TESLA_T4 }, CODE_OK, 1,
                        "the default of 535.183.01, both drive the GPUs" },
        { "default of 570", 0, 4, NULL, _DRIVER_TYPE_INVALID, { TESLA_T4 }, CODE_OK, 3,
                        "the default of 570.86.10, both drive the GPUs" },
        { "no GPU here", 2, 2, NULL, _DRIVER_TYPE_INVALID, {}, CODE_OK, 1,
                        "the default of 570.86.10, both drive the GPUs" },
        { "one kind of the highest version", 0, 5, NULL, _DRIVER_TYPE_INVALID, { A100 }, CODE_OK, 4, NULL },
        { "the highest that drives it", 0, 5, NULL, _DRIVER_TYPE_INVALID, { TESLA_T4, GTX_1080 }, CODE_OK, 2,
                        "by the built-in list nothing else drives 0000:02:00.0 (10de:1b80)" },
        { "of the wanted version", 0, 5, "535", _DRIVER_TYPE_INVALID, { GH200, B200 }, CODE_OK, 0,
                        "by the built-in list nothing else drives 0000:01:00.0 (10de:2342), 0000:02:00.0 (10de:2901)" },
        { "contradiction", 0, 5, NULL, _DRIVER_TYPE_INVALID, { V100S, TESLA_T4, B200 }, CODE_GPUS_CONFLICT,
                        0,
                        "By the built-in list only the proprietary modules drive 0000:01:00.0 (10de:1df6), and only "
                        "the open ones 0000:03:00.0 (10de:2901)." },
        { "settled by the administrator", 0, 2, NULL, DRIVER_OPEN, { V100S, B200 }, CODE_OK, 0,
                        "By the built-in list only the proprietary modules drive 0000:01:00.0 (10de:1df6), but it is "
                        "the open ones that are built" },
        { "the other way round", 0, 2, NULL, DRIVER_PROPRIETARY, { B200 }, CODE_OK, 1,
                        "By the built-in list only the open modules drive 0000:01:00.0 (10de:2901), but it is the "
                        "proprietary ones that are built" },
        { "wanted, and nothing against it", 0, 2, NULL, DRIVER_OPEN, { TESLA_T4 }, CODE_OK, 0, NULL },
        { "only the wrong kind", 4, 1, NULL, _DRIVER_TYPE_INVALID, { GTX_1080 }, CODE_OK, 0,
                        "By the built-in list only the proprietary modules drive 0000:01:00.0 (10de:1b80), but it is "
                        "the open ones that are built" },
        { "none of that version", 0, 2, "550", _DRIVER_TYPE_INVALID, { GTX_1080 }, CODE_SOURCE_VERSION, 0,
                        "/a/kernel-open holds version 535.183.01, wanted is 550" },
        { "none at all", 0, 0, NULL, _DRIVER_TYPE_INVALID, { B200 }, CODE_SOURCE_MISSING, 0,
                        "no driver source in /usr/src, /opt/nvidia or /run/nvidia-driverd/source" },
};

START_TEST(test_choose)
{
        const DriverSources l = { many + choices[_i].first, choices[_i].n };
        _cleanup_(gpu_facts_done) GpuFacts gpus = {};
        _cleanup_(source_judgement_done) SourceJudgement j = {};
        const GpuSupport none = {};

        for (unsigned i = 0; i < ELEMENTSOF(choices[_i].gpus) && choices[_i].gpus[i]; i++) {
                GpuFact gpu = { .address = str_format("0000:%02x:00.0", i + 1),
                        .vendor = 0x10de,
                        .device = choices[_i].gpus[i] };

                ck_assert_int_eq(gpu_facts_add(&gpus, &gpu), 0);
        }
        ck_assert_int_eq(driver_type_choose(&l, choices[_i].version, choices[_i].type, want_nvidia, &gpus,
                                         &none, &j),
                        0);
        ck_assert_msg(j.code == choices[_i].code, "%s: %s", choices[_i].what, code_to_string(j.code));
        ck_assert_msg(j.index == choices[_i].index, "%s: %zu", choices[_i].what, j.index);
        ck_assert(!!j.reason + !!j.warning + !!j.evidence == !!choices[_i].text);
        if (choices[_i].text)
                ck_assert_str_eq(j.reason ? j.reason : j.warning ? j.warning : j.evidence, choices[_i].text);
}
END_TEST

/* The file's own name is in every sentence. */
START_TEST(test_origin)
{
        _cleanup_(gpu_support_done) GpuSupport s = parsed(JSON_570);
        _cleanup_(source_judgement_done) SourceJudgement j = {};
        GpuFact gpu = { .address = (char *)"0000:01:00.0", .vendor = 0x10de, .device = GH200 };
        const GpuFacts gpus = { &gpu, 1 };
        const DriverSources l = { many, 2 };

        ck_assert_int_eq(driver_type_choose(&l, NULL, _DRIVER_TYPE_INVALID, want_nvidia, &gpus, &s, &j), 0);
        ck_assert_uint_eq(j.index, 0);
        ck_assert_str_eq(j.reason,
                        "by /usr/src/nvidia/supported-gpus.json nothing else drives 0000:01:00.0 (10de:2342)");
}
END_TEST

static const struct {
        const char *text, *problem;
} bad[] = {
        { "{\"chips\":[\n{\"devid\":", "/usr/src/nvidia/supported-gpus.json:2: " },
        { "{\"chips\":[]}",
                        "/usr/src/nvidia/supported-gpus.json has no \"chips\" with a \"devid\", the built-in list is used" },
        { "[1,2]", "/usr/src/nvidia/supported-gpus.json has no \"chips\" with a \"devid\", the built-in list is used" },
        { "{\"chips\":{\"devid\":\"0x1\"}}", "/usr/src/nvidia/supported-gpus.json has no \"chips\"" },
        { "", "/usr/src/nvidia/supported-gpus.json: " },
};

START_TEST(test_bad)
{
        _cleanup_(gpu_support_done) GpuSupport s = parsed(bad[_i].text);

        ck_assert_uint_eq(s.n, 0);
        ck_assert_ptr_nonnull(s.problem);
        ck_assert_msg(startswith(s.problem, bad[_i].problem), "%s", s.problem);
}
END_TEST

/* "{"chips":[{"devid":"0x1EB8","features":["kernelopen"]}]}", by gzip -9n. */
static const unsigned char packed[] = {
        0x1f,
        0x8b,
        0x08,
        0x00,
        0x00,
        0x00,
        0x00,
        0x00,
        0x02,
        0x03,
        0xab,
        0x56,
        0x4a,
        0xce,
        0xc8,
        0x2c,
        0x28,
        0x56,
        0xb2,
        0x8a,
        0xae,
        0x56,
        0x4a,
        0x49,
        0x2d,
        0xcb,
        0x4c,
        0x51,
        0xb2,
        0x52,
        0x32,
        0xa8,
        0x30,
        0x74,
        0x75,
        0xb2,
        0x50,
        0xd2,
        0x51,
        0x4a,
        0x4b,
        0x4d,
        0x2c,
        0x29,
        0x2d,
        0x4a,
        0x05,
        0xc9,
        0x2a,
        0x65,
        0xa7,
        0x16,
        0xe5,
        0xa5,
        0xe6,
        0xe4,
        0x17,
        0xa4,
        0xe6,
        0x29,
        0xc5,
        0xd6,
        0xc6,
        0xd6,
        0x02,
        0x00,
        0xcd,
        0xd3,
        0x71,
        0x6d,
        0x38,
        0x00,
        0x00,
        0x00,
};

START_TEST(test_places)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        _cleanup_(gpu_support_done) GpuSupport none = {}, doc = {}, beside = {};
        DriverSource source = { .path = (char *)"opt/nvidia/570/kernel-open" };
        const DriverSources sources = { &source, 1 };

        ck_assert_int_eq(supportjson_find(t.root, &sources, &none), 0);
        ck_assert_ptr_null(none.path);
        ck_assert_ptr_null(none.problem);

        tmproot_mkdir(&t, "usr/share/doc/nvidia-driver");
        ck_assert_int_eq(root_write_file(t.root, "usr/share/doc/nvidia-driver/supported-gpus.json.gz",
                                         (const char *)packed, sizeof(packed), 0644),
                        0);
        ck_assert_int_eq(supportjson_find(t.root, &sources, &doc), 0);
        ck_assert_ptr_null(doc.problem);
        ck_assert_uint_eq(doc.n, 1);
        ck_assert_uint_eq(doc.items[0].device, TESLA_T4);
        ck_assert(doc.items[0].open && !doc.items[0].proprietary && !doc.items[0].legacy);

        tmproot_write(&t, "opt/nvidia/570/supported-gpus/supported-gpus.json", JSON_570);
        ck_assert_int_eq(supportjson_find(t.root, &sources, &beside), 0);
        ck_assert_str_eq(beside.path, "opt/nvidia/570/supported-gpus/supported-gpus.json");
        ck_assert_uint_eq(beside.n, 5);
}
END_TEST

/*
 * The whole file as NVIDIA ships it is not ours to give away. Where it is
 * (tests/lab/driver-source --supported-gpus), the built-in ranges must agree with it.
 */
START_TEST(test_real)
{
        const char *path = getenv("NVIDIA_DRIVERD_SUPPORTED_GPUS");
        _cleanup_(gpu_support_done) GpuSupport s = {};
        const GpuSupport none = {};
        const DriverSource source = { .path = (char *)path };
        const DriverSources sources = { (DriverSource *)&source, 1 };
        _cleanup_(root_freep) Root *root = NULL;
        size_t n = 0;

        if (!path)
                return;
        ck_assert_int_eq(root_new("/", &root), 0);
        ck_assert_int_eq(supportjson_find(root, &sources, &s), 0);
        ck_assert_ptr_null(s.problem);
        ck_assert_uint_gt(s.n, 2000);
        for (size_t i = 0; i < s.n; i++) {
                const GpuFact gpu = { .device = s.items[i].device };
                GpuModules modules = gpu_modules_of(&gpu, &s);

                if (modules == GPU_MODULES_NEITHER)
                        continue;
                /* Turing made for mining, without video: no open modules in 535, and again in 570. */
                if (gpu.device == CMP_50HX || gpu.device == 0x1f0b || gpu.device == 0x2189)
                        continue;
                ck_assert_msg(modules == gpu_modules_of(&gpu, &none), "%04x", gpu.device);
                n++;
        }
        ck_assert_uint_gt(n, 500);
}
END_TEST

START_TEST(test_names)
{
        ck_assert_str_eq(gpu_modules_to_string(_GPU_MODULES_INVALID), "invalid");
        ck_assert_int_eq(driver_type_default(NULL), DRIVER_PROPRIETARY);
        ck_assert_int_eq(driver_type_default("559.99"), DRIVER_PROPRIETARY);
        ck_assert_int_eq(driver_type_default("560.28.03"), DRIVER_OPEN);
}
END_TEST

UNIT_MAIN("drivertype", UNIT_LOOP(test_known, ELEMENTSOF(known)),
                UNIT_LOOP(test_choose, ELEMENTSOF(choices)), UNIT_TEST(test_origin),
                UNIT_LOOP(test_bad, ELEMENTSOF(bad)), UNIT_TEST(test_places), UNIT_TEST(test_real),
                UNIT_TEST(test_names))
