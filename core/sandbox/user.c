/* SPDX-License-Identifier: MIT */
/* Becoming a user that may little, for good. */
#include "sandbox/internal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool complain(char error[512], const char *what, const char *user) {
  snprintf(error, 512, "cannot %s %.100s: %s", what, user, strerror(errno));
  return false;
}

static const struct passwd *find(const char *user) {
  char *end;
  unsigned long number = strtoul(user, &end, 10);
  if (*user >= '0' && *user <= '9' && *end == 0) return getpwuid((uid_t)number);
  return getpwnam(user);
}

/* Each of the three ids, and no way back. */
static bool is_for_good(const struct passwd *account) {
  uid_t real, effective, saved;
  gid_t real_group, effective_group, saved_group;
  if (getresuid(&real, &effective, &saved) != 0 || getresgid(&real_group, &effective_group, &saved_group) != 0) return false;
  if (real != account->pw_uid || effective != account->pw_uid || saved != account->pw_uid) return false;
  if (real_group != account->pw_gid || effective_group != account->pw_gid || saved_group != account->pw_gid) return false;
  return setuid(0) != 0 && seteuid(0) != 0;
}

/* A process that changes its user is no longer told of its parent's end (prctl(2)), and
 * of one that came meanwhile nobody tells. */
static void stay_watched(int told_by, pid_t parent) {
  if (!told_by) return;
  prctl(PR_SET_PDEATHSIG, told_by);
  if (getppid() != parent) raise(told_by);
}

static bool become(const char *user, const struct passwd *account, char error[512]) {
  int told_by = 0;
  pid_t parent = getppid();
  prctl(PR_GET_PDEATHSIG, &told_by);
  if (initgroups(account->pw_name, account->pw_gid) != 0) return complain(error, "leave root's groups for those of", user);
  if (setresgid(account->pw_gid, account->pw_gid, account->pw_gid) != 0) return complain(error, "take the group of", user);
  if (setresuid(account->pw_uid, account->pw_uid, account->pw_uid) != 0) return complain(error, "become", user);
  stay_watched(told_by, parent);
  if (is_for_good(account)) return true;
  snprintf(error, 512, "became %.100s, but the way back to root is open", user);
  return false;
}

/* Found out now and told in words, rather than by the database later. */
static bool reach_folders(const dl_sandbox_options *options, const char *name, char error[512]) {
  if (options->app_folder && access(options->app_folder, R_OK | X_OK) != 0) {
    snprintf(error, 512, "the user %.60s cannot read the app's folder %.200s; give it to that user's group, or open it for reading", name, options->app_folder);
    return false;
  }
  if (!(dl_sandbox_rights(options) & DL_RIGHT_WRITE_DATA) || !options->data_folder || access(options->data_folder, R_OK | W_OK | X_OK) == 0) return true;
  if (options->app_folder && strcmp(options->app_folder, options->data_folder) == 0) return true; /* an app that keeps nothing writes nothing there */
  snprintf(error, 512, "the user %.60s cannot write to the data folder %.200s; chown it: chown -R %.60s %.100s", name, options->data_folder, name, options->data_folder);
  return false;
}

bool dl_wall_user(const dl_sandbox_options *options, dl_wall *wall, char error[512]) {
  if (!options->user) {
    if (geteuid() == 0) dl_wall_set(wall, DL_WALL_MISSING, "runs as root; name a user by --user");
    else dl_wall_set(wall, DL_WALL_UP, "uid %ld as started", (long)geteuid());
    return true;
  }
  errno = 0;
  const struct passwd *account = find(options->user);
  if (!account) {
    snprintf(error, 512, "there is no user %.100s; name an account of this system", options->user);
    return false;
  }
  if (account->pw_uid == 0) {
    snprintf(error, 512, "--user=%.100s is root, which --user is for leaving; name another account", options->user);
    return false;
  }
  if (geteuid() != 0 && geteuid() != account->pw_uid) {
    snprintf(error, 512, "only root can become %.100s; leave --user out, or start as root", options->user);
    return false;
  }
  if (geteuid() == 0 && !become(options->user, account, error)) return false;
  if (!reach_folders(options, account->pw_name, error)) return false;
  dl_wall_set(wall, DL_WALL_UP, "%.60s", account->pw_name);
  return true;
}
