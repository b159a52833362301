/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One entry per GPU, number and kind. The table is small on purpose: a kernel
 * that prints nonsense about more GPUs than fit must not cost memory, and the
 * gravest entries are the last to be overwritten.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/gpufault.h"

enum { DETAIL_MAX = 8 }; /* faults that are named, the others are counted */

/* A message that names the GPU and the ones that speak of it are printed in one go. */
#define NAMED_INTERVAL USEC_PER_SEC

static usec_t later(usec_t when, usec_t span)
{
        return span > USEC_INFINITY - when ? USEC_INFINITY : when + span;
}

static void drop(GpuFaults *f, size_t i)
{
        f->items[i] = f->items[--f->n];
}

static void drop_address(GpuFaults *f, const char *address)
{
        for (size_t i = f->n; i > 0; i--)
                if (streq(f->items[i - 1].event.address, address))
                        drop(f, i - 1);
}

static GpuFault *find(GpuFaults *f, const XidEvent *e)
{
        for (size_t i = 0; i < f->n; i++)
                if (f->items[i].event.kind == e->kind && f->items[i].event.number == e->number &&
                                streq(f->items[i].event.address, e->address))
                        return &f->items[i];
        return NULL;
}

/* The least grave entry, the oldest among these: it has to go when the table is full. */
static GpuFault *find_least(GpuFaults *f)
{
        GpuFault *least = &f->items[0];

        for (size_t i = 1; i < f->n; i++) {
                GpuFault *g = &f->items[i];

                if (g->event.kind < least->event.kind ||
                                (g->event.kind == least->event.kind && g->last < least->last))
                        least = g;
        }
        return least;
}

static GpuFault *add(GpuFaults *f, const XidEvent *e)
{
        GpuFault *g;

        if (f->n < GPU_FAULTS_MAX) {
                g = &f->items[f->n++];
        } else {
                g = find_least(f);
                if (g->event.kind > e->kind)
                        return NULL;
        }
        *g = (GpuFault){ .event = *e };
        return g;
}

/* A line without an address may belong to the one before. */
static void complete(const GpuFaults *f, XidEvent *e, usec_t now)
{
        if (!*e->address && *f->named && now <= later(f->named_at, NAMED_INTERVAL))
                memcpy(e->address, f->named, sizeof(e->address));
}

static bool count(GpuFaults *f, const XidEvent *event, usec_t now)
{
        XidEvent e = *event;
        GpuFault *g;

        complete(f, &e, now);
        /* The driver names a GPU that it finds lost. */
        if (e.kind == XID_LOST && !*e.address)
                return false;
        g = find(f, &e);
        if (!g)
                g = add(f, &e);
        if (!g)
                return false;
        g->event = e;
        g->asked = false;
        g->last = MAX(g->last, now);
        if (g->unsaid < UINT32_MAX)
                g->unsaid++;
        return true;
}

bool gpu_faults_note(GpuFaults *f, const XidEvent *event, usec_t now)
{
        bool changed = f->n > 0;

        if (event->stamp < f->quoted_until)
                return false;
        switch (event->kind) {
        case XID_LOADED:
                *f = (GpuFaults){};
                return changed;
        case XID_ADDED:
                drop_address(f, event->address);
                return changed;
        case XID_NAMED:
                memcpy(f->named, event->address, sizeof(f->named));
                f->named_at = now;
                return false;
        case XID_QUOTES:
                f->quoted_until = later(event->stamp, NAMED_INTERVAL);
                return false;
        case XID_APPLICATION:
        case XID_NOTICE:
        case XID_FAULT:
        case XID_LOST:
                return count(f, event, now);
        case XID_NONE:
        case _XID_KIND_MAX:
        case _XID_KIND_INVALID:
                break;
        }
        return false;
}

/* Whether it counts as @kind. One that was never asked is of no kind yet. */
static bool is_kind(const GpuFault *g, XidKind kind)
{
        if (g->event.kind != XID_LOST)
                return g->event.kind == kind;
        return g->answers ? kind == XID_FAULT : g->known && kind == XID_LOST;
}

const char *gpu_faults_unasked(const GpuFaults *f)
{
        for (size_t i = 0; i < f->n; i++)
                if (f->items[i].event.kind == XID_LOST && !f->items[i].asked)
                        return f->items[i].event.address;
        return NULL;
}

bool gpu_faults_answered(GpuFaults *f, const char *address, bool answers)
{
        bool changed = false;

        for (size_t i = 0; i < f->n; i++) {
                GpuFault *g = &f->items[i];

                if (g->event.kind != XID_LOST || !streq(g->event.address, address))
                        continue;
                changed = changed || !g->known || g->answers != answers;
                g->asked = g->known = true;
                g->answers = answers;
        }
        return changed;
}

static usec_t report_due(const GpuFault *g)
{
        if (g->unsaid == 0)
                return USEC_INFINITY;
        return g->said == 0 ? 0 : later(g->said, GPU_FAULT_REPORT_INTERVAL);
}

bool gpu_faults_report(GpuFaults *f, usec_t now, GpuFault *ret, unsigned *ret_count)
{
        for (size_t i = 0; i < f->n; i++) {
                GpuFault *g = &f->items[i];

                if (report_due(g) > now)
                        continue;
                *ret = *g;
                *ret_count = g->unsaid;
                g->unsaid = 0;
                g->said = MAX(now, (usec_t)1);
                return true;
        }
        return false;
}

void gpu_faults_hush(GpuFaults *f, usec_t now)
{
        for (size_t i = 0; i < f->n; i++) {
                f->items[i].unsaid = 0;
                f->items[i].said = MAX(now, (usec_t)1);
        }
}

static bool is_bound(const GpuFacts *gpus, const char *address)
{
        for (size_t i = 0; i < gpus->n; i++) {
                const GpuFact *g = &gpus->items[i];

                /* Who cannot be named may be any of them. */
                if (g->driver && streq(g->driver, "nvidia") && (!*address || streq(g->address, address)))
                        return true;
        }
        return false;
}

/* When an entry is over by itself. What is only counted lives as long as it is counted. */
static usec_t heal_due(const GpuFault *g, usec_t quiet)
{
        if (g->event.kind == XID_LOST && !g->answers)
                return USEC_INFINITY;
        if (g->event.kind >= XID_FAULT)
                return later(g->last, quiet);
        return g->unsaid > 0 ? USEC_INFINITY : later(g->last, GPU_FAULT_REPORT_INTERVAL);
}

void gpu_faults_heal(GpuFaults *f, const GpuFacts *gpus, usec_t quiet, usec_t now)
{
        for (size_t i = f->n; i > 0; i--) {
                const GpuFault *g = &f->items[i - 1];

                if (heal_due(g, quiet) <= now || !is_bound(gpus, g->event.address))
                        drop(f, i - 1);
        }
}

usec_t gpu_faults_due(const GpuFaults *f, usec_t quiet, usec_t now)
{
        usec_t due = USEC_INFINITY;

        for (size_t i = 0; i < f->n; i++) {
                const GpuFault *g = &f->items[i];

                due = MIN(due, MIN(report_due(g), heal_due(g, quiet)));
                if (g->event.kind >= XID_FAULT)
                        due = MIN(due, later(now, GPU_FAULT_LOOK_INTERVAL));
        }
        return due;
}

static char *describe(const GpuFault *g)
{
        _cleanup_free_ char *what = xid_describe(g->event.number, g->event.text);

        return what ? str_format("%s%s: %s", *g->event.address ? "GPU " : "A GPU", g->event.address, what)
                    : NULL;
}

/* Appends the faults of one kind, up to DETAIL_MAX in all. */
static int describe_kind(const GpuFaults *f, XidKind kind, char ***list, size_t *n_more)
{
        int r;

        for (size_t i = 0; i < f->n; i++) {
                if (!is_kind(&f->items[i], kind))
                        continue;
                if (strv_length(*list) >= DETAIL_MAX) {
                        (*n_more)++;
                        continue;
                }
                r = strv_push_consume(list, describe(&f->items[i]));
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int gpu_faults_judge(const GpuFaults *f, Code *ret_code, char **ret_detail)
{
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *joined = NULL, *detail = NULL;
        size_t n_more = 0;
        Code code;
        int r;

        r = describe_kind(f, XID_LOST, &list, &n_more);
        code = list ? CODE_GPU_LOST : CODE_GPU_ERROR;
        if (r == 0)
                r = describe_kind(f, XID_FAULT, &list, &n_more);
        if (r)
                return err_trace(r);

        if (list) {
                joined = strv_join(list, "; ");
                if (joined)
                        detail = n_more ? str_format("%s; and %zu more.", joined, n_more)
                                        : str_format("%s.", joined);
                if (!detail)
                        return err_origin(-ENOMEM);
        }
        *ret_code = list ? code : CODE_OK;
        *ret_detail = TAKE_PTR(detail);
        return 0;
}

int gpu_faults_veto(const GpuFaults *f, const GpuFacts *gpus, char ***ret_addresses)
{
        _cleanup_strv_ char **addresses = NULL;
        int r;

        for (size_t i = 0; i < f->n; i++) {
                const GpuFault *g = &f->items[i];
                const char *address = g->event.address;

                if (g->event.kind != XID_LOST || g->answers || !is_bound(gpus, address) ||
                                strv_contains(addresses, address))
                        continue;
                r = strv_push(&addresses, address);
                if (r)
                        return err_trace(r);
        }
        *ret_addresses = TAKE_PTR(addresses);
        return 0;
}
