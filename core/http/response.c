/* SPDX-License-Identifier: MIT */
/* The lines of a response's head, and chunks of its body. */
#include "http/response.h"

#include "http/internal.h"
#include "http/text.h"

enum { FIRST_STATUS = 100, LAST_STATUS = 599, BEFORE_REASON = 13 /* "HTTP/1.1 200 " */ };

/* RFC 9110 15 and the registry; the table is the documentation. */
#define LINE(status, reason) [status - FIRST_STATUS] = {"HTTP/1.1 " #status " " reason "\r\n", sizeof("HTTP/1.1 " #status " " reason "\r\n") - 1}
static const dl_str lines[LAST_STATUS - FIRST_STATUS + 1] = {
    LINE(100, "Continue"),
    LINE(101, "Switching Protocols"),
    LINE(102, "Processing"),
    LINE(103, "Early Hints"),
    LINE(200, "OK"),
    LINE(201, "Created"),
    LINE(202, "Accepted"),
    LINE(203, "Non-Authoritative Information"),
    LINE(204, "No Content"),
    LINE(205, "Reset Content"),
    LINE(206, "Partial Content"),
    LINE(207, "Multi-Status"),
    LINE(208, "Already Reported"),
    LINE(226, "IM Used"),
    LINE(300, "Multiple Choices"),
    LINE(301, "Moved Permanently"),
    LINE(302, "Found"),
    LINE(303, "See Other"),
    LINE(304, "Not Modified"),
    LINE(305, "Use Proxy"),
    LINE(307, "Temporary Redirect"),
    LINE(308, "Permanent Redirect"),
    LINE(400, "Bad Request"),
    LINE(401, "Unauthorized"),
    LINE(402, "Payment Required"),
    LINE(403, "Forbidden"),
    LINE(404, "Not Found"),
    LINE(405, "Method Not Allowed"),
    LINE(406, "Not Acceptable"),
    LINE(407, "Proxy Authentication Required"),
    LINE(408, "Request Timeout"),
    LINE(409, "Conflict"),
    LINE(410, "Gone"),
    LINE(411, "Length Required"),
    LINE(412, "Precondition Failed"),
    LINE(413, "Content Too Large"),
    LINE(414, "URI Too Long"),
    LINE(415, "Unsupported Media Type"),
    LINE(416, "Range Not Satisfiable"),
    LINE(417, "Expectation Failed"),
    LINE(421, "Misdirected Request"),
    LINE(422, "Unprocessable Content"),
    LINE(423, "Locked"),
    LINE(424, "Failed Dependency"),
    LINE(425, "Too Early"),
    LINE(426, "Upgrade Required"),
    LINE(428, "Precondition Required"),
    LINE(429, "Too Many Requests"),
    LINE(431, "Request Header Fields Too Large"),
    LINE(451, "Unavailable For Legal Reasons"),
    LINE(500, "Internal Server Error"),
    LINE(501, "Not Implemented"),
    LINE(502, "Bad Gateway"),
    LINE(503, "Service Unavailable"),
    LINE(504, "Gateway Timeout"),
    LINE(505, "HTTP Version Not Supported"),
    LINE(506, "Variant Also Negotiates"),
    LINE(507, "Insufficient Storage"),
    LINE(508, "Loop Detected"),
    LINE(511, "Network Authentication Required"),
};
#undef LINE

static dl_str line_of(int status) { return status < FIRST_STATUS || status > LAST_STATUS ? (dl_str){0} : lines[status - FIRST_STATUS]; }

dl_str dl_http_reason(int status) {
  dl_str line = line_of(status);
  return line.len ? dl_str_from(line.ptr + BEFORE_REASON, line.len - BEFORE_REASON - 2) : DL_STR("");
}

void dl_http_status_line(dl_buffer *buffer, int status) {
  dl_str line = line_of(status);
  if (line.len) dl_buffer_append_str(buffer, line);
  else dl_buffer_printf(buffer, "HTTP/1.1 %03d \r\n", status);
}

dl_str dl_http_date_line(dl_http_date *date, const dl_clock *clock) {
  enum { NAME_LENGTH = 6, DATE_LENGTH = 29 };
  int64_t second = clock->wall_ms / 1000;
  if (second != date->second || !date->line[0]) {
    date->second = second;
    memcpy(date->line, "Date: ", NAME_LENGTH);
    dl_clock_imf_fixdate(second * 1000, date->line + NAME_LENGTH);
    memcpy(date->line + NAME_LENGTH + DATE_LENGTH, "\r\n", 3);
  }
  return dl_str_from(date->line, sizeof(date->line) - 1);
}

bool dl_http_header_line(dl_buffer *buffer, dl_str name, dl_str value) {
  if (!dl_http_all(name, DL_CHAR_TOKEN) || (value.len && !dl_http_all(value, DL_CHAR_VALUE))) return false;
  dl_buffer_reserve(buffer, name.len + value.len + 4);
  dl_buffer_append_str(buffer, name);
  DL_BUFFER_LITERAL(buffer, ": ");
  dl_buffer_append_str(buffer, value);
  DL_BUFFER_LITERAL(buffer, "\r\n");
  return true;
}

static bool holds_url(dl_str name) { return dl_str_equal_nocase(name, DL_STR("location")) || dl_str_equal_nocase(name, DL_STR("content-location")); }

bool dl_http_app_header_line(dl_buffer *buffer, dl_str name, dl_str value) {
  if (!holds_url(name) || !value.len) return dl_http_header_line(buffer, name, value);
  if (!dl_http_all(value, DL_CHAR_VALUE)) return false;
  dl_buffer url = {0};
  dl_http_percent_encode_url(&url, value);
  bool written = dl_http_header_line(buffer, name, dl_buffer_str(&url));
  dl_buffer_free(&url);
  return written;
}

/* The next line off the front, and its name. */
static dl_str take_line(dl_str *block, dl_str *name) {
  const char *end = memchr(block->ptr, '\n', block->len);
  dl_str line = dl_str_from(block->ptr, end ? (size_t)(end - block->ptr) + 1 : block->len);
  const char *colon = memchr(line.ptr, ':', line.len);
  *name = dl_str_from(line.ptr, colon ? (size_t)(colon - line.ptr) : line.len);
  *block = dl_str_skip(*block, line.len);
  return line;
}

static bool names(dl_str block, dl_str wanted) {
  dl_str name;
  while (block.len) {
    take_line(&block, &name);
    if (dl_str_equal_nocase(name, wanted)) return true;
  }
  return false;
}

void dl_http_header_lines_except(dl_buffer *buffer, dl_str block, dl_str others) {
  dl_str name;
  while (block.len) {
    dl_str line = take_line(&block, &name);
    if (!names(others, name)) dl_buffer_append_str(buffer, line);
  }
}

static bool is_vary(dl_str name) { return dl_str_equal_nocase(name, DL_STR("vary")); }

static uint32_t count_vary(dl_str block) {
  uint32_t count = 0;
  for (dl_str name; block.len; count += is_vary(name)) take_line(&block, &name);
  return count;
}

static bool is_any(dl_str list) {
  for (dl_str element; dl_http_list_next(&list, &element);)
    if (dl_str_equal(element, DL_STR("*"))) return true;
  return false;
}

/* Appends the values of a line and those before it as one list. */
static void join_values(dl_buffer *joined, dl_str line, dl_str name) {
  dl_str value = dl_str_trim(dl_str_from(name.ptr + name.len + 1, line.len - name.len - 3 /* the colon and CRLF */));
  if (joined->len && value.len) DL_BUFFER_LITERAL(joined, ", ");
  dl_buffer_append_str(joined, value);
}

void dl_http_join_vary(dl_buffer *buffer, size_t from) {
  dl_buffer others = {0}, joined = {0};
  dl_str block = dl_str_skip(dl_buffer_str(buffer), from), name;
  if (count_vary(block) < 2) return;
  while (block.len) {
    dl_str line = take_line(&block, &name);
    if (is_vary(name)) join_values(&joined, line, name);
    else dl_buffer_append_str(&others, line);
  }
  buffer->len = from;
  dl_buffer_append_str(buffer, dl_buffer_str(&others));
  dl_http_header_line(buffer, DL_STR("Vary"), is_any(dl_buffer_str(&joined)) ? DL_STR("*") : dl_buffer_str(&joined));
  dl_buffer_free(&others);
  dl_buffer_free(&joined);
}

void dl_http_chunk(dl_buffer *buffer, dl_str data) {
  dl_buffer_printf(buffer, "%zx\r\n", data.len);
  dl_buffer_append_str(buffer, data);
  DL_BUFFER_LITERAL(buffer, "\r\n");
}
