/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A certificate is a small public file, like a configuration file, and is read
 * here. A key may be in a token that is asked over a bus or a network, so it
 * is tried by the worker, with a deadline.
 */

#include <signal.h>

#include "base/result.h"
#include "base/str.h"
#include "helper.h"
#include "jobloop.h"
#include "paths.h"
#include "signing.h"
#include "sys/modkey.h"

/* A token that takes longer for one signature is of no use for a start either. */
#define CHECK_TIMEOUT (30 * USEC_PER_SEC)

struct SigningCheck {
        SigningFact *fact;
        Job *job;
        char *detail;
        void (*done)(void *userdata);
        void *userdata;
};

static int set_unusable(SigningFact *f, char *detail)
{
        if (!detail)
                return err_origin(-ENOMEM);
        free(f->detail);
        f->code = CODE_KEY_UNUSABLE;
        f->detail = detail;
        return 0;
}

int signing_read(const Root *root, const Config *config, SigningFact *ret)
{
        const char *path = config->signing_certificate ? config->signing_certificate : config->signing_key;
        _cleanup_(modcert_freep) ModCert *cert = NULL;
        char *why = NULL;
        int r;

        *ret = (SigningFact){ .wanted = config->signing_key };
        if (!config->signing_key)
                return 0;
        if (!config->signing_certificate && startswith(config->signing_key, CONFIG_PKCS11))
                return err_trace(set_unusable(
                                ret, strdup("Key= is in a token, so Certificate= has to name its "
                                            "certificate")));

        r = modcert_read(root, path, &cert, &why);
        if (r > 0)
                return err_trace(set_unusable(ret, why));
        return r ? err_trace(r) : err_trace(modcert_signer(cert, &ret->signer));
}

/* A path of the configuration as the worker sees it; a URI as it is. */
static int push_path(char ***argv, const Root *root, const char *path)
{
        if (!path || *path != '/')
                return err_trace(strv_push(argv, strempty(path)));
        return err_trace(strv_push_consume(argv, root_path(root, path)));
}

int signing_arguments(const Root *root, const Config *config, char ***argv)
{
        int r;

        r = push_path(argv, root, config->signing_key);
        if (r == 0)
                r = push_path(argv, root, config->signing_certificate);
        if (r == 0)
                r = push_path(argv, root, config->signing_pin_file);
        return err_trace(r);
}

static void on_line(void *userdata, const char *line)
{
        SigningCheck *c = userdata;
        Signer *s = &c->fact->signer;
        const struct {
                const char *key;
                char **field;
        } fields[] = {
                { HELPER_KEY_NAME "=", &s->name },
                { HELPER_KEY_ISSUER "=", &s->issuer },
                { HELPER_KEY_SERIAL "=", &s->serial },
                { HELPER_KEY_ID "=", &s->key_id },
                { HELPER_KEY_FINGERPRINT "=", &s->fingerprint },
                { HELPER_KEY_DETAIL "=", &c->detail },
        };
        const char *value;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if ((value = startswith(line, fields[i].key)) && *value)
                        (void)str_replace(fields[i].field, value);
        if ((value = startswith(line, HELPER_KEY_NOTE "=")))
                (void)strv_push(&c->fact->notes, value);
}

static void on_exit_of_worker(void *userdata, const JobResult *result)
{
        SigningCheck *c = userdata;
        char *text = NULL;

        c->job = NULL;
        c->fact->checked = true;
        c->fact->code = CODE_OK;
        if (result->timed_out)
                text = strdup("the key did not answer in 30 s");
        else if (result->status != 0)
                text = c->detail ? strdup(c->detail)
                                 : str_format("the worker ended with status %d", result->status);
        if (result->status != 0 && set_unusable(c->fact, text) < 0)
                c->fact->code = CODE_KEY_UNUSABLE;
        c->done(c->userdata);
}

int signing_check(JobPool *pool, const Root *root, const Config *config, SigningFact *fact,
                void (*done)(void *userdata), void *userdata, SigningCheck **ret)
{
        static const JobHandler handler = { .on_line = on_line, .on_exit = on_exit_of_worker };
        _cleanup_(signing_check_freep) SigningCheck *c = NULL;
        _cleanup_strv_ char **argv = NULL;
        JobSpec spec = { .timeout = CHECK_TIMEOUT, .death_signal = SIGTERM, .log_fd = -EBADF };
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return err_origin(-ENOMEM);
        *c = (SigningCheck){ .fact = fact, .done = done, .userdata = userdata };

        r = strv_push(&argv, path_of_worker());
        if (r == 0)
                r = strv_push(&argv, "signer");
        if (r == 0)
                r = signing_arguments(root, config, &argv);
        spec.argv = argv;
        if (r == 0)
                r = job_start(pool, &spec, &handler, c, &c->job);
        if (r)
                return err_trace(r);
        *ret = TAKE_PTR(c);
        return 0;
}

SigningCheck *signing_check_free(SigningCheck *c)
{
        if (!c)
                return NULL;
        job_cancel(c->job);
        free(c->detail);
        free(c);
        return NULL;
}

static void quit(void *userdata)
{
        job_loop_end(userdata);
}

int signing_check_now(const Root *root, const Config *config, SigningFact *fact)
{
        SigningCheck *check = NULL;
        JobLoop loop = {};
        int r;

        r = job_loop_new(&loop);
        if (r == 0)
                r = signing_check(loop.pool, root, config, fact, quit, &loop, &check);
        if (r == 0)
                r = job_loop_run(&loop);
        signing_check_free(check);
        job_loop_done(&loop);
        return err_trace(r);
}
