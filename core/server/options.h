/* SPDX-License-Identifier: MIT */
/*
 * What may be in demilune_options: judged once, before anything is opened, by the same
 * words for who embeds the server and for who types flags.
 */
#ifndef DL_SERVER_OPTIONS_H
#define DL_SERVER_OPTIONS_H

#include "base/log.h"
#include "demilune.h"

enum { DL_OPTIONS_MESSAGE_BYTES = 512 };

/* Each: NULL, or what is wrong, to be said behind the value: "must be a number from ...". */
const char *dl_option_port(long port);
const char *dl_option_workers(long workers);
const char *dl_option_hsts(const char *value);
const char *dl_option_max_memory(unsigned long long bytes);

/* What has to say something when it is given: the flag by its name ("unix", "redis"). */
const char *dl_option_text(const char *flag, const char *value);

/* NULL, or a sentence in message, which names options as flags: --http-redirect is http_redirect. */
const char *dl_options_check(const demilune_options *options, char message[DL_OPTIONS_MESSAGE_BYTES]);

/* Adds to a sentence that somebody else has the port by which options another one is chosen: the flag and its variable. Gives problem back. */
const char *dl_options_explain_port(const char *problem, const char *how, char message[256]);

/* Tells the log, where others may reach what dev shows. */
void dl_options_warn(const demilune_options *options, dl_log *log);

#endif
