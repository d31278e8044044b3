/* merge.c: see merge.h. Each kind of row is put behind the other, sorted by its key where only the last counts (the
 * address tells which came later), and thinned. */
#include "timeline/merge.h"
#include "base/mem.h"
#include <string.h>

static void add(void *to, size_t *count, const void *from, size_t more, size_t size)
{
    if (more)
        memcpy((char *)to + *count * size, from, more * size);
    *count += more;
}

/* A kind of row of which only the last with a key counts. */
struct kind {
    size_t size;
    int (*compare)(const void *a, const void *b); /* their keys */
    void (*follow)(void *kept, const void *later);
};

static int compare_docs(const void *a, const void *b)
{
    const struct stanch_doc_row *x = a, *y = b;
    int order = strcmp(x->noun, y->noun);
    return order ? order : strcmp(x->id, y->id);
}

static void follow_doc(void *kept, const void *later)
{
    *(struct stanch_doc_row *)kept = *(const struct stanch_doc_row *)later;
}

static int compare_counters(const void *a, const void *b)
{
    const struct stanch_counter_row *x = a, *y = b;
    return strcmp(x->prefix, y->prefix);
}

static void follow_counter(void *kept, const void *later)
{
    *(struct stanch_counter_row *)kept = *(const struct stanch_counter_row *)later;
}

static int compare_heads(const void *a, const void *b)
{
    const struct stanch_head_row *x = a, *y = b;
    return strcmp(x->chain, y->chain);
}

/* From where the first of them began to where the last of them left it. */
static void follow_head(void *kept, const void *later)
{
    struct stanch_head_row *head = kept;
    const struct stanch_head_row *last = later;
    head->n = last->n;
    head->hash = last->hash;
}

static const struct kind docs_kind = {sizeof(struct stanch_doc_row), compare_docs, follow_doc};
static const struct kind counters_kind = {sizeof(struct stanch_counter_row), compare_counters, follow_counter};
static const struct kind heads_kind = {sizeof(struct stanch_head_row), compare_heads, follow_head};

static int compare_keys_then_places(const void *a, const void *b, void *ctx)
{
    const struct kind *kind = ctx;
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int order = kind->compare(x, y);
    return order ? order : (x > y) - (x < y);
}

/* Returns how many are left at the beginning of `rows`. */
static size_t thin(const struct kind *kind, void *rows, size_t count)
{
    STANCH_AUTO_FREE const char **sorted = stanch_alloc((count + 1) * sizeof *sorted);
    STANCH_AUTO_FREE char *kept = stanch_alloc((count + 1) * kind->size);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (const char *)rows + i * kind->size;
    qsort_r((void *)sorted, count, sizeof *sorted, compare_keys_then_places, (void *)(uintptr_t)kind);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        char *before = n ? kept + (n - 1) * kind->size : NULL;
        if (before && kind->compare(before, sorted[i]) == 0)
            kind->follow(before, sorted[i]);
        else
            memcpy(kept + n++ * kind->size, sorted[i], kind->size);
    }
    memcpy(rows, kept, n * kind->size);
    return n;
}

static struct stanch_write sum_counts(const struct stanch_write *const *writes, size_t count)
{
    struct stanch_write sum = {0};
    for (size_t i = 0; i < count; i++) {
        sum.row_count += writes[i]->row_count;
        sum.doc_count += writes[i]->doc_count;
        sum.blob_count += writes[i]->blob_count;
        sum.counter_count += writes[i]->counter_count;
        sum.head_count += writes[i]->head_count;
    }
    return sum;
}

void stanch_write__merge(const struct stanch_write *const *writes, size_t count, struct stanch_write *ret)
{
    const struct stanch_write sum = sum_counts(writes, count);
    struct stanch_row *rows = stanch_alloc((sum.row_count + 1) * sizeof *rows);
    struct stanch_doc_row *docs = stanch_alloc((sum.doc_count + 1) * sizeof *docs);
    struct stanch_blob_row *blobs = stanch_alloc((sum.blob_count + 1) * sizeof *blobs);
    struct stanch_counter_row *counters = stanch_alloc((sum.counter_count + 1) * sizeof *counters);
    struct stanch_head_row *heads = stanch_alloc((sum.head_count + 1) * sizeof *heads);
    struct stanch_write merged = {.rows = rows, .docs = docs, .blobs = blobs, .counters = counters, .heads = heads};
    for (size_t i = 0; i < count; i++) {
        const struct stanch_write *write = writes[i];
        add(rows, &merged.row_count, write->rows, write->row_count, sizeof *rows);
        add(docs, &merged.doc_count, write->docs, write->doc_count, sizeof *docs);
        add(blobs, &merged.blob_count, write->blobs, write->blob_count, sizeof *blobs);
        add(counters, &merged.counter_count, write->counters, write->counter_count, sizeof *counters);
        add(heads, &merged.head_count, write->heads, write->head_count, sizeof *heads);
    }
    merged.doc_count = thin(&docs_kind, docs, merged.doc_count);
    merged.counter_count = thin(&counters_kind, counters, merged.counter_count);
    merged.head_count = thin(&heads_kind, heads, merged.head_count);
    *ret = merged;
}

void stanch_write__done(struct stanch_write *merged)
{
    free((void *)(uintptr_t)merged->rows);
    free((void *)(uintptr_t)merged->docs);
    free((void *)(uintptr_t)merged->blobs);
    free((void *)(uintptr_t)merged->counters);
    free((void *)(uintptr_t)merged->heads);
    *merged = (struct stanch_write){0};
}
