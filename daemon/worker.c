/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nvidia-driverd-worker: what takes time on disk (digests, fsync, signatures,
 * copying, removing trees) or in /proc (who holds the driver), and
 * the host's own modules, which libkmod finds and inserts. A program of its own beside the helper, because
 * it needs libraries and the helper must start at once.
 */

#include "helper.h"

int main(int argc, char **argv)
{
        static const HelperOperation operations[] = {
                { "check", 2, "DIRECTORY TREE [ROOT-OF-TREE]", worker_check },
                { "firmware", 2, "SOURCE TARGET", worker_firmware },
                { "holders", 0, "[ROOT]", worker_holders },
                { "probe", 2, "KERNEL MODULE...", worker_probe },
                { "source", 1, "DIRECTORY", worker_source },
                { "signer", 3, "KEY CERTIFICATE PINFILE", worker_signer },
                { "sign", 5, "DIRECTORY HASH KEY CERTIFICATE PINFILE", worker_sign },
                { "attach", 2, "MODULE SIGNATURE", worker_attach },
                { "detach", 2, "MODULE SIGNATURE", worker_detach },
                { "publish", 4, "STORE WAIT-USEC DIRECTORY BUILDS [NAME=FILE]...", worker_publish },
                { "seal", 2, "DIRECTORY BUILDS [NAME=FILE]...", worker_seal },
                { "verify", 2, "BUILD STAGING", worker_verify },
                { "good", 3, "STORE RELEASE BUILD", worker_good },
                { "shared", 2, "DIRECTORY RELEASE", worker_shared },
                { "take", 4, "STORE WAIT-USEC DIRECTORY BUILD", worker_take },
                { "keeptree", 13,
                                "ROOT STORE WAIT-USEC STAGED SOURCE-ROOT SOURCE ALLOWED OUTPUT RELEASE TREE CONFIG SYMVERS MAKEFILE",
                                worker_keeptree },
                { "checktree", 4, "ROOT STORE TREE running|other", worker_checktree },
                { "discard", 1, "DIRECTORY...", worker_discard },
        };

        return helper_main("nvidia-driverd-worker", operations, ELEMENTSOF(operations), argc, argv);
}
