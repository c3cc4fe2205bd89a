/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer: linked with one tests/fuzz/fuzz_*.c, it gives
 * the target every input of its corpus and every one that it once failed on, or the
 * files that are named. Prints TAP; the last input named is the one that crashed.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *count, char ***arguments);

/* In memory of its exact size, so that a sanitizer sees a byte too far. */
static bool run_file(const char *path) {
  struct stat info;
  FILE *file = fopen(path, "rb");
  if (!file || fstat(fileno(file), &info) != 0) return false;
  size_t size = (size_t)info.st_size;
  uint8_t *data = malloc(size ? size : 1);
  bool good = data && fread(data, 1, size, file) == size;
  fclose(file);
  printf("# %s\n", path);
  fflush(stdout);
  if (good) LLVMFuzzerTestOneInput(data, size);
  free(data);
  return good;
}

static int is_input(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* In the order of their names: a run can be repeated. -1 for one that cannot be read. */
static long run_folder(const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, is_input, alphasort);
  long ran = 0;
  for (int i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    if (ran >= 0) ran = run_file(path) ? ran + 1 : -1;
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return count < 0 ? 0 : ran;
}

int main(int count, char **arguments) {
  long ran = 0, failed = 0;
  printf("1..1\n");
  if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&count, &arguments);
  for (int i = 1; i < count; i++) {
    if (run_file(arguments[i])) ran++;
    else failed++;
  }
  static const char *const folders[] = {DL_SOURCE_DIR "/tests/fuzz/corpus/" DL_FUZZ_SUBJECT, DL_SOURCE_DIR "/tests/fuzz/regression/" DL_FUZZ_SUBJECT};
  for (size_t i = 0; i < 2 && count == 1; i++) {
    long inputs = run_folder(folders[i]);
    if (inputs < 0) failed++;
    else ran += inputs;
  }
  printf("%s 1 - %s takes its %ld inputs\n", ran && !failed ? "ok" : "not ok", DL_FUZZ_SUBJECT, ran);
  return ran && !failed ? 0 : 1;
}
