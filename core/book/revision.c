/* revision.c: read the frame "candidate". */
#include "book/revision.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "book/names.h"
#include <string.h>

static int strange(struct stanch_err *err, const char *what)
{
    return stanch_err_set(err, STANCH_E_CRASHED, "the book process sent %s and was ended", what);
}

static bool is_object_id(const char *text)
{
    size_t len = strlen(text);
    return (len == 40 || len == 64) && strspn(text, "0123456789abcdef") == len;
}

static int read_file(const json_t *entry, const char *bytes, size_t left, struct stanch_book_file *ret,
                     struct stanch_err *err)
{
    const char *path = stanch_json_str(entry, "path", "");
    int64_t len = stanch_json_int(entry, "len", -1);
    if (!stanch_names_is_lua(path) || stanch_names_check_path(path, NULL) < 0)
        return strange(err, "a path that it had to refuse");
    if (len < 0 || (size_t)len > left || (size_t)len > STANCH_BOOK_MAX_LUA_BYTES)
        return strange(err, "a file of a wrong size");
    ret->path = path;
    ret->bytes = bytes;
    ret->len = (size_t)len;
    stanch_digest_hex(bytes, (size_t)len, ret->blob_hex);
    return 0;
}

int stanch_revision_read(const json_t *head, const void *attachment, size_t len, struct stanch_revision *ret,
                         struct stanch_err *err)
{
    const json_t *files = json_object_get(head, "files");
    size_t count = json_array_size(files);
    ret->commit = stanch_json_str(head, "commit", "");
    if (strcmp(stanch_json_str(head, "t", ""), "candidate") != 0 || !json_is_array(files))
        return strange(err, "an answer of an unknown kind");
    if (!is_object_id(ret->commit) || count > STANCH_BOOK_MAX_FILES)
        return strange(err, "a commit that it had to refuse");
    ret->summary = stanch_json_str(head, "summary", "");
    ret->author = stanch_json_str(head, "author", "");
    ret->commit_at_ms = stanch_json_int(head, "commit_at_ms", 0);
    struct stanch_book_file *list = stanch_alloc((count + 1) * sizeof *list);
    ret->files = list;
    ret->file_count = (int)count;
    const char *bytes = attachment ? attachment : "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = read_file(json_array_get(files, i), bytes + used, len - used, &list[i], err);
        if (rc < 0)
            return rc;
        used += list[i].len;
    }
    return used == len ? 0 : strange(err, "more bytes than files");
}

void stanch_revision_done(struct stanch_revision *revision)
{
    free((void *)(uintptr_t)revision->files);
    *revision = (struct stanch_revision){0};
}
