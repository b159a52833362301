/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configured signing key: its certificate, read at once, and whether the
 * key can sign, asked of the worker. The key itself never comes into this program.
 */

#include "base/root.h"
#include "job.h"
#include "policy/config.h"
#include "policy/signer.h"

typedef struct SigningCheck SigningCheck;

/* Reads the certificate. Returns 0, also if it cannot be used (see the fact), or a negative errno. */
int signing_read(const Root *root, const Config *config, SigningFact *ret);

/* The arguments by which the worker is told of key, certificate and PIN. Returns 0 or -ENOMEM. */
int signing_arguments(const Root *root, const Config *config, char ***argv);

/*
 * Has the key tried. @fact is completed when @done is called, once, from the
 * loop; until then or signing_check_free() everything given must live.
 * Returns 0 or a negative errno.
 */
int signing_check(JobPool *pool, const Root *root, const Config *config, SigningFact *fact,
                void (*done)(void *userdata), void *userdata, SigningCheck **ret);
SigningCheck *signing_check_free(SigningCheck *c);
DEFINE_CLEANUP(SigningCheck, signing_check_free);

/* The same for a program that has nothing else to do: returns when it is done. Returns 0 or a negative
 * errno. */
int signing_check_now(const Root *root, const Config *config, SigningFact *fact);
