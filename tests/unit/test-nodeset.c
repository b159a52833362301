/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which nodes there have to be, and what is done about a /dev. A /dev and what
 * is done to it are written as text, one word per entry:
 *
 *   nvidia0=195:0       a node of root's with mode 0666;  nvidia0=195:0,7.8.600  another owner and mode,
 * .660a: with an ACL char/195:0>../nvidia0                                 a link nvidia0! something else
 *   nvidia0!empty                                         an empty file of root's
 *
 *   +NAME=195:0 make   ~NAME=195:0 replace   *NAME correct   -NAME remove   NAME>TARGET link   !NAME
 * obstructed
 */

#include "unit.h"

#include "base/str.h"
#include "policy/nodeset.h"

#define GPU0 "0001:00:00.0"
#define GPU1 "0001:00:01.0"

static char *gpus[] = { (char *)GPU0, (char *)GPU1, NULL };
static const NodesetWish all = { .uvm = true, .modeset = true, .gpus = gpus };

static void add_node(DevNodes *nodes, const DevNode *like, const char *name)
{
        DevNode node = *like;

        node.name = strdup(name);
        ck_assert_int_eq(dev_nodes_add(nodes, &node), 0);
}

/* Two GPUs, all modules, two capabilities, and their DRM minors. */
static DriverNodes full(void)
{
        DriverNodes d = {
                .nvidia = true,
                .modeset = true,
                .lists_gpus = true,
                .rights = NODE_RIGHTS_DEFAULT,
                .uvm_major = 242,
                .caps_major = 245,
        };
        const DevNode cap1 = { .major = 245, .minor = 1, .rights = { .mode = 0400, .modify = true } };
        const DevNode cap2 = { .major = 245, .minor = 2, .rights = { .mode = 0444, .modify = true } };

        ck_assert_int_eq(driver_nodes_add_gpu(&d, GPU0, true, 0), 0);
        ck_assert_int_eq(driver_nodes_add_gpu(&d, GPU1, true, 1), 0);
        add_node(&d.caps, &cap1, "nvidia-caps/nvidia-cap1");
        add_node(&d.caps, &cap2, "nvidia-caps/nvidia-cap2");
        d.lists_drm = true;
        ck_assert_int_eq(strv_push(&d.drm_numbers, "226:0"), 0);
        return d;
}

static void add_drm(DriverNodes *d, bool settled)
{
        const DevNode card = { .major = 226,
                .minor = 3,
                .rights = { .gid = 44, .mode = 0660, .modify = true },
                .by_kernel = true,
                .settled = settled };

        add_node(&d->drm, &card, "dri/card3");
        d->lists_drm = true;
        ck_assert_int_eq(strv_push(&d->drm_numbers, "226:3"), 0);
        ck_assert_int_eq(strv_push(&d->drm_numbers, "226:9"), 0);
}

#define WHOLE                                                                                                 \
        "nvidiactl=195:255 nvidia0=195:0 nvidia1=195:1 nvidia-modeset=195:254 nvidia-uvm=242:0 "              \
        "nvidia-uvm-tools=242:1 nvidia-caps/nvidia-cap1=245:1,0.0.400 nvidia-caps/nvidia-cap2=245:2,0.0.444 " \
        "char/195:255>../nvidiactl char/195:0>../nvidia0 char/195:1>../nvidia1 "                              \
        "char/195:254>../nvidia-modeset char/242:0>../nvidia-uvm char/242:1>../nvidia-uvm-tools "             \
        "char/245:1>../nvidia-caps/nvidia-cap1 char/245:2>../nvidia-caps/nvidia-cap2 "

static void parse_entry(char *word, DevEntries *entries)
{
        DevEntry e = { .kind = DEV_ENTRY_OTHER, .mode = 0666 };
        size_t n = strcspn(word, "=>!");
        char separator = word[n];

        word[n] = '\0';
        if (separator == '=') {
                e.kind = DEV_ENTRY_NODE;
                e.has_acl = strchr(word + n + 1, 'a');
                ck_assert_int_ge(sscanf(word + n + 1, "%u:%u,%u.%u.%o", &e.major, &e.minor, &e.uid, &e.gid,
                                                 &e.mode),
                                2);
        } else if (separator == '>') {
                e.kind = DEV_ENTRY_LINK;
                e.target = strdup(word + n + 1);
        } else if (separator == '!' && word[n + 1]) {
                e.kind = DEV_ENTRY_EMPTY;
        }
        e.name = strdup(word);
        ck_assert_int_eq(dev_entries_add(entries, &e), 0);
}

static DevEntries parse(const char *text)
{
        _cleanup_strv_ char **words = NULL;
        DevEntries entries = {};

        ck_assert_int_eq(strv_split(text, " ", &words), 0);
        STRV_FOREACH (word, words)
                parse_entry(*word, &entries);
        return entries;
}

static char *tell(const NodeActions *actions)
{
        _cleanup_strv_ char **words = NULL;
        int r = 0;

        for (size_t i = 0; r == 0 && i < actions->n; i++) {
                const NodeAction *a = &actions->items[i];

                switch (a->type) {
                case NODE_ACT_MAKE:
                        r = strv_pushf(&words, "+%s=%u:%u", a->name, a->major, a->minor);
                        break;
                case NODE_ACT_REPLACE:
                        r = strv_pushf(&words, "~%s=%u:%u", a->name, a->major, a->minor);
                        break;
                case NODE_ACT_CORRECT:
                        r = strv_pushf(&words, "*%s", a->name);
                        break;
                case NODE_ACT_KEEP:
                        r = strv_pushf(&words, "=%s", a->name);
                        break;
                case NODE_ACT_LINK:
                        r = strv_pushf(&words, "%s>%s", a->name, a->target);
                        break;
                case NODE_ACT_REMOVE_NODE:
                case NODE_ACT_REMOVE_LINK:
                        r = strv_pushf(&words, "-%s", a->name);
                        break;
                case NODE_ACT_OBSTRUCTED:
                        r = strv_pushf(&words, "!%s", a->name);
                        break;
                case _NODE_ACT_MAX:
                case _NODE_ACT_INVALID:
                        ck_abort();
                }
        }
        ck_assert_int_eq(r, 0);
        return strv_join(words, " ");
}

static void check_actions(const DriverNodes *d, const NodesetWish *wish, bool kernel_makes,
                const char *present, const char *expected)
{
        _cleanup_(dev_entries_done) DevEntries entries = parse(present);
        _cleanup_(node_actions_done) NodeActions actions = {};
        _cleanup_(dev_nodes_done) DevNodes wanted = {};
        const NodesetDir dir = { .present = &entries, .kernel_makes = kernel_makes };
        _cleanup_strv_ char **missing = NULL;
        _cleanup_free_ char *got = NULL;

        ck_assert_int_eq(nodeset_wanted(d, wish, &wanted, &missing), 0);
        ck_assert_int_eq(nodeset_actions(d, wish, &wanted, &dir, &actions), 0);
        got = tell(&actions);
        ck_assert_str_eq(got, expected);
}

static void check_wanted(
                const DriverNodes *d, const NodesetWish *wish, const char *names, const char *not_there)
{
        _cleanup_(dev_nodes_done) DevNodes wanted = {};
        _cleanup_strv_ char **missing = NULL, **words = NULL;
        _cleanup_free_ char *got = NULL, *gone = NULL;

        ck_assert_int_eq(nodeset_wanted(d, wish, &wanted, &missing), 0);
        for (size_t i = 0; i < wanted.n; i++)
                ck_assert_int_eq(strv_pushf(&words, "%s=%u:%u", wanted.items[i].name, wanted.items[i].major,
                                                 wanted.items[i].minor),
                                0);
        got = strv_join(words, " ");
        gone = strv_join(missing, ", ");
        ck_assert_str_eq(got, names);
        ck_assert_str_eq(gone, not_there);
}

START_TEST(test_wanted)
{
        _cleanup_(driver_nodes_done) DriverNodes d = full();
        NodesetWish wish = all;

        check_wanted(&d, &all,
                        "nvidiactl=195:255 nvidia0=195:0 nvidia1=195:1 nvidia-modeset=195:254 nvidia-uvm=242:0 "
                        "nvidia-uvm-tools=242:1 nvidia-caps/nvidia-cap1=245:1 nvidia-caps/nvidia-cap2=245:2",
                        "");
        wish.uvm = wish.modeset = false;
        d.caps_major = -1;
        check_wanted(&d, &wish, "nvidiactl=195:255 nvidia0=195:0 nvidia1=195:1", "");
        d.nvidia = false;
        check_wanted(&d, &all, "", "");
}
END_TEST

/* What the driver does not offer is told; a minor number is not the place in the list. */
START_TEST(test_wanted_and_not_offered)
{
        _cleanup_(driver_nodes_done) DriverNodes d = {
                .nvidia = true, .lists_gpus = true, .uvm_major = -1, .caps_major = -1
        };

        check_wanted(&d, &all, "nvidiactl=195:255 nvidia-modeset=195:254",
                        "nvidia node of " GPU0 ", nvidia node of " GPU1 ", nvidia-uvm");
        ck_assert_int_eq(driver_nodes_add_gpu(&d, GPU0, true, 7), 0);
        ck_assert_int_eq(driver_nodes_add_gpu(&d, GPU1, false, 0), 0);
        d.uvm_major = 0;
        check_wanted(&d, &all,
                        "nvidiactl=195:255 nvidia7=195:7 nvidia-modeset=195:254 nvidia-uvm=0:0 nvidia-uvm-tools=0:1",
                        "nvidia node of " GPU1);
        d.lists_gpus = false;
        check_wanted(&d, &all,
                        "nvidiactl=195:255 nvidia7=195:7 nvidia-modeset=195:254 nvidia-uvm=0:0 nvidia-uvm-tools=0:1",
                        "");
}
END_TEST

static const struct {
        const char *present, *expected;
} tables[] = {
        { WHOLE, "" },
        /* udev's, nvidia-ctk's and other people's things */
        { WHOLE "nvidia-nvswitchctl=243:255 nvidia-caps-imex-channels! nvidiafoo=195:9 nvidia=1:1 nvidia01x! "
                "nvidia-caps/README! char/1:3>../null char/226:0>../dri/card0 char/10:1>nowhere",
                        "" },
        { "nvidiactl=195:255",
                        "+nvidia0=195:0 +nvidia1=195:1 +nvidia-modeset=195:254 +nvidia-uvm=242:0 "
                        "+nvidia-uvm-tools=242:1 +nvidia-caps/nvidia-cap1=245:1 +nvidia-caps/nvidia-cap2=245:2 "
                        "char/195:255>../nvidiactl char/195:0>../nvidia0 char/195:1>../nvidia1 "
                        "char/195:254>../nvidia-modeset char/242:0>../nvidia-uvm char/242:1>../nvidia-uvm-tools "
                        "char/245:1>../nvidia-caps/nvidia-cap1 char/245:2>../nvidia-caps/nvidia-cap2" },
        /* a GPU that went, and the links of it and of an earlier uvm */
        { WHOLE "nvidia2=195:2 char/195:2>../nvidia2 char/238:0>../nvidia-uvm char/195:3>/dev/nvidia3",
                        "-nvidia2 -char/195:2 -char/238:0 -char/195:3" },
        /* what a killed process left */
        { WHOLE ".nvidia-driverd.nvidia0=195:0 char/.nvidia-driverd.195:0>../nvidia0",
                        "-.nvidia-driverd.nvidia0 -char/.nvidia-driverd.195:0" },
};

START_TEST(test_table)
{
        _cleanup_(driver_nodes_done) DriverNodes d = full();

        check_actions(&d, &all, true, tables[_i].present, tables[_i].expected);
        check_actions(&d, &all, false, tables[_i].present, tables[_i].expected);
}
END_TEST

/* One GPU and nothing else, so that an entry is all there is to say. */
static const struct {
        const char *ctl, *link, *expected;
} one[] = {
        { "nvidiactl=195:255", "char/195:255>../nvidiactl", "" },
        { "nvidiactl=195:255", "char/195:255>/dev/nvidiactl", "" },
        { "", "char/195:255>../nvidiactl", "+nvidiactl=195:255" },
        { "nvidiactl=195:255", "", "char/195:255>../nvidiactl" },
        { "nvidiactl=195:254", "char/195:255>../nvidiactl", "~nvidiactl=195:255" },
        { "nvidiactl=238:0", "char/195:255>../nvidiactl", "~nvidiactl=195:255" },
        { "nvidiactl=195:255,0.0.600", "char/195:255>../nvidiactl", "*nvidiactl" },
        { "nvidiactl=195:255,5.0.666", "char/195:255>../nvidiactl", "*nvidiactl" },
        { "nvidiactl=195:255,0.5.666", "char/195:255>../nvidiactl", "*nvidiactl" },
        { "nvidiactl=195:255,0.0.4666", "char/195:255>../nvidiactl", "*nvidiactl" },
        { "nvidiactl=195:255,0.0.660a", "char/195:255>../nvidiactl", "" },
        { "nvidiactl!", "", "!nvidiactl" },
        { "nvidiactl!empty", "", "~nvidiactl=195:255 char/195:255>../nvidiactl" },
        { "nvidiactl>/dev/null", "", "!nvidiactl" },
        { "nvidiactl=195:255", "char/195:255!", "!char/195:255" },
        { "nvidiactl=195:255", "char/195:255=195:255", "!char/195:255" },
        { "nvidiactl=195:255", "char/195:255>../nvidia0", "char/195:255>../nvidiactl" },
        { "nvidiactl=195:255", "char/195:255>elsewhere", "char/195:255>../nvidiactl" },
};

START_TEST(test_one)
{
        _cleanup_(driver_nodes_done) DriverNodes d = {
                .nvidia = true, .rights = NODE_RIGHTS_DEFAULT, .uvm_major = -1, .caps_major = -1
        };
        _cleanup_free_ char *present = str_format("%s %s", one[_i].ctl, one[_i].link);
        const NodesetWish wish = {}, keep = { .keep_rights = true };
        bool corrects = *one[_i].expected == '*';

        check_actions(&d, &wish, true, present, one[_i].expected);
        check_actions(&d, &keep, true, present, corrects ? "=nvidiactl" : one[_i].expected);
}
END_TEST

/* Nobody answers any more: all that is the driver's goes, whoever made it. */
START_TEST(test_driver_gone)
{
        _cleanup_(driver_nodes_done)
                        DriverNodes d = { .rights = NODE_RIGHTS_DEFAULT, .uvm_major = -1, .caps_major = -1 };
        NodesetWish wish = { .remove_only = true };
        static const char *const gone =
                        "-nvidiactl -nvidia0 -nvidia1 -nvidia-modeset -nvidia-uvm -nvidia-uvm-tools "
                        "-nvidia-caps/nvidia-cap1 -nvidia-caps/nvidia-cap2 -char/195:255 -char/195:0 -char/195:1 "
                        "-char/195:254 -char/242:0 -char/242:1 -char/245:1 -char/245:2";

        check_actions(&d, &wish, true, WHOLE "nvidia7! nvidia8>/dev/null", gone);
        check_actions(&d, &all, true, WHOLE, gone);
        wish.hands_off = true;
        check_actions(&d, &wish, true, WHOLE ".nvidia-driverd.nvidia0=195:0", "-.nvidia-driverd.nvidia0");
}
END_TEST

static void add_number(NumberSet *set, unsigned number)
{
        ck_assert_int_eq(number_set_add(set, number), 0);
}

/* nvidia-ctk makes links for capabilities that may come, in /dev or to a driver container's root. */
START_TEST(test_links_of_others)
{
        static const char *const links =
                        "char/245:7>../nvidia-caps/nvidia-cap7 char/245:9>/run/nvidia/driver/dev/nvidia-caps/nvidia-cap9 "
                        "char/245:8>/dev/nvidia-caps/nvidia-cap8 char/1:3>/run/nvidia/driver/dev/null "
                        "char/243:0>/run/nvidia/driver/dev/nvidia-nvswitch0 nvidia-caps/nvidia-cap9=245:9,0.0.444";
        _cleanup_free_ char *present = str_format("%s%s", WHOLE, links);
        _cleanup_(driver_nodes_done) DriverNodes d = full();

        add_number(&d.registered, 195);
        add_number(&d.registered, 245);
        check_actions(&d, &all, true, present,
                        "-char/245:7 -char/245:9 -char/245:8 -nvidia-caps/nvidia-cap9");
        for (unsigned i = 7; i < 10; i++)
                add_number(&d.cap_minors, i);
        check_actions(&d, &all, true, present, "");
        /* Of an earlier load. */
        d.caps_major = 246;
        check_actions(&d, &(NodesetWish){ .remove_only = true }, true, links,
                        "-char/245:7 -char/245:9 -char/245:8 -nvidia-caps/nvidia-cap9");
}
END_TEST

/* When the driver is gone, all links of its numbers are, but those that somebody else's driver has now. */
START_TEST(test_links_left_over)
{
        static const char *const links =
                        "char/195:7>elsewhere char/245:9>/run/nvidia/driver/dev/nvidia-caps/nvidia-cap9 "
                        "char/243:0>/host/x char/242:5>nowhere char/1:3>../null";
        _cleanup_(driver_nodes_done)
                        DriverNodes d = { .rights = NODE_RIGHTS_DEFAULT, .uvm_major = -1, .caps_major = -1 };
        NodesetWish wish = { .remove_only = true };

        add_number(&wish.majors, 245);
        add_number(&wish.majors, 243);
        add_number(&wish.majors, 242);
        /* Nobody knows who has which number. */
        check_actions(&d, &wish, true, "char/195:7>elsewhere char/243:0>/host/x char/1:3>../null", "");
        add_number(&d.registered, 1);
        add_number(&d.registered, 242);
        check_actions(&d, &wish, true, links, "-char/195:7 -char/245:9 -char/243:0");
        wish.hands_off = true;
        check_actions(&d, &wish, true, links, "");
        number_set_done(&wish.majors);
}
END_TEST

/* Only a part is unloaded: nvidia stays for those who hold it. */
START_TEST(test_part_gone)
{
        _cleanup_(driver_nodes_done) DriverNodes d = full();
        const NodesetWish wish = { .uvm = true, .modeset = true, .remove_only = true };

        d.uvm_major = -1;
        d.modeset = false;
        check_actions(&d, &wish, true, WHOLE, "-nvidia-uvm -nvidia-uvm-tools -char/242:0 -char/242:1");
        check_actions(&d, &(NodesetWish){ .remove_only = true }, true, WHOLE,
                        "-nvidia-modeset -nvidia-uvm -nvidia-uvm-tools -char/195:254 -char/242:0 -char/242:1");
}
END_TEST

/* Modules that are there and not wanted: their nodes are somebody's. */
START_TEST(test_not_wanted)
{
        _cleanup_(driver_nodes_done) DriverNodes d = full();
        const NodesetWish wish = { .gpus = gpus };

        check_actions(&d, &wish, true, WHOLE, "");
        d.n_gpus = 1;
        free(d.gpus[1].address);
        check_actions(&d, &wish, true, WHOLE, "-nvidia1 -char/195:1");
        d.lists_gpus = false;
        check_actions(&d, &wish, true, WHOLE, "");
}
END_TEST

/* ModifyDeviceFiles=0 */
START_TEST(test_hands_off)
{
        _cleanup_(driver_nodes_done) DriverNodes d = full();

        d.rights.modify = false;
        for (size_t i = 0; i < d.caps.n; i++)
                d.caps.items[i].rights.modify = false;
        check_actions(&d, &all, true,
                        "nvidia0=1:3 nvidia7=195:7 char/195:7>../nvidia7 nvidiactl=195:255,0.0.600", "");
        check_wanted(&d, &(NodesetWish){},
                        "nvidiactl=195:255 nvidia0=195:0 nvidia1=195:1 nvidia-caps/nvidia-cap1=245:1 "
                        "nvidia-caps/nvidia-cap2=245:2",
                        "");
}
END_TEST

/* On a devtmpfs the kernel makes DRM nodes, elsewhere nobody else does; their rights are udev's either way.
 */
START_TEST(test_drm)
{
        const NodesetWish wish = {};

        for (unsigned i = 0; i < 8; i++) {
                bool devtmpfs = i & 1, settled = i & 2, there = i & 4;
                _cleanup_(driver_nodes_done) DriverNodes d = { .uvm_major = -1, .caps_major = -1 };
                bool made = !devtmpfs || settled;

                add_drm(&d, settled);
                check_actions(&d, &wish, devtmpfs,
                                there ? "dri/card3=226:3,1.2.600 char/226:3>../dri/card3" : "",
                                made && !there ? "+dri/card3=226:3 char/226:3>../dri/card3" : "");
                /* Another maker's card, and one that is dead; connectors and others are none of ours. */
                check_actions(&d, &(NodesetWish){ .remove_only = true }, devtmpfs,
                                "dri/card9=226:9 char/226:9>../dri/card9 dri/card5=226:5 char/226:5>../dri/card5 "
                                "dri/controlD64=226:64 dri/by-path! dri/card7=10:7",
                                "-dri/card5 -char/226:5");
                d.lists_drm = false;
                check_actions(&d, &(NodesetWish){ .remove_only = true }, devtmpfs,
                                "dri/card5=226:5 char/226:5>../dri/card5", "");
        }
}
END_TEST

START_TEST(test_is_ours)
{
        static const char *const ours[] = { "nvidia0", "nvidia15", "nvidiactl", "nvidia-modeset",
                "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1" };
        static const char *const others[] = { "nvidia", "nvidia-", "nvidiax", "nvidia0x", "nvidia-nvlink",
                "null", "dri/card0", "nvidia-caps", "nvidia-caps/nvidia-cap", "nvidia-caps/x", "",
                ".nvidia-driverd.nvidia0", "nvidia99999999999", "char/195:0" };

        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                ck_assert_msg(nodeset_is_ours(ours[i]), "%s", ours[i]);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                ck_assert_msg(!nodeset_is_ours(others[i]), "%s", others[i]);
}
END_TEST

static const struct {
        const char *text;
        NodeRights rights;
} texts[] = {
        { "", { 1, 2, 0600, true } },
        { "DeviceFileUID: 5\nDeviceFileGID: 6\nDeviceFileMode: 438\nModifyDeviceFiles: 1\n",
                        { 5, 6, 0666, true } },
        { "ModifyDeviceFiles: 0", { 1, 2, 0600, false } },
        { "DeviceFileMinor: 1\nDeviceFileMode: 256\nDeviceFileModify: 0\n", { 1, 2, 0400, false } },
        { "DeviceFileModify: 2\n\n\nDeviceFileUID:\t 9 \n", { 9, 2, 0600, true } },
        { "XDeviceFileUID: 5\nDeviceFileUIDs: 5\n DeviceFileUID: 5\nDeviceFileGID 5", { 1, 2, 0600, true } },
        { "DeviceFileMode: 512\nDeviceFileUID: -1\nDeviceFileGID: 4294967295\nModifyDeviceFiles: maybe",
                        { 1, 2, 0600, true } },
        { "DeviceFileUID: 4294967294\nDeviceFileMode: 0x1ff\n", { 4294967294u, 2, 0600, true } },
        { "DeviceFileUID:\n7\nDeviceFileGID: 7 8\nDeviceFileMode:", { 1, 2, 0600, true } },
};

START_TEST(test_rights)
{
        const NodeRights *want = &texts[_i].rights;
        NodeRights got = { 1, 2, 0600, true };

        node_rights_from_string(texts[_i].text, &got);
        ck_assert_uint_eq(got.uid, want->uid);
        ck_assert_uint_eq(got.gid, want->gid);
        ck_assert_uint_eq(got.mode, want->mode);
        ck_assert_int_eq(got.modify, want->modify);
}
END_TEST

START_TEST(test_number)
{
        unsigned n = 77;

        ck_assert(node_number_from_string(
                        "Model: \t\t Tesla\nDevice Minor: \t 3\nx", "Device Minor", 255, &n));
        ck_assert_uint_eq(n, 3);
        ck_assert(!node_number_from_string("Device Minor: \t 300", "Device Minor", 255, &n));
        ck_assert(!node_number_from_string("Device Minor: ", "Device Minor", 255, &n));
        ck_assert(!node_number_from_string("The Device Minor: 4", "Device Minor", 255, &n));
        ck_assert_uint_eq(n, 3);
}
END_TEST

UNIT_MAIN("nodeset", UNIT_TEST(test_wanted), UNIT_TEST(test_wanted_and_not_offered),
                UNIT_LOOP(test_table, ELEMENTSOF(tables)), UNIT_LOOP(test_one, ELEMENTSOF(one)),
                UNIT_TEST(test_driver_gone), UNIT_TEST(test_part_gone), UNIT_TEST(test_not_wanted),
                UNIT_TEST(test_hands_off), UNIT_TEST(test_drm), UNIT_TEST(test_is_ours),
                UNIT_TEST(test_links_of_others), UNIT_TEST(test_links_left_over),
                UNIT_LOOP(test_rights, ELEMENTSOF(texts)), UNIT_TEST(test_number))
