/* test_card.c: what a page says, of one question and of many, within what a plugin takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "page/room.h"
#include <string.h>

static void what_is_long_is_told_as_its_beginning(void **state)
{
    (void)state;
    char text[9000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    memcpy(text, "\xc3\xa9\n", 3);
    STANCH_AUTO_JSON json_t *question =
        json_pack("{s:s, s:s, s:s, s:[s,s], s:{s:[s]}}", "id", "A-1", "incident", "INC-1", "because", text, "choices",
                  "approve", "deny", "plan", "from", text);
    const struct stanch_page__card card = {
        .step = STANCH_PAGE__ASKED, .key = "A-1", .subject = question, .url = "https://x.example//"};
    STANCH_AUTO_JSON json_t *args = stanch_page__args(&card, false);
    const json_t *details = json_object_get(args, "details");
    assert_in_range(strlen(stanch_json_str(args, "summary", "")), 900, 1010);
    assert_null(strchr(stanch_json_str(args, "summary", ""), '\n'));
    assert_in_range(strlen(stanch_json_str(details, "because", "")), 4000, 4110);
    assert_in_range(strlen(stanch_json_str(details, "from", "")), 4000, 4110);
    assert_string_equal(stanch_json_str(args, "link", ""), "https://x.example/approvals/A-1");
    assert_string_equal(stanch_json_str(details, "answer", ""), "stanch approve A-1, or stanch deny A-1");
}

static void a_reminder_of_many_says_how_many_still_wait(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *questions = json_pack("[{s:s, s:s}, {s:s, s:s}]", "id", "A-11", "because", "it burns",
                                                   "id", "A-12", "because", "it smokes");
    const struct stanch_page__card card = {
        .step = STANCH_PAGE__REMINDED, .key = "many-A-11", .subject = questions, .url = "https://x.example"};
    for (int is_send = 0; is_send < 2; is_send++) {
        STANCH_AUTO_JSON json_t *args = stanch_page__args(&card, is_send);
        const json_t *details = json_object_get(args, "details");
        assert_string_equal(stanch_json_str(args, "summary", ""),
                            "2 of the questions that were told together still wait; the first of them ends soon");
        assert_string_equal(stanch_json_str(args, "event", "none"), is_send ? "reminded" : "none");
        assert_string_equal(stanch_json_str(args, "link", ""), "https://x.example/approvals");
        assert_int_equal(stanch_json_int(details, "count", 0), 2);
        assert_int_equal(json_array_size(json_object_get(details, "first")), 2);
    }
}

static void a_cut_goes_through_no_character(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        struct stanch_buf text = {0};
        for (int i = 0; i < shift; i++)
            stanch_buf_char(&text, 'a');
        for (int i = 0; i < 1500; i++)
            stanch_buf_text(&text, "\xf0\x9f\x94\xa5");
        STANCH_AUTO_JSON json_t *page =
            json_pack("{s:s, s:s, s:s}", "id", "P-1", "incident", "INC-1", "text", stanch_buf_str(&text));
        const struct stanch_page__card card = {
            .step = STANCH_PAGE__ASKED, .key = "P-1", .subject = page, .is_page = true};
        STANCH_AUTO_JSON json_t *args = stanch_page__args(&card, true);
        assert_true(json_is_string(json_object_get(args, "summary"))); /* jansson takes no half character */
        assert_true(json_is_string(json_object_get(json_object_get(args, "details"), "text")));
        assert_string_equal(stanch_json_str(args, "event", ""), "page");
        assert_null(json_object_get(args, "link"));
        stanch_buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_long_is_told_as_its_beginning),
        cmocka_unit_test(a_reminder_of_many_says_how_many_still_wait),
        cmocka_unit_test(a_cut_goes_through_no_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
