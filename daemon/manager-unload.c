/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driver unload: the daemon's own way out of the kernel, for a driver
 * that an earlier daemon had to leave. The machine is stopped where it starts,
 * so all that runs is STOPPING and UNLOAD.
 */

#include "base/result.h"
#include "base/str.h"
#include "loaded.h"
#include "manager.h"
#include "sys/sysmod.h"

/* True if the driver is there and somebody else's, or of a kernel that never unloads it. */
static bool is_left(Manager *m)
{
        ModuleFact nvidia = {};
        bool there;

        there = sysmod_read(m->root, "nvidia", &nvidia) == 0 && nvidia.state != MOD_ABSENT;
        module_fact_done(&nvidia);
        return there;
}

int manager_run_unload(Manager *m)
{
        int r;

        r = loaded_read(m->root, &m->owned);
        if (r < 0)
                return err_trace(r);
        if (!m->owned && is_left(m)) {
                log_code(m->log, LOG_ERR, CODE_FOREIGN_DRIVER,
                                "It was not loaded by this program, and is left.");
                m->exit_code = CODE_FOREIGN_DRIVER;
                return 0;
        }
        m->unloading = true;
        m->node_work.used = true;
        r = manager_run(m);
        if (r == 0 && m->exit_code == CODE_OK && m->kept)
                m->exit_code = CODE_UNLOAD_FAILED;
        return err_trace(r);
}
