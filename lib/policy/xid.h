/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a line of the kernel log says about the health of an NVIDIA GPU. Pure:
 * a line of text in, an event out; the lines come from a kernel driver that
 * may be in any state, so nothing of them is taken for granted.
 */

#include "base/macro.h"

typedef enum XidKind {
        XID_NONE,        /* says nothing about a GPU's health */
        XID_QUOTES,      /* the records right behind it may be a client's words */
        XID_LOADED,      /* the driver begins anew: what was said before does not count any more */
        XID_ADDED,       /* the PCI core found an NVIDIA device at .address: it is new there */
        XID_NAMED,       /* names the GPU that the next lines may speak of */
        XID_APPLICATION, /* a user program's fault, the GPU is well */
        XID_NOTICE,      /* worth knowing, nothing is broken */
        XID_FAULT,       /* the hardware or the driver is in trouble */
        XID_LOST,        /* the GPU does not answer any more: it has fallen off the bus */
        _XID_KIND_MAX,
        _XID_KIND_INVALID = -EINVAL,
} XidKind;

enum {
        XID_ADDRESS_SIZE = 20, /* "0000:01:00.0"; a VMD's domain has up to eight digits */
        XID_TEXT_SIZE = 160,
};

typedef struct XidEvent {
        XidKind kind;
        char address[XID_ADDRESS_SIZE]; /* "" if the line does not name it */
        usec_t stamp;                   /* when it was printed, by the clock of the log; the caller's */
        unsigned number;                /* 0: no Xid, but a message of another kind */
        char text[XID_TEXT_SIZE];       /* the driver's own words, without process and full stop */
} XidEvent;

/* @line without its newline. Always fills @ret; returns its kind. */
XidKind xid_parse(const char *line, XidEvent *ret);

/* From NVIDIA's list of Xid errors: what kind it is, and in a few words what it means. */
XidKind xid_kind(unsigned number);
const char *xid_meaning(unsigned number);

const char *xid_kind_to_string(XidKind kind);
XidKind xid_kind_from_string(const char *name);

/* "Xid 48 (double bit ECC error): An uncorrectable ..." or, without a number, the text. NULL on out of
 * memory. */
char *xid_describe(unsigned number, const char *text);
