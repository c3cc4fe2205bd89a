/* SPDX-License-Identifier: MIT */
#include "app/plan.h"

#include "base/hash.h"
#include "bridge/bridge.h"
#include "http/response.h"

#include <lauxlib.h>
#include <stdio.h>

/* Sent with every response unless a file of ours needs other ones. The policy is
 * for an API: nothing it answers is a document that may load or frame anything. */
static const char security_fields[] =
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n";
static const char api_policy[] = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
static const char page_policy[] = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n";
static const char no_store[] = "Cache-Control: no-store\r\n";

typedef struct compiler {
  lua_State *L;
  dl_arena *arena;
  dl_plan *plan;
  const char *error;
} compiler;

/* --- reading the table --------------------------------------------------------- */

static dl_str field_str(compiler *c, int table, const char *name) {
  dl_str text = {0};
  lua_getfield(c->L, table, name);
  if (lua_type(c->L, -1) == LUA_TSTRING) {
    text.ptr = lua_tolstring(c->L, -1, &text.len);
    text = dl_arena_copy(c->arena, text);
  }
  lua_pop(c->L, 1);
  return text;
}

static bool field_bool(compiler *c, int table, const char *name) {
  lua_getfield(c->L, table, name);
  bool value = lua_toboolean(c->L, -1);
  lua_pop(c->L, 1);
  return value;
}

static double field_number(compiler *c, int table, const char *name, double otherwise) {
  lua_getfield(c->L, table, name);
  double value = lua_isnumber(c->L, -1) ? lua_tonumber(c->L, -1) : otherwise;
  lua_pop(c->L, 1);
  return value;
}

static int field_function(compiler *c, int table, const char *name) {
  lua_getfield(c->L, table, name);
  if (lua_isfunction(c->L, -1)) return luaL_ref(c->L, LUA_REGISTRYINDEX);
  lua_pop(c->L, 1);
  return LUA_NOREF;
}

static bool fail(compiler *c, const char *error) {
  if (!c->error) c->error = error;
  return false;
}

/* --- limits -------------------------------------------------------------------- */

static void compile_limits(compiler *c, int plan_table) {
  dl_plan_limits *limits = &c->plan->limits;
  lua_getfield(c->L, plan_table, "limits");
  int table = lua_gettop(c->L);
  if (!lua_istable(c->L, table)) {
    lua_newtable(c->L);
    lua_replace(c->L, table);
  }
  limits->http.max_head_bytes = (uint32_t)field_number(c, table, "max_head", 16384);
  limits->http.max_target_bytes = (uint32_t)field_number(c, table, "max_target", 8192);
  limits->http.max_headers = (uint32_t)field_number(c, table, "max_headers", 100);
  limits->max_body_bytes = (uint64_t)field_number(c, table, "max_body", 1048576);
  limits->max_depth = (uint32_t)field_number(c, table, "max_depth", 64);
  limits->header_timeout_us = (uint64_t)(field_number(c, table, "header_timeout", 10) * 1e6);
  limits->body_timeout_us = (uint64_t)(field_number(c, table, "body_timeout", 20) * 1e6);
  limits->idle_timeout_us = (uint64_t)(field_number(c, table, "idle_timeout", 75) * 1e6);
  limits->send_timeout_us = (uint64_t)(field_number(c, table, "send_timeout", 60) * 1e6);
  limits->handler_timeout_us = (uint64_t)(field_number(c, table, "handler_timeout", 30) * 1e6);
  limits->min_body_rate = (uint64_t)field_number(c, table, "min_body_rate", 500);
  limits->max_requests = (uint32_t)field_number(c, table, "max_requests", 1024);
  limits->max_queue = (uint32_t)field_number(c, table, "max_queue", 1024);
  limits->queue_timeout_us = (uint64_t)(field_number(c, table, "queue_timeout", 5) * 1e6);
  limits->max_connections = (uint32_t)field_number(c, table, "max_connections", 16384);
  limits->max_connections_per_client = (uint32_t)field_number(c, table, "max_connections_per_client", 1024);
  lua_pop(c->L, 1);
}

static void compile_hosts(compiler *c, int plan_table) {
  lua_getfield(c->L, plan_table, "allowed_hosts");
  if (lua_istable(c->L, -1)) {
    uint32_t count = (uint32_t)lua_objlen(c->L, -1);
    dl_str *hosts = dl_arena_zalloc(c->arena, count ? count : 1, sizeof *hosts);
    for (uint32_t i = 0; i < count; i++) {
      lua_rawgeti(c->L, -1, (int)i + 1);
      size_t len;
      const char *text = luaL_checklstring(c->L, -1, &len);
      hosts[i] = dl_arena_copy(c->arena, dl_str_from(text, len));
      lua_pop(c->L, 1);
    }
    c->plan->allowed_hosts = hosts;
    c->plan->allowed_host_count = count;
  }
  lua_pop(c->L, 1);
}

/* --- header blocks --------------------------------------------------------------- */

/* By which caches are told what to keep: RFC 9111, RFC 9213, whose fields end so, and
 * what fronts go by before they look at these. */
static bool is_for_caches(dl_str name) {
  static const dl_str suffix = {"cache-control", 13}, others[] = {{"expires", 7}, {"surrogate-control", 17}, {"x-accel-expires", 15}};
  if (name.len >= suffix.len && dl_str_equal_nocase(dl_str_skip(name, name.len - suffix.len), suffix)) return true;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (dl_str_equal_nocase(name, others[i])) return true;
  return false;
}

/* lasting: those that say nothing to caches. */
static bool append_headers(compiler *c, dl_buffer *all, dl_buffer *lasting, int headers, dl_route *route) {
  if (!lua_istable(c->L, headers)) return true;
  lua_pushnil(c->L);
  while (lua_next(c->L, headers)) {
    size_t name_len, value_len;
    const char *name = lua_type(c->L, -2) == LUA_TSTRING ? lua_tolstring(c->L, -2, &name_len) : NULL;
    const char *value = lua_tolstring(c->L, -1, &value_len);
    if (!name || !value || !dl_http_app_header_line(all, dl_str_from(name, name_len), dl_str_from(value, value_len)))
      return fail(c, dl_arena_format(c->arena, "%.*s: the header \"%s\" is not a field name with a one-line text value", DL_STR_ARGS(route->source),
                                     name ? name : "?"));
    const char *fault = dl_http_validators_note(&route->validators, dl_str_from(name, name_len), dl_arena_copy(c->arena, dl_str_from(value, value_len)));
    if (fault) return fail(c, dl_arena_format(c->arena, "%.*s: %s", DL_STR_ARGS(route->source), fault));
    route->varies |= dl_str_equal_nocase(dl_str_from(name, name_len), DL_STR("vary"));
    if (!is_for_caches(dl_str_from(name, name_len))) dl_http_app_header_line(lasting, dl_str_from(name, name_len), dl_str_from(value, value_len));
    lua_pop(c->L, 1);
  }
  return true;
}

/* What an app declares itself replaces ours. */
static dl_str join_fields(compiler *c, const dl_route *route, dl_str own) {
  dl_buffer all = {0};
  dl_http_header_lines_except(&all, DL_STR(security_fields), own);
  dl_http_header_lines_except(&all, DL_STR(api_policy), own);
  if (route->guard && !dl_guard_is_public(route->guard)) dl_http_header_lines_except(&all, DL_STR(no_store), own);
  dl_buffer_append_str(&all, own);
  dl_str joined = dl_arena_copy(c->arena, dl_buffer_str(&all));
  dl_buffer_free(&all);
  return joined;
}

/* Who lets caches keep what a route answers, here or in the handler, does not mean what
 * one client was refused: a cache goes by the URL, and would give it to all. */
static bool compile_fields(compiler *c, int table, dl_route *route) {
  dl_buffer own = {0}, lasting = {0}, all = {0};
  lua_getfield(c->L, table, "headers");
  bool ok = append_headers(c, &own, &lasting, lua_gettop(c->L), route);
  DL_BUFFER_LITERAL(&lasting, no_store);
  dl_http_header_lines_except(&all, DL_STR("Strict-Transport-Security: \r\n"), dl_buffer_str(&own));
  route->own_hsts = all.len == 0;
  route->fields = join_fields(c, route, dl_buffer_str(&own));
  route->refusal_fields = join_fields(c, route, dl_buffer_str(&lasting));
  dl_buffer_clear(&all);
  dl_http_status_line(&all, route->status);
  if (dl_http_status_has_body(route->status)) DL_BUFFER_LITERAL(&all, "Content-Type: application/json\r\n");
  dl_buffer_append_str(&all, route->fields);
  route->json_head = dl_arena_copy(c->arena, dl_buffer_str(&all));
  dl_buffer_free(&own);
  dl_buffer_free(&lasting);
  dl_buffer_free(&all);
  lua_pop(c->L, 1);
  return ok;
}

/* --- routes ---------------------------------------------------------------------- */

static const char *const source_fields[DL_SOURCE_COUNT] = {"path", "query", "header", "cookie", "form", "body"};

static dl_body_kind body_kind_of(dl_str name) {
  static const char *const names[] = {"none", "json", "form", "text", "bytes"};
  for (int i = 1; i < 5; i++)
    if (dl_str_equal(name, dl_str_of(names[i]))) return (dl_body_kind)i;
  return DL_BODY_NONE;
}

static void compile_parameters(dl_route *route, dl_arena *arena) {
  for (size_t i = 0; i < route->path.len; i++) {
    if (route->path.ptr[i] != '{' || route->parameter_count == DL_ROUTER_MAX_PARAMETERS) continue;
    size_t begin = ++i;
    while (i < route->path.len && route->path.ptr[i] != '}' && route->path.ptr[i] != ':') i++;
    route->parameter_names[route->parameter_count++] = dl_arena_copy(arena, dl_str_from(route->path.ptr + begin, i - begin));
  }
}

static void compile_schemas(compiler *c, int table, dl_route *route) {
  for (int source = 0; source <= DL_SOURCE_COUNT; source++) {
    lua_getfield(c->L, table, source < DL_SOURCE_COUNT ? source_fields[source] : "returns");
    if (source == DL_SOURCE_PATH && lua_type(c->L, -1) == LUA_TSTRING) lua_pushnil(c->L), lua_replace(c->L, -2);
    const dl_schema *schema = lua_isuserdata(c->L, -1) ? dl_bridge_schema_check(c->L, -1) : NULL;
    if (source == DL_SOURCE_COUNT) route->returns = schema;
    else route->schemas[source] = schema;
    if (schema && source < DL_SOURCE_COUNT) route->validates = true;
    lua_pop(c->L, 1);
  }
}

static void name_route(compiler *c, dl_route *route) {
  route->label = dl_str_of(dl_arena_format(c->arena, "%.*s %.*s", DL_STR_ARGS(dl_method_name(route->method)), DL_STR_ARGS(route->path)));
}

static bool add_route(compiler *c, dl_route *route) {
  const char *problem = dl_router_add(c->plan->router, route->method, route->path, route);
  const dl_route *twin = problem ? dl_router_twin(c->plan->router) : NULL;
  if (twin) return fail(c, dl_arena_format(c->arena, "%.*s: %s; the other one is at %.*s", DL_STR_ARGS(route->source), problem, DL_STR_ARGS(twin->source)));
  if (problem) return fail(c, dl_arena_format(c->arena, "%.*s: %s", DL_STR_ARGS(route->source), problem));
  route->number = c->plan->route_count++;
  route->next = c->plan->routes;
  c->plan->routes = route;
  return true;
}

static bool compile_access(compiler *c, int table, dl_route *route) {
  const char *problem = NULL;
  lua_getfield(c->L, table, "guard");
  route->guard = dl_guard_compile(c->L, lua_gettop(c->L), dl_bridge_crypto_of(c->L), c->arena, &problem);
  lua_pop(c->L, 1);
  if (!route->guard) return fail(c, dl_arena_format(c->arena, "%.*s: %s", DL_STR_ARGS(route->source), problem));
  problem = dl_plan_compile_limits(c->L, table, route->label, c->arena, &route->limits);
  if (!problem) problem = dl_plan_compile_cors(c->L, table, c->arena, &route->cors);
  if (problem) return fail(c, dl_arena_format(c->arena, "%.*s: %s", DL_STR_ARGS(route->source), problem));
  c->plan->route_cors = c->plan->route_cors || route->cors;
  return true;
}

static bool compile_route(compiler *c, int table) {
  dl_route *route = dl_arena_zalloc(c->arena, 1, sizeof *route);
  const dl_plan_limits *limits = &c->plan->limits;
  dl_str method = field_str(c, table, "method");
  route->method = dl_method_of(method);
  route->path = field_str(c, table, "pattern");
  route->source = field_str(c, table, "source");
  if (route->method == DL_METHOD_COUNT)
    return fail(c, dl_arena_format(c->arena, "%.*s: \"%.*s\" is not a method a route can have", DL_STR_ARGS(route->source), DL_STR_ARGS(method)));
  name_route(c, route);
  route->run_reference = field_function(c, table, "run");
  route->lives_reference = field_function(c, table, "lives");
  route->body_kind = body_kind_of(field_str(c, table, "body_kind"));
  route->body_optional = field_bool(c, table, "body_optional");
  route->status = (int)field_number(c, table, "status", 200);
  route->max_body_bytes = (uint64_t)field_number(c, table, "max_body", (double)limits->max_body_bytes);
  route->timeout_us = (uint64_t)(field_number(c, table, "timeout", (double)limits->handler_timeout_us / 1e6) * 1e6);
  dl_str idempotent = field_str(c, table, "idempotent");
  route->special = idempotent.len > 0;
  route->key_optional = dl_str_equal(idempotent, DL_STR("optional"));
  route->hides_path = field_bool(c, table, "hides_path");
  c->plan->hides_paths |= route->hides_path;
  compile_schemas(c, table, route);
  compile_parameters(route, c->arena);
  return compile_access(c, table, route) && compile_fields(c, table, route) && add_route(c, route);
}

/* The same in every worker and after every start: whoever has the file is told so by each. */
static dl_str etag_of(dl_str body, dl_arena *arena) {
  static const uint64_t key[2] = {0};
  uint64_t digest[2];
  dl_hash128(key, body, digest);
  return dl_str_of(dl_arena_format(arena, "\"%016llx%016llx\"", (unsigned long long)digest[0], (unsigned long long)digest[1]));
}

static bool compile_file(compiler *c, int table) {
  dl_route *route = dl_arena_zalloc(c->arena, 1, sizeof *route);
  dl_file *file = dl_arena_zalloc(c->arena, 1, sizeof *file);
  file->content_type = field_str(c, table, "content_type");
  file->encoding = field_str(c, table, "encoding");
  file->body = field_str(c, table, "body");
  file->live = field_bool(c, table, "live");
  file->etag = etag_of(file->body, c->arena);
  route->file = file;
  route->special = true;
  route->method = DL_METHOD_GET;
  route->path = field_str(c, table, "path");
  route->source = route->path;
  route->status = 200;
  route->timeout_us = c->plan->limits.handler_timeout_us;
  route->run_reference = route->lives_reference = LUA_NOREF;
  name_route(c, route);
  route->cors = c->plan->cors;
  return compile_fields(c, table, route) && add_route(c, route);
}

static bool each(compiler *c, int plan_table, const char *name, bool (*compile)(compiler *, int)) {
  lua_getfield(c->L, plan_table, name);
  int list = lua_gettop(c->L);
  bool ok = true;
  for (int i = 1; ok && lua_istable(c->L, list); i++) {
    lua_rawgeti(c->L, list, i);
    if (!lua_istable(c->L, -1)) break;
    ok = compile(c, lua_gettop(c->L));
    lua_settop(c->L, list);
  }
  lua_settop(c->L, list - 1);
  return ok;
}

const dl_plan *dl_plan_compile(lua_State *L, dl_arena *arena, const char **error) {
  dl_plan *plan = dl_arena_zalloc(arena, 1, sizeof *plan);
  compiler c = {L, arena, plan, NULL};
  int table = lua_gettop(L);
  plan->router = dl_router_new(arena);
  plan->title = field_str(&c, table, "title");
  plan->version = field_str(&c, table, "version");
  plan->docs = field_bool(&c, table, "docs");
  plan->start_reference = field_function(&c, table, "start");
  plan->stop_reference = field_function(&c, table, "stop");
  compile_limits(&c, table);
  compile_hosts(&c, table);
  dl_buffer block = {0};
  DL_BUFFER_LITERAL(&block, security_fields);
  DL_BUFFER_LITERAL(&block, api_policy);
  plan->fields = dl_arena_copy(arena, dl_buffer_str(&block));
  DL_BUFFER_LITERAL(&block, no_store);
  plan->refusal_fields = dl_arena_copy(arena, dl_buffer_str(&block));
  dl_buffer_clear(&block);
  DL_BUFFER_LITERAL(&block, security_fields);
  DL_BUFFER_LITERAL(&block, page_policy);
  plan->page_fields = dl_arena_copy(arena, dl_buffer_str(&block));
  dl_buffer_free(&block);
  c.error = dl_plan_compile_cors(L, table, arena, &plan->cors);
  if (!c.error) c.error = dl_plan_compile_trusted(L, table, arena, &plan->trusted);
  if (c.error || !each(&c, table, "routes", compile_route) || !each(&c, table, "files", compile_file)) {
    *error = c.error;
    return NULL;
  }
  dl_router_finish(plan->router);
  return plan;
}

/* --- hosts ------------------------------------------------------------------------ */

static dl_str without_port(dl_str host) {
  if (host.len && host.ptr[0] == '[') {
    for (size_t i = 0; i < host.len; i++)
      if (host.ptr[i] == ']') return dl_str_from(host.ptr, i + 1);
    return host;
  }
  for (size_t i = 0; i < host.len; i++)
    if (host.ptr[i] == ':') return dl_str_from(host.ptr, i);
  return host;
}

bool dl_plan_is_local_host(dl_str host) {
  static const dl_str below = {".localhost", 10};
  dl_address address;
  host = without_port(host);
  if (host.len == 0 || dl_str_equal_nocase(host, DL_STR("localhost"))) return true;
  if (host.len > below.len && dl_str_equal_nocase(dl_str_skip(host, host.len - below.len), below)) return true;
  if (host.len > 2 && host.ptr[0] == '[') host = dl_str_from(host.ptr + 1, host.len - 2);
  return dl_address_read(host, &address);
}

bool dl_plan_allows_host(const dl_plan *plan, dl_str host) {
  if (plan->allowed_host_count == 0) return true;
  host = without_port(host);
  for (uint32_t i = 0; i < plan->allowed_host_count; i++) {
    dl_str allowed = plan->allowed_hosts[i];
    if (dl_str_equal_nocase(host, allowed)) return true;
    if (allowed.len < 2 || allowed.ptr[0] != '*') continue;
    dl_str suffix = dl_str_skip(allowed, 1); /* ".example.com" */
    if (host.len > suffix.len && dl_str_equal_nocase(dl_str_skip(host, host.len - suffix.len), suffix)) return true;
  }
  return false;
}
