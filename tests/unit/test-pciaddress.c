/* SPDX-License-Identifier: Apache-2.0 */

/* Addresses of GPUs as people have them at hand, and as the kernel writes them. */

#include "unit.h"

#include "policy/pciaddress.h"

static const struct {
        const char *text, *address; /* NULL: none */
} cases[] = {
        { "0000:01:00.0", "0000:01:00.0" },
        { "01:00.0", "0000:01:00.0" },
        { "00000000:3B:00.0", "0000:3b:00.0" },
        { "0001:00:00.0", "0001:00:00.0" },
        { "10000:E1:1f.7", "10000:e1:1f.7" },
        { "FFFFFFFF:FF:1F.7", "ffffffff:ff:1f.7" },
        { "ABCD:ef:0a.3", "abcd:ef:0a.3" },
        { "", NULL },
        { ":", NULL },
        { "::", NULL },
        { "01:00", NULL },
        { "01.00.0", NULL },
        { "1:00.0", NULL },
        { "01:0.0", NULL },
        { "001:00:00.0", NULL },
        { "000000000:01:00.0", NULL },
        { "0000:01:00.8", NULL },
        { "0000:01:20.0", NULL },
        { "0000:01:00.0 ", NULL },
        { " 0000:01:00.0", NULL },
        { "0000:01:00.00", NULL },
        { "0000:g1:00.0", NULL },
        { "0000:01:00:0", NULL },
        { "0000:0000:01:00.0", NULL },
        { "-001:01:00.0", NULL },
        { "0x01:00.0", NULL },
        { "GPU-01234567", NULL },
        { "../../../etc", NULL },
};

START_TEST(test_parse)
{
        char address[PCI_ADDRESS_SIZE] = "untouched";
        bool valid;

        valid = pci_address_parse(cases[_i].text, address);
        ck_assert_msg(valid == !!cases[_i].address, "'%s'", cases[_i].text);
        ck_assert_str_eq(address, cases[_i].address ? cases[_i].address : "untouched");
}
END_TEST

UNIT_MAIN("pciaddress", UNIT_LOOP(test_parse, ELEMENTSOF(cases)))
