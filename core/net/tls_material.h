/* SPDX-License-Identifier: MIT */
/*
 * What a TLS context is made of, as bytes: whoever may read the files (the master,
 * before it drops its rights) reads them once, and workers build their contexts
 * from memory. Nothing here looks inside, so no OpenSSL is needed before a fork.
 *
 * Needs of the system: open(2), fstat(2) and read(2) of the files named; memfd_create(2)
 * and mmap(2) for handing them on.
 */
#ifndef DL_NET_TLS_MATERIAL_H
#define DL_NET_TLS_MATERIAL_H

#include "base/log.h"

enum { DL_TLS_FILES_MAX = 16, DL_TLS_FILE_BYTES_MAX = 1024 * 1024, DL_TLS_MESSAGE_BYTES = 512 };

typedef struct dl_tls_file {
  char *name; /* as it was given, for messages; NULL: there is none */
  char *bytes;
  size_t len;
} dl_tls_file;

typedef struct dl_tls_material {
  dl_tls_file certificates[DL_TLS_FILES_MAX]; /* PEM: the certificate, then those that lead to its root */
  dl_tls_file keys[DL_TLS_FILES_MAX];         /* PEM, of the certificate in the same place */
  size_t pair_count;
  dl_tls_file staples[DL_TLS_FILES_MAX]; /* OCSP responses in DER; each says itself for which certificate */
  size_t staple_count;
  dl_tls_file client_ca; /* PEM: who may vouch for clients */
} dl_tls_material;

/* Names of files, borrowed; each list ends at its first NULL. */
typedef struct dl_tls_files {
  const char *const *certificates, *const *keys, *const *staples;
  const char *client_ca;
} dl_tls_files;

/* Reads them all. A key that everybody may read is a warning in the log (may be NULL).
 * False with a sentence that names the file; *out then holds nothing. */
bool dl_tls_material_read(const dl_tls_files *files, dl_tls_material *out, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]);

/* The bytes in a sealed piece of memory that another process can be sent; -1: the
 * system gives none. The caller closes it. */
int dl_tls_material_pack(const dl_tls_material *material);
/* Out of it again. False, and *out holds nothing, when it is no such piece. */
bool dl_tls_material_unpack(int fd, dl_tls_material *out);

/* Wipes and frees. */
void dl_tls_material_free(dl_tls_material *material);

#endif
