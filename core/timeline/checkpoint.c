/* checkpoint.c: making, keeping and reading signed heads. */
#include "timeline/checkpoint.h"
#include "timeline/sign.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last line that is not empty. ret: new, or NULL when there is none. A line before one that could not be read is an
 * earlier checkpoint: less would be found by it. */
static int read_last_line(FILE *file, char **ret)
{
    char *line = NULL, *last = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, file)) > 0) {
        if (len == 1 && line[0] == '\n')
            continue;
        free(last);
        last = stanch_strndup(line, (size_t)len);
    }
    int why = feof(file) ? 0 : errno ? errno : EIO;
    free(line);
    if (why)
        free(STANCH_TAKE(last));
    *ret = last;
    return -why;
}

int stanch_checkpoint_read(const char *path, json_t **ret, struct stanch_err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return stanch_err_errno(err, errno == ENOENT ? STANCH_E_NOT_FOUND : STANCH_E_STORE, errno, "the checkpoint %s",
                                path);
    STANCH_AUTO_FREE char *line = NULL;
    int why = -read_last_line(file, &line);
    (void)fclose(file);
    if (why)
        return stanch_err_errno(err, STANCH_E_STORE, why, "the checkpoint %s could not be read", path);
    STANCH_AUTO_JSON json_t *value = NULL;
    if (line && stanch_json_parse(line, strlen(line), &stanch_json_own_limits, &value, NULL) < 0)
        value = NULL;
    if (!json_is_object(json_object_get(value, "checkpoint")))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s holds no checkpoint: its last line is not one (cut, or another file?)", path);
    if (!stanch_sign_is_good(value))
        return stanch_err_set(err, STANCH_E_INVALID, "the checkpoint in %s was altered: its signature is not good",
                              path);
    *ret = STANCH_TAKE(value);
    return 0;
}

int stanch_checkpoint_belongs(const json_t *signed_checkpoint, sqlite3 *db, struct stanch_err *err)
{
    if (stanch_is_sabotaged("checkpoint-of-any-store"))
        return 0;
    const char *store = stanch_json_str(json_object_get(signed_checkpoint, "checkpoint"), "store", "");
    const char *key = stanch_json_str(signed_checkpoint, "key", "");
    STANCH_AUTO_FREE char *own = NULL, *known = NULL;
    int rc = stanch_sqlite__meta(db, "store", &own, err);
    if (rc < 0)
        return rc;
    if (!own || strcmp(own, store) != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "the checkpoint was made of store %s, this is store %s: it was exchanged, or the "
                              "checkpoint belongs elsewhere",
                              store, own ? own : "(without a name)");
    STANCH_AUTO_FREE char *name = stanch_asprintf("key:%s", key);
    rc = stanch_sqlite__meta(db, name, &known, err);
    if (rc < 0)
        return rc;
    if (!known)
        return stanch_err_set(err, STANCH_E_INVALID, "the checkpoint is signed by key %s, which this store never had",
                              key);
    return 0;
}

char *stanch_checkpoint_store_name(struct stanch_store *store)
{
    char *name = NULL;
    return stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "store", &name, NULL) == 0 ? name : NULL;
}

int stanch_checkpoint_make(struct stanch_store *store, const char *key_dir, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *heads = NULL;
    char at[32];
    int rc = store->ops->heads(store, &heads, err);
    if (rc < 0)
        return rc;
    int64_t entries = 0;
    size_t i;
    json_t *head;
    json_array_foreach(heads, i, head) if (strcmp(stanch_json_str(head, "chain", ""), STANCH_CHAIN_ALL) == 0) entries =
        stanch_json_int(head, "n", 0);
    stanch_time_text(stanch_wall_now_ms(), at);
    STANCH_AUTO_FREE char *id = NULL;
    rc = stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "store", &id, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *checkpoint = json_object();
    json_object_set_new(checkpoint, "at", json_string(at));
    json_object_set_new(checkpoint, "store", json_string(id ? id : ""));
    json_object_set_new(checkpoint, "entries", json_integer(entries));
    json_object_set(checkpoint, "heads", heads);
    return stanch_sign_checkpoint(key_dir, checkpoint, ret, err);
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        bytes += done;
        len -= (size_t)done;
    }
    return 0;
}

/* A crash left half a line at the end. */
static bool is_cut(int fd, off_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* The name of a new file is durable with its directory. */
static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    STANCH_AUTO_FREE char *dir = slash ? stanch_strndup(path, (size_t)(slash - path) + 1) : stanch_strdup(".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int stanch_checkpoint_append(const char *path, const json_t *signed_checkpoint, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf line = {0};
    int rc = stanch_json_canonical(signed_checkpoint, &line, err);
    if (rc < 0)
        return rc;
    stanch_buf_char(&line, '\n');
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct stat info;
    bool good = fd >= 0 && fstat(fd, &info) == 0;
    if (good && is_cut(fd, info.st_size))
        good = write_all(fd, "\n", 1) == 0;
    off_t begin = good ? lseek(fd, 0, SEEK_END) : -1;
    good = good && write_all(fd, line.data, line.len) == 0 && fsync(fd) == 0;
    int errnum = errno;
    if (!good && begin >= 0 && ftruncate(fd, begin) < 0)
        errnum = errno; /* half a line stays; the next one ends it */
    if (fd >= 0)
        close(fd);
    if (!good)
        return stanch_err_errno(err, errnum == ENOSPC ? STANCH_E_FULL : STANCH_E_STORE, errnum,
                                "the checkpoint cannot be written to %s", path);
    if (info.st_size == 0)
        sync_parent(path);
    return 0;
}
