/* SPDX-License-Identifier: MIT */
/* demilune new NAME: writes the files of core/cli/template, with the name put in. */
#include "base/buffer.h"
#include "base/embedded.h"
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

extern const dl_embedded dl_new_files[];

static const char *name_problem(const char *name) {
  const char *last = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
  if (*last == 0 || strcmp(last, ".") == 0) return "needs a name, e.g. demilune new notes";
  for (const char *c = last; *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.') return "takes a name of letters, digits, - and _";
  return NULL;
}

/* "NAME" in a template is the app's name. */
static void fill_in(dl_buffer *out, dl_str text, const char *name) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.len - i >= 8 && memcmp(text.ptr + i, "APP_NAME", 8) == 0) {
      dl_buffer_append_str(out, dl_str_of(name));
      i += 7;
    } else {
      dl_buffer_append_char(out, text.ptr[i]);
    }
  }
}

static bool make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    bool ok = mkdir(path, 0777) == 0 || errno == EEXIST;
    *slash = '/';
    if (!ok) return false;
  }
  return true;
}

static bool write_file(const char *folder, const dl_embedded *file, const char *name) {
  char path[1024];
  dl_buffer text = {0};
  if (snprintf(path, sizeof path, "%s/%s", folder, file->name) >= (int)sizeof path || !make_parents(path)) return false;
  FILE *out = fopen(path, "wbx");
  if (!out) return false;
  fill_in(&text, dl_embedded_bytes(file), name);
  bool ok = fwrite(text.data, 1, text.len, out) == text.len;
  ok = fclose(out) == 0 && ok;
  dl_buffer_free(&text);
  if (ok) printf("  %s\n", path);
  return ok;
}

int dl_command_new(int count, char **arguments) {
  dl_flags flags = {0};
  struct stat existing;
  if (!dl_flags_read(&flags, "new", count, arguments)) return 2;
  const char *folder = flags.options.folder;
  const char *problem = name_problem(folder);
  if (problem) {
    fprintf(stderr, "demilune new %s\n", problem);
    return 2;
  }
  if (stat(folder, &existing) == 0) {
    fprintf(stderr, "demilune new: %s is there already; nothing was changed\n", folder);
    return 1;
  }
  const char *name = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
  for (const dl_embedded *file = dl_new_files; file->name; file++) {
    if (write_file(folder, file, name)) continue;
    fprintf(stderr, "demilune new: cannot write %s/%s: %s\n", folder, file->name, strerror(errno));
    return 1;
  }
  printf("\nNext:\n  demilune dev %s\n  demilune test %s\n", folder, folder);
  return 0;
}
