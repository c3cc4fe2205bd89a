/* SPDX-License-Identifier: MIT */
/*
 * One connection to Redis: look up, connect, write, read. hiredis' own asynchronous
 * half is left out: its libuv adapter drops the errors of a poll, so that a refused
 * connection calls nothing back, it has no deadlines, looks names up on the loop, and
 * ends the process when a server says more than it was asked. Its formatter and its
 * reader have none of that.
 */
#include "limit/redis_internal.h"

#include "base/memory.h"

#include <netdb.h>
#include <stdio.h>

enum {
  INPUT_BYTES = 4096,
  ANSWER_BYTES_MAX = 65536, /* of one answer; ours have some hundred */
  ELEMENTS_MAX = 1 + 3 * DL_LIMIT_WINDOWS_MAX,
};

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct dl_redis_link {
  const dl_redis_link_events *events; /* NULL once closed */
  void *owner;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  bool looking_up, writing;
  uint32_t attempt;
  uv_getaddrinfo_t lookup;
  uv_connect_t connect;
  uv_write_t write;
  dl_buffer out, leaving; /* queued; handed to libuv */
  redisReader *reader;
  redisReplyObjectFunctions reply_functions; /* hiredis' own, but for arrays */
  void *(*create_array)(const redisReadTask *task, element_count elements);
  size_t unanswered_bytes; /* read since the last whole answer */
  char input[INPUT_BYTES];
};

/* --- ending --------------------------------------------------------------------------- */

static void link_free(dl_redis_link *link) {
  redisReaderFree(link->reader);
  dl_buffer_free(&link->out);
  dl_buffer_free(&link->leaving);
  dl_free(link);
}

static void on_closed(uv_handle_t *handle) { link_free(handle->data); }

void dl_redis_link_close(dl_redis_link *link) {
  link->events = NULL;
  if (link->looking_up) uv_cancel((uv_req_t *)&link->lookup); /* whose callback comes in any case, and frees */
  else uv_close(&link->uv.handle, on_closed);
}

static void fail(dl_redis_link *link, const char *what, const char *why) {
  char reason[DL_REDIS_REASON_BYTES];
  const dl_redis_link_events *events = link->events;
  snprintf(reason, sizeof(reason), "%s%s%s", what, why ? ": " : "", why ? why : "");
  dl_redis_link_close(link);
  events->failed(link->owner, reason);
}

/* --- reading -------------------------------------------------------------------------- */

/* hiredis makes an array as long as it is said to be, before its first element came. */
static void *create_array(const redisReadTask *task, element_count elements) {
  const dl_redis_link *link = task->privdata;
  return elements <= ELEMENTS_MAX ? link->create_array(task, elements) : NULL;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  dl_redis_link *link = handle->data;
  *buffer = uv_buf_init(link->input, sizeof(link->input));
}

/* False when the link was closed meanwhile, by us or by whom a reply was given to. */
static bool take_replies(dl_redis_link *link) {
  void *reply = NULL;
  while (redisReaderGetReply(link->reader, &reply) == REDIS_OK) {
    if (!reply) return true;
    link->unanswered_bytes = 0;
    link->events->reply(link->owner, reply);
    freeReplyObject(reply);
    if (!link->events) return false;
  }
  fail(link, "it answers with nonsense", link->reader->errstr);
  return false;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  dl_redis_link *link = stream->data;
  if (!link->events || length == 0) return;
  if (length < 0) {
    fail(link, length == UV_EOF ? "it closed the connection" : "reading", length == UV_EOF ? NULL : uv_strerror((int)length));
    return;
  }
  link->unanswered_bytes += (size_t)length;
  if (redisReaderFeed(link->reader, buffer->base, (size_t)length) != REDIS_OK) {
    fail(link, "it answers with nonsense", link->reader->errstr);
    return;
  }
  if (take_replies(link) && link->unanswered_bytes > ANSWER_BYTES_MAX) fail(link, "it answers with nonsense", "more than 64 KiB");
}

/* --- writing -------------------------------------------------------------------------- */

void dl_redis_link_command(dl_redis_link *link, int argc, const char **argv, const size_t *lengths) {
  char *text = NULL;
  long long length = redisFormatCommandArgv(&text, argc, argv, lengths);
  if (length < 0) dl_memory_exhausted(0);
  dl_buffer_append(&link->out, text, (size_t)length);
  redisFreeCommand(text);
}

static void on_written(uv_write_t *request, int status) {
  dl_redis_link *link = request->data;
  link->writing = false;
  if (!link->events) return;
  if (status < 0) fail(link, "writing", uv_strerror(status));
  else dl_redis_link_flush(link);
}

/* Most of the time the kernel takes it all at once. */
void dl_redis_link_flush(dl_redis_link *link) {
  if (link->writing || link->out.len == 0) return;
  uv_buf_t bytes = uv_buf_init(link->out.data, (unsigned)link->out.len);
  int taken = uv_try_write(&link->uv.stream, &bytes, 1);
  if (taken < 0) taken = 0; /* a broken connection is told by what follows */
  dl_buffer_clear(&link->leaving);
  dl_buffer_append(&link->leaving, link->out.data + taken, link->out.len - (size_t)taken);
  dl_buffer_clear(&link->out);
  if (link->leaving.len == 0) return;
  bytes = uv_buf_init(link->leaving.data, (unsigned)link->leaving.len);
  int error = uv_write(&link->write, &link->uv.stream, &bytes, 1, on_written);
  if (error) fail(link, "writing", uv_strerror(error));
  else link->writing = true;
}

/* --- connecting ----------------------------------------------------------------------- */

static void on_connected(uv_connect_t *request, int status) {
  dl_redis_link *link = request->data;
  if (!link->events) return;
  if (status == 0) status = uv_read_start(&link->uv.stream, on_alloc, on_read);
  if (status < 0) fail(link, "connecting", uv_strerror(status));
  else link->events->connected(link->owner);
}

static int connect_tcp(dl_redis_link *link, const struct sockaddr *address) {
  uv_tcp_nodelay(&link->uv.tcp, 1);
  return uv_tcp_connect(&link->connect, &link->uv.tcp, address, on_connected);
}

/* A name may stand for addresses of which the store listens on one: each attempt
 * takes the next. */
static const struct addrinfo *pick(const struct addrinfo *list, uint32_t attempt) {
  uint32_t count = 0;
  for (const struct addrinfo *at = list; at; at = at->ai_next) count++;
  const struct addrinfo *picked = list;
  for (uint32_t i = 0; count && i < attempt % count; i++) picked = picked->ai_next;
  return picked;
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *list) {
  dl_redis_link *link = request->data;
  link->looking_up = false;
  if (!link->events) uv_close(&link->uv.handle, on_closed);
  else if (status < 0) fail(link, "looking up its name", uv_strerror(status));
  else if ((status = connect_tcp(link, pick(list, link->attempt)->ai_addr)) < 0) fail(link, "connecting", uv_strerror(status));
  uv_freeaddrinfo(list);
}

static int look_up(dl_redis_link *link, const dl_redis_address *address) {
  char port[12];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  snprintf(port, sizeof(port), "%u", (unsigned)address->port);
  int error = uv_getaddrinfo(link->uv.handle.loop, &link->lookup, on_looked_up, address->host, port, &hints);
  link->looking_up = error == 0;
  return error;
}

static int begin(dl_redis_link *link, const dl_redis_address *address) {
  union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
  } literal;
  if (address->path) {
    uv_pipe_connect(&link->connect, &link->uv.pipe, address->path, on_connected);
    return 0;
  }
  if (uv_ip4_addr(address->host, (int)address->port, &literal.four) == 0) return connect_tcp(link, &literal.any);
  if (uv_ip6_addr(address->host, (int)address->port, &literal.six) == 0) return connect_tcp(link, &literal.any);
  return look_up(link, address);
}

static redisReader *make_reader(dl_redis_link *link) {
  redisReader *reader = redisReaderCreate();
  if (!reader) dl_memory_exhausted(sizeof(*reader));
  link->reply_functions = *reader->fn;
  link->create_array = reader->fn->createArray;
  link->reply_functions.createArray = create_array;
  reader->fn = &link->reply_functions;
  reader->privdata = link;
  return reader;
}

dl_redis_link *dl_redis_link_open(uv_loop_t *loop, const dl_redis_address *address, uint32_t attempt, const dl_redis_link_events *events, void *owner,
                                  char reason[DL_REDIS_REASON_BYTES]) {
  dl_redis_link *link = dl_calloc(1, sizeof(*link));
  int error = address->path ? uv_pipe_init(loop, &link->uv.pipe, 0) : uv_tcp_init(loop, &link->uv.tcp);
  link->uv.handle.data = link->lookup.data = link->connect.data = link->write.data = link;
  link->events = events;
  link->owner = owner;
  link->attempt = attempt;
  link->reader = make_reader(link);
  if (error == 0) {
    error = begin(link, address);
    if (error == 0) return link;
    dl_redis_link_close(link);
  } else {
    link_free(link);
  }
  snprintf(reason, DL_REDIS_REASON_BYTES, "connecting: %s", uv_strerror(error));
  return NULL;
}
