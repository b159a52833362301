/* SPDX-License-Identifier: Apache-2.0 */

#include "toolroot.h"

int main(int argc, char **argv)
{
        static const HelperOperation operations[] = {
                { "open", 4, "ROOT SOURCE DIRECTORY " TOOLROOT_CONTAINER "|" TOOLROOT_ANY, toolroot_open },
                { "run", 4, "PID DIRECTORY [ro:PATH|rw:PATH]... -- PROGRAM ARGUMENT...", toolroot_run },
        };

        return helper_main("nvidia-driverd-toolchain", operations, ELEMENTSOF(operations), argc, argv);
}
