/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers: what is said of all bytes is what is said of them in pieces, a
 * header that is whole does not depend on what follows, and no reading waits for
 * more than the longest header.
 */
#include "net/proxy_protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_address client = {0}, piece_client = {0};
  size_t consumed, piece_consumed;
  dl_proxy_result whole = dl_proxy_protocol_read(dl_str_from((const char *)data, size), &consumed, &client);
  require(whole != DL_PROXY_MORE || size < DL_PROXY_HEADER_MAX_BYTES);
  require(whole == DL_PROXY_MORE || whole == DL_PROXY_ERROR || (consumed > 0 && consumed <= size && consumed <= DL_PROXY_HEADER_MAX_BYTES));
  bool decided = false;
  for (size_t length = 0; length <= size && length < 400; length++) {
    char *piece = malloc(length ? length : 1); /* of its exact size, so that one byte too far is seen */
    if (!piece) abort();
    if (length) memcpy(piece, data, length);
    dl_proxy_result result = dl_proxy_protocol_read(dl_str_from(piece, length), &piece_consumed, &piece_client);
    free(piece);
    require(result == DL_PROXY_MORE ? !decided : result == whole);
    decided = decided || result != DL_PROXY_MORE;
    if (result == DL_PROXY_CLIENT) require(piece_consumed == consumed && dl_address_equal(&client, &piece_client) && client.kind != DL_ADDRESS_NONE);
  }
  return 0;
}
