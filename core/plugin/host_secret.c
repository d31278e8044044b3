/* host_secret.c: secrets come as descriptors, are read once, and stay in this process. */
#include "base/mem.h"
#include "plugin/host.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECRET 65536

int stanch_host__secret_read(struct stanch_instance *instance, const char *setting, int fd, struct stanch_err *err)
{
    char *bytes = stanch_alloc(MAX_SECRET + 1);
    size_t len = 0;
    ssize_t n = 0;
    int rc = 0;
    (void)lseek(fd, 0, SEEK_SET); /* a pipe cannot, and does not need it */
    while (len <= MAX_SECRET && ((n = read(fd, bytes + len, MAX_SECRET + 1 - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    if (n < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "settings.%s: the secret could not be read", setting);
    close(fd);
    if (len > 0 && len <= MAX_SECRET && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len <= MAX_SECRET && bytes[len - 1] == '\r')
        len--;
    if (rc == 0 && len == 0)
        rc = stanch_err_set(err, STANCH_E_INVALID, "settings.%s: the secret is empty", setting);
    if (rc == 0 && len > MAX_SECRET)
        rc = stanch_err_set(err, STANCH_E_INVALID, "settings.%s: the secret is over %d bytes", setting, MAX_SECRET);
    if (rc == 0) {
        struct stanch_host_secret *secret = STANCH_NEW(struct stanch_host_secret);
        secret->setting = stanch_strdup(setting);
        secret->value = stanch_strndup(bytes, len);
        secret->len = len;
        secret->next = instance->secrets;
        instance->secrets = secret;
        stanch_scrub_add(instance->scrub, secret->value, len);
        json_object_set_new(instance->secret_names, setting, json_true());
    }
    explicit_bzero(bytes, MAX_SECRET + 1);
    free(bytes);
    return rc;
}

const struct stanch_host_secret *stanch_host__secret_find(const struct stanch_instance *instance, const char *setting,
                                                          size_t len)
{
    for (const struct stanch_host_secret *s = instance->secrets; s; s = s->next)
        if (strlen(s->setting) == len && memcmp(s->setting, setting, len) == 0)
            return s;
    return NULL;
}

void stanch_host__secret_free_all(struct stanch_instance *instance)
{
    while (instance->secrets) {
        struct stanch_host_secret *secret = instance->secrets;
        instance->secrets = secret->next;
        explicit_bzero(secret->value, secret->len);
        free(secret->value);
        free(secret->setting);
        free(secret);
    }
}
