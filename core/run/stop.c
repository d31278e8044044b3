/* stop.c: a synced file that says stop, and all that is stopped; the files of levels are in stop_level.c. */
#include "run/stop.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHY_MAX 200 /* bytes of each of its words in a sentence */

static char *stop_path(const char *state_dir)
{
    return stanch_asprintf("%s/stop", state_dir);
}

bool stanch_stop_is_set(const char *state_dir)
{
    if (strcmp(state_dir, STANCH_STOP_NOWHERE) == 0)
        return false;
    STANCH_AUTO_FREE char *path = stop_path(state_dir);
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

json_t *stanch_stop_read(const char *state_dir)
{
    if (!stanch_stop_is_set(state_dir))
        return NULL;
    STANCH_AUTO_FREE char *path = stop_path(state_dir);
    json_t *said = json_load_file(path, 0, NULL);
    if (json_is_object(said))
        return said;
    json_decref(said);
    return json_pack("{s:s, s:s, s:s}", "reason", "the file was made by hand", "by", "unknown", "at", "");
}

static int sync_dir(const char *dir, struct stanch_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (fd < 0 || fsync(fd) < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be synced", dir);
    if (fd >= 0)
        close(fd);
    return rc;
}

int stanch_stop_set(const char *state_dir, const char *reason, const char *by, int64_t at_ms, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stop_path(state_dir);
    char at[32];
    stanch_time_text(at_ms, at);
    STANCH_AUTO_JSON json_t *said = json_pack("{s:s, s:s, s:s}", "reason", reason, "by", by, "at", at);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_json_write(said, &text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return sync_dir(state_dir, err);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the switch %s could not be set", path);
    /* a file that is there but could not be filled still stops: its being there is the switch */
    bool ok = write(fd, text.data, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    int why = errno;
    close(fd);
    if (!ok)
        return stanch_err_errno(err, STANCH_E_SYSTEM, why, "the switch %s is set but could not be synced", path);
    return sync_dir(state_dir, err);
}

int stanch_stop_clear(const char *state_dir, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stop_path(state_dir);
    if (unlink(path) < 0 && errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the switch %s could not be removed", path);
    return sync_dir(state_dir, err);
}

/* ---- all that is stopped ---- */

json_t *stanch_stop_list(const char *state_dir, int64_t now_ms)
{
    json_t *list = json_array();
    STANCH_AUTO_JSON json_t *all = stanch_stop_levels(state_dir);
    json_t *everything = stanch_stop_read(state_dir);
    if (everything) {
        stanch_json_set_str(everything, "level", STANCH_STOP_EVERYTHING);
        stanch_json_set_str(everything, "file", "stop");
        json_array_append_new(list, everything);
    }
    for (size_t i = 0; i < json_array_size(all); i++)
        if (!stanch_stop_is_over(json_array_get(all, i), now_ms))
            json_array_append(list, json_array_get(all, i));
    return list;
}

/* ---- asking ---- */

static bool is_named(const json_t *stop, const char *name)
{
    const char *stopped = stanch_json_str(stop, "name", NULL);
    return name && *name && (!stopped || strcmp(stopped, name) == 0);
}

static bool holds(const json_t *stop, const struct stanch_stop_about *about)
{
    const char *level = stanch_json_str(stop, "level", STANCH_STOP_EVERYTHING);
    if (strcmp(level, "instance") == 0)
        return is_named(stop, about->instance);
    if (strcmp(level, "runbook") == 0)
        return is_named(stop, about->runbook);
    if (strcmp(level, "target") != 0)
        return true;
    for (size_t i = 0; i < json_array_size(about->targets); i++)
        if (is_named(stop, json_string_value(json_array_get(about->targets, i))))
            return true;
    return false;
}

const json_t *stanch_stop_find(const json_t *list, const struct stanch_stop_about *about)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (holds(json_array_get(list, i), about))
            return json_array_get(list, i);
    return NULL;
}

const json_t *stanch_stop_find_start(const json_t *list, const char *runbook)
{
    const struct stanch_stop_about about = {.runbook = runbook};
    return stanch_stop_find(list, &about);
}

static int cut(const char *text)
{
    return (int)stanch_text_cut(text, WHY_MAX);
}

char *stanch_stop_why(const json_t *stop)
{
    const char *level = stanch_json_str(stop, "level", STANCH_STOP_EVERYTHING),
               *until = stanch_json_str(stop, "until", NULL);
    const char *reason = stanch_json_str(stop, "reason", "");
    if (strcmp(level, STANCH_STOP_EVERYTHING) == 0)
        return strcmp(stanch_json_str(stop, "file", "stop"), "stop") == 0
                   ? stanch_strdup("the stop switch is set")
                   : stanch_asprintf("the stop switch is set: %s", reason);
    const char *name = stanch_json_str(stop, "name", "(a name that cannot be read)");
    const char *by = stanch_json_str(stop, "by", "unknown");
    return stanch_asprintf("%s %.*s is stopped by %.*s%s%s%s%.*s", level, cut(name), name, cut(by), by,
                           until ? " until " : "", until ? until : "", *reason ? ": " : "", cut(reason), reason);
}

char *stanch_stop_holds(const char *state_dir, const struct stanch_stop_about *about, int64_t now_ms)
{
    STANCH_AUTO_JSON json_t *list = stanch_stop_list(state_dir, now_ms);
    const json_t *stop = stanch_stop_find(list, about);
    return stop ? stanch_stop_why(stop) : NULL;
}
