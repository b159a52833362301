/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/busy.h"
#include "policy/modorder.h"

static const char *const driver[] = { "nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm" };

void busy_done(Busy *b)
{
        strv_free(b->remarks);
        *b = (Busy){};
}

static int judge_use(const ModuleUse *use, bool seen, Busy *b)
{
        _cleanup_free_ char *names = NULL;
        int r = 0;

        if (use->holders) {
                b->busy = true;
                names = strv_join(use->holders, ", ");
                r = names ? strv_pushf(&b->remarks, "Module %s is held by module %s.", use->name, names)
                          : err_origin(-ENOMEM);
        }
        /* Which module a process's node counts for is the driver's affair: if there is one, nothing is
         * inferred. */
        if (r == 0 && use->users > 0 && !seen) {
                b->busy = true;
                r = strv_pushf(&b->remarks,
                                "Module %s is in use (%d), but by no process that can be seen: by one of another pid "
                                "namespace, or by the kernel itself.",
                                use->name, use->users);
        }
        return err_trace(r);
}

static int judge_modules(const ModuleFacts *modules, char *const *owned, bool seen, Busy *b)
{
        _cleanup_strv_ char **names = NULL;
        ModuleUses uses = {};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(driver); i++)
                r = strv_push(&names, driver[i]);
        STRV_FOREACH (name, owned)
                if (r == 0 && !strv_contains(names, *name))
                        r = strv_push(&names, *name);
        if (r == 0)
                r = modorder_uses(modules, names, &uses);
        for (size_t i = 0; r == 0 && i < uses.n; i++)
                r = judge_use(&uses.items[i], seen, b);
        module_uses_done(&uses);
        return err_trace(r);
}

int busy_judge(const Holders *holders, const ModuleFacts *modules, char *const *owned, Busy *ret)
{
        _cleanup_(busy_done) Busy b = { .busy = holders->n > 0 };
        int r;

        r = judge_modules(modules, owned, holders->n > 0, &b);
        if (r == 0 && holders->n_unreadable > 0)
                r = strv_pushf(&b.remarks, "%u of %u processes could not be looked into.",
                                holders->n_unreadable, holders->n_processes);
        if (r == 0 && holders->incomplete)
                r = strv_push(&b.remarks, "The search was cut off; there may be more.");
        if (r)
                return err_trace(r);
        *ret = b;
        b = (Busy){};
        return 0;
}
