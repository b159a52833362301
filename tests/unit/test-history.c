/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>
#include <sys/wait.h>

#include "tmproot.h"
#include "unit.h"

#include "base/str.h"
#include "sys/history.h"
#include "sys/historyjson.h"

#define STORE "/var/lib/store"
#define FILE_ "var/lib/store/history"

static HistoryEntry entry(HistoryKind kind, usec_t time, const char *detail)
{
        return (HistoryEntry){
                .kind = kind,
                .time = time,
                .boot = (char *)"b",
                .pid = 7,
                .from = (char *)"loading",
                .state = (char *)"ready",
                .took = 2900000,
                .count = 3,
                .code = (char *)"ok",
                .detail = (char *)detail,
        };
}

START_TEST(round_trip)
{
        for (HistoryKind kind = 0; kind < _HISTORY_KIND_MAX; kind++) {
                HistoryEntry e = entry(kind, 123456789, "a \"quoted\" text\nin two lines"), back = {};
                _cleanup_free_ char *line = NULL;

                ck_assert_int_eq(historyjson_format(&e, &line), 0);
                ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
                ck_assert_int_eq(historyjson_parse(line, &back), 0);
                ck_assert_int_eq(back.kind, kind);
                ck_assert_uint_eq(back.time, e.time);
                ck_assert_int_eq(back.pid, 7);
                ck_assert_str_eq(back.boot, "b");
                ck_assert_str_eq(back.detail, e.detail);
                ck_assert_str_eq(back.from, "loading");
                ck_assert_str_eq(back.state, "ready");
                ck_assert_uint_eq(back.took, kind == HISTORY_STATE ? e.took : 0);
                ck_assert_uint_eq(back.count, kind == HISTORY_GPU ? 3 : 0);
                history_entry_done(&back);
                ck_assert_int_eq(history_kind_from_string(history_kind_to_string(kind)), kind);
        }
        ck_assert_int_eq(history_kind_from_string("x"), _HISTORY_KIND_INVALID);
}
END_TEST

START_TEST(strange_bytes)
{
        HistoryEntry e = entry(HISTORY_GPU, 1,
                                     "a\xff"
                                     "b"),
                     back = {};
        _cleanup_free_ char *line = NULL;

        ck_assert_int_eq(historyjson_format(&e, &line), 0);
        ck_assert_int_eq(historyjson_parse(line, &back), 0);
        ck_assert_str_eq(back.detail, "a?b");
        history_entry_done(&back);
}
END_TEST

START_TEST(no_entries)
{
        static const char *const lines[] = { "", "{", "{}", "[]", "1", "\"started\"", "{\"event\":1}",
                "{\"event\":\"x\"}", "{\"event\":\"started\"", "nonsense" };
        HistoryEntry e = {};

        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                ck_assert_int_eq(historyjson_parse(lines[i], &e), HISTORYJSON_E_INVALID);
        ck_assert_int_eq(historyjson_parse("{\"event\":\"gpu\",\"timeUSec\":-5,\"count\":-1,\"detail\":7}",
                                         &e),
                        0);
        ck_assert_uint_eq(e.time, 0);
        ck_assert_uint_eq(e.count, 0);
        ck_assert_ptr_null(e.detail);
        history_entry_done(&e);
}
END_TEST

static HistoryEntries read_all(TmpRoot *t)
{
        HistoryEntries l = {};

        ck_assert_int_eq(history_read(t->root, STORE, &l), 0);
        return l;
}

START_TEST(appended)
{
        TmpRoot t = tmproot_new();
        HistoryEntries l = read_all(&t);
        HistoryEntry e = entry(HISTORY_STATE, 0, "x");
        char *longer;

        ck_assert_uint_eq(l.n, 0);
        for (usec_t i = 0; i < 10; i++) {
                e.time = i + 1;
                ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        }
        l = read_all(&t);
        ck_assert_uint_eq(l.n, 10);
        ck_assert_uint_eq(l.n_damaged, 0);
        for (size_t i = 0; i < l.n; i++)
                ck_assert_uint_eq(l.items[i].time, i + 1);
        history_entries_done(&l);

        /* A detail of any length is an entry of a bounded one. */
        longer = malloc(50000);
        memset(longer, 'x', 49999);
        longer[49999] = '\0';
        e.detail = longer;
        ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        free(longer);
        l = read_all(&t);
        ck_assert_uint_eq(strlen(l.items[10].detail), HISTORY_DETAIL_MAX);
        history_entries_done(&l);
        tmproot_done(&t);
}
END_TEST

/* Cut at every length: the entries before it and the ones after it are there, and one is missing. */
START_TEST(torn)
{
        TmpRoot t = tmproot_new();
        _cleanup_free_ char *text = NULL;
        HistoryEntry e = entry(HISTORY_STATE, 1, "x");
        size_t size;

        ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        ck_assert_int_eq(root_read_file(t.root, FILE_, 4096, &text, &size), 0);
        for (size_t cut = size / 2 + 1; cut < size; cut++) {
                HistoryEntries l;

                ck_assert_int_eq(root_write_file(t.root, FILE_, text, cut, 0644), 0);
                l = read_all(&t);
                /* Without its newline the last one is whole all the same. */
                ck_assert_uint_eq(l.n, cut == size - 1 ? 2 : 1);
                ck_assert_uint_eq(l.n_damaged, cut == size - 1 ? 0 : 1);
                history_entries_done(&l);
                ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
                l = read_all(&t);
                ck_assert_uint_eq(l.n, cut == size - 1 ? 3 : 2);
                history_entries_done(&l);
        }
        tmproot_done(&t);
}
END_TEST

/* It names processes of all users. */
START_TEST(readers)
{
        TmpRoot t = tmproot_new();
        HistoryEntry e = entry(HISTORY_STATE, 1, "x");
        struct stat st;

        ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        ck_assert_int_eq(root_stat(t.root, FILE_, &st), 0);
        ck_assert_int_eq(st.st_mode & 07777, 0600);

        /* As an older version made it. */
        ck_assert_int_eq(root_write_file(t.root, FILE_, "", 0, 0644), 0);
        ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        ck_assert_int_eq(root_stat(t.root, FILE_, &st), 0);
        ck_assert_int_eq(st.st_mode & 07777, 0600);
        tmproot_done(&t);
}
END_TEST

START_TEST(bounded)
{
        TmpRoot t = tmproot_new();
        HistoryEntry e = entry(HISTORY_STATE, 0, "a detail of a length as they are, more or less");
        HistoryEntries l;
        struct stat st;

        for (usec_t i = 1; i <= 4000; i++) {
                e.time = i;
                ck_assert_int_eq(history_append(t.root, STORE, &e), 0);
        }
        ck_assert_int_eq(root_stat(t.root, FILE_, &st), 0);
        ck_assert_int_lt(st.st_size, HISTORY_FILE_MAX + 2000);
        ck_assert_int_eq(root_stat(t.root, FILE_ ".1", &st), 0);
        ck_assert_int_lt(st.st_size, HISTORY_FILE_MAX + 2000);
        ck_assert(!root_exists(t.root, FILE_ ".2"));
        l = read_all(&t);
        ck_assert_uint_gt(l.n, 500);
        ck_assert_uint_lt(l.n, 4000);
        for (size_t i = 1; i < l.n; i++)
                ck_assert_uint_eq(l.items[i].time, l.items[i - 1].time + 1);
        ck_assert_uint_eq(l.items[l.n - 1].time, 4000);
        history_entries_done(&l);
        tmproot_done(&t);
}
END_TEST

/* Killed at any moment, also while the file is exchanged: what is there can be read, and is a row without a
 * gap. */
START_TEST(killed)
{
        TmpRoot t = tmproot_new();

        for (unsigned round = 0; round < 20; round++) {
                HistoryEntry e = entry(HISTORY_STATE, 0, "x");
                HistoryEntries l;
                pid_t pid = fork();

                ck_assert_int_ge(pid, 0);
                if (pid == 0) {
                        for (e.time = 1; history_append(t.root, STORE, &e) == 0; e.time++)
                                ;
                        _exit(1);
                }
                ck_assert_int_eq(usleep(5000 + 3000 * round), 0);
                ck_assert_int_eq(kill(pid, SIGKILL), 0);
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
                l = read_all(&t);
                ck_assert_uint_le(l.n_damaged, 1 + round);
                for (size_t i = 1; i < l.n; i++)
                        ck_assert(l.items[i].time == l.items[i - 1].time + 1 || l.items[i].time == 1);
                history_entries_done(&l);
        }
        tmproot_done(&t);
}
END_TEST

START_TEST(not_a_file)
{
        TmpRoot t = tmproot_new();
        HistoryEntry e = entry(HISTORY_STATE, 1, "x");
        char path[128];

        tmproot_write(&t, "target", "");
        tmproot_link(&t, "/target", FILE_);
        ck_assert_int_eq(history_append(t.root, STORE, &e), -ELOOP);
        ck_assert_int_eq(root_unlink(t.root, FILE_), 0);
        (void)snprintf(path, sizeof(path), "%s/" FILE_, t.path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(history_append(t.root, STORE, &e), -EINVAL);
        ck_assert_int_eq(root_unlink(t.root, FILE_), 0);
        tmproot_mkdir(&t, FILE_);
        ck_assert_int_eq(history_append(t.root, STORE, &e), -EISDIR);
        tmproot_done(&t);
}
END_TEST

UNIT_MAIN("history", UNIT_TEST(round_trip), UNIT_TEST(strange_bytes), UNIT_TEST(no_entries),
                UNIT_TEST(appended), UNIT_TEST(torn), UNIT_TEST(readers), UNIT_TEST(bounded),
                UNIT_TEST(killed), UNIT_TEST(not_a_file))
