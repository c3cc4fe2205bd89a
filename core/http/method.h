/* SPDX-License-Identifier: MIT */
/* The methods a route can have (RFC 9110 9.3, RFC 5789). Every other one is 501. */
#ifndef DL_HTTP_METHOD_H
#define DL_HTTP_METHOD_H

#include "base/str.h"

#define DL_METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS)

typedef enum dl_method {
#define DL_METHOD_CONSTANT(name) DL_METHOD_##name,
  DL_METHODS(DL_METHOD_CONSTANT)
#undef DL_METHOD_CONSTANT
  DL_METHOD_COUNT /* not one of ours */
} dl_method;

dl_str dl_method_name(dl_method method);

/* Exact, case-sensitive (RFC 9110 9.1); DL_METHOD_COUNT when it is none of ours. */
dl_method dl_method_of(dl_str name);

#endif
