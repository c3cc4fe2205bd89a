/* SPDX-License-Identifier: MIT */
/*
 * Unions. A tagged one goes straight to the member its tag names. In an untagged
 * one every member is tried and the best wins: among models the one that knows
 * most of the fields sent, else the one that fits most exactly, else the first.
 */
#include "model/schema_internal.h"

#include "base/hash.h"

enum { ANSWERS_MAX = 32768 };

/* ---- which member is best ---- */

dl_union_trial dl_union_begin(dl_validation *validation) {
  dl_union_trial trial = {.last_error = validation->last_error,
                          .error_count = validation->error_count,
                          .outer_fields_set = validation->fields_set,
                          .outer_fit = validation->fit,
                          .outer_attempting = validation->attempting};
  validation->attempting = true;
  return trial;
}

void dl_union_try(dl_validation *validation) {
  validation->fit = DL_FIT_EXACT;
  validation->fields_set = 0;
}

static bool better(const dl_union_trial *trial, const dl_validation *candidate) {
  if (!trial->found) return true;
  if (trial->fields_set && candidate->fields_set && trial->fields_set != candidate->fields_set) return candidate->fields_set > trial->fields_set;
  return candidate->fit > trial->fit;
}

bool dl_union_tried(dl_union_trial *trial, uint32_t member, bool fits, const dl_validation *validation) {
  if (!fits || !better(trial, validation)) return false;
  trial->found = true;
  trial->member = member;
  trial->fit = validation->fit;
  trial->fields_set = validation->fields_set;
  return true;
}

bool dl_union_end(const dl_union_trial *trial, dl_validation *validation) {
  validation->attempting = trial->outer_attempting;
  validation->fields_set = trial->outer_fields_set + trial->fields_set;
  validation->fit = trial->found && trial->fit < trial->outer_fit ? trial->fit : trial->outer_fit;
  /* One member fits: what the others had to say is of no interest. */
  if (trial->found) dl_validation_forget(validation, trial->last_error, trial->error_count);
  return trial->found;
}

/* ---- what was answered before ---- */

static dl_str key_of(const dl_union_answer *answer) { return dl_str_from((const char *)&answer->key, sizeof(answer->key)); }

static dl_union_answer asked(const dl_schema *schema, const void *whole, const dl_validation *validation) {
  return (dl_union_answer){.key = {schema, whole, (uint64_t)validation->mode << 1 | validation->conceal}};
}

const dl_union_answer *dl_union_recall(const dl_schema *schema, const void *whole, const dl_validation *validation) {
  dl_union_answer question = asked(schema, whole, validation);
  return validation->known && whole ? dl_map_get(validation->known, key_of(&question)) : NULL;
}

static dl_map *answers_of(dl_validation *validation) {
  if (validation->known) return validation->known;
  validation->known = dl_arena_alloc(validation->arena, sizeof(*validation->known));
  dl_map_init(validation->known, validation->arena);
  return validation->known;
}

void dl_union_remember(const dl_schema *schema, const void *whole, const dl_union_trial *trial, const dl_value *value, dl_validation *validation) {
  if (!whole || !trial->outer_attempting || validation->fault || validation->starved) return;
  dl_map *answers = answers_of(validation);
  dl_union_answer *answer = answers->count < ANSWERS_MAX ? dl_arena_try_alloc(validation->arena, sizeof(*answer)) : NULL;
  if (!answer) return; /* asked again it is answered anew */
  *answer = asked(schema, whole, validation);
  answer->found = trial->found;
  answer->fit = trial->fit;
  answer->member = trial->member;
  answer->fields_set = trial->fields_set;
  if (value) answer->value = *value;
  if (!trial->found) answer->error = dl_validation_first_since(validation, trial->last_error);
  answer->place_count = dl_validation_places(validation);
  dl_map_put(answers, key_of(answer), answer);
}

bool dl_union_refuse_again(const dl_union_answer *answer, dl_validation *validation) {
  static const char message[] = "fits none of its alternatives";
  if (answer->error) dl_validation_repeat(validation, answer->error, answer->place_count);
  else dl_validation_fail(validation, "value_error", dl_str_of(message), NULL);
  return false;
}

/* ---- tags ---- */

int dl_union_member_of_tag(const dl_alternatives *alternatives, const dl_value *tag) {
  for (uint32_t i = 0; i < alternatives->tag_count; i++)
    if (dl_value_equal(&alternatives->tags[i], tag)) return alternatives->tag_members[i];
  return -1;
}

bool dl_union_refuse_tag(const dl_schema *schema, const dl_value *tag, dl_validation *validation) {
  const dl_alternatives *alternatives = &schema->alternatives;
  dl_arena *arena = validation->arena;
  dl_member *members = dl_arena_alloc(arena, 3 * sizeof(*members));
  dl_str tag_text = DL_STR("another kind of value");
  if (tag->kind == DL_VALUE_STRING) tag_text = dl_value_str(tag);
  else if (tag->kind == DL_VALUE_INTEGER) tag_text = dl_str_of(dl_arena_format(arena, "%lld", (long long)tag->integer));
  else if (tag->kind == DL_VALUE_BOOLEAN) tag_text = tag->boolean ? DL_STR("true") : DL_STR("false");
  members[0] = (dl_member){dl_value_string(DL_STR("discriminator")), alternatives->no_tag.context.members[0].value};
  members[1] = (dl_member){dl_value_string(DL_STR("tag")), dl_value_string(tag_text)};
  members[2] = (dl_member){dl_value_string(DL_STR("expected_tags")), dl_value_string(alternatives->expected_tags)};
  const char *message =
      dl_arena_format(arena, "has in '%.*s' none of %.*s", DL_STR_ARGS(alternatives->wire), DL_STR_ARGS(alternatives->expected_tags));
  return dl_validation_refuse(validation, schema, "union_tag_invalid", dl_str_of(message),
                              (dl_value){.kind = DL_VALUE_OBJECT, .len = 3, .members = members}, NULL);
}

/* ---- checking ---- */

static bool validate_member(const dl_schema *schema, uint32_t member, dl_str label, dl_value *value, dl_validation *validation) {
  const dl_alternatives *alternatives = &schema->alternatives;
  dl_place here = {.up = validation->frame, .name = label};
  bool conceal = validation->conceal;
  validation->frame = &here;
  validation->conceal |= schema->conceals;
  bool ok = dl_validate_value(alternatives->members[member], value, validation);
  validation->conceal = conceal;
  validation->frame = here.up;
  if (alternatives->members[member]->kind != DL_KIND_UNION) value->aux = 0;
  value->aux = (uint16_t)(value->aux + alternatives->bases[member]);
  return ok;
}

static bool validate_tagged(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  const dl_alternatives *alternatives = &schema->alternatives;
  if (value->kind != DL_VALUE_OBJECT)
    return dl_validation_refuse(validation, schema, "model_attributes_type", DL_STR("should be an object"), (dl_value){0}, value);
  for (uint32_t i = 0; i < value->len; i++) {
    if (!dl_str_equal(dl_value_str(&value->members[i].key), alternatives->wire)) continue;
    const dl_value *tag = &value->members[i].value;
    int member = dl_union_member_of_tag(alternatives, tag);
    if (member < 0) return dl_union_refuse_tag(schema, tag, validation);
    dl_str label = tag->kind == DL_VALUE_STRING ? dl_value_str(tag) : dl_str_of(alternatives->members[member]->label);
    return validate_member(schema, (uint32_t)member, label, value, validation);
  }
  return dl_validation_refusal(validation, schema, &alternatives->no_tag, value);
}

static const void *whole_of(const dl_value *value) {
  if (!value->len) return NULL;
  return value->kind == DL_VALUE_ARRAY ? (const void *)value->items : value->kind == DL_VALUE_OBJECT ? value->members : NULL;
}

static bool take_answer(const dl_union_answer *answer, dl_value *value, dl_validation *validation) {
  if (!answer->found) return dl_union_refuse_again(answer, validation);
  *value = answer->value;
  validation->fields_set += answer->fields_set;
  if (answer->fit < validation->fit) validation->fit = answer->fit;
  return true;
}

static bool validate_untagged(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  const dl_alternatives *alternatives = &schema->alternatives;
  const void *whole = whole_of(value);
  const dl_union_answer *answer = dl_union_recall(schema, whole, validation);
  if (answer) return take_answer(answer, value, validation);
  dl_union_trial trial = dl_union_begin(validation);
  dl_value best = *value;
  for (uint32_t i = 0; i < alternatives->count && !dl_union_decided(&trial) && !validation->fault && !validation->starved; i++) {
    dl_value candidate = *value;
    dl_union_try(validation);
    bool fits = validate_member(schema, i, dl_str_of(alternatives->members[i]->label), &candidate, validation);
    if (dl_union_tried(&trial, i, fits, validation)) best = candidate;
  }
  *value = best;
  bool found = dl_union_end(&trial, validation);
  dl_union_remember(schema, whole, &trial, value, validation);
  return found;
}

bool dl_validate_union(const dl_schema *schema, dl_value *value, dl_validation *validation) {
  return schema->alternatives.discriminator.ptr ? validate_tagged(schema, value, validation) : validate_untagged(schema, value, validation);
}
