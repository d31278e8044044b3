/* batch.c: what is appended together. */
#include "timeline/journal_inside.h"
#include "base/mem.h"
#include <string.h>

struct stanch_batch *stanch_batch_new(void)
{
    return STANCH_NEW(struct stanch_batch);
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_entries(struct stanch_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct stanch_entry *entry = &batch->entries[i];
        free_text(entry->chain);
        free_text(entry->kind);
        free_text(entry->by);
        free_text(entry->run);
        json_decref(entry->data);
    }
    free(batch->entries);
}

static void free_write(struct stanch_batch *batch)
{
    const struct stanch_write *write = &batch->write;
    for (size_t i = 0; i < write->row_count; i++) {
        free_text(batch->rows[i].data);
        free_text(batch->rows[i].link);
    }
    for (size_t i = 0; i < write->doc_count; i++) {
        free_text(batch->docs[i].noun);
        free_text(batch->docs[i].text);
    }
    for (size_t i = 0; i < write->counter_count; i++)
        free_text(batch->counters[i].prefix);
    for (size_t i = 0; i < batch->head_count; i++) {
        free_text(batch->heads[i].chain);
        free_text(batch->heads[i].from_hash);
        free_text(batch->heads[i].hash);
    }
    free(batch->rows);
    free(batch->docs);
    free(batch->counters);
    free(batch->heads);
}

void stanch_batch_free(struct stanch_batch *batch)
{
    if (!batch)
        return;
    free_write(batch);
    free_entries(batch);
    for (size_t i = 0; i < batch->blob_count; i++) {
        free_text(batch->blobs[i].id);
        free((void *)(uintptr_t)batch->blobs[i].bytes);
    }
    free(batch->blobs);
    json_decref(batch->folded);
    free(batch);
}

void stanch_batch_add(struct stanch_batch *batch, const char *chain, const char *kind, const char *by, const char *run,
                      json_t *data)
{
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : 4;
        batch->entries = stanch_realloc(batch->entries, batch->cap * sizeof *batch->entries);
    }
    batch->entries[batch->count++] = (struct stanch_entry){
        .chain = stanch_strdup(chain),
        .kind = stanch_strdup(kind),
        .by = stanch_strdup(by),
        .run = stanch_strdup(run),
        .data = data,
    };
}

void stanch_batch_blob(struct stanch_batch *batch, const char id_hex[65], const void *bytes, size_t len)
{
    batch->blobs = stanch_realloc(batch->blobs, (batch->blob_count + 1) * sizeof *batch->blobs);
    batch->blobs[batch->blob_count++] = (struct stanch_blob_row){
        .id = stanch_strdup(id_hex), .bytes = stanch_strndup(len ? bytes : "", len), .len = len};
}
