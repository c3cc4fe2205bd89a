/* SPDX-License-Identifier: MIT */
/* Field names: the number of one that the core knows, and finding any in a request. */
#include "http/internal.h"

static const char *const names[DL_HEADER_OTHER] = {
#define DL_HEADER_NAME(constant, name) [DL_HEADER_##constant] = name,
    DL_HEADERS(DL_HEADER_NAME)
#undef DL_HEADER_NAME
};

/* By length, 1-based so that an empty row reads as none. At most four share one. */
enum { LONGEST = 38, SAME_LENGTH = 4 };
#define ID(constant) DL_HEADER_##constant + 1
static const uint8_t by_length[LONGEST + 1][SAME_LENGTH] = {
    [4] = {ID(HOST)},
    [6] = {ID(ACCEPT), ID(COOKIE), ID(ORIGIN), ID(EXPECT)},
    [7] = {ID(UPGRADE)},
    [8] = {ID(IF_MATCH)},
    [9] = {ID(FORWARDED)},
    [10] = {ID(CONNECTION), ID(USER_AGENT)},
    [11] = {ID(TRACEPARENT)},
    [12] = {ID(CONTENT_TYPE)},
    [13] = {ID(AUTHORIZATION), ID(IF_NONE_MATCH)},
    [14] = {ID(CONTENT_LENGTH), ID(SEC_FETCH_SITE)},
    [15] = {ID(ACCEPT_ENCODING), ID(X_FORWARDED_FOR)},
    [16] = {ID(CONTENT_ENCODING), ID(X_FORWARDED_HOST)},
    [17] = {ID(TRANSFER_ENCODING), ID(X_FORWARDED_PROTO), ID(IF_MODIFIED_SINCE)},
    [29] = {ID(ACCESS_CONTROL_REQUEST_METHOD)},
    [30] = {ID(ACCESS_CONTROL_REQUEST_HEADERS)},
    [38] = {ID(ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK)},
};

static inline uint64_t word(const char *at) {
  uint64_t bytes;
  memcpy(&bytes, at, sizeof(bytes));
  return bytes;
}

/* Both are tokens of len bytes, lower in lower case and made of letters and "-".
 * Among token bytes, setting bit 5 joins only the two cases of a letter. */
static inline bool same_name(const char *name, const char *lower, size_t len) {
  static const uint64_t bit5 = 0x2020202020202020u;
  if (len < 8) {
    for (size_t at = 0; at < len; at++)
      if ((name[at] | 0x20) != lower[at]) return false;
    return true;
  }
  for (size_t at = 0; at + 8 < len; at += 8)
    if ((word(name + at) | bit5) != word(lower + at)) return false;
  return (word(name + len - 8) | bit5) == word(lower + len - 8);
}

uint8_t dl_http_header_id(dl_str name) {
  if (name.len > LONGEST) return DL_HEADER_OTHER;
  const uint8_t *row = by_length[name.len];
  for (size_t i = 0; i < SAME_LENGTH && row[i]; i++)
    if (same_name(name.ptr, names[row[i] - 1], name.len)) return (uint8_t)(row[i] - 1);
  return DL_HEADER_OTHER;
}

static bool is_field(const dl_header *header, uint8_t id, dl_str name) {
  return header->id == id && (id != DL_HEADER_OTHER || dl_str_equal_nocase(header->name, name));
}

/* The values of all fields from index `first` on that have the name. */
static dl_str join(const dl_http_request *request, uint32_t first, uint8_t id, dl_str name, size_t room, dl_arena *arena) {
  char *joined = dl_arena_alloc(arena, room);
  char *end = joined;
  for (uint32_t i = first; i < request->header_count; i++) {
    const dl_header *header = &request->headers[i];
    if (!is_field(header, id, name)) continue;
    if (i != first) {
      *end++ = id == DL_HEADER_COOKIE ? ';' : ',';
      *end++ = ' ';
    }
    if (header->value.len) memcpy(end, header->value.ptr, header->value.len);
    end += header->value.len;
  }
  return dl_str_from(joined, (size_t)(end - joined));
}

dl_str dl_http_request_find(const dl_http_request *request, dl_str name, struct dl_arena *arena) {
  uint8_t id = dl_http_header_id(name);
  if (id != DL_HEADER_OTHER && request->known[id] < 0) return (dl_str){0};
  uint32_t first = 0, count = 0;
  size_t room = 0;
  for (uint32_t i = id == DL_HEADER_OTHER ? 0 : (uint32_t)request->known[id]; i < request->header_count; i++) {
    if (!is_field(&request->headers[i], id, name)) continue;
    if (!count++) first = i;
    room += request->headers[i].value.len + 2;
  }
  if (count == 0) return (dl_str){0};
  return count == 1 ? request->headers[first].value : join(request, first, id, name, room, arena);
}
