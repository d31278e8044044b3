/* effects_remote.c: lines in files, changed under a lock, so that nothing is lost when the host is killed. */
#include "effects_remote.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX_STATE 1048576
#define LINE_STEP 128

/* The file's text; NULL when there is none. new */
static char *read_all(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : calloc(1, MAX_STATE);
    if (text && read(fd, text, MAX_STATE - 1) < 0)
        text[0] = '\0';
    if (fd >= 0)
        close(fd);
    return text;
}

static void write_all(const char *path, const char *text)
{
    char temporary[4096];
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || rename(temporary, path) < 0)
        perror(path);
    if (fd >= 0)
        close(fd);
}

/* The last line that begins with `name` and a space (by hand one appends). line: 512 bytes */
static bool find_line(const char *text, const char *name, char line[512])
{
    size_t len = strlen(name);
    bool found = false;
    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && at[len] == ' ') {
            (void)snprintf(line, 512, "%.*s", (int)strcspn(at, "\n"), at);
            found = true;
        }
    return found;
}

int64_t remote_get(const char *state_path, const char *target)
{
    char line[512], *text = read_all(state_path);
    int64_t value = text && find_line(text, target, line) ? strtoll(line + strlen(target) + 1, NULL, 10) : 0;
    free(text);
    return value;
}

/* One write of a line that is filled up with spaces, so that none lies across two pages: the kernel may end the write of
 * a killed process between them. */
static void append(const char *path, const char *line)
{
    char filled[2048];
    int len = (int)strcspn(line, "\n"), step = (len + LINE_STEP) / LINE_STEP * LINE_STEP;
    (void)snprintf(filled, sizeof filled, "%-*.*s\n", step - 1, len, line);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, filled, strlen(filled)) < 0)
        perror(path);
    if (fd >= 0)
        close(fd);
}

void remote_change(const char *state_path, const char *target, int64_t value, const char *op, const char *action,
                   const char *key)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "%s %lld %s %s %s\n", target, (long long)value, op, action, key);
    append(state_path, line);
}

bool remote_has_key(const char *state_path, const char *key)
{
    char *text = read_all(state_path);
    bool found = text && *key && strstr(text, key);
    free(text);
    return found;
}

void remote_log(const char *log_path, const char *line)
{
    append(log_path, line);
}

void behaviour_read(const char *path, const char *action, const char *op, char ret[64], int64_t *ret_number)
{
    char *text = path ? read_all(path) : NULL, *kept = text ? calloc(1, MAX_STATE) : NULL;
    size_t len = 0;
    bool is_taken = false;
    ret[0] = '\0';
    *ret_number = 0;
    for (char *rest = NULL, *line = text ? strtok_r(text, "\n", &rest) : NULL; line && kept;
         line = strtok_r(NULL, "\n", &rest)) {
        char where[128] = "", what[64] = "", more[2][32] = {"", ""};
        const char *dot;
        int n = sscanf(line, " %127[^:]:%63s %31s %31s", where, what, more[0], more[1]);
        bool is_here = n >= 2 && ((dot = strchr(where, '.')) ? strcmp(dot + 1, op) == 0 &&
                                                                   strncmp(where, action, (size_t)(dot - where)) == 0 &&
                                                                   action[dot - where] == '\0'
                                                             : strcmp(where, op) == 0);
        bool is_once = strcmp(more[0], "once") == 0 || strcmp(more[1], "once") == 0;
        if (is_here && !ret[0]) {
            (void)snprintf(ret, 64, "%s", what);
            *ret_number = strtoll(more[0], NULL, 10);
            is_taken = is_once;
            if (is_once)
                continue;
        }
        len += (size_t)snprintf(kept + len, MAX_STATE - len, "%s\n", line);
    }
    if (is_taken)
        write_all(path, kept);
    free(kept);
    free(text);
}
