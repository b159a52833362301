/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Module.symvers, as scripts/mod/modpost.c of the kernel writes and reads it:
 * one symbol per line, fields with a tab between them.
 *
 *   0x7e3277f8  ___drm_dbg  drivers/gpu/drm/drm  EXPORT_SYMBOL  [namespace]
 *
 * From 5.4 to 5.7 the namespace was the third field; before, there was none. So
 * the field that begins with EXPORT_ tells which layout it is. A kernel without
 * MODVERSIONS writes zero for every CRC.
 *
 * The list is an array that is sorted once and searched by halves: some 27000
 * names to choose from, a few hundred questions. A hash table would not be
 * noticeably faster, and a text made to collide could make it very slow.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/symvers.h"

typedef struct Item {
        SymversEntry entry; /* first, so that an Item is found by its entry's name */
        size_t position;    /* in which it came */
        char *name, *owner; /* of one that was added; of parsed ones the strings are in the text */
} Item;

struct Symvers {
        char *text;
        Item *items;
        size_t n, n_allocated;
        bool sorted;
};

enum { FIELDS_MAX = 6 };

Symvers *symvers_free(Symvers *s)
{
        if (!s)
                return NULL;

        for (size_t i = 0; i < s->n; i++) {
                free(s->items[i].name);
                free(s->items[i].owner);
        }
        free(s->text);
        free(s->items);
        free(s);
        return NULL;
}

int symvers_new(Symvers **ret)
{
        Symvers *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        *ret = s;
        return 0;
}

static int append(Symvers *s, const SymversEntry *entry, Item **ret)
{
        if (s->n == s->n_allocated) {
                size_t n = s->n_allocated ? 2 * s->n_allocated : 64;
                Item *grown = reallocarray(s->items, n, sizeof(*grown));

                if (!grown)
                        return err_origin(-ENOMEM);
                s->items = grown;
                s->n_allocated = n;
        }
        s->items[s->n] = (Item){ .entry = *entry, .position = s->n };
        s->sorted = false;
        *ret = &s->items[s->n++];
        return 0;
}

int symvers_add(Symvers *s, const SymversEntry *entry)
{
        _cleanup_free_ char *name = strdup(entry->name), *owner = strdup(entry->owner);
        Item *item = NULL;
        int r;

        if (!name || !owner)
                return err_origin(-ENOMEM);
        r = append(s, entry, &item);
        if (r)
                return err_trace(r);
        item->entry.name = item->name = TAKE_PTR(name);
        item->entry.owner = item->owner = TAKE_PTR(owner);
        return 0;
}

static int invalid(char **reterr, char *text)
{
        if (!text)
                return err_origin(-ENOMEM);
        *reterr = text;
        return SYMVERS_E_INVALID;
}

/* Cuts a line at its tabs, in place. */
static unsigned split(char *line, char *fields[static FIELDS_MAX])
{
        unsigned n = 0;
        char *field;

        while (n < FIELDS_MAX && (field = strsep(&line, "\t")))
                fields[n++] = field;
        return n;
}

static bool is_export(const char *field)
{
        return startswith(field, "EXPORT_");
}

/* EXPORT_SYMBOL_GPL, but not EXPORT_SYMBOL_GPL_FUTURE of old kernels, which only announced it. */
static bool is_gpl_only(const char *field)
{
        return streq(field, "EXPORT_SYMBOL_GPL") || streq(field, "EXPORT_UNUSED_SYMBOL_GPL");
}

/* Why the line is none of a Module.symvers; NULL if it is one. */
static const char *parse_line(char *line, SymversEntry *ret)
{
        char *fields[FIELDS_MAX];
        unsigned n = split(line, fields), type;
        uint64_t crc;

        if (n < 4)
                return "fewer than four fields";
        if (!startswith(fields[0], "0x") || str_to_u64(fields[0], 16, 0, UINT32_MAX, &crc) != 0)
                return "no CRC";
        if (!*fields[1])
                return "no symbol";
        if (is_export(fields[3]))
                type = 3;
        else if (n > 4 && is_export(fields[4]))
                type = 4;
        else
                return "no kind of export";

        *ret = (SymversEntry){
                .name = fields[1],
                .owner = fields[type - 1],
                .crc = (uint32_t)crc,
                .gpl_only = is_gpl_only(fields[type]),
        };
        return NULL;
}

static int parse(Symvers *s, char *end, char **reterr)
{
        size_t number = 0;

        for (char *line = s->text, *next; line < end; line = next) {
                char *newline = memchr(line, '\n', (size_t)(end - line));
                SymversEntry entry;
                const char *why;
                Item *item;
                int r;

                number++;
                next = newline ? newline + 1 : end;
                if (newline)
                        *newline = '\0';
                /* A NUL would hide the rest of its line. */
                if (strlen(line) != (size_t)((newline ? newline : end) - line))
                        return invalid(reterr, str_format("line %zu: a NUL byte", number));
                if (!*line)
                        continue;

                why = parse_line(line, &entry);
                if (why)
                        return invalid(reterr, str_format("line %zu: %s", number, why));
                if (s->n == SYMVERS_SYMBOLS_MAX)
                        return invalid(reterr,
                                        str_format("line %zu: more symbols than any kernel has", number));
                r = append(s, &entry, &item);
                if (r)
                        return err_trace(r);
        }
        return s->n > 0 ? 0 : invalid(reterr, strdup("it lists no symbols"));
}

int symvers_parse(const char *text, size_t size, Symvers **ret, char **reterr)
{
        _cleanup_(symvers_freep) Symvers *s = NULL;
        int r;

        if (size > SYMVERS_SIZE_MAX)
                return invalid(reterr, str_format("it is larger than %d bytes", SYMVERS_SIZE_MAX));

        r = symvers_new(&s);
        if (r)
                return err_trace(r);
        s->text = malloc(size + 1);
        if (!s->text)
                return err_origin(-ENOMEM);
        memcpy(s->text, text, size);
        s->text[size] = '\0';

        r = parse(s, s->text + size, reterr);
        if (r)
                return r < 0 ? err_trace(r) : r;
        *ret = TAKE_PTR(s);
        return 0;
}

size_t symvers_count(const Symvers *s)
{
        return s->n;
}

static int compare_items(const void *a, const void *b)
{
        const Item *x = a, *y = b;
        int c = strcmp(x->entry.name, y->entry.name);

        return c ? c : (x->position > y->position) - (x->position < y->position);
}

static int compare_name(const void *key, const void *item)
{
        return strcmp(key, ((const Item *)item)->entry.name);
}

const SymversEntry *symvers_find(Symvers *s, const char *name)
{
        const Item *item;

        if (s->n == 0)
                return NULL;
        if (!s->sorted)
                qsort(s->items, s->n, sizeof(*s->items), compare_items);
        s->sorted = true;

        item = bsearch(name, s->items, s->n, sizeof(*s->items), compare_name);
        while (item && item > s->items && streq(item[-1].entry.name, name))
                item--;
        return item ? &item->entry : NULL;
}
