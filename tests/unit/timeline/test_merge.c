/* Many batches as one write: what comes last counts, heads go from the first to the last, nothing else is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "timeline/merge.h"

static void documents_and_counters_are_written_as_the_last_leaves_them(void **state)
{
    (void)state;
    const struct stanch_doc_row first[] = {{.noun = "incident", .id = "INC-1", .text = "1", .len = 1},
                                           {.noun = "event", .id = "E-1", .text = "e", .len = 1}};
    const struct stanch_doc_row second[] = {{.noun = "incident", .id = "INC-1", .text = "2", .len = 1},
                                            {.noun = "run", .id = "INC-1", .text = "r", .len = 1}};
    const struct stanch_counter_row one = {"E", 1}, two = {"E", 2};
    const struct stanch_write a = {.docs = first, .doc_count = 2, .counters = &one, .counter_count = 1};
    const struct stanch_write b = {.docs = second, .doc_count = 2, .counters = &two, .counter_count = 1};
    const struct stanch_write *const writes[] = {&a, &b};
    struct stanch_write merged;
    stanch_write__merge(writes, 2, &merged);
    assert_int_equal(merged.doc_count, 3);
    assert_int_equal(merged.counter_count, 1);
    assert_int_equal(merged.counters[0].value, 2);
    int seen = 0;
    for (size_t i = 0; i < merged.doc_count; i++)
        if (strcmp(merged.docs[i].noun, "incident") == 0) {
            assert_string_equal(merged.docs[i].text, "2");
            seen++;
        }
    assert_int_equal(seen, 1);
    stanch_write__done(&merged);
}

static void a_head_goes_from_where_the_first_began(void **state)
{
    (void)state;
    const struct stanch_head_row heads[] = {
        {.chain = "INC-1", .from_n = 4, .n = 6, .from_hash = "four", .hash = "six"},
        {.chain = "*", .from_n = 0, .n = 2, .from_hash = "zero", .hash = "two"},
        {.chain = "INC-1", .from_n = 6, .n = 7, .from_hash = "six", .hash = "seven"},
    };
    const struct stanch_write a = {.heads = heads, .head_count = 2}, b = {.heads = heads + 2, .head_count = 1};
    const struct stanch_write *const writes[] = {&a, &b};
    struct stanch_write merged;
    stanch_write__merge(writes, 2, &merged);
    assert_int_equal(merged.head_count, 2);
    const struct stanch_head_row *head = strcmp(merged.heads[0].chain, "*") == 0 ? &merged.heads[1] : &merged.heads[0];
    assert_int_equal(head->from_n, 4);
    assert_string_equal(head->from_hash, "four");
    assert_int_equal(head->n, 7);
    assert_string_equal(head->hash, "seven");
    stanch_write__done(&merged);
}

static void rows_and_bytes_keep_their_order(void **state)
{
    (void)state;
    const struct stanch_row rows[] = {{.seq = 1}, {.seq = 2}, {.seq = 3}};
    const struct stanch_blob_row blobs[] = {{.id = "a"}, {.id = "b"}};
    const struct stanch_write a = {.rows = rows, .row_count = 2, .blobs = blobs, .blob_count = 1};
    const struct stanch_write b = {.rows = rows + 2, .row_count = 1, .blobs = blobs + 1, .blob_count = 1};
    const struct stanch_write *const writes[] = {&a, &b};
    struct stanch_write merged;
    stanch_write__merge(writes, 2, &merged);
    assert_int_equal(merged.row_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(merged.rows[i].seq, i + 1);
    assert_int_equal(merged.blob_count, 2);
    assert_string_equal(merged.blobs[1].id, "b");
    stanch_write__done(&merged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_and_counters_are_written_as_the_last_leaves_them),
        cmocka_unit_test(a_head_goes_from_where_the_first_began),
        cmocka_unit_test(rows_and_bytes_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
