/* SPDX-License-Identifier: Apache-2.0 */

/*
 * module.sig_enforce is the kernel's own word: it is on by configuration
 * (MODULE_SIG_FORCE), by the command line, or because somebody wrote to it. A
 * kernel without MODULE_SIG does not have it. /proc/cmdline is only read to
 * say where it comes from. A container has neither securityfs nor efivarfs in
 * its own /sys: there the machine's are looked at, as init sees them.
 */

#include "base/result.h"
#include "base/str.h"
#include "sys/kernel.h"
#include "sys/lockdown.h"

#define SIG_ENFORCE "sys/module/module/parameters/sig_enforce"
#define LOCKDOWN    "sys/kernel/security/lockdown"
#define OF_INIT     "proc/1/root/"
#define KEYS        "proc/keys"
#define SECURE_BOOT "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

enum {
        LINE_MAX_BYTES = 256,
        KEYS_MAX_BYTES = 4 * 1024 * 1024,
        EFI_ATTRIBUTES = 4, /* before the value of a variable */
};

/* Any failure to read one of these means that it is not known. */
static char *read_line(const Root *root, const char *path)
{
        char *line = NULL;

        return root_read_line(root, path, LINE_MAX_BYTES, &line) == 0 ? line : NULL;
}

static Known read_sig_enforce(const Root *root)
{
        _cleanup_free_ char *line = read_line(root, SIG_ENFORCE);

        if (line)
                return streq(line, "Y") ? KNOWN_YES : streq(line, "N") ? KNOWN_NO : KNOWN_NOT;
        /* The kernel's other parameters are there, so sysfs can be seen, and this one does not exist. */
        return root_exists(root, "sys/module") && !root_exists(root, SIG_ENFORCE) ? KNOWN_NO : KNOWN_NOT;
}

/* "none [integrity] confidentiality" */
static Lockdown read_lockdown(const Root *root)
{
        _cleanup_free_ char *own = read_line(root, LOCKDOWN),
                            *line = own ? TAKE_PTR(own) : read_line(root, OF_INIT LOCKDOWN);
        char *name = line ? strchr(line, '[') : NULL;
        Lockdown lockdown;

        if (!name)
                return LOCKDOWN_UNKNOWN;
        name++;
        name[strcspn(name, "]")] = '\0';
        lockdown = lockdown_from_string(name);
        return lockdown < 0 ? LOCKDOWN_UNKNOWN : lockdown;
}

static Known read_secure_boot(const Root *root)
{
        _cleanup_free_ char *data = NULL;
        size_t size = 0;
        int r;

        r = root_read_file(root, SECURE_BOOT, LINE_MAX_BYTES, &data, &size);
        if (r != 0)
                r = root_read_file(root, OF_INIT SECURE_BOOT, LINE_MAX_BYTES, &data, &size);
        if (r != 0 || size != EFI_ATTRIBUTES + 1)
                return KNOWN_NOT;
        return data[EFI_ATTRIBUTES] == 1 ? KNOWN_YES : KNOWN_NO;
}

static int read_cmdline(const Root *root, bool *ret)
{
        _cleanup_strv_ char **words = NULL;
        int r;

        r = kernel_cmdline(root, &words);
        if (r < 0)
                return err_trace(r);
        STRV_FOREACH (word, words) {
                const char *rest = startswith(*word, "module.sig_enforce");

                if (rest && (!*rest || *rest == '='))
                        *ret = true;
        }
        return 0;
}

static int read_keys(const Root *root, EnforcementFacts *f)
{
        _cleanup_free_ char *text = NULL;

        if (root_read_file(root, KEYS, KEYS_MAX_BYTES, &text, NULL) != 0)
                return 0;
        return err_trace(enforcement_add_keys(f, text));
}

int lockdown_read(const Root *root, EnforcementFacts *ret)
{
        EnforcementFacts f = {
                .sig_enforce = read_sig_enforce(root),
                .lockdown = read_lockdown(root),
        };
        int r;

        r = read_cmdline(root, &f.on_command_line);
        /* Where nothing is enforced nobody asks for the rest. */
        if (f.sig_enforce == KNOWN_YES || f.lockdown != LOCKDOWN_NONE)
                f.secure_boot = read_secure_boot(root);
        if (r == 0 && (f.sig_enforce == KNOWN_YES || f.lockdown > LOCKDOWN_NONE))
                r = read_keys(root, &f);
        if (r) {
                enforcement_facts_done(&f);
                return err_trace(r);
        }
        *ret = f;
        return 0;
}
