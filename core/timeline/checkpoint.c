/* checkpoint.c: reading signed heads. */
#include "timeline/checkpoint.h"
#include "timeline/sign.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last line that is not empty. ret: new, or NULL */
static char *read_last_line(FILE *file)
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
    free(line);
    return last;
}

int stanch_checkpoint_read(const char *path, json_t **ret, struct stanch_err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return stanch_err_errno(err, errno == ENOENT ? STANCH_E_NOT_FOUND : STANCH_E_STORE, errno, "the checkpoint %s",
                                path);
    STANCH_AUTO_FREE char *line = read_last_line(file);
    (void)fclose(file);
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
    const char *store = stanch_json_str(json_object_get(signed_checkpoint, "checkpoint"), "store", "");
    const char *key = stanch_json_str(signed_checkpoint, "key", "");
    STANCH_AUTO_FREE char *own = stanch_sqlite__meta(db, "store");
    if (!own || strcmp(own, store) != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "the checkpoint was made of store %s, this is store %s: it was exchanged, or the "
                              "checkpoint belongs elsewhere",
                              store, own ? own : "(without a name)");
    STANCH_AUTO_FREE char *name = stanch_asprintf("key:%s", key);
    STANCH_AUTO_FREE char *known = stanch_sqlite__meta(db, name);
    if (!known)
        return stanch_err_set(err, STANCH_E_INVALID, "the checkpoint is signed by key %s, which this store never had",
                              key);
    return 0;
}
