/* SPDX-License-Identifier: Apache-2.0 */

/*
 * [domain:]bus:device.function, all of it hexadecimal. Only the domain may be
 * left out, and only it has a width of its own: the kernel writes four digits
 * and more where there are more (Intel's VMD begins at 10000), NVIDIA's tools
 * always eight. A missing zero in the rest would be a guess at what was meant.
 */

#include <ctype.h>

#include "base/macro.h"
#include "policy/pciaddress.h"

/* Takes @least to @most digits and the byte after them, if there is to be one. NULL if that is not there. */
static const char *take(const char *s, size_t least, size_t most, char end, unsigned max, unsigned *ret)
{
        unsigned value = 0;
        size_t n = 0;

        for (; n < most && isxdigit((unsigned char)s[n]); n++)
                value = value << 4 |
                        (unsigned)(isdigit((unsigned char)s[n]) ? s[n] - '0'
                                                                : tolower((unsigned char)s[n]) - 'a' + 10);
        if (n < least || s[n] != end || value > max)
                return NULL;
        *ret = value;
        return s + n + 1;
}

bool pci_address_parse(const char *s, char ret[static PCI_ADDRESS_SIZE])
{
        unsigned domain = 0, bus, device, function;
        const char *colon = strchr(s, ':');

        if (colon && strchr(colon + 1, ':')) {
                s = take(s, 4, 8, ':', UINT32_MAX, &domain);
                if (!s)
                        return false;
        }

        s = take(s, 2, 2, ':', 0xff, &bus);
        if (s)
                s = take(s, 2, 2, '.', 0x1f, &device);
        if (s)
                s = take(s, 1, 1, '\0', 7, &function);
        if (!s)
                return false;

        (void)snprintf(ret, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus, device, function);
        return true;
}
