/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The symbols of a module file through libkmod: what it needs with which CRC, and what it exports. */

#include "base/root.h"
#include "policy/modcheck.h"

enum {
        _KMODSYMBOLS_E_SUCCESS,
        KMODSYMBOLS_E_FORMAT, /* the file is no kernel module, a damaged one, or has more symbols than any
                                 module */
};

enum { KMODSYMBOLS_MAX = 65536 }; /* nvidia.ko needs 300 and exports 100 */

/* @fd: a module file that is open for reading. Returns 0, KMODSYMBOLS_E_FORMAT or a negative errno. */
int kmodsymbols_read(int fd, ModuleSymbols *ret);
