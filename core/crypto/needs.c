/* SPDX-License-Identifier: MIT */
/* What secrets and OpenSSL need: pages that are not swapped, threads for Argon2's lanes. */
#include "base/needs.h"
#include "crypto/crypto.h"

#include <stddef.h>

static const char *const calls[] = {
    "mlock", "mlock2", "munlock", "memfd_secret", /* the pages that secrets lie in */
    NULL};

/* OpenSSL reads its settings when it is first used. */
static const char *const read_paths[] = {"/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", NULL};

const dl_needs dl_crypto_needs = {.folder = "crypto", .calls = calls, .read_paths = read_paths, .rights = DL_RIGHT_THREADS};
