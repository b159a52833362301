/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "node-report.h"
#include "sys/devnodes.h"

void node_report_done(NodeReport *r)
{
        dev_nodes_done(&r->promised);
        strv_free(r->directories);
        strv_free(r->missing);
        strv_free(r->made);
        strv_free(r->removed);
        strv_free(r->corrected);
        strv_free(r->wrong);
        strv_free(r->blocked);
        number_set_done(&r->majors);
        free(r->failure);
        free(r->detail);
        *r = (NodeReport){};
}

static void take_node(NodeReport *report, const char *value)
{
        DevNode node = {};
        int n = 0;

        if (sscanf(value, "%u:%u %n", &node.major, &node.minor, &n) != 2 || n == 0 || !value[n])
                return;
        node.name = strdup(value + n);
        if (!node.name || dev_nodes_add(&report->promised, &node) < 0)
                dev_node_done(&node);
}

static void take_major(NodeReport *report, const char *value)
{
        uint64_t major;

        if (str_to_u64(value, 10, 0, 4095, &major) == 0)
                (void)number_set_add(&report->majors, (unsigned)major);
}

void node_report_line(NodeReport *report, const char *line)
{
        const char *value;

        if ((value = startswith(line, HELPER_KEY_NODE "=")))
                take_node(report, value);
        else if ((value = startswith(line, HELPER_KEY_MAJOR "=")))
                take_major(report, value);
        else if ((value = startswith(line, HELPER_KEY_DIRECTORY "=")))
                (void)strv_push(&report->directories, value);
        else if ((value = startswith(line, HELPER_KEY_MISSING "=")))
                (void)strv_push(&report->missing, value);
        else if ((value = startswith(line, HELPER_KEY_MADE "=")))
                (void)strv_push(&report->made, value);
        else if ((value = startswith(line, HELPER_KEY_CORRECTED "=")))
                (void)strv_push(&report->corrected, value);
        else if ((value = startswith(line, HELPER_KEY_WRONG "=")) && !strv_contains(report->wrong, value))
                (void)strv_push(&report->wrong, value);
        else if ((value = startswith(line, HELPER_KEY_REMOVED "=")))
                (void)strv_push(&report->removed, value);
        else if ((value = startswith(line, HELPER_KEY_BLOCKED "=")) &&
                        !strv_contains(report->blocked, value))
                (void)strv_push(&report->blocked, value);
        else if ((value = startswith(line, HELPER_KEY_FAILED "=")) && !report->failure)
                (void)str_replace(&report->failure, value);
        else if (startswith(line, HELPER_KEY_HANDS_OFF "="))
                report->hands_off = true;
        else if ((value = startswith(line, HELPER_KEY_DETAIL "=")))
                (void)str_replace(&report->detail, value);
}

static bool is_blocked(const NodeReport *said, const char *directory, const char *name)
{
        _cleanup_free_ char *path = str_format("/%s/%s", directory, name);

        return path && strv_contains(said->blocked, path);
}

static void check_node(const NodeReport *said, Root *root, const char *directory, const DevNode *node,
                char ***absent)
{
        _cleanup_free_ char *link = NULL;

        if (is_blocked(said, directory, node->name))
                return;
        if (!devdir_has(root, directory, node)) {
                (void)strv_pushf(absent, "/%s/%s", directory, node->name);
                return;
        }
        /* Who makes the nodes himself may do without links. */
        if (said->hands_off || devdir_has_link(root, directory, node))
                return;
        link = str_format("char/%u:%u", node->major, node->minor);
        if (link && !is_blocked(said, directory, link))
                (void)strv_pushf(absent, "/%s/%s", directory, link);
}

char *node_report_absent(const NodeReport *said, Root *root)
{
        _cleanup_strv_ char **absent = NULL;

        STRV_FOREACH (text, said->missing)
                (void)strv_push(&absent, *text);
        STRV_FOREACH (directory, said->directories)
                for (size_t i = 0; i < said->promised.n; i++)
                        check_node(said, root, *directory, &said->promised.items[i], &absent);
        return absent ? strv_join(absent, ", ") : NULL;
}

int node_report_fill(const NodeReport *said, Root *root, bool has_uvm, Status *s)
{
        for (size_t i = 0; i < said->promised.n; i++) {
                const DevNode *node = &said->promised.items[i];
                _cleanup_free_ char *path = str_format("/dev/%s", node->name);
                bool there = said->directories != NULL;
                int r;

                if (!has_uvm && startswith(node->name, "nvidia-uvm"))
                        continue;
                STRV_FOREACH (directory, said->directories)
                        there = there && devdir_has(root, *directory, node);
                r = path ? status_add_device(s, path, node->major, node->minor, there) : -ENOMEM;
                if (r)
                        return err_trace(r);
        }
        return 0;
}
