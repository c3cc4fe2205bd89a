/* SPDX-License-Identifier: MIT */
#include "server/server_tls.h"

#include "server/server.h"

#include <stdio.h>

bool dl_server_tls_is_asked(const demilune_options *options) { return options->tls_cert[0] != NULL || options->tls_key[0] != NULL; }

bool dl_server_tls_read(const demilune_options *options, dl_tls_material *out, dl_log *log, char message[DL_TLS_MESSAGE_BYTES]) {
  dl_tls_files files = {options->tls_cert, options->tls_key, options->tls_ocsp, options->tls_client_ca};
  return dl_tls_material_read(&files, out, log, message);
}

static void on_rotation(uv_timer_t *timer) { dl_tls_ticket_keys_rotate(&((dl_server_tls *)timer->data)->own_tickets); }

static void begin_rotation(dl_server_tls *tls, uv_loop_t *uv) {
  const uint64_t period_ms = (uint64_t)DL_TLS_TICKET_PERIOD_S * 1000;
  dl_tls_ticket_keys_rotate(&tls->own_tickets);
  tls->tickets = &tls->own_tickets;
  uv_timer_init(uv, &tls->rotation);
  tls->rotation.data = tls;
  uv_timer_start(&tls->rotation, on_rotation, period_ms, period_ms);
  uv_unref((uv_handle_t *)&tls->rotation);
}

/* Not in dev: a browser would keep it for localhost, and with it for every other
 * program that is tried there. */
static void set_hsts(dl_server_tls *tls, const demilune_options *options, dl_worker *worker) {
  if (options->mode != DEMILUNE_SERVE || (options->hsts && strcmp(options->hsts, "off") == 0)) return;
  int len = snprintf(tls->hsts, sizeof tls->hsts, "Strict-Transport-Security: %s\r\n", options->hsts ? options->hsts : "max-age=31536000");
  worker->hsts = dl_str_from(tls->hsts, (size_t)len);
}

/* What there is to warn of is said once, by the first of several workers. */
static bool use(const dl_server_tls *tls, const dl_tls_material *material, dl_worker *worker, bool warns, char *message) {
  dl_tls_context *context = dl_tls_context_new(material, tls->tickets, warns ? &worker->loop->log : NULL, message);
  if (context) dl_worker_use_tls(worker, context);
  return context != NULL;
}

const char *dl_server_tls_open(dl_server_tls *tls, const demilune_options *options, const dl_server_world *world, dl_worker *worker,
                               char message[DL_TLS_MESSAGE_BYTES]) {
  dl_tls_material own = {0};
  if (!dl_server_tls_is_asked(options)) return NULL;
  if (!world) begin_rotation(tls, worker->loop->uv);
  else tls->tickets = world->tickets;
  bool ok = world ? use(tls, world->tls, worker, world->index == 0, message)
                  : dl_server_tls_read(options, &own, &worker->loop->log, message) && use(tls, &own, worker, true, message);
  dl_tls_material_free(&own);
  if (!ok) return message;
  set_hsts(tls, options, worker);
  return NULL;
}

void dl_server_tls_replace(const dl_server_tls *tls, dl_worker *worker, int fd) {
  dl_tls_material material;
  char message[DL_TLS_MESSAGE_BYTES] = "they did not arrive whole";
  if (!dl_tls_material_unpack(fd, &material) || !use(tls, &material, worker, false, message))
    dl_log_text(&worker->loop->log, DL_LOG_ERROR, "new certificates cannot be used and those before go on: %s", message);
  dl_tls_material_free(&material);
}

void dl_server_tls_free(dl_server_tls *tls) { explicit_bzero(&tls->own_tickets, sizeof tls->own_tickets); }
