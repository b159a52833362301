/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A list of holders: kept flat, one entry per process and node, because that is
 * how it is found, sent and printed; put into words one line per process.
 */

#include <inttypes.h>

#include "base/result.h"
#include "base/str.h"
#include "policy/holder.h"

enum {
        NODES_SHOWN = 8, /* a training job has every GPU of the machine open */
        ID_SHOWN = 12,   /* of a container, as docker and crictl print and take it */
};

const char *holder_kind_to_string(HolderKind kind)
{
        switch (kind) {
        case HOLDER_FD:
                return "fd";
        case HOLDER_MAPPING:
                return "mapping";
        case _HOLDER_KIND_MAX:
        case _HOLDER_KIND_INVALID:
                break;
        }
        return "invalid";
}

HolderKind holder_kind_from_string(const char *name)
{
        for (HolderKind k = 0; k < _HOLDER_KIND_MAX; k++)
                if (streq(holder_kind_to_string(k), name))
                        return k;
        return _HOLDER_KIND_INVALID;
}

void holder_home_done(HolderHome *h)
{
        free(h->unit);
        free(h->container);
        free(h->pod);
        *h = (HolderHome){};
}

void holder_done(Holder *h)
{
        free(h->user);
        free(h->command);
        holder_home_done(&h->home);
        free(h->node);
        *h = (Holder){};
}

int holder_copy(const Holder *h, Holder *ret)
{
        Holder copy = { .pid = h->pid, .start = h->start, .uid = h->uid, .kind = h->kind, .fd = h->fd };
        int r;

        r = str_replace(&copy.user, h->user);
        if (r == 0)
                r = str_replace(&copy.command, h->command);
        if (r == 0)
                r = str_replace(&copy.home.unit, h->home.unit);
        if (r == 0)
                r = str_replace(&copy.home.container, h->home.container);
        if (r == 0)
                r = str_replace(&copy.home.pod, h->home.pod);
        if (r == 0)
                r = str_replace(&copy.node, h->node);
        if (r) {
                holder_done(&copy);
                return err_trace(r);
        }
        *ret = copy;
        return 0;
}

void holders_done(Holders *l)
{
        for (size_t i = 0; i < l->n; i++)
                holder_done(&l->items[i]);
        free(l->items);
        *l = (Holders){};
}

int holders_add(Holders *l, Holder *h)
{
        if (l->n == HOLDERS_MAX) {
                l->incomplete = true;
                holder_done(h);
                return 0;
        }
        /* Room is doubled whenever their number is a power of two: there may be thousands. */
        if ((l->n & (l->n - 1)) == 0) {
                Holder *grown = reallocarray(l->items, l->n > 0 ? l->n * 2 : 1, sizeof(*grown));

                if (!grown)
                        return err_origin(-ENOMEM);
                l->items = grown;
        }
        l->items[l->n++] = *h;
        *h = (Holder){};
        return 0;
}

int holders_add_user(Holders *l, uid_t uid, const char *user)
{
        for (size_t i = 0; i < l->n; i++) {
                int r = l->items[i].uid == uid ? str_replace(&l->items[i].user, user) : 0;

                if (r)
                        return err_trace(r);
        }
        return 0;
}

#define ORDER(a, b)                                                                                         \
        if ((a) != (b))                                                                                     \
        return (a) < (b) ? -1 : 1

static bool same_process(const Holder *a, const Holder *b)
{
        return a->pid == b->pid && a->start == b->start;
}

/* A node's own order is that of its name, with numbers as numbers: nvidia2 before nvidia10. */
static int compare(const void *x, const void *y)
{
        const Holder *a = x, *b = y;
        int c;

        ORDER(a->pid, b->pid);
        ORDER(a->start, b->start);
        c = strverscmp(a->node, b->node);
        if (c)
                return c;
        ORDER(a->kind, b->kind);
        ORDER(a->fd, b->fd);
        return 0;
}

void holders_arrange(Holders *l)
{
        size_t n = 0;

        if (l->n > 0)
                qsort(l->items, l->n, sizeof(*l->items), compare);
        for (size_t i = 0; i < l->n; i++) {
                Holder *h = &l->items[i], *last = n > 0 ? &l->items[n - 1] : NULL;

                if (last && same_process(last, h) && streq(last->node, h->node)) {
                        holder_done(h);
                } else if (n++ < i) {
                        l->items[n - 1] = *h;
                        *h = (Holder){};
                }
        }
        l->n = n;
}

char *holder_home_describe(const HolderHome *h)
{
        if (h->pod && h->container)
                return str_format("pod:%s/%.*s", h->pod, ID_SHOWN, h->container);
        if (h->pod)
                return str_format("pod:%s", h->pod);
        if (h->container)
                return str_format("container:%.*s", ID_SHOWN, h->container);
        return strdup(h->unit ? h->unit : "-");
}

/* The nodes of the process that begins at *@at, which is moved behind it. */
static int describe_nodes(const Holders *l, size_t *at, char ***ret)
{
        const Holder *first = &l->items[*at];
        size_t n = 0;
        int r = 0;

        for (; *at < l->n && same_process(first, &l->items[*at]); (*at)++) {
                const Holder *h = &l->items[*at];

                if (n++ >= NODES_SHOWN)
                        continue;
                r = h->kind == HOLDER_FD ? strv_pushf(ret, "%s fd %d", h->node, h->fd)
                                         : strv_pushf(ret, "%s mapped", h->node);
                if (r)
                        return err_trace(r);
        }
        if (n > NODES_SHOWN)
                r = strv_pushf(ret, "%zu more", n - NODES_SHOWN);
        return err_trace(r);
}

static int describe_process(const Holders *l, size_t *at, char ***lines)
{
        const Holder *h = &l->items[*at];
        _cleanup_strv_ char **parts = NULL;
        _cleanup_free_ char *home = NULL, *text = NULL;
        int r = 0;

        if (h->home.pod || h->home.container || h->home.unit) {
                home = holder_home_describe(&h->home);
                r = home ? strv_push(&parts, home) : err_origin(-ENOMEM);
        }
        if (r == 0)
                r = describe_nodes(l, at, &parts);
        if (r)
                return err_trace(r);

        text = strv_join(parts, ", ");
        if (!text)
                return err_origin(-ENOMEM);
        if (h->user)
                return err_trace(strv_pushf(lines, "%s[%" PRIi32 "] of %s (%s)", strna(h->command),
                                (int32_t)h->pid, h->user, text));
        return err_trace(strv_pushf(lines, "%s[%" PRIi32 "] of uid %" PRIu32 " (%s)", strna(h->command),
                        (int32_t)h->pid, (uint32_t)h->uid, text));
}

int holders_describe(const Holders *l, char ***ret_lines)
{
        _cleanup_strv_ char **lines = NULL;

        for (size_t i = 0; i < l->n;) {
                int r = describe_process(l, &i, &lines);

                if (r)
                        return err_trace(r);
        }
        *ret_lines = TAKE_PTR(lines);
        return 0;
}
