/* SPDX-License-Identifier: MIT */
/* Method names and numbers, both ways, from the one list in method.h. */
#include "http/method.h"

static const dl_str names[DL_METHOD_COUNT] = {
#define DL_METHOD_NAME(name) [DL_METHOD_##name] = {#name, sizeof(#name) - 1},
    DL_METHODS(DL_METHOD_NAME)
#undef DL_METHOD_NAME
};

dl_str dl_method_name(dl_method method) { return (unsigned)method < DL_METHOD_COUNT ? names[method] : (dl_str){0}; }

dl_method dl_method_of(dl_str name) {
  for (unsigned i = 0; i < DL_METHOD_COUNT; i++)
    if (dl_str_equal(names[i], name)) return (dl_method)i;
  return DL_METHOD_COUNT;
}
