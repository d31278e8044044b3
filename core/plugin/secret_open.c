/* secret_open.c: secret.file and secret.env. */
#include "plugin/secret_open.h"
#include "base/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SECRET 65536

bool stanch_secret_is(const json_t *value)
{
    return json_is_object(value) && json_object_get(value, "$secret") != NULL;
}

static int open_file(const char *path, const char *where, int *ret_fd, struct stanch_err *err)
{
    struct stat st;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (path[0] != '/')
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: secret.file \"%s\" is no absolute path", where, path);
    else if (fd < 0)
        rc =
            stanch_err_errno(err, STANCH_E_INVALID, errno, "%s: the secret's file %s could not be opened", where, path);
    else if (fstat(fd, &st) < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s: %s", where, path);
    else if (!S_ISREG(st.st_mode))
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: the secret %s is not a regular file", where, path);
    else if (st.st_mode & 077)
        rc = stanch_err_set(err, STANCH_E_INVALID,
                            "%s: the secret's file %s is open to group or others (mode %04o); run: chmod 600 %s", where,
                            path, st.st_mode & 07777, path);
    else if (st.st_size > MAX_SECRET)
        rc =
            stanch_err_set(err, STANCH_E_INVALID, "%s: the secret's file %s is over %d bytes", where, path, MAX_SECRET);
    if (rc == 0)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return rc;
}

static int open_env(const char *name, const char *where, int *ret_fd, struct stanch_err *err)
{
    const char *value = getenv(name);
    if (!value || !*value)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: the environment variable %s is not set", where, name);
    int fd = memfd_create("secret", MFD_CLOEXEC);
    size_t len = strlen(value);
    if (fd < 0 || write(fd, value, len) != (ssize_t)len) {
        int rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s: the secret could not be handed over", where);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int stanch_secret_open(const json_t *value, const char *where, int *ret_fd, struct stanch_err *err)
{
    const json_t *reference = json_object_get(value, "$secret");
    const char *file = stanch_json_str(reference, "file", NULL), *env = stanch_json_str(reference, "env", NULL);
    if (json_object_size(value) != 1 || json_object_size(reference) != 1 || (!file && !env))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: a secret is secret.file \"/path\" or secret.env \"NAME\"",
                              where);
    return file ? open_file(file, where, ret_fd, err) : open_env(env, where, ret_fd, err);
}
