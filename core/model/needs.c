/* SPDX-License-Identifier: MIT */
/* What models need: PCRE2 compiles patterns to machine code, and `lower` knows more
 * than ASCII by the C.UTF-8 locale. */
#include "model/schema.h"

#include <stddef.h>

static const char *const read_paths[] = {"/usr/lib/locale", NULL};

const dl_needs dl_model_needs = {.folder = "model", .read_paths = read_paths, .rights = DL_RIGHT_MACHINE_CODE};
