/* core_entry.c: a row of the journal as it is read back, shown, hashed and folded. Input: kind, by, run, each on a line,
 * then the data. */
#include "model/entry.h"
#include "model/fold.h"
#include "timeline/store_ops.h"
#include "base/digest.h"
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

static void show(struct stanch_entry *entry)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *shown = stanch_entry_json(entry);
    char *text = stanch_entry_text(entry);
    FUZZ_EXPECT(shown && text);
    free(text);
    if (stanch_entry_seal(entry, &err) == 0) {
        char hash[65];
        STANCH_AUTO_BUF struct stanch_buf canonical = {0};
        memcpy(hash, entry->hash, sizeof hash);
        FUZZ_EXPECT(stanch_json_canonical(entry->data, &canonical, &err) == 0);
        FUZZ_EXPECT(stanch_entry_seal_text(entry, canonical.data, canonical.len, &err) == 0);
        FUZZ_EXPECT(strcmp(hash, entry->hash) == 0);
    }
}

/* ---- fold: twice, so that the noun is there the second time ---- */

static json_t *get_doc(void *ctx, const char *noun, const char *id)
{
    json_t *of_noun = json_object_get(ctx, noun), *doc = json_object_get(of_noun, id);
    return doc ? json_deep_copy(doc) : NULL;
}

static void put_doc(void *ctx, const char *noun, const char *id, const char *chain, bool open, json_t *doc)
{
    FUZZ_EXPECT(noun && id && chain && json_is_object(doc));
    FUZZ_EXPECT(json_is_true(json_object_get(doc, "open")) == open);
    if (!json_object_get(ctx, noun))
        json_object_set_new(ctx, noun, json_object());
    stanch_fold_due(noun, doc);
    json_object_set_new(json_object_get(ctx, noun), id, doc);
}

static void fold(const struct stanch_entry *entry)
{
    STANCH_AUTO_JSON json_t *docs = json_object();
    const struct stanch_fold_port port = {.get = get_doc, .put = put_doc, .ctx = docs};
    stanch_fold(entry, &port);
    stanch_fold(entry, &port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    struct stanch_entry entry = {0};
    size_t len = 0;
    stanch_digest_init();
    char *kind = fuzz_line(&input), *by = fuzz_line(&input), *run = fuzz_line(&input), *text = fuzz_rest(&input, &len);
    struct stanch_row row = {.seq = 1,
                             .n = 1,
                             .at_ms = 1700000000000,
                             .chain = "INC-1",
                             .kind = kind,
                             .by = by,
                             .run = *run ? run : NULL,
                             .data = text,
                             .data_len = len,
                             .prev = STANCH_HASH_ZERO,
                             .hash = STANCH_HASH_ZERO};
    json_t *probe = json_pack("[s,s,s]", kind, by, run); /* a store gives texts that are UTF-8 */
    if (probe && stanch_store_entry(&row, &entry, &err) == 0) {
        show(&entry);
        fold(&entry);
        json_decref(entry.data);
    }
    json_decref(probe);
    free(kind);
    free(by);
    free(run);
    free(text);
    return 0;
}
