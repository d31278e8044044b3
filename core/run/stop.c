/* stop.c: a synced file that says stop; those of a level are in stop_level.c. */
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

static char *stop_path(const char *state_dir)
{
    return stanch_asprintf("%s/stop", state_dir);
}

bool stanch_stop_is_set(const char *state_dir)
{
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
