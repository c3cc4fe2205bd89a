/* SPDX-License-Identifier: MIT */
/* What the JSON reader's files share with each other and with nobody else. */
#ifndef DL_MODEL_JSON_INTERNAL_H
#define DL_MODEL_JSON_INTERNAL_H

#include "model/json.h"

/* Fills the error; always NULL, so that it can be returned. */
const char *dl_json_fail(dl_json_error *error, size_t offset, const char *message);

/* Reads the number at p, which is at a digit or a minus sign, and gives the place
 * behind it. begin is the start of the text, for the error's offset. */
const char *dl_json_read_number(const char *p, const char *end, const char *begin, dl_value *out, dl_json_error *error);

#endif
