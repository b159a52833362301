/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sd_notify(3) with its result ignored on purpose: a service manager that does
 * not listen is no reason for a driver daemon to do anything differently.
 */

#include <stdarg.h>
#include <systemd/sd-daemon.h>

#include "sys/notify.h"

void notify_sendf(const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&message, format, ap);
        va_end(ap);
        if (n >= 0)
                (void)sd_notify(/* unset_environment= */ 0, message);
}

usec_t notify_watchdog_usec(void)
{
        uint64_t usec = 0;

        return sd_watchdog_enabled(/* unset_environment= */ 0, &usec) > 0 ? usec : 0;
}
