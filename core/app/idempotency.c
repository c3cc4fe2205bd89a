/* SPDX-License-Identifier: MIT */
#include "app/idempotency.h"

#include "http/idempotency_key.h"

static const char missing[] = "This needs an Idempotency-Key: a field with a string that is new for each thing you want done, such as a UUID, "
                              "and the same when you send it again";

bool dl_step_idempotency(dl_exchange *exchange) {
  dl_request_view *view = &exchange->view;
  const char *problem = dl_http_idempotency_key(&exchange->request, &exchange->arena, &view->idempotency_key);
  if (!problem && !view->idempotency_key.len && !exchange->route->key_optional) problem = missing;
  /* Its deadline, and twice the time that something cancelled has to end. */
  view->attempt_us = exchange->route->timeout_us + DL_KEEP_US + UINT64_C(2) * DL_HANDLER_GRACE_US;
  if (problem) dl_respond_error(exchange, 400, dl_str_of(problem), (dl_str){0});
  return !problem;
}
