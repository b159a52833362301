/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Addresses of PCI functions, as the kernel writes them: "0000:01:00.0". */

#include "base/macro.h"

enum { PCI_ADDRESS_SIZE = sizeof("ffffffff:ff:1f.7") };

/*
 * Reads an address as people have it from lspci ("01:00.0", "0000:01:00.0") or
 * from nvidia-smi ("00000000:3B:00.0"), and writes it as the kernel does.
 * False if it is none.
 */
bool pci_address_parse(const char *s, char ret[static PCI_ADDRESS_SIZE]);
