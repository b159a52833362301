#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sd-event: a source that goes from SD_EVENT_ONESHOT to SD_EVENT_ON stays oneshot in epoll.
#
# Package:  libsystemd0 and libsystemd-dev 252.39-1~deb12u2 (Debian 12), unpacked, not installed.
# Seen:     sd_event_source_get_enabled(3) says SD_EVENT_ON, but EPOLLONESHOT is left in the registration with epoll, so an I/O
#           source is called for the first of three bytes only. By way of SD_EVENT_OFF it is called for all three.
# So what:  child sources are oneshot from the beginning. Whoever sets one to SD_EVENT_ON, so that epoll reports the end of the
#           process again after a turn of the loop that failed, has to turn it off first; else a helper's end is
#           missed, and a driver that has been loaded is waited for in vain.
#
# Exit status: 0 as seen, 1 something changed, 2 cannot be run here.
set -euo pipefail
version=252.39-1~deb12u2

dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "libsystemd0=$version" "libsystemd-dev=$version" && command -v gcc >/dev/null ||
        { echo "needs gcc, and libsystemd $version of the mirror that apt uses" >&2; exit 2; }
for package in *.deb; do
        dpkg-deb -x "$package" root
done

cat >oneshot.c <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <systemd/sd-event.h>

static unsigned calls;

static int on_byte(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char byte;

        calls += read(fd, &byte, 1) == 1;
        return 0;
}

static unsigned count(int by_way_of_off)
{
        sd_event *event;
        sd_event_source *source;
        int fds[2], mode;

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 || sd_event_new(&event) < 0 ||
            sd_event_add_io(event, &source, fds[0], EPOLLIN, on_byte, NULL) < 0)
                return 99;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (by_way_of_off)
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
        sd_event_source_set_enabled(source, SD_EVENT_ON);
        if (sd_event_source_get_enabled(source, &mode) < 0 || mode != SD_EVENT_ON)
                return 99;
        calls = 0;
        for (int i = 0; i < 3; i++) {
                if (write(fds[1], "x", 1) != 1)
                        return 99;
                sd_event_run(event, 100000);
        }
        sd_event_source_unref(source);
        sd_event_unref(event);
        return calls;
}

int main(void)
{
        printf("oneshot, on: %u of 3 calls\n", count(0));
        printf("oneshot, off, on: %u of 3 calls\n", count(1));
        return 0;
}
C
lib=$(dirname -- "$(find "$dir/root" -name libsystemd.so.0)")
gcc -Wall -I root/usr/include -o oneshot oneshot.c "$lib/libsystemd.so.0" -Wl,--allow-shlib-undefined
LD_LIBRARY_PATH=$lib ./oneshot | tee seen
diff seen - <<'SEEN'
oneshot, on: 1 of 3 calls
oneshot, off, on: 3 of 3 calls
SEEN
