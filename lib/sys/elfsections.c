/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The section headers of an ELF file. The file may be anything: every offset
 * is checked by reading, every size bounded before memory is asked for.
 */

#include <elf.h>
#include <sys/stat.h>

#include "base/result.h"
#include "sys/elfsections.h"

enum {
        NAMES_SIZE_MAX = 16 * 1024 * 1024, /* -ffunction-sections makes a name per function */
        VERSION_SIZE = 64,                 /* struct modversion_info */
};

/* All of it or ELFSECTIONS_E_FORMAT. */
static int read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
        size_t done = 0;

        if (offset > INT64_MAX - size)
                return ELFSECTIONS_E_FORMAT;
        while (done < size) {
                ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        return ELFSECTIONS_E_FORMAT;
                done += (size_t)n;
        }
        return 0;
}

static bool is_ours(const Elf64_Ehdr *h)
{
        const unsigned char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

        return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
               h->e_ident[EI_DATA] == order && h->e_shentsize == sizeof(Elf64_Shdr);
}

/* The section headers, and the table of their names with a NUL at its end. */
static int read_tables(int fd, Elf64_Shdr **ret, size_t *ret_n, char **ret_names, size_t *ret_size)
{
        _cleanup_free_ Elf64_Shdr *headers = NULL;
        _cleanup_free_ char *names = NULL;
        Elf64_Ehdr elf;
        size_t size;
        int r;

        r = read_at(fd, &elf, sizeof(elf), 0);
        if (r)
                return r;
        if (!is_ours(&elf) || elf.e_shnum == 0 || elf.e_shstrndx >= elf.e_shnum)
                return ELFSECTIONS_E_FORMAT;

        headers = calloc(elf.e_shnum, sizeof(*headers));
        if (!headers)
                return err_origin(-ENOMEM);
        r = read_at(fd, headers, elf.e_shnum * sizeof(*headers), elf.e_shoff);
        if (r)
                return r;

        if (headers[elf.e_shstrndx].sh_size > NAMES_SIZE_MAX)
                return ELFSECTIONS_E_FORMAT;
        size = (size_t)headers[elf.e_shstrndx].sh_size;
        names = calloc(1, size + 1);
        if (!names)
                return err_origin(-ENOMEM);
        r = read_at(fd, names, size, headers[elf.e_shstrndx].sh_offset);
        if (r)
                return r;

        *ret = TAKE_PTR(headers);
        *ret_n = elf.e_shnum;
        *ret_names = TAKE_PTR(names);
        *ret_size = size;
        return 0;
}

/* 0 also for an empty one, which has no last byte. */
static int check_end(int fd, const Elf64_Shdr *h)
{
        char last = '\0';
        int r = h->sh_size > 0 ? read_at(fd, &last, 1, h->sh_offset + h->sh_size - 1) : 0;

        return r == 0 && last != '\0' ? ELFSECTIONS_E_FORMAT : r;
}

/* Symbols whose names and sections are read, and entries of a fixed size. */
static int check_content(int fd, const Elf64_Shdr *headers, size_t n, size_t i, const char *name)
{
        const Elf64_Shdr *h = &headers[i];

        if (h->sh_type == SHT_STRTAB || streq(name, "__ksymtab_strings"))
                return check_end(fd, h);
        if (h->sh_type == SHT_SYMTAB &&
                        (h->sh_entsize != sizeof(Elf64_Sym) || h->sh_size % sizeof(Elf64_Sym) != 0 ||
                                        h->sh_link >= n || headers[h->sh_link].sh_type != SHT_STRTAB))
                return ELFSECTIONS_E_FORMAT;
        if (streq(name, "__versions"))
                return h->sh_size % VERSION_SIZE == 0 ? check_end(fd, h) : ELFSECTIONS_E_FORMAT;
        return 0;
}

int elfsections_check(int fd)
{
        _cleanup_free_ Elf64_Shdr *headers = NULL;
        _cleanup_free_ char *names = NULL;
        size_t n = 0, size = 0;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        r = read_tables(fd, &headers, &n, &names, &size);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const Elf64_Shdr *h = &headers[i];

                if (h->sh_name >= size && h->sh_name > 0)
                        return ELFSECTIONS_E_FORMAT;
                if (h->sh_type == SHT_NOBITS || h->sh_type == SHT_NULL)
                        continue;
                if (h->sh_offset > (uint64_t)st.st_size || h->sh_size > (uint64_t)st.st_size - h->sh_offset)
                        return ELFSECTIONS_E_FORMAT;
                r = check_content(fd, headers, n, i, names + h->sh_name);
        }
        return r < 0 ? err_trace(r) : r;
}

int elfsections_has(int fd, const char *name, bool *ret)
{
        _cleanup_free_ Elf64_Shdr *headers = NULL;
        _cleanup_free_ char *names = NULL;
        size_t n = 0, size = 0;
        int r;

        r = read_tables(fd, &headers, &n, &names, &size);
        if (r)
                return r < 0 ? err_trace(r) : ELFSECTIONS_E_FORMAT;

        *ret = false;
        for (size_t i = 0; i < n; i++)
                if (headers[i].sh_name < size && headers[i].sh_size > 0 &&
                                streq(names + headers[i].sh_name, name))
                        *ret = true;
        return 0;
}

static int read_section(int fd, const Elf64_Shdr *header, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *data = NULL;
        int r;

        if (header->sh_type == SHT_NOBITS || header->sh_size > max)
                return ELFSECTIONS_E_FORMAT;
        data = calloc(1, (size_t)header->sh_size + 1);
        if (!data)
                return err_origin(-ENOMEM);
        r = read_at(fd, data, (size_t)header->sh_size, header->sh_offset);
        if (r)
                return r;
        *ret = TAKE_PTR(data);
        *ret_size = (size_t)header->sh_size;
        return 0;
}

int elfsections_read(int fd, const char *name, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ Elf64_Shdr *headers = NULL;
        _cleanup_free_ char *names = NULL;
        size_t n = 0, size = 0;
        int r;

        r = read_tables(fd, &headers, &n, &names, &size);
        if (r)
                return r < 0 ? err_trace(r) : ELFSECTIONS_E_FORMAT;

        for (size_t i = 0; i < n; i++) {
                if (headers[i].sh_name >= size || !streq(names + headers[i].sh_name, name))
                        continue;
                r = read_section(fd, &headers[i], max, ret, ret_size);
                return r < 0 ? err_trace(r) : r;
        }
        return ELFSECTIONS_E_ABSENT;
}
