/* SPDX-License-Identifier: MIT */
/* The lines of a response's head, and chunks of its body. */
#include "http/response.h"

#include "http/internal.h"

/* RFC 9110 15 and the registry; the table is the documentation. */
#define STATUSES(X)                                                                                                                                    \
  X(100, "Continue") X(101, "Switching Protocols") X(102, "Processing") X(103, "Early Hints")                                                          \
  X(200, "OK") X(201, "Created") X(202, "Accepted") X(203, "Non-Authoritative Information") X(204, "No Content") X(205, "Reset Content")               \
  X(206, "Partial Content") X(207, "Multi-Status") X(208, "Already Reported") X(226, "IM Used")                                                        \
  X(300, "Multiple Choices") X(301, "Moved Permanently") X(302, "Found") X(303, "See Other") X(304, "Not Modified") X(305, "Use Proxy")                \
  X(307, "Temporary Redirect") X(308, "Permanent Redirect")                                                                                            \
  X(400, "Bad Request") X(401, "Unauthorized") X(402, "Payment Required") X(403, "Forbidden") X(404, "Not Found") X(405, "Method Not Allowed")         \
  X(406, "Not Acceptable") X(407, "Proxy Authentication Required") X(408, "Request Timeout") X(409, "Conflict") X(410, "Gone")                         \
  X(411, "Length Required") X(412, "Precondition Failed") X(413, "Content Too Large") X(414, "URI Too Long") X(415, "Unsupported Media Type")          \
  X(416, "Range Not Satisfiable") X(417, "Expectation Failed") X(421, "Misdirected Request") X(422, "Unprocessable Content") X(423, "Locked")          \
  X(424, "Failed Dependency") X(425, "Too Early") X(426, "Upgrade Required") X(428, "Precondition Required") X(429, "Too Many Requests")               \
  X(431, "Request Header Fields Too Large") X(451, "Unavailable For Legal Reasons")                                                                    \
  X(500, "Internal Server Error") X(501, "Not Implemented") X(502, "Bad Gateway") X(503, "Service Unavailable") X(504, "Gateway Timeout")              \
  X(505, "HTTP Version Not Supported") X(506, "Variant Also Negotiates") X(507, "Insufficient Storage") X(508, "Loop Detected")                        \
  X(511, "Network Authentication Required")

enum { FIRST_STATUS = 100, LAST_STATUS = 599, BEFORE_REASON = 13 /* "HTTP/1.1 200 " */ };

static const dl_str lines[LAST_STATUS - FIRST_STATUS + 1] = {
#define STATUS_LINE(status, reason) [status - FIRST_STATUS] = {"HTTP/1.1 " #status " " reason "\r\n", sizeof("HTTP/1.1 " #status " " reason "\r\n") - 1},
    STATUSES(STATUS_LINE)
#undef STATUS_LINE
};

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

void dl_http_chunk(dl_buffer *buffer, dl_str data) {
  dl_buffer_printf(buffer, "%zx\r\n", data.len);
  dl_buffer_append_str(buffer, data);
  DL_BUFFER_LITERAL(buffer, "\r\n");
}
