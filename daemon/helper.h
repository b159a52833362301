/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The lines that nvidia-driverd-helper and nvidia-driverd-worker answer with:
 * KEY=VALUE on standard output. The exit status is that of a Code.
 */

#include "base/macro.h"
#include "policy/code.h"

#define HELPER_KEY_ERRNO  "errno"  /* of the kernel operation, positive */
#define HELPER_KEY_KERNEL "kernel" /* a line of the kernel log since the operation began */
#define HELPER_KEY_DETAIL "detail" /* what happened, for people */
#define HELPER_KEY_BUILD  "build"  /* path of the published build */
#define HELPER_KEY_SOURCE "source" /* SHA-256 of the source that is compiled */
#define HELPER_KEY_KEPT   "kept"   /* path of a kernel tree that is in the store now */
#define HELPER_KEY_TEXT   "text"   /* a line of its manifest */
#define HELPER_KEY_MODULE "module" /* a module of the host that has been looked after */

/* Of the worker's check: */
#define HELPER_KEY_NOTE    "note"    /* worth a line in the log, no failure */
#define HELPER_KEY_DEBUG   "debug"   /* a module with debugging information */
#define HELPER_KEY_DEFECT  "defect"  /* one of perhaps hundreds; "detail" has the first few */
#define HELPER_KEY_CHECKED "checked" /* what was looked at */

/* Of the worker's signer, what a certificate says: */
#define HELPER_KEY_NAME        "name"
#define HELPER_KEY_ISSUER      "issuer"
#define HELPER_KEY_SERIAL      "serial"
#define HELPER_KEY_ID          "keyid"
#define HELPER_KEY_FINGERPRINT "fingerprint"
#define HELPER_KEY_SIGNED      "signed" /* of its sign: a file */

/* Of nvidia-driverd-fetch: */
#define HELPER_KEY_PROGRESS "progress" /* how far it is, for people */
#define HELPER_KEY_IMAGE    "image"    /* path of the disk image, in the root */

/* Of the operation nodes; names of files as in the root: "/dev/nvidia0" */
#define HELPER_KEY_NODE      "node"      /* "195:0 nvidia0": one that there has to be */
#define HELPER_KEY_MISSING   "missing"   /* one that the driver does not offer */
#define HELPER_KEY_MADE      "made"      /* or replaced */
#define HELPER_KEY_CORRECTED "corrected" /* one that had another owner or mode */
#define HELPER_KEY_WRONG     "wrong"     /* one that has, and is left alone */
#define HELPER_KEY_REMOVED   "removed"
#define HELPER_KEY_FAILED    "failed"    /* a file, and why */
#define HELPER_KEY_BLOCKED   "blocked"   /* a file that is no node and has the name of one */
#define HELPER_KEY_DIRECTORY "directory" /* a /dev that was gone through: "dev", "proc/1/root/dev" */
#define HELPER_KEY_MAJOR     "major"     /* a number of the driver's */
#define HELPER_KEY_HANDS_OFF "handsoff"  /* the driver's parameters forbid to make nodes */

/* Of the operation answers: */
#define HELPER_KEY_VENDOR "vendor" /* the device's first word of configuration space: "10de" */

typedef struct HelperOperation {
        const char *name;
        int n_arguments; /* at least */
        const char *usage;
        Code (*run)(char **arguments); /* without the operation's name, NULL-terminated */
} HelperOperation;

/* Prints one answer; bytes that could spoil a line are replaced. */
void helper_say(const char *key, const char *format, ...) _printf_(2, 3);

/* The body of main(): finds the operation, runs it, returns the exit status. */
int helper_main(const char *program, const HelperOperation *operations, size_t n, int argc, char **argv);

/* helper-module.c */
Code helper_insert(char **arguments);
Code helper_delete(char **arguments);

/* helper-pci.c */
Code helper_unbind(char **arguments);
Code helper_override(char **arguments);
Code helper_answers(char **arguments);

/* helper-nodes.c */
Code helper_nodes(char **arguments);

/* helper-verify.c */
Code helper_verify(char **arguments);

/* worker-sign.c */
Code worker_signer(char **arguments);
Code worker_sign(char **arguments);
Code worker_attach(char **arguments);
Code worker_detach(char **arguments);

/* worker-tree.c */
Code worker_keeptree(char **arguments);

/* worker-checktree.c: which kernel the tree is for */
#define HELPER_RUNNING "running"
#define HELPER_OTHER   "other"
Code worker_checktree(char **arguments);

/* worker-firmware.c */
Code worker_firmware(char **arguments);

/* worker-check.c, worker-holders.c, worker-probe.c, worker-shared.c, worker-source.c, worker-store.c */
Code worker_check(char **arguments);
Code worker_holders(char **arguments);
Code worker_probe(char **arguments);
Code worker_source(char **arguments);
Code worker_seal(char **arguments);
Code worker_publish(char **arguments);
Code worker_verify(char **arguments);
Code worker_discard(char **arguments);
Code worker_shared(char **arguments);
Code worker_take(char **arguments);
Code worker_good(char **arguments);
