/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * systemd's journal, spoken to in its native protocol over an own socket, for
 * who must not wait: sd_journal_sendv(3) blocks when journald does not read.
 */

#include <sys/uio.h>

#include "base/macro.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

typedef struct Journal Journal;

/* @path: of the journal's socket, which need not be there yet. Returns 0 or a negative errno. */
int journal_new(const char *path, Journal **ret);
Journal *journal_free(Journal *j);
DEFINE_CLEANUP(Journal, journal_free);

enum {
        _JOURNAL_E_SUCCESS,
        JOURNAL_E_LOST, /* it does not take the entry now, or there is no journal */
};

/*
 * Sends one entry of @n fields, each "NAME=value"; values may have newlines. An
 * entry that is too large for the socket is sent with its values cut short.
 * Never waits. Returns 0, JOURNAL_E_LOST or -ENOMEM.
 */
int journal_send(Journal *j, const struct iovec *fields, size_t n);
