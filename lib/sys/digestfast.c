/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The only file that knows libxxhash. Before every load the whole build is read
 * and compared with its manifest. SHA-256 would take as long as loading the
 * driver on a machine whose processor has no instruction for it (measured: 2 s
 * against 0.15 s for nvidia.ko), and whoever can write the store as root can
 * write the manifest as well: at this point only damage is to be found.
 */

#include <xxhash.h>

#include "base/result.h"
#include "sys/digest.h"

static void state_freep(XXH64_state_t **state)
{
        (void)XXH64_freeState(*state);
}

int digest_fast_fd(int fd, char ret_hex[static DIGEST_FAST_HEX_SIZE], uint64_t *ret_size)
{
        _cleanup_(state_freep) XXH64_state_t *state = XXH64_createState();
        _cleanup_free_ char *buffer = NULL;
        const size_t chunk = 256 * 1024;
        uint64_t size = 0;

        buffer = malloc(chunk);
        if (!state || !buffer)
                return err_origin(-ENOMEM);
        (void)XXH64_reset(state, 0);

        for (;;) {
                ssize_t n = read(fd, buffer, chunk);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        break;
                (void)XXH64_update(state, buffer, (size_t)n);
                size += (uint64_t)n;
        }

        (void)snprintf(ret_hex, DIGEST_FAST_HEX_SIZE, "%016llx", (unsigned long long)XXH64_digest(state));
        if (ret_size)
                *ret_size = size;
        return 0;
}

void digest_fast_text(const char *text, size_t size, char ret_hex[static DIGEST_FAST_HEX_SIZE])
{
        (void)snprintf(ret_hex, DIGEST_FAST_HEX_SIZE, "%016llx", (unsigned long long)XXH64(text, size, 0));
}
