/* SPDX-License-Identifier: Apache-2.0 */

/* What a build says about itself: whom it serves, its identity, and its JSON, good and bad. */

#include "unit.h"

#include "base/str.h"
#include "policy/manifest.h"
#include "sys/manifestjson.h"

#define RELEASE "6.1.0-56-amd64"
#define VERSION "#1 SMP PREEMPT_DYNAMIC Debian 6.1.180-1"
#define MAGIC   RELEASE " SMP preempt mod_unload modversions"
#define HEX16   "0123456789abcdef"
#define HEX64   HEX16 HEX16 HEX16 HEX16

static void add_file(BuildManifest *m, const char *name, const char *module, const char *depends)
{
        BuildFile f = {
                .name = strdup(name),
                .size = 4096,
                .sha256 = strdup(HEX64),
                .xxh64 = strdup(HEX16),
                .module = module ? strdup(module) : NULL,
                .srcversion = module ? strdup("533BB7E5866E52F63B9ACCB") : NULL,
        };

        if (depends)
                ck_assert_int_eq(strv_split(depends, " ", &f.depends), 0);
        if (depends)
                ck_assert_int_eq(strv_split("first_one second", " ", &f.parameters), 0);
        ck_assert_int_eq(build_manifest_add_file(m, &f), 0);
        ck_assert_ptr_null(f.name);
}

static void fill(BuildManifest *m)
{
        *m = (BuildManifest){
                .id = strdup("535.261.03-proprietary-" RELEASE "-0123456789ab"),
                .driver_version = strdup("535.261.03"),
                .driver_type = DRIVER_PROPRIETARY,
                .kernel_release = strdup(RELEASE),
                .kernel_version = strdup(VERSION),
                .kernel_vermagic = strdup(MAGIC),
                .compiler = strdup("gcc-12 (Debian 12.2.0-14) 12.2.0"),
                .linker = strdup("GNU ld (GNU Binutils for Debian) 2.40"),
                .created = strdup("2026-11-22T19:40:00Z"),
        };
        ck_assert_int_eq(build_manifest_add_input(m, ".config", HEX64), 0);
        ck_assert_int_eq(build_manifest_add_input(m, "Module.symvers", HEX64), 0);
        add_file(m, "nvidia.ko", "nvidia", "");
        add_file(m, "nvidia-uvm.ko", "nvidia-uvm", "nvidia");
        add_file(m, "nv-linux.o", NULL, NULL);
}

/* What a node wants, and the sentence that says why the build does not serve it; NULL: it does. */
static const struct {
        const char *release, *version, *vermagic;
        const char *driver;
        DriverType type;
        const char *modules;
        const char *reason;
} wishes[] = {
        { RELEASE, NULL, NULL, NULL, _DRIVER_TYPE_INVALID, "", NULL },
        { RELEASE, VERSION, MAGIC, "535.261.03", DRIVER_PROPRIETARY, "nvidia nvidia_uvm", NULL },
        { RELEASE, VERSION, MAGIC " ", "535", DRIVER_PROPRIETARY, "nvidia-uvm", NULL },
        { RELEASE, NULL, NULL, "", _DRIVER_TYPE_INVALID, "nvidia", NULL },
        { "6.1.0-55-amd64", NULL, NULL, NULL, _DRIVER_TYPE_INVALID, "",
                        "it is for kernel " RELEASE ", not 6.1.0-55-amd64" },
        { RELEASE, "#2 SMP", NULL, NULL, _DRIVER_TYPE_INVALID, "",
                        "it is for kernel " RELEASE " " VERSION ", not #2 SMP" },
        { RELEASE, VERSION, RELEASE " SMP mod_unload", NULL, _DRIVER_TYPE_INVALID, "",
                        "its vermagic is '" MAGIC "', the kernel's '" RELEASE " SMP mod_unload'" },
        { RELEASE, VERSION, MAGIC, "535.183.01", _DRIVER_TYPE_INVALID, "",
                        "it is driver 535.261.03, not 535.183.01" },
        { RELEASE, VERSION, MAGIC, "53", _DRIVER_TYPE_INVALID, "", "it is driver 535.261.03, not 53" },
        { RELEASE, VERSION, MAGIC, NULL, DRIVER_OPEN, "", "it is the proprietary driver, not the open one" },
        { RELEASE, VERSION, MAGIC, NULL, DRIVER_PROPRIETARY, "nvidia nvidia-drm",
                        "it does not have module nvidia-drm" },
        { RELEASE, VERSION, MAGIC, NULL, DRIVER_PROPRIETARY, "nv-linux",
                        "it does not have module nv-linux" },
};

START_TEST(test_serves)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_strv_ char **modules = NULL;
        _cleanup_free_ char *reason = NULL;
        KernelFact kernel = { .release = (char *)wishes[_i].release,
                .version = (char *)wishes[_i].version,
                .vermagic = (char *)wishes[_i].vermagic };
        BuildWish wish = {
                .kernel = &kernel, .driver_version = wishes[_i].driver, .driver_type = wishes[_i].type
        };
        int expected = wishes[_i].reason ? 0 : 1;

        fill(&m);
        ck_assert_int_eq(strv_split(wishes[_i].modules, " ", &modules), 0);
        wish.modules = modules;
        ck_assert_int_eq(build_manifest_serves(&m, &wish, &reason), expected);
        ck_assert_msg(streq_ptr(reason, wishes[_i].reason), "%s", strna(reason));
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), expected);
}
END_TEST

/* A tree that did not tell its version text or vermagic: nothing to compare. */
START_TEST(test_serves_unknown)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        KernelFact kernel = {
                .release = (char *)RELEASE, .version = (char *)"#9", .vermagic = (char *)"other"
        };
        BuildWish wish = {
                .kernel = &kernel, .driver_type = _DRIVER_TYPE_INVALID, .needed_type = _DRIVER_TYPE_INVALID
        };

        fill(&m);
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), 0);
        ck_assert_int_eq(str_replace(&m.kernel_version, NULL), 0);
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), 0);
        ck_assert_int_eq(str_replace(&m.kernel_vermagic, NULL), 0);
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), 1);
}
END_TEST

static void sign(BuildManifest *m)
{
        m->signer = (Signer){ .name = strdup("Our Key"),
                .issuer = strdup("Our Root"),
                .serial = strdup("01af"),
                .key_id = strdup("0123456789abcdef"),
                .fingerprint = strdup(HEX64),
                .hash = strdup("sha256") };
}

START_TEST(test_serves_signed)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *unsigned_reason = NULL, *other_reason = NULL;
        KernelFact kernel = { .release = (char *)RELEASE };
        Signer same = { .issuer = (char *)"Our Root", .serial = (char *)"01af" };
        Signer other = { .name = (char *)"Other", .issuer = (char *)"Our Root", .serial = (char *)"01b0" };
        BuildWish wish = { .kernel = &kernel,
                .driver_type = _DRIVER_TYPE_INVALID,
                .needed_type = _DRIVER_TYPE_INVALID,
                .signer = &same };

        fill(&m);
        ck_assert_int_eq(build_manifest_serves(&m, &wish, &unsigned_reason), 0);
        ck_assert_str_eq(unsigned_reason, "it is not signed");
        sign(&m);
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), 1);
        wish.signer = &other;
        ck_assert_int_eq(build_manifest_serves(&m, &wish, &other_reason), 0);
        ck_assert_str_eq(other_reason, "it is signed by 'Our Key', not by 'Other'");
        wish.signer = NULL;
        ck_assert_int_eq(build_manifest_serves(&m, &wish, NULL), 1);
}
END_TEST

START_TEST(test_choose)
{
        static const struct {
                const char *version, *release, *created;
        } builds[] = {
                { "535.54.03", RELEASE, "2026-11-24T00:00:00Z" },
                { "535.261.03", RELEASE, "2026-11-22T00:00:00Z" },
                { "535.261.03", RELEASE, "2026-11-23T00:00:00Z" },
                { "535.261.03", RELEASE, NULL },
                { "550.1", "6.1.0-57-amd64", "2026-11-25T00:00:00Z" },
                { "470.256.02", RELEASE, "2026-11-26T00:00:00Z" },
        };
        _cleanup_(build_manifests_done) BuildManifests l = {};
        KernelFact kernel = { .release = (char *)RELEASE };
        BuildWish wish = {
                .kernel = &kernel, .driver_type = _DRIVER_TYPE_INVALID, .needed_type = _DRIVER_TYPE_INVALID
        };

        ck_assert_ptr_null(build_manifests_choose(&l, &wish));
        for (size_t i = 0; i < ELEMENTSOF(builds); i++) {
                BuildManifest m = { .driver_version = strdup(builds[i].version),
                        .kernel_release = strdup(builds[i].release),
                        .created = builds[i].created ? strdup(builds[i].created) : NULL };

                ck_assert_int_eq(build_manifests_add(&l, &m), 0);
                ck_assert_ptr_null(m.driver_version);
        }

        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[2]);
        wish.driver_version = "535.54.03";
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[0]);
        wish.driver_version = "470";
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[5]);
        wish.driver_version = "550";
        ck_assert_ptr_null(build_manifests_choose(&l, &wish));
}
END_TEST

/* What the GPUs need goes before the version, but one of the other type is better than none. */
START_TEST(test_choose_needed)
{
        static const struct {
                const char *version;
                DriverType type;
        } builds[] = {
                { "535.54.03", DRIVER_OPEN },
                { "535.261.03", DRIVER_OPEN },
                { "550.1", DRIVER_PROPRIETARY },
        };
        _cleanup_(build_manifests_done) BuildManifests l = {};
        KernelFact kernel = { .release = (char *)RELEASE };
        BuildWish wish = {
                .kernel = &kernel, .driver_type = _DRIVER_TYPE_INVALID, .needed_type = DRIVER_OPEN
        };

        for (size_t i = 0; i < ELEMENTSOF(builds); i++) {
                BuildManifest m = { .driver_version = strdup(builds[i].version),
                        .driver_type = builds[i].type,
                        .kernel_release = strdup(RELEASE) };

                ck_assert_int_eq(build_manifests_add(&l, &m), 0);
        }
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[1]);
        wish.needed_type = DRIVER_PROPRIETARY;
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[2]);
        wish.needed_type = _DRIVER_TYPE_INVALID;
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[2]);
        wish.driver_version = "535";
        wish.needed_type = DRIVER_PROPRIETARY;
        ck_assert_ptr_eq(build_manifests_choose(&l, &wish), &l.items[1]);
}
END_TEST

START_TEST(test_module)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};

        fill(&m);
        ck_assert_ptr_eq(build_manifest_module(&m, "nvidia"), &m.files[0]);
        ck_assert_ptr_eq(build_manifest_module(&m, "nvidia_uvm"), &m.files[1]);
        ck_assert_ptr_eq(build_manifest_module(&m, "nvidia-uvm"), &m.files[1]);
        ck_assert_ptr_null(build_manifest_module(&m, "nv-linux"));
        ck_assert_ptr_null(build_manifest_module(&m, "nvidia.ko"));
}
END_TEST

static void replace_id(BuildManifest *m)
{
        (void)str_replace(&m->id, "x");
}

static void replace_created(BuildManifest *m)
{
        (void)str_replace(&m->created, "x");
}

static void replace_file_digest(BuildManifest *m)
{
        (void)str_replace(&m->files[0].sha256, "x");
}

static void add_log(BuildManifest *m)
{
        add_file(m, "build.log", NULL, NULL);
}

static void swap_inputs(BuildManifest *m)
{
        BuildInput first = m->inputs[0];

        m->inputs[0] = m->inputs[1];
        m->inputs[1] = first;
}

static void replace_driver(BuildManifest *m)
{
        (void)str_replace(&m->driver_version, "535.261.04");
}

static void replace_type(BuildManifest *m)
{
        m->driver_type = DRIVER_OPEN;
}

static void replace_release(BuildManifest *m)
{
        (void)str_replace(&m->kernel_release, "x");
}

static void replace_version(BuildManifest *m)
{
        (void)str_replace(&m->kernel_version, NULL);
}

static void replace_vermagic(BuildManifest *m)
{
        (void)str_replace(&m->kernel_vermagic, NULL);
}

static void replace_compiler(BuildManifest *m)
{
        (void)str_replace(&m->compiler, NULL);
}

static void replace_linker(BuildManifest *m)
{
        (void)str_replace(&m->linker, NULL);
}

static void replace_debug(BuildManifest *m)
{
        m->debug_info = true;
}

static void replace_input(BuildManifest *m)
{
        m->inputs[0].sha256[0] = 'f';
}

static void add_input(BuildManifest *m)
{
        ck_assert_int_eq(build_manifest_add_input(m, "module.lds", HEX64), 0);
}

static void add_drm(BuildManifest *m)
{
        add_file(m, "nvidia-drm.ko", "nvidia-drm", NULL);
}

static void replace_signer_name(BuildManifest *m)
{
        (void)str_replace(&m->signer.name, "Only a name");
}

/* What is known only afterwards does not count, everything that matters before does. */
static const struct {
        void (*change)(BuildManifest *m);
        bool same;
} changes[] = {
        { replace_id, true },
        { replace_created, true },
        { replace_file_digest, true },
        { add_log, true },
        { swap_inputs, true },
        { replace_signer_name, true },
        { replace_driver, false },
        { replace_type, false },
        { replace_release, false },
        { replace_version, false },
        { replace_vermagic, false },
        { replace_compiler, false },
        { replace_linker, false },
        { replace_debug, false },
        { replace_input, false },
        { add_input, false },
        { add_drm, false },
        { sign, false },
};

START_TEST(test_identity)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *before = NULL, *after = NULL;

        fill(&m);
        before = build_manifest_identity(&m);
        changes[_i].change(&m);
        after = build_manifest_identity(&m);
        ck_assert_int_eq(streq(before, after), changes[_i].same);
}
END_TEST

/* The text is the build's address in every store there is: it must not change by accident. */
START_TEST(test_identity_text)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *text = NULL;

        fill(&m);
        text = build_manifest_identity(&m);
        ck_assert_str_eq(text, "compiler=gcc-12 (Debian 12.2.0-14) 12.2.0\n"
                               "debug-info=no\n"
                               "driver=535.261.03 proprietary\n"
                               "format=1\n"
                               "input=.config " HEX64 "\n"
                               "input=Module.symvers " HEX64 "\n"
                               "kernel=" RELEASE " " VERSION "\n"
                               "linker=GNU ld (GNU Binutils for Debian) 2.40\n"
                               "module=nvidia\n"
                               "module=nvidia-uvm\n"
                               "vermagic=" MAGIC);
}
END_TEST

/* An unsigned build's text has no such line: the addresses of those that exist stay. */
START_TEST(test_identity_signer)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *text = NULL;

        fill(&m);
        sign(&m);
        text = build_manifest_identity(&m);
        ck_assert_ptr_nonnull(strstr(text, "\nsigner=01af sha256 Our Root\n"));
}
END_TEST

static void parse(const char *text, BuildManifest *ret)
{
        _cleanup_free_ char *reason = NULL;
        int r = manifest_parse(text, strlen(text), ret, &reason);

        ck_assert_msg(r == 0, "%s", strna(reason));
        ck_assert_ptr_null(reason);
}

START_TEST(test_round_trip)
{
        _cleanup_(build_manifest_done) BuildManifest m = {}, back = {};
        _cleanup_free_ char *text = NULL, *again = NULL;

        fill(&m);
        m.debug_info = _i;
        m.driver_type = _i ? DRIVER_OPEN : DRIVER_PROPRIETARY;
        if (_i) {
                sign(&m);
                m.files[0].unsigned_sha256 = strdup(HEX64);
                m.files[0].interface = strdup("nv-linux.o");
                m.files[0].core = strdup("nvidia/nv-kernel.o_binary");
        }
        ck_assert_int_eq(manifest_format(&m, &text), 0);
        ck_assert_int_eq(text[strlen(text) - 1], '\n');
        parse(text, &back);
        ck_assert_int_eq(manifest_format(&back, &again), 0);
        ck_assert_str_eq(text, again);

        ck_assert_ptr_null(back.directory);
        ck_assert_str_eq(back.id, m.id);
        ck_assert_int_eq(back.debug_info, _i);
        ck_assert_int_eq(back.driver_type, m.driver_type);
        ck_assert_uint_eq(back.n_inputs, 2);
        ck_assert_uint_eq(back.n_files, 3);
        ck_assert_uint_eq(back.files[0].size, 4096);
        ck_assert_str_eq(back.files[0].xxh64, HEX16);
        ck_assert_str_eq(back.files[1].depends[0], "nvidia");
        ck_assert_uint_eq(strv_length(back.files[1].parameters), 2);
        ck_assert_str_eq(back.files[1].parameters[1], "second");
        ck_assert_ptr_null(back.files[2].module);
        ck_assert_ptr_null(back.files[2].srcversion);
        ck_assert_int_eq(signer_same(&back.signer, &m.signer), _i);
        ck_assert(streq_ptr(back.signer.key_id, m.signer.key_id) &&
                        streq_ptr(back.signer.hash, m.signer.hash));
        ck_assert(streq_ptr(back.files[0].unsigned_sha256, m.files[0].unsigned_sha256));
        ck_assert(streq_ptr(back.files[0].interface, m.files[0].interface));
        ck_assert(streq_ptr(back.files[0].core, m.files[0].core));
}
END_TEST

#define HEAD  "{\"format\":1,\"driverVersion\":\"1\",\"driverType\":\"open\",\"kernelRelease\":\"k\""
#define DRAFT HEAD ",\"files\":[]}"

/* A draft has no digests yet, and a newer program may have more to say. */
START_TEST(test_least)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};

        parse(HEAD ",\"files\":[{\"name\":\"a.ko\",\"sha256\":null,\"new\":[]}],\"newer\":{\"a\":1},\"id\":null}",
                        &m);
        ck_assert_ptr_null(m.id);
        ck_assert_ptr_null(m.kernel_version);
        ck_assert_ptr_null(m.files[0].sha256);
        ck_assert_uint_eq(m.files[0].size, 0);
        ck_assert(!m.debug_info);
}
END_TEST

#define FILE_WITH(more) HEAD ",\"files\":[{\"name\":\"a\"" more "}]}"

static const struct {
        const char *text;
        const char *reason; /* its beginning */
} invalid[] = {
        { "", "line 1: '[' or '{' expected near end of file" },
        { "{", "line 1: string or '}' expected near end of file" },
        { "{\n  \"format\": 1,\n  oops\n}", "line 3: string or '}' expected near 'oops'" },
        { "{\n\"format\": 1,\n\"format\": 1\n}", "line 3: duplicate object key" },
        { DRAFT "\n\nmore", "line 3: end of file expected near 'more'" },
        { "{\"format\":1,\"id\":\"\\u001b[2J\"}", "field \"id\" has control characters in it" },
        { "{\"format\":1,\"id\":\"\xe2\x80\xae\"}", "field \"id\" has control characters in it" },
        { "{\"id\":\"\xff\"}", "line 1: unable to decode byte 0xff" },
        { "{\"id\":\"\\u0000\"}", "line 1: \\u0000 is not allowed" },
        { "[1]", "line 1: not a JSON object" },
        { "{}", "field \"format\" is not 2" },
        { "{\"format\":\"1\"}", "field \"format\" is not 2" },
        { "{\"format\":0}", "field \"format\" is not 2" },
        { "{\"format\":1}", "field \"driverVersion\" is missing" },
        { "{\"format\":1,\"id\":7}", "field \"id\" is not a string" },
        { "{\"format\":1,\"driverVersion\":null}", "field \"driverVersion\" is missing" },
        { "{\"format\":1,\"driverVersion\":535}", "field \"driverVersion\" is not a string" },
        { "{\"format\":1,\"driverVersion\":\"1\"}", "field \"driverType\" is missing" },
        { "{\"format\":1,\"driverVersion\":\"1\",\"driverType\":\"open\"}",
                        "field \"kernelRelease\" is missing" },
        { "{\"format\":1,\"driverVersion\":\"1\",\"driverType\":\"free\",\"kernelRelease\":\"k\"}",
                        "driver type \"free\" is not known" },
        { HEAD ",\"kernelVersion\":[]}", "field \"kernelVersion\" is not a string" },
        { HEAD ",\"kernelVermagic\":1}", "field \"kernelVermagic\" is not a string" },
        { HEAD ",\"compiler\":{}}", "field \"compiler\" is not a string" },
        { HEAD ",\"linker\":true}", "field \"linker\" is not a string" },
        { HEAD ",\"created\":2026}", "field \"created\" is not a string" },
        { HEAD "}", "field \"files\" is missing or not a list" },
        { HEAD ",\"files\":{}}", "field \"files\" is missing or not a list" },
        { HEAD ",\"files\":[],\"inputs\":[]}", "field \"inputs\" is not an object" },
        { HEAD ",\"files\":[],\"inputs\":{\"a\":1}}", "the digest of input \"a\" is not 64 hex digits" },
        { HEAD ",\"files\":[],\"inputs\":{\"a\":\"" HEX16 "\"}}",
                        "the digest of input \"a\" is not 64 hex digits" },
        { HEAD ",\"files\":[1]}", "field \"name\" is missing" },
        { HEAD ",\"files\":[{}]}", "field \"name\" is missing" },
        { HEAD ",\"files\":[{\"name\":1}]}", "field \"name\" is not a string" },
        { HEAD ",\"files\":[{\"name\":\"\"}]}", "\"\" is not a plain file name" },
        { HEAD ",\"files\":[{\"name\":\".\"}]}", "\".\" is not a plain file name" },
        { HEAD ",\"files\":[{\"name\":\"..\"}]}", "\"..\" is not a plain file name" },
        { HEAD ",\"files\":[{\"name\":\"../../etc/shadow\"}]}", "\"../../etc/shadow\" is not a plain" },
        { HEAD ",\"files\":[{\"name\":\"a/b\"}]}", "\"a/b\" is not a plain file name" },
        { HEAD ",\"files\":[{\"name\":\"/a\"}]}", "\"/a\" is not a plain file name" },
        { HEAD ",\"files\":[{\"name\":\"" HEX64 HEX64 HEX64 HEX64 "\"}]}", "\"" HEX64 },
        { FILE_WITH(",\"sha256\":1"), "field \"sha256\" is not a string" },
        { FILE_WITH(",\"sha256\":\"" HEX16 "\""), "the sha256 of \"a\" is not 64 hex digits" },
        { FILE_WITH(",\"sha256\":\"" HEX16 HEX16 HEX16 "0123456789ABCDEF\""),
                        "the sha256 of \"a\" is not 64 hex digits" },
        { FILE_WITH(",\"unsignedSha256\":\"" HEX16 "\""),
                        "the unsignedSha256 of \"a\" is not 64 hex digits" },
        { HEAD ",\"files\":[],\"signer\":\"me\"}", "field \"signer\" is not an object" },
        { HEAD ",\"files\":[],\"signer\":{\"serial\":1}}", "field \"serial\" is not a string" },
        { HEAD ",\"files\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "\"a\" is there twice" },
        { FILE_WITH(",\"interface\":1"), "field \"interface\" is not a string" },
        { FILE_WITH(",\"interface\":\"../nv-linux.o\""), "\"../nv-linux.o\" is not a plain file name" },
        { FILE_WITH(",\"core\":\"/etc/shadow\""), "\"/etc/shadow\" is not a path in a driver source" },
        { FILE_WITH(",\"core\":\"nvidia/../../x\""), "\"nvidia/../../x\" is not a path in a driver source" },
        { FILE_WITH(",\"xxh64\":[]"), "field \"xxh64\" is not a string" },
        { FILE_WITH(",\"xxh64\":\"" HEX64 "\""), "the xxh64 of \"a\" is not 16 hex digits" },
        { FILE_WITH(",\"module\":1"), "field \"module\" is not a string" },
        { FILE_WITH(",\"srcversion\":1"), "field \"srcversion\" is not a string" },
        { FILE_WITH(",\"parameters\":\"nvidia\""), "field \"parameters\" is not a list" },
        { FILE_WITH(",\"depends\":\"nvidia\""), "field \"depends\" is not a list" },
        { FILE_WITH(",\"depends\":[\"nvidia\",1]"), "field \"depends\" holds something else than names" },
        { FILE_WITH(",\"size\":\"1\""), "the size of \"a\" is not a number" },
        { FILE_WITH(",\"size\":1.5"), "the size of \"a\" is not a number" },
        { FILE_WITH(",\"size\":-1"), "the size of \"a\" is not a number" },
        { FILE_WITH(",\"size\":99999999999999999999"), "line 1: too big integer" },
};

/* What a later version wrote is not damaged: it is told apart, so that nobody removes it. */
START_TEST(test_newer)
{
        static const char text[] = "{\"format\":3}";
        _cleanup_free_ char *reason = NULL;
        BuildManifest m = {};

        ck_assert_int_eq(manifest_parse(text, strlen(text), &m, &reason), MANIFEST_E_NEWER);
        ck_assert_str_eq(reason, "field \"format\" is 3, a newer program's, not 2");
}
END_TEST

START_TEST(test_invalid)
{
        _cleanup_free_ char *reason = NULL;
        BuildManifest m = { .n_files = 7 };

        ck_assert_int_eq(manifest_parse(invalid[_i].text, strlen(invalid[_i].text), &m, &reason),
                        MANIFEST_E_INVALID);
        ck_assert_msg(reason && startswith(reason, invalid[_i].reason), "%s instead of %s", strna(reason),
                        invalid[_i].reason);
        ck_assert_ptr_null(strchr(reason, '\n'));
        ck_assert_uint_eq(m.n_files, 7); /* set on success only */
}
END_TEST

START_TEST(test_nul_in_text)
{
        static const char text[] = DRAFT "\0";
        _cleanup_free_ char *reason = NULL;
        BuildManifest m = {};

        ck_assert_int_eq(manifest_parse(text, sizeof(text) - 1, &m, &reason), MANIFEST_E_INVALID);
}
END_TEST

/* @size must not be believed to end with a NUL: the copy is exactly as long. */
static void parse_damaged(const char *text, size_t size)
{
        _cleanup_free_ char *copy = malloc(size ? size : 1), *reason = NULL;
        BuildManifest m = {};
        int r;

        memcpy(copy, text, size);
        r = manifest_parse(copy, size, &m, &reason);
        ck_assert_msg(r == MANIFEST_E_INVALID || r == MANIFEST_E_NEWER, "%d: %.*s", r, (int)size, copy);
        ck_assert_ptr_nonnull(reason);
        build_manifest_done(&m);
}

START_TEST(test_truncated)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *text = NULL;

        fill(&m);
        ck_assert_int_eq(manifest_format(&m, &text), 0);
        for (size_t size = 0; size < strlen(text); size++)
                parse_damaged(text, size);
}
END_TEST

START_TEST(test_bits_flipped)
{
        _cleanup_(build_manifest_done) BuildManifest m = {};
        _cleanup_free_ char *text = NULL;
        size_t size;

        fill(&m);
        ck_assert_int_eq(manifest_format(&m, &text), 0);
        size = strlen(text);
        for (size_t i = 0; i < size; i++) {
                char saved = text[i];

                for (unsigned bit = 0; bit < 8; bit++) {
                        text[i] = (char)(saved ^ (1 << bit));
                        parse_damaged(text, size);
                }
                text[i] = saved;
        }
}
END_TEST

UNIT_MAIN("manifest", UNIT_LOOP(test_serves, ELEMENTSOF(wishes)), UNIT_TEST(test_serves_unknown),
                UNIT_TEST(test_serves_signed), UNIT_TEST(test_identity_signer), UNIT_TEST(test_choose),
                UNIT_TEST(test_choose_needed), UNIT_TEST(test_module),
                UNIT_LOOP(test_identity, ELEMENTSOF(changes)), UNIT_TEST(test_identity_text),
                UNIT_LOOP(test_round_trip, 2), UNIT_TEST(test_least), UNIT_TEST(test_newer),
                UNIT_LOOP(test_invalid, ELEMENTSOF(invalid)), UNIT_TEST(test_nul_in_text),
                UNIT_TEST(test_truncated), UNIT_TEST(test_bits_flipped))
