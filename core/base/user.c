/* user.c: what a user of this machine is called. */
#include "base/user.h"
#include "base/mem.h"
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINE 32768 /* a longer one ends the list: nobody after it is known */

static bool is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c)))
            return false;
    return *name != 0;
}

static void look_up(FILE *list, uid_t uid, char ret[STANCH_USER_NAME])
{
    struct passwd entry, *found = NULL;
    char line[MAX_LINE];
    while (fgetpwent_r(list, &entry, line, sizeof line, &found) == 0) {
        if (found->pw_uid != uid)
            continue;
        if (is_plain(found->pw_name) && strlen(found->pw_name) + sizeof "person:" <= STANCH_USER_NAME)
            (void)snprintf(ret, STANCH_USER_NAME, "person:%s", found->pw_name);
        return;
    }
}

void stanch_user_name(const char *list, uid_t uid, char ret[STANCH_USER_NAME])
{
    (void)snprintf(ret, STANCH_USER_NAME, "uid:%u", (unsigned)uid);
    FILE *file = fopen(list, "re");
    if (!file) {
        stanch_mem_check(errno);
        return;
    }
    look_up(file, uid, ret);
    (void)fclose(file);
}
