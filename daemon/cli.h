/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of nvidia-driver, and what they share. */

#include "base/root.h"
#include "policy/code.h"
#include "policy/config.h"
#include "policy/status.h"

/* Options before and after the verb, as far as given. */
typedef struct Cli {
        Root *root;
        const char *root_path;
        const char *config_file;
        char **assignments; /* SECTION.KEY=VALUE */
        bool json;
        bool verbose;
        bool colour;        /* stdout is a terminal */
        const char *kernel; /* --kernel */
        const char *output; /* --output */
        bool wait;          /* --wait */
        usec_t wait_timeout;
        bool evict;       /* --evict */
        bool dry_run;     /* --dry-run */
        char **arguments; /* what follows the verb */
} Cli;

/* Reads the configuration; problems are printed to stderr. Returns a Code. */
Code cli_config(const Cli *cli, Config **ret);

/* A line on @file; what its parts would do to a terminal is taken out, see str_printable(). */
void cli_line(FILE *file, const char *format, ...) _printf_(2, 3);

/* A failure on stderr: sentence, particulars, next step. Returns @code. */
Code cli_fail(Code code, const char *format, ...) _printf_(2, 3);
Code cli_fatal(int error, const char *what);

/* cli-status.c */
Code cli_status(Cli *cli);
/* Makes the texts of @s printable first. */
void cli_print_status(const Cli *cli, Status *s);

/* cli-busy.c: who uses a driver now that a stop had to leave, and when a failure was recorded. */
int cli_fill_busy(const Cli *cli, Status *s);
void cli_fill_failure_time(const Cli *cli, Status *s);

/* cli-unload.c */
Code cli_unload(Cli *cli);

/* cli-plan.c */
Code cli_plan(Cli *cli);
Code cli_explain(Cli *cli);

/* cli-holders.c */
Code cli_holders(Cli *cli);

/* cli-history.c */
Code cli_history(Cli *cli);

/* cli-builds.c */
Code cli_builds(Cli *cli);

/* cli-toolchain.c */
Code cli_toolchain(Cli *cli);

/* cli-build.c */
Code cli_build(Cli *cli);
