/* revision.c: files by blob id, listed in the entry that accepted the commit. */
#include "run/revision.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

void stanch_revision_free(struct stanch_revision_files *revision)
{
    if (!revision)
        return;
    for (int i = 0; i < revision->count; i++) {
        free((char *)(uintptr_t)revision->sources[i].path);
        free((char *)(uintptr_t)revision->sources[i].text);
    }
    free(revision->sources);
    free(revision);
}

static int load_file(struct stanch_journal *journal, const json_t *file, struct stanch_source *ret,
                     struct stanch_err *err)
{
    const char *path = stanch_json_str(file, "path", ""), *blob = stanch_json_str(file, "blob", "");
    STANCH_AUTO_BUF struct stanch_buf bytes = {0};
    int rc = stanch_journal_blob(journal, blob, &bytes, err);
    if (rc < 0)
        return stanch_err_wrap(err, "the kept file %s", path);
    char hex[65];
    stanch_digest_hex(stanch_buf_str(&bytes), bytes.len, hex);
    if (strcmp(hex, blob) != 0)
        return stanch_err_set(err, STANCH_E_CORRUPT, "the kept file %s is not what was accepted", path);
    ret->path = stanch_strdup(path);
    ret->len = bytes.len;
    ret->text = stanch_buf_take(&bytes);
    return 0;
}

int stanch_revision_load(struct stanch_journal *journal, const char *commit, struct stanch_revision_files **ret,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(journal, STANCH_VIEW_APPENDED, "revision", commit);
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "commit %s was never accepted here", commit);
    const json_t *files = json_object_get(doc, "files");
    struct stanch_revision_files *revision = STANCH_NEW(struct stanch_revision_files);
    (void)snprintf(revision->commit, sizeof revision->commit, "%s", commit);
    revision->sources = stanch_alloc((json_array_size(files) + 1) * sizeof *revision->sources);
    for (size_t i = 0; i < json_array_size(files); i++) {
        int rc = load_file(journal, json_array_get(files, i), &revision->sources[i], err);
        if (rc < 0) {
            stanch_revision_free(revision);
            return rc;
        }
        revision->count++;
    }
    *ret = revision;
    return 0;
}
