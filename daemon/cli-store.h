/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What cli-builds.c, cli-export.c and cli-import.c share: the store as one command sees it. */

#include "cli.h"
#include "policy/buildlog.h"
#include "policy/manifest.h"

typedef struct CliStore {
        const Cli *cli;
        Config *config;
        BuildManifests builds;
        char *release;       /* of the running kernel; NULL if not known */
        char **in_use;       /* ids of builds that the loaded modules may be from */
        char **good;         /* ids of builds that worked last, one per kernel */
        size_t n_unreadable; /* builds whose manifest is no good; said already */
        int lock;
} CliStore;

Code cli_store_open(const Cli *cli, CliStore *ret);
void cli_store_done(CliStore *s);

/* For commands that write. Waits if --wait says so, and reads the store anew: no manifest from before
 * counts. */
Code cli_store_lock(CliStore *s);

/* @id may be abbreviated. */
Code cli_store_find(const CliStore *s, const char *id, const BuildManifest **ret);

/* A path of the root as the machine has it; NULL on out of memory. */
char *cli_store_path(const CliStore *s, const char *build, const char *name);

/* A file of a build, or of what becomes one; no link is followed. Returns 0 or a negative errno. */
int cli_store_open_file(const CliStore *s, const char *directory, const char *name, int flags, int *ret);

/* Compares every file of @m (that @wanted wants, if given), lying in @directory of the root, with its
 * SHA-256. Prints what differs. */
Code cli_store_verify(const CliStore *s, const BuildManifest *m, const char *directory,
                bool (*wanted)(const BuildManifest *m, const BuildFile *f));

/*
 * Runs a program to its end, its output on stderr but for the line "build=";
 * @log (may be NULL) reads it too. Returns its status or a negative errno.
 */
int cli_store_run(char *const *argv, char *const *environment, BuildLog *log, char **ret_build);

/* Removes staging directories nobody works in. Returns 0 or a negative errno. */
int cli_store_discard_stale(const CliStore *s);

/* cli-export.c */
Code cli_builds_export(Cli *cli);

/* cli-import.c */
Code cli_builds_import(Cli *cli);
