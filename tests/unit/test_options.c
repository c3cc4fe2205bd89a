/* SPDX-License-Identifier: MIT */
/* What an embedder may ask for: what is wrong is said in a sentence, before anything is opened. */
#include "unit.h"

#include "server/options.h"

#include <stdio.h>
#include <stdlib.h>

static const char *problem_of(demilune_options options) {
  static char message[DL_OPTIONS_MESSAGE_BYTES];
  options.folder = "/nonexistent";
  return dl_options_check(&options, message);
}

/* The library says it too, and starts nothing. */
static void refused(demilune_options options, const char *words) {
  char *error = NULL;
  const char *problem = problem_of(options);
  if (!problem || !strstr(problem, words)) fail_msg("\"%s\" is not in: %s", words, problem ? problem : "(no problem)");
  options.folder = "/nonexistent";
  assert_null(demilune_server_new(&options, &error));
  assert_string_equal(error, problem);
  free(error);
  assert_int_equal(demilune_serve(&options), 2);
}

static void refuses_what_the_command_line_refuses(void **state) {
  (void)state;
  refused((demilune_options){.port = 99999}, "--port=99999 must be a number from 0 to 65535");
  refused((demilune_options){.port = -1}, "--port=-1 must be");
  refused((demilune_options){.port = 65536}, "--port=65536 must be");
  refused((demilune_options){.workers = 65}, "--workers=65 must be a number of processes from 1 to 64");
  refused((demilune_options){.workers = -1}, "--workers=-1 must be");
  refused((demilune_options){.max_memory = 1}, "--max-memory=1 must be at least 64M");
  refused((demilune_options){.hsts = "a\r\nb"}, "should be one line");
  refused((demilune_options){.unix_path = ""}, "--unix=");
  refused((demilune_options){.http_redirect = "80"}, "--http-redirect is about TLS, and there is none");
  refused((demilune_options){.tls_client_ca = "x.pem"}, "--tls-client-ca is about TLS");
  refused((demilune_options){.tls_ocsp = {"x.der"}}, "--tls-ocsp is about TLS");
}

/* A variable that is set and empty says nothing: the limits of who believes that they are counted in Redis must not be counted here. */
static void refuses_texts_that_say_nothing(void **state) {
  (void)state;
  demilune_options endless = {0};
  demilune_options nowhere = {.folder = ""};
  char *error = NULL;
  refused((demilune_options){.redis_url = ""}, "--redis= must be an address, such as redis://127.0.0.1:6379/0");
  refused((demilune_options){.log_file = ""}, "--log-file= must be the path of a file");
  refused((demilune_options){.user = ""}, "--user= must name an account");
  refused((demilune_options){.tls_cert = {""}, .tls_key = {"key.pem"}}, "--tls-cert= names no file");
  refused((demilune_options){.tls_cert = {"cert.pem"}, .tls_key = {"key.pem"}, .tls_client_ca = ""}, "--tls-client-ca= names no file");
  refused((demilune_options){.admin = ""}, "--admin= must be a port (on 127.0.0.1)");
  refused((demilune_options){.admin = "somewhere"}, "--admin=somewhere must be a port (on 127.0.0.1)");
  for (size_t i = 0; i <= DEMILUNE_TLS_FILES_MAX; i++) endless.tls_cert[i] = endless.tls_key[i] = "x.pem";
  refused(endless, "--tls-cert=x.pem is one too many; 16 will do");
  assert_null(demilune_server_new(&nowhere, &error));
  assert_non_null(strstr(error, "no folder is given"));
  free(error);
}

static void refuses_addresses_that_are_none(void **state) {
  (void)state;
  refused((demilune_options){.host = "nonsense"}, "--host=nonsense must be an IPv4 or IPv6 address, such as 127.0.0.1 or ::");
  refused((demilune_options){.host = ""}, "--host= must be");
  refused((demilune_options){.trusted_proxies = "10.0.0.0/8,x"}, "--trusted-proxies: \"x\" is no address");
  refused((demilune_options){.trusted_proxies = "*"}, "--trusted-proxies: \"*\" would trust");
  refused((demilune_options){.http_redirect = "often", .tls_cert = {"x"}, .tls_key = {"x"}}, "--http-redirect=often is not understood; write a port");
  assert_null(problem_of((demilune_options){.trusted_proxies = ""}));
  assert_null(problem_of((demilune_options){.host = "fe80::1%lo"}));
  assert_null(problem_of((demilune_options){.host = "localhost", .trusted_proxies = "10.0.0.0/8, unix"}));
  assert_null(problem_of((demilune_options){.host = "::1", .http_redirect = "[::]:80", .tls_cert = {"x"}, .tls_key = {"x"}}));
  assert_null(problem_of((demilune_options){.host = "nobody listens there", .unix_path = "x"}));
}

static void refuses_values_that_no_enumeration_has(void **state) {
  (void)state;
  refused((demilune_options){.mode = (demilune_mode)7}, "mode is 7");
  refused((demilune_options){.access_log = (demilune_access_log)3}, "access_log is 3");
  refused((demilune_options){.sandbox = (demilune_sandbox)9}, "sandbox is 9");
}

static void needs_a_folder_and_no_place_for_its_error(void **state) {
  (void)state;
  demilune_options none = {0}, nowhere = {.folder = "/nonexistent"};
  char *error = NULL;
  assert_null(demilune_server_new(&none, &error));
  assert_non_null(strstr(error, "no folder is given"));
  free(error);
  assert_int_equal(demilune_serve(&none), 2);
  assert_null(demilune_server_new(&none, NULL));
  assert_null(demilune_server_new(&nowhere, NULL));
}

/* What the library says of a port that is taken. */
static void names_the_flag_of_a_port_that_is_taken(void **state) {
  (void)state;
  char folder[] = "/tmp/demilune-options-XXXXXX", app[64], *error = NULL;
  assert_non_null(mkdtemp(folder));
  snprintf(app, sizeof app, "%s/app.lua", folder);
  FILE *file = fopen(app, "w");
  assert_non_null(file);
  fputs("local demilune = require 'demilune'\nlocal app = demilune.app { guard = demilune.guard.public }\n"
        "app:get('/', function() return 'root' end)\nreturn app\n",
        file);
  fclose(file);
  demilune_options options = {.folder = folder};
  demilune_server *first = demilune_server_new(&options, &error);
  if (!first) fail_msg("%s", error);
  assert_null(error);
  options.port = demilune_server_port(first);
  assert_null(demilune_server_new(&options, &error));
  assert_non_null(strstr(error, "address already in use; end who listens there, or choose another port by --port or DEMILUNE_PORT"));
  free(error);
  demilune_server_free(first);
  unlink(app);
  rmdir(folder);
}

static void lets_dev_be_seen_by_this_machine_alone(void **state) {
  (void)state;
  const char *const own[] = {NULL, "127.0.0.1", "127.9.9.9", "localhost", "::1", "::ffff:127.0.0.1"};
  const char *const others[] = {"0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_null(problem_of((demilune_options){.mode = DEMILUNE_DEV, .host = own[i]}));
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    refused((demilune_options){.mode = DEMILUNE_DEV, .host = others[i]}, "add --exposed");
    assert_null(problem_of((demilune_options){.mode = DEMILUNE_DEV, .host = others[i], .exposed = true}));
    assert_null(problem_of((demilune_options){.mode = DEMILUNE_DEV, .host = others[i], .unix_path = "socket"}));
    assert_null(problem_of((demilune_options){.host = others[i]}));
  }
}

/* The sanitizers tell of a read behind its end. */
static void reads_no_message_that_nobody_wrote(void **state) {
  (void)state;
  static const char other[] = "the socket is somebody else's";
  char *message = malloc(256);
  assert_non_null(message);
  memset(message, 'x', 256);
  assert_null(dl_options_explain_port(NULL, "--port", message));
  assert_ptr_equal(dl_options_explain_port(other, "--port", message), other);
  free(message);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_what_the_command_line_refuses),
      cmocka_unit_test(refuses_texts_that_say_nothing),
      cmocka_unit_test(refuses_addresses_that_are_none),
      cmocka_unit_test(refuses_values_that_no_enumeration_has),
      cmocka_unit_test(needs_a_folder_and_no_place_for_its_error),
      cmocka_unit_test(names_the_flag_of_a_port_that_is_taken),
      cmocka_unit_test(reads_no_message_that_nobody_wrote),
      cmocka_unit_test(lets_dev_be_seen_by_this_machine_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
