/* SPDX-License-Identifier: MIT */
/*
 * The small grammars beside the parser: percent-encoding, query strings and
 * forms, cookies, media types, Accept. All give slices of their input where
 * nothing had to be decoded, arena copies where it had.
 */
#ifndef DL_HTTP_TEXT_H
#define DL_HTTP_TEXT_H

#include "base/arena.h"

#include <stdint.h>

/* "a=1&b=2" (application/x-www-form-urlencoded: "+" is a space) into pairs in the
 * arena. NULL on success, else a static sentence: a broken escape, invalid UTF-8,
 * NUL, more than max_pairs. A piece without "=" is a name with an empty value. */
const char *dl_http_query(dl_str text, uint32_t max_pairs, dl_arena *arena, dl_pair **pairs, uint32_t *count);

/* A Cookie field (RFC 6265 5.4, strictly): names are tokens; a value's double
 * quotes are removed; no decoding. NULL or a static sentence. */
const char *dl_http_cookies(dl_str text, uint32_t max_pairs, dl_arena *arena, dl_pair **pairs, uint32_t *count);

/* "application/json; charset=utf-8": the type in lower case without parameters
 * (arena copy only if it had upper case); charset without quotes or empty. False
 * when it is not a media type (RFC 9110 8.3.1). */
bool dl_http_media_type(dl_str field, dl_arena *arena, dl_str *type, dl_str *charset);

/* Whether a type, as dl_http_media_type gives it, is JSON: application/json, or one that ends in +json (RFC 6839 3.1). */
bool dl_http_is_json(dl_str type);

/* Whether an Accept field prefers text/html to application/json (RFC 9110 12.5.1);
 * a missing field, and a tie, do not. */
bool dl_http_prefers_html(dl_str accept);

/* The next element of a comma-separated list without white space around it
 * (RFC 9110 5.6.1), taken off the front of *list; commas inside quotes do not
 * separate. False at the end. Empty elements are given, for the caller to judge. */
bool dl_http_list_next(dl_str *list, dl_str *element);

#endif
