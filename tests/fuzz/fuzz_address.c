/* SPDX-License-Identifier: MIT */
/*
 * Addresses and the lists of them that decide whom to believe: the first line of the
 * input is a list of networks, each line behind it an address. inet_pton and a
 * comparison bit by bit say who is in. The same lines are read as the admin
 * listener's address, as a Host field, and as the address of a Redis store.
 */
#include "fuzz.h"

#include "limit/redis_internal.h"
#include "net/cidr.h"
#include "server/admin.h"

#include <arpa/inet.h>

static bool printable(const char *text) {
  for (; *text; text++)
    if (*text < ' ' || *text > '~') return false;
  return true;
}

/* Sixteen bytes of what the system takes for an address; false when it takes it for none. */
static bool read_plainly(dl_str text, uint8_t out[16], bool *dotted) {
  char copy[64];
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  *dotted = !strchr(copy, ':');
  if (!*dotted) return inet_pton(AF_INET6, copy, out) == 1;
  memcpy(out, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return inet_pton(AF_INET, copy, out + 12) == 1;
}

static bool is_mapped(const uint8_t bytes[16]) { return memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0; }

static int bit_of(const uint8_t bytes[16], unsigned bit) { return bytes[bit / 8] >> (7 - bit % 8) & 1; }

/* Whether one element of a list that was taken holds the address. */
static bool holds(dl_str element, const uint8_t address[16]) {
  uint8_t network[16];
  bool dotted, has_bits = element.len && memchr(element.ptr, '/', element.len);
  dl_str rest = element, name = take_until(&rest, '/');
  if (!read_plainly(name, network, &dotted)) return false;
  unsigned bits = dotted ? 32 : 128;
  if (has_bits) {
    bits = 0;
    for (size_t i = 0; i < rest.len; i++) bits = bits * 10 + (unsigned)(rest.ptr[i] - '0');
  }
  if (dotted) bits += 96;
  if (bits < 96 && is_mapped(address)) return false;
  for (unsigned bit = 0; bit < bits; bit++)
    if (bit_of(network, bit) != bit_of(address, bit)) return false;
  return true;
}

static void check_address(const dl_trusted *trusted, dl_str list, dl_str text) {
  dl_address address, again;
  uint8_t bytes[16];
  bool dotted;
  char written[DL_ADDRESS_TEXT_BYTES];
  bool taken = dl_address_read(text, &address);
  require(taken == read_plainly(text, bytes, &dotted), "an address is what the system takes for one");
  if (!taken) return;
  require(address.kind == DL_ADDRESS_IP && memcmp(address.bytes, bytes, 16) == 0, "an address has the system's bytes");
  size_t length = dl_address_write(&address, written);
  require(length == strlen(written) && dl_address_read(dl_str_from(written, length), &again) && dl_address_equal(&address, &again),
          "an address is read as it was written");
  bool wanted = false;
  for (dl_str rest = list; trusted && rest.len && !wanted;) wanted = holds(dl_str_trim(take_until(&rest, ',')), bytes);
  if (trusted) require(dl_trusted_has(trusted, &address) == wanted, "who is in a network is who shares its bits");
}

static void check_admin(dl_str text) {
  static char line[256];
  dl_admin_address address;
  if (text.len >= sizeof line) return;
  memcpy(line, text.ptr, text.len);
  line[text.len] = 0;
  dl_admin_host_is_plain(text);
  const char *problem = dl_admin_address_read(line, &address);
  if (problem) {
    require(printable(problem), "a refusal is a sentence");
    return;
  }
  if (address.unix_path[0]) {
    require(strncmp(line, "unix:", 5) == 0 && strcmp(line + 5, address.unix_path) == 0, "a socket's path is what was written");
    return;
  }
  uint8_t bytes[16];
  bool dotted;
  require(address.port >= 0 && address.port <= 65535, "a port is one");
  require(read_plainly(dl_str_of(address.host), bytes, &dotted), "the host is an address");
  bool local = dotted ? bytes[12] == 127 : memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0;
  require(address.loopback == local, "what is called local is local");
}

static void check_redis(dl_str text) {
  char *copy = exact_copy(text);
  dl_redis_address address;
  const char *problem = dl_redis_address_parse(dl_str_from(copy, text.len), &address);
  if (problem) require(printable(problem), "a refusal is a sentence");
  else {
    require(!address.host != !address.path, "a store has a host or a path");
    require(address.path ? address.path[0] == '/' && strlen(address.path) < 108 : address.host[0] && address.port >= 1 && address.port <= 65535,
            "a store can be connected to");
    require(address.database <= 65535 && (!address.user || address.password), "a user has a password");
  }
  dl_redis_address_free(&address);
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dl_trusted trusted = {0};
  dl_str rest = dl_str_from((const char *)data, size), list = take_until(&rest, '\n'), wrong = {0};
  if (size == 0 || size > 4096) return 0;
  const char *problem = dl_trusted_add_list(&trusted, list, &wrong);
  if (problem) require(printable(problem) && (!wrong.len || (wrong.ptr >= list.ptr && wrong.ptr + wrong.len <= list.ptr + list.len)), "a refusal is a sentence about an element");
  while (rest.len) {
    dl_str line = take_until(&rest, '\n');
    check_address(problem ? NULL : &trusted, list, line);
    check_admin(line);
    check_redis(line);
  }
  return 0;
}
