/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two orders, from two sources that must not be mixed up.
 *
 * In: from what the files say. A module's "depends" names whose symbols it
 * links against; the kernel refuses it with ENOENT if they are not there. The
 * walk is depth first in the wanted order, so a set that is already in a right
 * order comes back unchanged.
 *
 * Out: from what the kernel says, /sys/module/NAME/holders. The files may be of
 * another build than the modules that are loaded, or somebody else's.
 *
 * A module's refcnt counts one for each module that links against it (exactly
 * those in holders/: kernel/module/main.c, add_module_usage()) and one for each
 * other user, such as an open file. So refcnt minus the holders is the real
 * use; "nvidia 2" with nvidia_uvm and nvidia_modeset as holders is not busy.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/modorder.h"

/* The depth-first walk over a graph whose edges come from a callback. */
typedef enum Mark { MARK_NEW, MARK_OPEN, MARK_CLOSED } Mark;

typedef struct Walk {
        const char **names;
        Mark *marks;
        size_t n;
        char *const *(*edges)(const void *userdata, size_t i);
        const void *userdata;
        char **order;
        char **trail; /* from the root of the walk to where we are */
} Walk;

static void walk_done(Walk *w)
{
        free(w->names);
        free(w->marks);
        strv_free(w->order);
        strv_free(w->trail);
}

static int walk_init(Walk *w, size_t n)
{
        w->n = n;
        w->names = calloc(n + 1, sizeof(*w->names));
        w->marks = calloc(n + 1, sizeof(*w->marks));
        return w->names && w->marks ? 0 : err_origin(-ENOMEM);
}

static size_t walk_find(const Walk *w, const char *name)
{
        size_t i;

        for (i = 0; i < w->n; i++)
                if (modname_eq(w->names[i], name))
                        break;
        return i;
}

static void trail_pop(char **trail)
{
        size_t n = strv_length(trail);

        free(trail[n - 1]);
        trail[n - 1] = NULL;
}

static int walk_visit(Walk *w, size_t i)
{
        int r;

        if (w->marks[i] == MARK_CLOSED)
                return 0;

        r = strv_push(&w->trail, w->names[i]);
        if (r)
                return err_trace(r);
        if (w->marks[i] == MARK_OPEN)
                return MODORDER_E_CYCLE;
        w->marks[i] = MARK_OPEN;

        STRV_FOREACH (name, w->edges(w->userdata, i)) {
                size_t next = walk_find(w, *name);

                if (next == w->n)
                        continue;
                r = walk_visit(w, next);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        }

        w->marks[i] = MARK_CLOSED;
        trail_pop(w->trail);
        r = strv_push(&w->order, w->names[i]);
        return r ? err_trace(r) : 0;
}

static int walk_all(Walk *w)
{
        for (size_t i = 0; i < w->n; i++) {
                int r = walk_visit(w, i);

                if (r)
                        return r < 0 ? err_trace(r) : r;
        }
        return 0;
}

/* The trail ends with a name that it already has: the circle begins there. */
static int walk_cycle(const Walk *w, char **ret)
{
        size_t n = strv_length(w->trail), start = 0;
        char *text;

        while (start + 1 < n && !streq(w->trail[start], w->trail[n - 1]))
                start++;
        text = strv_join(w->trail + start, " -> ");
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

static char *const *want_edges(const void *userdata, size_t i)
{
        const ModorderWant *wants = userdata;

        return wants[i].depends;
}

int modorder_load(const ModorderWant *wants, size_t n, char ***ret_order, char **reterr_cycle)
{
        _cleanup_(walk_done) Walk w = { .edges = want_edges, .userdata = wants };
        int r;

        r = walk_init(&w, n);
        if (r)
                return err_trace(r);
        for (size_t i = 0; i < n; i++)
                w.names[i] = wants[i].name;

        r = walk_all(&w);
        if (r < 0)
                return err_trace(r);
        if (r == MODORDER_E_CYCLE) {
                r = walk_cycle(&w, reterr_cycle);
                return r ? err_trace(r) : MODORDER_E_CYCLE;
        }

        *ret_order = TAKE_PTR(w.order);
        return 0;
}

static bool names_contain(char *const *names, const char *name)
{
        STRV_FOREACH (s, names) {
                if (modname_eq(*s, name))
                        return true;
        }
        return false;
}

static bool wants_contain(const ModorderWant *wants, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (modname_eq(wants[i].name, name))
                        return true;
        return false;
}

int modorder_prerequisites(const ModorderWant *wants, size_t n, char ***ret)
{
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < n; i++)
                STRV_FOREACH (d, wants[i].depends) {
                        int r;

                        if (wants_contain(wants, n, *d) || names_contain(names, *d))
                                continue;
                        r = strv_push(&names, *d);
                        if (r)
                                return err_trace(r);
                }

        *ret = TAKE_PTR(names);
        return 0;
}

bool modorder_goes_aside(const ModorderWant *wants, size_t n, const char *name, size_t n_left)
{
        for (size_t i = 0; i < n; i++)
                if (names_contain(wants[i].depends, name))
                        return false;
        return n_left >= 3;
}

static void module_use_done(ModuleUse *u)
{
        free(u->name);
        strv_free(u->holders);
        *u = (ModuleUse){};
}

void module_uses_done(ModuleUses *u)
{
        for (size_t i = 0; i < u->n; i++)
                module_use_done(&u->items[i]);
        free(u->items);
        *u = (ModuleUses){};
}

static int module_uses_add(ModuleUses *u, ModuleUse *use)
{
        ModuleUse *grown = reallocarray(u->items, u->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        u->items = grown;
        u->items[u->n++] = *use;
        *use = (ModuleUse){};
        return 0;
}

/* The holders and the count are read one after the other, so they may disagree by a module or two. */
static int real_users(const ModuleFact *m)
{
        int holders = (int)strv_length(m->holders);

        if (m->refcnt < 0)
                return -1;
        return MAX(m->refcnt - holders, 0);
}

static int read_use(const ModuleFact *m, char *const *removable, ModuleUse *ret)
{
        ModuleUse use = { .users = real_users(m) };
        int r;

        r = str_replace(&use.name, m->name);
        STRV_FOREACH (h, m->holders) {
                if (r == 0 && !names_contain(removable, *h))
                        r = strv_push(&use.holders, *h);
        }
        if (r) {
                module_use_done(&use);
                return err_trace(r);
        }

        *ret = use;
        return 0;
}

int modorder_uses(const ModuleFacts *facts, char *const *removable, ModuleUses *ret)
{
        ModuleUses uses = {};

        STRV_FOREACH (name, removable) {
                const ModuleFact *m = module_facts_find(facts, *name);
                ModuleUse use = {};
                int r;

                if (!m || m->state != MOD_LIVE)
                        continue;
                r = read_use(m, removable, &use);
                if (r == 0 && (use.users != 0 || use.holders))
                        r = module_uses_add(&uses, &use);
                module_use_done(&use);
                if (r) {
                        module_uses_done(&uses);
                        return err_trace(r);
                }
        }

        *ret = uses;
        return 0;
}

int modorder_next_to_unload(const ModuleFacts *facts, char *const *removable, const char **ret_name)
{
        bool left = false, moving = false;

        for (size_t i = strv_length(removable); i-- > 0;) {
                const ModuleFact *m = module_facts_find(facts, removable[i]);

                if (!m || m->state == MOD_ABSENT || m->state == MOD_BUILTIN)
                        continue;
                left = true;
                moving = moving || m->state != MOD_LIVE;
                if (m->state == MOD_LIVE && m->refcnt == 0 && !m->holders) {
                        *ret_name = m->name;
                        return 0;
                }
        }

        if (!left)
                return MODORDER_E_DONE;
        return moving ? MODORDER_E_WAITING : MODORDER_E_HELD;
}

static char *const *holder_edges(const void *userdata, size_t i)
{
        const ModuleFact *const *modules = userdata;

        return modules[i]->holders;
}

int modorder_unload(const ModuleFacts *facts, char *const *removable, char ***ret_order)
{
        _cleanup_(walk_done) Walk w = { .edges = holder_edges };
        _cleanup_free_ const ModuleFact **modules = NULL;
        size_t n = 0;
        int r;

        modules = calloc(strv_length(removable) + 1, sizeof(*modules));
        if (!modules)
                return err_origin(-ENOMEM);
        for (size_t i = strv_length(removable); i-- > 0;) {
                const ModuleFact *m = module_facts_find(facts, removable[i]);

                if (m && m->state != MOD_ABSENT && m->state != MOD_BUILTIN)
                        modules[n++] = m;
        }

        r = walk_init(&w, n);
        if (r)
                return err_trace(r);
        w.userdata = modules;
        for (size_t i = 0; i < n; i++)
                w.names[i] = modules[i]->name;

        r = walk_all(&w);
        if (r)
                return r < 0 ? err_trace(r) : r;
        *ret_order = TAKE_PTR(w.order);
        return 0;
}
