/* SPDX-License-Identifier: Apache-2.0 */

#include "base/result.h"
#include "base/str.h"
#include "policy/servicerecord.h"

void service_record_done(ServiceRecord *r)
{
        strv_free(r->argv);
        *r = (ServiceRecord){};
}

int service_record_to_text(const ServiceRecord *record, char **ret)
{
        _cleanup_strv_ char **lines = NULL;
        char *text;
        int r;

        r = strv_pushf(&lines, "main=%lld", (long long)record->main);
        if (r == 0)
                r = strv_pushf(&lines, "since=%llu", (unsigned long long)record->since);
        if (r == 0 && record->ready)
                r = strv_push(&lines, "ready=1");
        if (r == 0 && record->ended)
                r = record->signal ? strv_pushf(&lines, "signal=%d", record->signal)
                                   : strv_pushf(&lines, "status=%d", record->status);
        STRV_FOREACH (arg, record->argv)
                if (r == 0)
                        r = strv_pushf(&lines, "arg=%s", *arg);
        if (r == 0)
                r = strv_push(&lines, "");
        if (r)
                return err_trace(r);
        text = strv_join(lines, "\n");
        if (!text)
                return err_origin(-ENOMEM);
        *ret = text;
        return 0;
}

static int parse_line(ServiceRecord *record, const char *key, const char *value)
{
        uint64_t number;

        if (streq(key, "arg"))
                return err_trace(strv_push(&record->argv, value));
        if (str_to_u64(value, 10, 0, INT64_MAX, &number) < 0)
                return SERVICE_RECORD_E_INVALID;

        if (streq(key, "main") && number <= INT32_MAX) {
                record->main = (int64_t)number;
        } else if (streq(key, "since")) {
                record->since = number;
        } else if (streq(key, "ready")) {
                record->ready = number != 0;
        } else if (streq(key, "status") && number <= UINT8_MAX) {
                record->ended = true;
                record->status = (int)number;
        } else if (streq(key, "signal") && number > 0 && number <= 64) {
                record->ended = true;
                record->status = -1;
                record->signal = (int)number;
        }
        return 0;
}

int service_record_parse(const char *text, ServiceRecord *ret)
{
        _cleanup_(service_record_done) ServiceRecord record = {};
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = strv_split_lines(text, &lines);
        if (r)
                return err_trace(r);
        STRV_FOREACH (line, lines) {
                char *equal = strchr(*line, '=');

                if (!equal)
                        return SERVICE_RECORD_E_INVALID;
                *equal = '\0';
                r = parse_line(&record, *line, equal + 1);
                if (r)
                        return r < 0 ? err_trace(r) : r;
        }
        if (!record.argv)
                return SERVICE_RECORD_E_INVALID;

        *ret = record;
        record = (ServiceRecord){};
        return 0;
}

char *service_record_describe_end(const ServiceRecord *record)
{
        if (!record->ended)
                return strdup("it is not known how");
        if (record->signal)
                return str_format("signal %d (%s)", record->signal, strna(sigdescr_np(record->signal)));
        return str_format("exit status %d", record->status);
}
