/* SPDX-License-Identifier: MIT */
#include "app/failure_page.h"

#include "http/text.h"

static void append_html(dl_buffer *buffer, dl_str text) {
  for (size_t i = 0; i < text.len; i++) switch (text.ptr[i]) {
      case '<': DL_BUFFER_LITERAL(buffer, "&lt;"); break;
      case '>': DL_BUFFER_LITERAL(buffer, "&gt;"); break;
      case '&': DL_BUFFER_LITERAL(buffer, "&amp;"); break;
      case '"': DL_BUFFER_LITERAL(buffer, "&quot;"); break;
      default: dl_buffer_append_char(buffer, text.ptr[i]);
    }
}

static void write_page(dl_exchange *exchange, dl_buffer *page, dl_str message, dl_str traceback) {
  DL_BUFFER_LITERAL(page,
                    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>500 in a handler</title>"
                    "<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:60rem;padding:0 1rem;color:#222}"
                    "h1{font-size:1.3rem;color:#a00}pre{background:#f5f5f5;padding:1rem;overflow:auto;font-size:.85rem}"
                    "small{color:#666}</style><h1>");
  append_html(page, message);
  DL_BUFFER_LITERAL(page, "</h1><p>");
  append_html(page, exchange->request.method_text);
  DL_BUFFER_LITERAL(page, " ");
  append_html(page, exchange->request.target);
  DL_BUFFER_LITERAL(page, ", route <code>");
  append_html(page, exchange->view.route);
  DL_BUFFER_LITERAL(page, "</code> of <code>");
  append_html(page, exchange->route->source);
  DL_BUFFER_LITERAL(page, "</code></p><pre>");
  append_html(page, traceback);
  DL_BUFFER_LITERAL(page, "</pre><small>Request ");
  append_html(page, exchange->view.id);
  DL_BUFFER_LITERAL(page, ". This page is shown by <code>demilune dev</code> only; in service the client gets the request id and nothing else.</small></html>\n");
}

static void write_json(dl_exchange *exchange, dl_buffer *out, dl_str message, dl_str traceback) {
  DL_BUFFER_LITERAL(out, "{\"detail\":\"Internal server error\",\"request_id\":");
  dl_buffer_append_json_string(out, exchange->view.id);
  DL_BUFFER_LITERAL(out, ",\"source\":");
  dl_buffer_append_json_string(out, exchange->route->source);
  DL_BUFFER_LITERAL(out, ",\"error\":");
  dl_buffer_append_json_string(out, message);
  DL_BUFFER_LITERAL(out, ",\"traceback\":");
  dl_buffer_append_json_string(out, traceback);
  DL_BUFFER_LITERAL(out, "}");
}

void dl_failure_page(dl_exchange *exchange, dl_str message, dl_str traceback) {
  dl_buffer *scratch = &exchange->worker->scratch;
  dl_buffer_clear(scratch);
  if (dl_http_prefers_html(dl_http_request_header(&exchange->request, DL_HEADER_ACCEPT))) {
    write_page(exchange, scratch, message, traceback);
    dl_respond_page(exchange, 500, dl_buffer_str(scratch));
  } else {
    write_json(exchange, scratch, message, traceback);
    dl_respond_refusal(exchange, 500, DL_STR("application/json"), (dl_str){0}, dl_buffer_str(scratch));
  }
}
