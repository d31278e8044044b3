/* host_secret.c: secrets come as descriptors and are read once, or are files that a platform rotates, or
 * are come by while working. They stay in this process. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SECRET 65536

/* Everything of the descriptor but one line end; -1 with errno when it cannot be read; MAX_SECRET + 1: too long.
 * The descriptor is closed. */
static ssize_t read_whole(int fd, char *bytes)
{
    size_t len = 0;
    ssize_t n = 0;
    (void)lseek(fd, 0, SEEK_SET); /* a pipe cannot, and does not need it */
    while (len <= MAX_SECRET && ((n = read(fd, bytes + len, MAX_SECRET + 1 - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    int errnum = errno;
    close(fd);
    errno = errnum;
    if (n < 0)
        return -1;
    if (len > 0 && len <= MAX_SECRET && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len <= MAX_SECRET && bytes[len - 1] == '\r')
        len--;
    return (ssize_t)len;
}

static struct stanch_host_secret *find(const struct stanch_instance *instance, const char *setting, size_t len)
{
    for (struct stanch_host_secret *s = instance->secrets; s; s = s->next)
        if (strlen(s->setting) == len && memcmp(s->setting, setting, len) == 0)
            return s;
    return NULL;
}

static struct stanch_host_secret *find_or_add(struct stanch_instance *instance, const char *setting)
{
    struct stanch_host_secret *secret = find(instance, setting, strlen(setting));
    if (secret)
        return secret;
    secret = STANCH_NEW(struct stanch_host_secret);
    secret->setting = stanch_strdup(setting);
    secret->next = instance->secrets;
    instance->secrets = secret;
    return secret;
}

static void set_value(struct stanch_instance *instance, struct stanch_host_secret *secret, const char *bytes,
                      size_t len)
{
    if (secret->value)
        explicit_bzero(secret->value, secret->len);
    free(secret->value);
    secret->value = len ? stanch_strndup(bytes, len) : NULL;
    secret->len = len;
    if (len)
        stanch_scrub_add(instance->scrub, secret->value, len);
}

int stanch_host__secret_read(struct stanch_instance *instance, const char *setting, int fd, struct stanch_err *err)
{
    char *bytes = stanch_alloc(MAX_SECRET + 1);
    ssize_t len = read_whole(fd, bytes);
    int rc = 0;
    if (len < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "settings.%s: the secret could not be read", setting);
    else if (len == 0)
        rc = stanch_err_set(err, STANCH_E_INVALID, "settings.%s: the secret is empty", setting);
    else if (len > MAX_SECRET)
        rc = stanch_err_set(err, STANCH_E_INVALID, "settings.%s: the secret is over %d bytes", setting, MAX_SECRET);
    if (rc == 0) {
        set_value(instance, find_or_add(instance, setting), bytes, (size_t)len);
        json_object_set_new(instance->secret_names, setting, json_true());
    }
    explicit_bzero(bytes, MAX_SECRET + 1);
    free(bytes);
    return rc;
}

/* A file that is away for a moment (it is being replaced) leaves the last value; the remote says when that is old. */
static void refresh(struct stanch_instance *instance, struct stanch_host_secret *secret)
{
    struct stat st;
    int fd = open(secret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (secret->value && st.st_ino == secret->inode && st.st_mtim.tv_sec == secret->modified.tv_sec &&
         st.st_mtim.tv_nsec == secret->modified.tv_nsec)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    char *bytes = stanch_alloc(MAX_SECRET + 1);
    ssize_t len = read_whole(fd, bytes);
    if (len > 0 && len <= MAX_SECRET) {
        set_value(instance, secret, bytes, (size_t)len);
        secret->modified = st.st_mtim;
        secret->inode = st.st_ino;
    } else {
        stanch_host__log(instance, 1,
                         "settings.%s: %s is empty, over %d bytes or cannot be read; the last value is kept",
                         secret->setting, secret->path, MAX_SECRET);
    }
    explicit_bzero(bytes, MAX_SECRET + 1);
    free(bytes);
}

void stanch_host__secret_follow(struct stanch_instance *instance, const char *setting, const char *path)
{
    struct stanch_host_secret *secret = find_or_add(instance, setting);
    free(secret->path);
    secret->path = stanch_strdup(path);
}

bool stanch_host__secret_keep(struct stanch_instance *instance, const char *name, const char *value, size_t len)
{
    size_t name_len = strlen(name);
    if (name[0] != '.' || name_len < 2 || name_len > 64 || len > MAX_SECRET || (len && memchr(value, '\0', len)))
        return false;
    set_value(instance, find_or_add(instance, name), value, len);
    return true;
}

bool stanch_host__secret_is_name(const struct stanch_instance *instance, const char *name)
{
    const json_t *setting = json_object_get(json_object_get(instance->declaration, "settings"), name);
    return (name[0] == '.' && name[1]) || stanch_json_bool(setting, "secret", false) ||
           strcmp(stanch_json_str(setting, "format", ""), "secret-file") == 0;
}

const struct stanch_host_secret *stanch_host__secret_find(const struct stanch_instance *instance, const char *setting,
                                                          size_t len)
{
    struct stanch_host_secret *secret = find(instance, setting, len);
    if (secret && secret->path)
        refresh((struct stanch_instance *)(uintptr_t)instance, secret);
    return secret && secret->len ? secret : NULL;
}

void stanch_host__secret_free_all(struct stanch_instance *instance)
{
    while (instance->secrets) {
        struct stanch_host_secret *secret = instance->secrets;
        instance->secrets = secret->next;
        set_value(instance, secret, NULL, 0);
        free(secret->path);
        free(secret->setting);
        free(secret);
    }
}
