/* SPDX-License-Identifier: MIT */
/*
 * The master's part of TLS: it reads the files, owns the keys of session tickets,
 * which all workers share, and holds the sockets of --http-redirect. It looks into
 * no certificate: a probe does that for it.
 */
#include "server/master.h"
#include "server/server_tls.h"

#include <sys/mman.h>
#include <unistd.h>

static const uint64_t PERIOD_US = (uint64_t)DL_TLS_TICKET_PERIOD_S * 1000000;

static bool rotate(dl_master *master) {
  master->tls.rotate_at_us = master->clock.monotonic_us + PERIOD_US;
  return dl_tls_ticket_keys_rotate(master->tls.tickets);
}

const char *dl_master_tls_open(dl_master *master, char message[DL_TLS_MESSAGE_BYTES]) {
  dl_master_tls *tls = &master->tls;
  if (!dl_server_tls_is_asked(master->options)) return NULL;
  if (!dl_server_tls_read(master->options, &tls->material, &master->log, message)) return message;
  tls->tickets = mmap(NULL, sizeof *tls->tickets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (tls->tickets == MAP_FAILED) return "the system has no memory for the keys of session tickets";
  madvise(tls->tickets, sizeof *tls->tickets, MADV_DONTDUMP);
  if (!rotate(master)) return "the system gives no random bytes for the keys of session tickets";
  return master->options->http_redirect ? dl_sockets_open_redirect(&tls->redirects, master->options, master->worker_count, message) : NULL;
}

void dl_master_tls_tick(dl_master *master) {
  if (master->tls.tickets && master->clock.monotonic_us >= master->tls.rotate_at_us) rotate(master);
}

bool dl_master_tls_reread(dl_master *master, char message[DL_TLS_MESSAGE_BYTES]) {
  dl_tls_material_free(&master->tls.next);
  return !master->tls.tickets || dl_server_tls_read(master->options, &master->tls.next, &master->log, message);
}

/* Also to those that start at the moment: they were forked with what there was. */
void dl_master_tls_commit(dl_master *master) {
  dl_master_tls *tls = &master->tls;
  if (!tls->tickets) return;
  dl_tls_material_free(&tls->material);
  tls->material = tls->next;
  tls->next = (dl_tls_material){0};
  int fd = dl_tls_material_pack(&tls->material);
  if (fd < 0) dl_log_text(&master->log, DL_LOG_ERROR, "the system gives no memory to hand on the certificates; those before go on");
  for (size_t i = 0; fd >= 0 && i < master->worker_count; i++)
    if (master->workers[i].channel >= 0) dl_channel_send(master->workers[i].channel, DL_MESSAGE_TLS, 0, NULL, fd);
  if (fd >= 0) close(fd);
}

void dl_master_tls_close(dl_master *master) {
  dl_master_tls *tls = &master->tls;
  dl_tls_material_free(&tls->material);
  dl_tls_material_free(&tls->next);
  dl_sockets_close(&tls->redirects);
  if (tls->tickets && tls->tickets != MAP_FAILED) munmap(tls->tickets, sizeof *tls->tickets);
}
