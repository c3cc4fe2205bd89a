/* SPDX-License-Identifier: MIT */
/*
 * The parts of a plan that decide who may ask how often and from which page:
 * limits, origins and proxies, compiled from the tables that plan.lua made of them.
 */
#include "app/plan_access.h"

#include <lauxlib.h>

static dl_str text_field(lua_State *L, int table, const char *name, dl_arena *arena) {
  dl_str text = {0};
  lua_getfield(L, table, name);
  if (lua_type(L, -1) == LUA_TSTRING) {
    text.ptr = lua_tolstring(L, -1, &text.len);
    text = dl_arena_copy(arena, text);
  }
  lua_pop(L, 1);
  return text;
}

/* --- limits ----------------------------------------------------------------------- */

static void append(dl_limit_group *group, const dl_limit *more, size_t count) {
  memcpy(&group->limits[group->count], more, count * sizeof *more);
  group->count += count;
}

static uint32_t cost_of(lua_State *L, int entry) {
  lua_getfield(L, entry, "cost");
  uint32_t cost = (uint32_t)lua_tonumber(L, -1);
  lua_pop(L, 1);
  return cost;
}

/* Where a limit's windows go: all of a kind are checked at once, with one key. Each
 * function has a key of its own. */
static dl_limit_group *group_of(lua_State *L, int entry, dl_str by, dl_route_limits *limits, dl_arena *arena) {
  if (dl_str_equal(by, DL_STR("principal"))) return &limits->principal;
  if (dl_str_equal(by, DL_STR("api_key"))) return &limits->api_key;
  if (!dl_str_equal(by, DL_STR("function"))) return &limits->client;
  dl_limit_group *group = dl_arena_zalloc(arena, 1, sizeof *group);
  lua_pushlightuserdata(L, group);
  lua_setfield(L, entry, "group");
  return group;
}

/* all collects the windows as they were declared, for the policy. */
static const char *compile_limit(lua_State *L, int entry, dl_str scope, dl_route_limits *limits, dl_buffer *all, dl_arena *arena) {
  char error[DL_LIMIT_ERROR_BYTES];
  dl_limit parsed[DL_LIMIT_WINDOWS_MAX];
  dl_str by = text_field(L, entry, "by", arena), name = text_field(L, entry, "name", arena);
  dl_limit_group *group = group_of(L, entry, by, limits, arena);
  dl_limit_options options = {.name = by, .cost = cost_of(L, entry), .fixed = dl_str_equal(text_field(L, entry, "window", arena), DL_STR("fixed"))};
  options.scope = dl_str_of(dl_arena_format(arena, "%.*s %.*s", DL_STR_ARGS(name.len ? name : scope), DL_STR_ARGS(options.name)));
  size_t count = dl_limit_parse(text_field(L, entry, "rule", arena), &options, parsed, error);
  if (count == 0) return dl_arena_format(arena, "%s", error);
  if (group->count + count > DL_LIMIT_WINDOWS_MAX) return dl_arena_format(arena, "a route takes at most %d limits of one kind; leave some out", DL_LIMIT_WINDOWS_MAX);
  append(group, parsed, count);
  dl_buffer_append(all, parsed, count * sizeof *parsed);
  return NULL;
}

const char *dl_plan_compile_limits(lua_State *L, int route_table, dl_str scope, dl_arena *arena, const dl_route_limits **out) {
  const char *problem = NULL;
  *out = NULL;
  lua_getfield(L, route_table, "limits");
  int list = lua_gettop(L);
  if (lua_istable(L, list) && lua_objlen(L, list) > 0) {
    dl_route_limits *limits = dl_arena_zalloc(arena, 1, sizeof *limits);
    dl_buffer all = {0}, line = {0};
    for (int i = 1; !problem && i <= (int)lua_objlen(L, list); i++) {
      lua_rawgeti(L, list, i);
      if (lua_istable(L, -1)) problem = compile_limit(L, lua_gettop(L), scope, limits, &all, arena);
      lua_settop(L, list);
    }
    dl_limit_write_policy(&line, (const dl_limit *)(const void *)all.data, all.len / sizeof(dl_limit));
    limits->policy = dl_arena_copy(arena, dl_buffer_str(&line));
    dl_buffer_free(&all);
    dl_buffer_free(&line);
    *out = limits;
  }
  lua_settop(L, list - 1);
  return problem;
}

/* --- origins ------------------------------------------------------------------------ */

static const dl_str *text_list(lua_State *L, int table, const char *name, dl_arena *arena, size_t *count) {
  lua_getfield(L, table, name);
  *count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  dl_str *list = dl_arena_zalloc(arena, *count + 1, sizeof *list);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    list[i] = dl_arena_copy(arena, dl_str_from(text ? text : "", text ? len : 0));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return list;
}

const char *dl_plan_compile_cors(lua_State *L, int table, dl_arena *arena, const dl_cors **out) {
  const char *problem = NULL;
  *out = NULL;
  lua_getfield(L, table, "cors");
  int cors = lua_gettop(L);
  if (lua_istable(L, cors)) {
    dl_cors_options options = {0};
    options.origins = text_list(L, cors, "origins", arena, &options.origin_count);
    options.methods = text_list(L, cors, "methods", arena, &options.method_count);
    options.headers = text_list(L, cors, "headers", arena, &options.header_count);
    options.expose = text_list(L, cors, "expose", arena, &options.expose_count);
    lua_getfield(L, cors, "credentials");
    options.credentials = lua_toboolean(L, -1);
    lua_getfield(L, cors, "max_age");
    options.max_age_seconds = (uint32_t)lua_tonumber(L, -1);
    *out = dl_cors_compile(&options, arena, &problem);
    if (*out) problem = NULL;
  }
  lua_settop(L, cors - 1);
  return problem;
}

/* --- proxies ------------------------------------------------------------------------ */

const char *dl_plan_compile_trusted(lua_State *L, int table, dl_arena *arena, const dl_trusted **out) {
  const char *problem = NULL;
  size_t count;
  const dl_str *list = text_list(L, table, "trusted_proxies", arena, &count);
  dl_trusted *trusted = count > 0 ? dl_arena_zalloc(arena, 1, sizeof *trusted) : NULL;
  *out = trusted;
  for (size_t i = 0; !problem && i < count; i++) {
    problem = dl_trusted_add(trusted, list[i]);
    if (!problem) continue;
    dl_str source = text_field(L, table, "source", arena);
    problem = dl_arena_format(arena, "%.*s: demilune.app: \"%.*s\" in trusted_proxies %s", DL_STR_ARGS(source), DL_STR_ARGS(list[i]), problem);
  }
  return problem;
}
