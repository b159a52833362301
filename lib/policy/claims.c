/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A PCI function has one driver. The kernel's rules (drivers/pci/pci-driver.c):
 * a driver that is registered gets every matching device that has none; one
 * with a driver_override matches only the driver of that name. So who comes
 * first keeps a GPU, and an override decides for the next time.
 *
 * Only the GPU's own function matters here. Its sound, USB and UCSI functions
 * have drivers of their own and are nobody's obstacle.
 */

#include "base/result.h"
#include "base/str.h"
#include "policy/claims.h"

#define DRIVER "nvidia"

static bool is_excluded(const char *address, const Config *config)
{
        return strv_contains(config->exclude, address) ||
               (config->include && !strv_contains(config->include, address));
}

void claims_mark(GpuFacts *gpus, const Config *config)
{
        for (size_t i = 0; i < gpus->n; i++)
                gpus->items[i].excluded = is_excluded(gpus->items[i].address, config);
}

int claims_split(GpuFacts *all, const Config *config, GpuFacts *wanted, GpuFacts *excluded)
{
        claims_mark(all, config);
        for (size_t i = 0; i < all->n; i++) {
                GpuFact *gpu = &all->items[i];
                int r = gpu_facts_add(gpu->excluded ? excluded : wanted, gpu);

                if (r)
                        return err_trace(r);
        }
        gpu_facts_done(all);
        return 0;
}

char *claims_explain_none(const GpuFacts *excluded, const Config *config)
{
        _cleanup_strv_ char **addresses = NULL;
        _cleanup_free_ char *text = NULL, *include = NULL;

        if (excluded->n == 0)
                return strdup("Looked for vendor 10de, class 0300 and 0302.");

        for (size_t i = 0; i < excluded->n; i++)
                if (strv_push(&addresses, excluded->items[i].address))
                        return NULL;
        text = strv_join(addresses, ", ");
        include = strv_join(config->include, " ");
        if (!text || !include)
                return NULL;
        return str_format("There is %s, but [Devices] in driverd.conf does not want it%s%s.", text,
                        config->include ? ": Include=" : "", include);
}

static bool is_there(const GpuFacts *gpus, const char *address)
{
        for (size_t i = 0; i < gpus->n; i++)
                if (streq(gpus->items[i].address, address))
                        return true;
        return false;
}

static int explain_absent(const GpuFacts *wanted, const GpuFacts *excluded, const char *key,
                char *const *addresses, char ***lines)
{
        STRV_FOREACH (address, addresses) {
                int r;

                if (is_there(wanted, *address) || is_there(excluded, *address))
                        continue;
                r = strv_pushf(lines, "[Devices] %s=%s: there is no NVIDIA GPU at this address", key,
                                *address);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int claims_explain_absent(
                const GpuFacts *wanted, const GpuFacts *excluded, const Config *config, char ***lines)
{
        int r;

        r = explain_absent(wanted, excluded, "Include", config->include, lines);
        if (r == 0)
                r = explain_absent(wanted, excluded, "Exclude", config->exclude, lines);
        return err_trace(r);
}

bool claims_is_pinned(const GpuFact *gpu)
{
        return gpu->override && streq(gpu->override, GPU_PIN);
}

/* Set by somebody, for a driver that is not NVIDIA's. */
static bool is_reserved(const GpuFact *gpu)
{
        return gpu->override && !streq(gpu->override, DRIVER) && !claims_is_pinned(gpu);
}

bool claims_is_taken(const GpuFact *gpu)
{
        return gpu->driver ? !streq(gpu->driver, DRIVER) : is_reserved(gpu);
}

int claims_explain(const GpuFacts *gpus, char ***lines)
{
        for (size_t i = 0; i < gpus->n; i++) {
                const GpuFact *gpu = &gpus->items[i];
                int r = 0;

                if (!claims_is_taken(gpu))
                        continue;
                if (gpu->driver)
                        r = strv_pushf(lines, "GPU %s is bound to %s", gpu->address, gpu->driver);
                else
                        r = strv_pushf(lines, "GPU %s is kept for %s (driver_override)", gpu->address,
                                        gpu->override);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

/* Unbinding first: as long as the override stands, nobody else can take what was let go. */
ClaimsMove claims_take(const GpuFacts *wanted, const GpuFact **ret)
{
        for (size_t i = 0; i < wanted->n; i++) {
                const GpuFact *gpu = &wanted->items[i];

                if (gpu->driver && streq(gpu->driver, DRIVER))
                        continue;
                if (gpu->driver || is_reserved(gpu)) {
                        *ret = gpu;
                        return gpu->driver ? CLAIMS_UNBIND : CLAIMS_FREE;
                }
        }
        return CLAIMS_DONE;
}

int claims_to_pin(const GpuFacts *excluded, char ***addresses)
{
        for (size_t i = 0; i < excluded->n; i++) {
                const GpuFact *gpu = &excluded->items[i];
                int r;

                if (gpu->driver || gpu->override)
                        continue;
                r = strv_push(addresses, gpu->address);
                if (r)
                        return err_trace(r);
        }
        return 0;
}

int claims_pinned(const GpuFacts *gpus, char ***addresses)
{
        for (size_t i = 0; i < gpus->n; i++) {
                int r = claims_is_pinned(&gpus->items[i]) ? strv_push(addresses, gpus->items[i].address) : 0;

                if (r)
                        return err_trace(r);
        }
        return 0;
}
