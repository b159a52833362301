/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every container runtime names its cgroups in its own way, and each of them in
 * two, for systemd and for bare cgroupfs. What they agree on is all that is
 * relied on here: the container's id is 64 hex digits at the end of a component
 * (docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope, ID;
 * SLICE:cri-containerd:ID where the two ways were mixed up), and a pod's uid
 * stands behind "pod", with '_' for '-' in the name of a slice.
 *
 * Containers may be inside of containers (kind, docker in a pod). The innermost
 * is what the person calls theirs, so the last component wins. The unit is the
 * one systemd on this host knows, which is the first that is no slice; below a
 * user's manager it is the user's unit.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/cgroup.h"

enum {
        ID_LENGTH = 64,
        UUID_LENGTH = 36,
        HASH_LENGTH = 32, /* a static pod's uid is a hash of its file */
};

#define HEX "0123456789abcdef"

static const char *const unit_suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

static bool endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n > m && streq(s + n - m, suffix);
}

static bool is_unit(const char *component)
{
        for (size_t i = 0; i < ELEMENTSOF(unit_suffixes); i++)
                if (endswith(component, unit_suffixes[i]))
                        return true;
        return false;
}

/* What would clash with a file of the kernel's in a cgroup's directory, systemd hides behind a '_'. */
static const char *unescape(const char *component)
{
        return *component == '_' ? component + 1 : component;
}

static int take_unit(char *const *components, HolderHome *home)
{
        const char *unit = NULL;

        STRV_FOREACH (c, components) {
                const char *name = unescape(*c);

                if (streq(name, "..") || endswith(name, ".slice"))
                        continue;
                if (!is_unit(name))
                        break;
                unit = name;
                if (!startswith(name, "user@"))
                        break;
        }
        return unit ? err_trace(str_replace(&home->unit, unit)) : 0;
}

/* LXC has names, and puts them into lxc.payload.NAME or, formerly, lxc/NAME. */
static const char *lxc_name(const char *component, const char *previous)
{
        const char *name = startswith(component, "lxc.payload.");

        if (name)
                return *name ? name : NULL;
        return previous && (streq(previous, "lxc") || streq(previous, "lxc.payload")) ? component : NULL;
}

static int take_container(const char *component, const char *previous, HolderHome *home)
{
        size_t n = strlen(component) - (endswith(component, ".scope") ? strlen(".scope") : 0);
        const char *id = n >= ID_LENGTH ? component + n - ID_LENGTH : NULL, *lxc;
        _cleanup_free_ char *copy = NULL;

        /* Before the id comes nothing, or the runtime's name and a separator; conmon is only the guard
         * outside. */
        if (id && strspn(id, HEX) == ID_LENGTH && (id == component || id[-1] == '-' || id[-1] == ':') &&
                        !strstr(component, "conmon-")) {
                copy = strndup(id, ID_LENGTH);
                return copy ? err_trace(str_replace(&home->container, copy)) : err_origin(-ENOMEM);
        }
        lxc = lxc_name(component, previous);
        return lxc ? err_trace(str_replace(&home->container, lxc)) : 0;
}

static bool is_uuid(const char *s)
{
        for (size_t i = 0; i < UUID_LENGTH; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? s[i] != '-' && s[i] != '_' : !s[i] || !strchr(HEX, s[i]))
                        return false;
        }
        return true;
}

/* The length of the pod uid that @s begins with and that ends there, or 0. */
static size_t uid_length(const char *s)
{
        size_t n = is_uuid(s) ? UUID_LENGTH : strspn(s, HEX) == HASH_LENGTH ? HASH_LENGTH : 0;

        return n > 0 && (!s[n] || s[n] == ':' || startswith(s + n, ".slice")) ? n : 0;
}

static int take_pod(const char *component, HolderHome *home)
{
        for (const char *p = component; (p = strstr(p, "pod")); p++) {
                size_t n = p == component || p[-1] == '-' ? uid_length(p + strlen("pod")) : 0;
                _cleanup_free_ char *uid = NULL;

                if (n == 0)
                        continue;
                uid = strndup(p + strlen("pod"), n);
                if (!uid)
                        return err_origin(-ENOMEM);
                for (char *c = uid; *c; c++)
                        if (*c == '_')
                                *c = '-';
                return err_trace(str_replace(&home->pod, uid));
        }
        return 0;
}

static int parse_path(const char *path, HolderHome *home)
{
        _cleanup_strv_ char **components = NULL;
        const char *previous = NULL;
        int r;

        r = strv_split(path, "/", &components);
        if (r == 0)
                r = take_unit(components, home);
        STRV_FOREACH (c, components) {
                if (r == 0)
                        r = take_container(*c, previous, home);
                if (r == 0)
                        r = take_pod(*c, home);
                previous = *c;
        }
        return err_trace(r);
}

/* Later ones fill in what the earlier ones left open. */
static void merge(HolderHome *into, HolderHome *from)
{
        if (!into->unit)
                into->unit = TAKE_PTR(from->unit);
        if (!into->container)
                into->container = TAKE_PTR(from->container);
        if (!into->pod)
                into->pod = TAKE_PTR(from->pod);
}

/* "0::PATH" or "NUMBER:CONTROLLERS:PATH"; a path may have colons of its own. */
static int parse_line(char *line, bool of_systemd, HolderHome *home)
{
        _cleanup_(holder_home_done) HolderHome found = {};
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        bool named;
        int r;

        if (!path || path[1] != '/')
                return 0;
        *path++ = '\0';
        named = streq(controllers, ":name=systemd") || streq(line, "0:");
        if (endswith(path, " (deleted)"))
                path[strlen(path) - strlen(" (deleted)")] = '\0';

        r = named == of_systemd ? parse_path(path, &found) : 0;
        if (r)
                return err_trace(r);
        merge(home, &found);
        return 0;
}

int cgroup_parse(const char *text, HolderHome *ret)
{
        _cleanup_(holder_home_done) HolderHome home = {};

        /* The hierarchies that systemd keeps come first: others may be those of a container's parent. */
        for (int of_systemd = 1; of_systemd >= 0; of_systemd--) {
                _cleanup_strv_ char **lines = NULL;
                int r = strv_split_lines(text, &lines);

                STRV_FOREACH (line, lines)
                        if (r == 0)
                                r = parse_line(*line, of_systemd, &home);
                if (r)
                        return err_trace(r);
        }
        *ret = home;
        home = (HolderHome){};
        return 0;
}
