/* file.c: small files, whole. */
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file)
        stanch_mem_check(errno);
    return file;
}

int stanch_file_read(const char *path, size_t max, struct stanch_buf *ret, struct stanch_err *err)
{
    char some[16384];
    size_t got, before = ret->len;
    FILE *in = open_file(path, "rbe");
    if (!in)
        return stanch_err_errno(err, errno == ENOENT ? STANCH_E_NOT_FOUND : STANCH_E_SYSTEM, errno,
                                "%s could not be read", path);
    while ((got = fread(some, 1, sizeof some, in)) > 0 && ret->len - before <= max)
        stanch_buf_add(ret, some, got);
    int failed = ferror(in) ? errno : 0;
    (void)fclose(in);
    if (failed)
        return stanch_err_errno(err, STANCH_E_SYSTEM, failed, "%s could not be read", path);
    if (ret->len - before > max)
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "%s is larger than %zu KiB", path, max >> 10);
    return 0;
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    STANCH_AUTO_FREE char *folder = slash ? stanch_strndup(path, (size_t)(slash - path) + 1) : stanch_strdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

int stanch_file_write(const char *path, const char *text, size_t len, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *beside = stanch_asprintf("%s.new", path);
    FILE *out = open_file(beside, "wbe");
    if (!out)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be written", path);
    bool good = fwrite(text, 1, len, out) == len && fflush(out) == 0 && fsync(fileno(out)) == 0;
    int why = errno;
    good = fclose(out) == 0 && good;
    if (good && rename(beside, path) == 0 && sync_folder_of(path) == 0)
        return 0;
    why = good ? errno : why;
    (void)unlink(beside);
    return stanch_err_errno(err, STANCH_E_SYSTEM, why, "%s could not be written", path);
}
