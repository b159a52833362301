/* SPDX-License-Identifier: Apache-2.0 */

/* Ownership of the structs of device nodes. */

#include "base/result.h"
#include "base/str.h"
#include "policy/devnode.h"

/* The kernel prints "Device Minor: \t 3": a key at the beginning of a line, blanks, a number. */
bool node_number_from_string(const char *text, const char *key, unsigned max, unsigned *ret)
{
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                _cleanup_free_ char *value = NULL;
                uint64_t number;

                if (strncmp(line, key, n) != 0 || line[n] != ':')
                        continue;
                value = strndup(line + n + 1, strcspn(line + n + 1, "\n"));
                if (!value || str_to_u64(str_strip(value), 10, 0, max, &number) != 0)
                        return false;
                *ret = (unsigned)number;
                return true;
        }
        return false;
}

void node_rights_from_string(const char *text, NodeRights *rights)
{
        unsigned modify = rights->modify;

        (void)node_number_from_string(text, "DeviceFileUID", UINT32_MAX - 1, &rights->uid);
        (void)node_number_from_string(text, "DeviceFileGID", UINT32_MAX - 1, &rights->gid);
        (void)node_number_from_string(text, "DeviceFileMode", 0777, &rights->mode);
        if (!node_number_from_string(text, "ModifyDeviceFiles", UINT32_MAX, &modify))
                (void)node_number_from_string(text, "DeviceFileModify", UINT32_MAX, &modify);
        rights->modify = modify != 0;
}

void dev_node_done(DevNode *node)
{
        free(node->name);
        *node = (DevNode){};
}

void dev_nodes_done(DevNodes *nodes)
{
        for (size_t i = 0; i < nodes->n; i++)
                dev_node_done(&nodes->items[i]);
        free(nodes->items);
        *nodes = (DevNodes){};
}

int dev_nodes_add(DevNodes *nodes, DevNode *node)
{
        DevNode *grown = reallocarray(nodes->items, nodes->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        nodes->items = grown;
        nodes->items[nodes->n++] = *node;
        *node = (DevNode){};
        return 0;
}

void dev_entry_done(DevEntry *entry)
{
        free(entry->name);
        free(entry->target);
        *entry = (DevEntry){};
}

void dev_entries_done(DevEntries *entries)
{
        for (size_t i = 0; i < entries->n; i++)
                dev_entry_done(&entries->items[i]);
        free(entries->items);
        *entries = (DevEntries){};
}

int dev_entries_add(DevEntries *entries, DevEntry *entry)
{
        DevEntry *grown = reallocarray(entries->items, entries->n + 1, sizeof(*grown));

        if (!grown)
                return err_origin(-ENOMEM);
        entries->items = grown;
        entries->items[entries->n++] = *entry;
        *entry = (DevEntry){};
        return 0;
}

void number_set_done(NumberSet *set)
{
        free(set->items);
        *set = (NumberSet){};
}

bool number_set_has(const NumberSet *set, unsigned number)
{
        for (size_t i = 0; i < set->n; i++)
                if (set->items[i] == number)
                        return true;
        return false;
}

int number_set_add(NumberSet *set, unsigned number)
{
        unsigned *grown;

        if (number_set_has(set, number))
                return 0;
        grown = reallocarray(set->items, set->n + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        set->items = grown;
        grown[set->n++] = number;
        return 0;
}

void driver_nodes_done(DriverNodes *d)
{
        for (size_t i = 0; i < d->n_gpus; i++)
                free(d->gpus[i].address);
        free(d->gpus);
        number_set_done(&d->cap_minors);
        number_set_done(&d->majors);
        number_set_done(&d->registered);
        dev_nodes_done(&d->caps);
        dev_nodes_done(&d->drm);
        strv_free(d->drm_numbers);
        *d = (DriverNodes){ .uvm_major = -1, .caps_major = -1 };
}

int driver_nodes_add_gpu(DriverNodes *d, const char *address, bool has_minor, unsigned minor)
{
        DriverGpu *grown = reallocarray(d->gpus, d->n_gpus + 1, sizeof(*grown));
        char *copy = strdup(address);

        if (grown)
                d->gpus = grown;
        if (!grown || !copy) {
                free(copy);
                return err_origin(-ENOMEM);
        }
        d->gpus[d->n_gpus++] = (DriverGpu){ .address = copy, .has_minor = has_minor, .minor = minor };
        return 0;
}
