/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a manifest says about signatures is read from the modules when a build is sealed. */

#include "base/root.h"
#include "policy/code.h"
#include "policy/manifest.h"

/*
 * Notes the signature of the module @f, or that it has none. The first signed
 * module of a manifest without a signer names the signer; all others must have the same.
 * Says why and returns a code if it is not as the manifest says.
 */
Code worker_note_signature(const Root *root, BuildManifest *m, BuildFile *f);

/* After all modules: signed are either all of them or none. */
Code worker_check_signatures(const BuildManifest *m);
