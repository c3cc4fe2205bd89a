/* SPDX-License-Identifier: MIT */
/* Client certificates as principals. That TLS verified them is shown by test_tls. */
#include "guard_tests.h"

static const dl_tls_peer worker_7 = {
    .subject = DL_STR("CN=worker-7,O=Example"),
    .issuer = DL_STR("CN=Clients,O=Example"),
    .common_name = DL_STR("worker-7"),
    .serial = DL_STR("0a1b"),
    .names = {{DL_TLS_NAME_DNS, DL_STR("w7.example")}, {DL_TLS_NAME_URI, DL_STR("spiffe://example/w7")}, {DL_TLS_NAME_URI, DL_STR("spiffe://example/admin")}},
    .name_count = 3,
    .not_before_s = NOW - 100,
    .not_after_s = NOW + 100,
    .fingerprint = "ab",
};

static dl_guard_result ask_certificate(guard_world *w, const char *expression, const dl_tls_peer *peer, int64_t now_s) {
  const dl_guard *guard = world_guard(w, expression);
  if (!guard) fail_msg("%s", w->error);
  assert_true(world_parse(w, DL_STR("")));
  w->context = (dl_guard_context){.request = &w->request, .arena = &w->arena, .peer = peer, .now_s = now_s};
  return dl_guard_check(guard, &w->context, &w->principal);
}

#define PLAIN "{ kind = 'client_certificate' }"

static void finds_who_the_certificate_names(void **state) {
  guard_world *w = *state;
  assert_int_equal(ask_certificate(w, PLAIN, &worker_7, NOW), DL_GUARD_PASS);
  assert_str(w->principal.guard, "client_certificate");
  assert_str(w->principal.subject, "worker-7");
  assert_str(w->principal.issuer, "CN=Clients,O=Example");
  assert_str(dl_principal_key(&w->principal, &w->arena), "client_certificate:20:CN=Clients,O=Example:worker-7");
  dl_buffer text = {0};
  dl_value_write(&text, w->principal.claims);
  assert_str(dl_buffer_str(&text), "{\"fingerprint\":\"ab\",\"serial\":\"0a1b\",\"distinguished_name\":\"CN=worker-7,O=Example\",\"common_name\":\"worker-7\","
                                   "\"dns\":[\"w7.example\"],\"emails\":[],\"uris\":[\"spiffe://example/w7\",\"spiffe://example/admin\"],"
                                   "\"not_before\":1799999900,\"not_after\":1800000100}");
  dl_buffer_free(&text);
}

static void takes_the_name_that_it_was_told_to(void **state) {
  static const struct {
    const char *source, *subject;
  } rows[] = {{"common_name", "worker-7"}, {"distinguished_name", "CN=worker-7,O=Example"}, {"dns", "w7.example"}, {"uri", "spiffe://example/w7"}};
  char expression[100];
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    snprintf(expression, sizeof(expression), "{ kind = 'client_certificate', subject = '%s' }", rows[i].source);
    assert_int_equal(ask_certificate(*state, expression, &worker_7, NOW), DL_GUARD_PASS);
    assert_str(((guard_world *)*state)->principal.subject, rows[i].subject);
  }
  assert_int_equal(ask_certificate(*state, "{ kind = 'client_certificate', subject = 'email' }", &worker_7, NOW), DL_GUARD_UNAUTHENTICATED);
}

static void gives_roles_to_everybody_and_to_clients_by_name(void **state) {
  guard_world *w = *state;
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', roles = { 'service' }, clients = { { name = 'worker-7', roles = { 'admin' } }, { name = 'worker-8' } } }",
                       &worker_7, NOW),
                   DL_GUARD_PASS);
  assert_int_equal(w->principal.role_count, 2);
  assert_true(dl_principal_has_role(&w->principal, DL_STR("service")) && dl_principal_has_role(&w->principal, DL_STR("admin")));
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', roles = { 'service' }, clients = { { name = 'worker-7' } } }", &worker_7, NOW),
                   DL_GUARD_PASS);
  assert_int_equal(w->principal.role_count, 1);
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', subject = 'uri', clients = { { name = 'spiffe://example/admin', roles = { 'root' } } } }", &worker_7, NOW),
                   DL_GUARD_PASS);
  assert_str(w->principal.subject, "spiffe://example/admin");
  assert_true(dl_principal_has_role(&w->principal, DL_STR("root")));
  assert_int_equal(ask_certificate(w, "{ kind = 'role', names = { 'admin' }, member = { kind = 'client_certificate', roles = { 'service' } } }", &worker_7, NOW), DL_GUARD_FORBIDDEN);
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', clients = { { name = 'worker-8' } } }", &worker_7, NOW), DL_GUARD_FORBIDDEN);
  assert_int_equal(w->principal.role_count, 0);
}

static void refuses_who_has_none_or_an_old_one(void **state) {
  guard_world *w = *state;
  assert_int_equal(ask_certificate(w, PLAIN, NULL, NOW), DL_GUARD_UNAUTHENTICATED);
  assert_str(w->context.challenge, "WWW-Authenticate: ClientCertificate\r\n");
  assert_int_equal(ask_certificate(w, PLAIN, &worker_7, NOW + 101), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_certificate(w, PLAIN, &worker_7, NOW - 101), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', issuer = 'CN=Others' }", &worker_7, NOW), DL_GUARD_UNAUTHENTICATED);
  assert_int_equal(ask_certificate(w, "{ kind = 'client_certificate', issuer = 'CN=Clients,O=Example' }", &worker_7, NOW), DL_GUARD_PASS);
  assert_int_equal(w->principal.role_count, 0);
  dl_tls_peer nameless = worker_7;
  nameless.common_name = (dl_str){0};
  assert_int_equal(ask_certificate(w, PLAIN, &nameless, NOW), DL_GUARD_UNAUTHENTICATED);
}

static void says_what_is_wrong_with_a_description(void **state) {
  guard_world *w = *state;
  static const struct {
    const char *expression, *says;
  } rows[] = {{"{ kind = 'client_certificate', subject = 'serial' }", "subject should be common_name"},
              {"{ kind = 'client_certificate', clients = {} }", "clients should be a list of 1 to 4096"},
              {"{ kind = 'client_certificate', clients = { 'a' } }", "each of clients should be a table"},
              {"{ kind = 'client_certificate', clients = { { roles = {} } } }", "should have a name"},
              {"{ kind = 'client_certificate', clients = { { name = 5 } } }", "name should be text, not a number"},
              {"{ kind = 'client_certificate', clients = { { name = 'a', roles = 5 } } }", "roles should be a list of texts, not a number"},
              {"(function() local list = {} for i = 1, 4097 do list[i] = { name = 'w' .. i } end"
               " return { kind = 'client_certificate', clients = list } end)()",
               "clients should be a list of 1 to 4096"},
              {"{ kind = 'client_certificate', subject = 5 }", "subject should be text, not a number"},
              {"{ kind = 'client_certificate', issuer = true }", "issuer should be text, not a boolean"},
              {"{ kind = 'client_certificate', roles = 5 }", "roles should be a list of texts, not a number"}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_null(world_guard(w, rows[i].expression));
    if (!strstr(w->error, rows[i].says)) fail_msg("%s", w->error);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(finds_who_the_certificate_names, open_world, close_world),
      cmocka_unit_test_setup_teardown(takes_the_name_that_it_was_told_to, open_world, close_world),
      cmocka_unit_test_setup_teardown(gives_roles_to_everybody_and_to_clients_by_name, open_world, close_world),
      cmocka_unit_test_setup_teardown(refuses_who_has_none_or_an_old_one, open_world, close_world),
      cmocka_unit_test_setup_teardown(says_what_is_wrong_with_a_description, open_world, close_world),
  };
  return cmocka_run_group_tests_name("guard client_certificate", tests, NULL, NULL);
}
