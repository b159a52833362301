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

void node_report_line(NodeReport *report, const char *line)
{
        const char *value;

        if ((value = startswith(line, HELPER_KEY_NODE "=")))
                take_node(report, value);
        else if ((value = startswith(line, HELPER_KEY_DIRECTORY "=")))
                (void)strv_push(&report->directories, value);
        else if ((value = startswith(line, HELPER_KEY_MISSING "=")))
                (void)strv_push(&report->missing, value);
        else if ((value = startswith(line, HELPER_KEY_MADE "=")))
                (void)strv_push(&report->made, value);
        else if ((value = startswith(line, HELPER_KEY_REMOVED "=")))
                (void)strv_push(&report->removed, value);
        else if ((value = startswith(line, HELPER_KEY_FAILED "=")) && !report->failure)
                (void)str_replace(&report->failure, value);
        else if (startswith(line, HELPER_KEY_HANDS_OFF "="))
                report->hands_off = true;
        else if ((value = startswith(line, HELPER_KEY_DETAIL "=")))
                (void)str_replace(&report->detail, value);
}

static void check_node(const NodeReport *said, Root *root, const char *directory, const DevNode *node,
                char ***absent)
{
        if (!devdir_has(root, directory, node))
                (void)strv_pushf(absent, "/%s/%s", directory, node->name);
        /* Who makes the nodes himself may do without links. */
        else if (!said->hands_off && !devdir_has_link(root, directory, node))
                (void)strv_pushf(absent, "/%s/char/%u:%u", directory, node->major, node->minor);
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
