/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Links in /dev/char that others made, such as NVIDIA's nvidia-ctk, which makes
 * one for every MIG capability that there may ever be, also to nodes in the
 * root of a driver container.
 */

#include "policy/nodeset.h"

/* The number of an entry "char/MAJOR:MINOR"; false if it has none. */
bool nodelink_number(const DevEntry *link, unsigned *ret_major, unsigned *ret_minor);

/* As a name below /dev: what a link leads to, there or in a driver container's root; NULL if it is neither.
 * Borrowed. */
const char *nodelink_target(const DevEntry *link);

/* It has the number of a capability that the loaded driver may offer: whoever made it needs it. */
bool nodelink_is_expected(const DriverNodes *driver, unsigned major, unsigned minor);

/* It has a major that the driver had, and that nobody has now: dead, whatever it leads to. */
bool nodelink_is_left_over(const DriverNodes *driver, const NodesetWish *wish, unsigned major);
