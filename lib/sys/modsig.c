/* SPDX-License-Identifier: Apache-2.0 */

/*
 * struct module_signature is one byte each for algorithm, hash, type of the
 * key's id, length of the signer's name and of the key's id, three bytes of
 * padding, and the length of the signature in network order. Since 4.3 the
 * kernel takes PKCS#7 only, with everything else zero (mod_check_sig()).
 */

#include "sys/modsig.h"

#define MAGIC "~Module signature appended~\n"

enum {
        INFO_SIZE = 12,
        MAGIC_SIZE = sizeof(MAGIC) - 1,
        ID_TYPE = 2,
        ID_TYPE_PKCS7 = 2,
        LENGTH = 8,
};
_Static_assert(INFO_SIZE + MAGIC_SIZE == MODSIG_TRAILER_SIZE, "the kernel's format");

int modsig_find(const uint8_t tail[static MODSIG_TRAILER_SIZE], uint64_t file_size, ModsigPlace *ret)
{
        uint32_t size;

        if (memcmp(tail + INFO_SIZE, MAGIC, MAGIC_SIZE) != 0)
                return MODSIG_E_NONE;
        for (unsigned i = 0; i < LENGTH; i++)
                if (tail[i] != (i == ID_TYPE ? ID_TYPE_PKCS7 : 0))
                        return MODSIG_E_INVALID;

        size = (uint32_t)tail[LENGTH] << 24 | (uint32_t)tail[LENGTH + 1] << 16 |
               (uint32_t)tail[LENGTH + 2] << 8 | tail[LENGTH + 3];
        if (size == 0 || size > MODSIG_SIZE_MAX || file_size < (uint64_t)size + MODSIG_TRAILER_SIZE)
                return MODSIG_E_INVALID;

        *ret = (ModsigPlace){ .content = file_size - size - MODSIG_TRAILER_SIZE, .size = size };
        return 0;
}

void modsig_trailer(uint32_t size, uint8_t ret[static MODSIG_TRAILER_SIZE])
{
        memset(ret, 0, INFO_SIZE);
        ret[ID_TYPE] = ID_TYPE_PKCS7;
        for (unsigned i = 0; i < 4; i++)
                ret[LENGTH + i] = (uint8_t)(size >> (24 - 8 * i));
        memcpy(ret + INFO_SIZE, MAGIC, MAGIC_SIZE);
}
