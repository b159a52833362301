/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd-helper: one kernel operation per run, the kind that may block
 * or hang, so that the daemon never does. It is started by the daemon, not by
 * people.
 *
 * A process inside finit_module(2) or delete_module(2) cannot be killed until
 * the kernel is done (measured: seconds), and a process with a thread stuck in
 * there cannot exit either. That is why this is a program and not a thread.
 * It is linked statically where that is possible: it runs once per module, and
 * resolving shared libraries was the larger part of a run. For the same reason
 * the build is compared with its manifest by this program.
 */

#include "helper.h"

int main(int argc, char **argv)
{
        static const HelperOperation operations[] = {
                { "insert", 1, "FILE [PARAMETERS]", helper_insert },
                { "delete", 1, "MODULE", helper_delete },
                { "unbind", 3, "ROOT DRIVER ADDRESS", helper_unbind },
                { "override", 3, "ROOT DRIVER ADDRESS...", helper_override },
                { "answers", 2, "ROOT ADDRESS", helper_answers },
                { "nodes", 1, "ROOT [uvm] [modeset] [host] [remove] [hands-off] [gpu=ADDRESS]...",
                                helper_nodes },
                { "verify", 1, "DIRECTORY [FILE SIZE XXH64]...", helper_verify },
        };

        return helper_main("nvidia-driverd-helper", operations, ELEMENTSOF(operations), argc, argv);
}
