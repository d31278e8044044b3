/* test_schema.c: arguments against their schema: every refusal says where, what was given and what was expected. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/schema.h"
#include "plugin/scrub.h"
#include "plugin/suggest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const char SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"server\"],\"properties\":{"
    "\"server\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9]+$\",\"minLength\":2,\"maxLength\":5,\"summary\":\"its "
    "name\"},"
    "\"weight\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":256},\"share\":{\"type\":\"number\"},"
    "\"force\":{\"type\":\"boolean\"},\"mode\":{\"type\":\"string\",\"enum\":[\"drain\",\"maint\"]},"
    "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2},"
    "\"more\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
    "\"any\":{\"type\":\"object\",\"additionalProperties\":true},\"what\":{\"type\":\"any\"}}}";

static const struct {
    const char *args, *text; /* NULL: accepted */
} cases[] = {
    {"{\"server\":\"s1\"}", NULL},
    {"{\"server\":\"s1\",\"weight\":256,\"share\":0.5,\"force\":true,\"mode\":\"maint\",\"list\":[1,2]}", NULL},
    {"{\"server\":\"s1\",\"weight\":3.0,\"share\":1,\"any\":{\"x\":[]}}", NULL},
    {"{\"server\":\"s1\",\"what\":{\"a\":[1,{\"b\":false}]}}", NULL},
    {"{\"server\":\"s1\",\"what\":\"text\"}", NULL},
    {"{\"server\":\"\\u00fc1\"}", "args.server: \"\u00fc1\" does not match ^[a-z0-9]+$"},
    {"{}", "args.server: missing; a string was expected: its name"},
    {"[]", "args: [] is not an object"},
    {"{\"server\":7}", "args.server: 7 is not a string"},
    {"{\"server\":null}", "args.server: null is not a string"},
    {"{\"server\":\"s\"}", "args.server: 1 characters are fewer than 2, the minimum"},
    {"{\"server\":\"s12345\"}", "args.server: 6 characters are more than 5, the maximum"},
    {"{\"server\":\"s1\",\"wieght\":1}", "args.wieght: no such argument; did you mean \"weight\"?"},
    {"{\"server\":\"s1\",\"zzzzzz\":1}",
     "args.zzzzzz: no such argument; known are server, weight, share, force, mode, list, more, any, what"},
    {"{\"server\":\"s1\",\"weight\":257}", "args.weight: 257 is more than 256, the maximum"},
    {"{\"server\":\"s1\",\"weight\":-1}", "args.weight: -1 is less than 0, the minimum"},
    {"{\"server\":\"s1\",\"weight\":1.5}", "args.weight: 1.5 is not an integer"},
    {"{\"server\":\"s1\",\"weight\":\"10\"}", "args.weight: \"10\" is not an integer"},
    {"{\"server\":\"s1\",\"weight\":true}", "args.weight: true is not an integer"},
    {"{\"server\":\"s1\",\"force\":1}", "args.force: 1 is not a boolean"},
    {"{\"server\":\"s1\",\"mode\":\"drian\"}",
     "args.mode: \"drian\" is not one of [\"drain\",\"maint\"]; did you mean \"drain\"?"},
    {"{\"server\":\"s1\",\"list\":[]}", "args.list: 0 items; 1 to 2 were expected"},
    {"{\"server\":\"s1\",\"list\":[1,\"x\"]}", "args.list[2]: \"x\" is not an integer"},
    {"{\"server\":\"s1\",\"more\":{}}", "args.more.a: missing; a string was expected"},
    {"{\"server\":\"s1\",\"more\":{\"b\":1}}", "args.more.b: no such argument; did you mean \"a\"?"},
};

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void arguments(void **state)
{
    (void)state;
    struct stanch_err err;
    json_t *schema = parse(SCHEMA);
    assert_int_equal(stanch_schema_load(schema, "params", &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *args = parse(cases[i].args);
        int rc = stanch_schema_check(schema, args, "args", "argument", &err);
        assert_int_equal(rc, cases[i].text ? STANCH_E_INVALID : 0);
        if (cases[i].text)
            assert_string_equal(err.text, cases[i].text);
        json_decref(args);
    }
    json_decref(schema);
}

static void patterns_match_somewhere_unless_they_are_anchored(void **state)
{
    static const struct {
        const char *pattern, *text;
        const char *said; /* NULL: it matches */
    } tried[] = {
        {"b", "abc", NULL},
        {"^b", "abc", "\"abc\" does not match ^b"},
        {"^[a-z]+$", "abc\n", "\"abc\\n\" does not match ^[a-z]+$"},
        {"^a.c$", "a\nc", NULL},
        {"^[^/[:cntrl:]]+$", "\u00fc b", NULL},
        {"^[^/[:cntrl:]]+$", "a\tb", "\"a\\tb\" does not match ^[^/[:cntrl:]]+$"},
        {"^(/|$)", "", NULL},
        {"^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\" takes too long to match ^(a+)+$"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct stanch_err err = {0};
        json_t *schema = json_pack("{s:s, s:s}", "type", "string", "pattern", tried[i].pattern);
        json_t *value = json_string(tried[i].text);
        STANCH_AUTO_FREE char *said = tried[i].said ? stanch_asprintf("args.x: %s", tried[i].said) : NULL;
        assert_int_equal(stanch_schema_load(schema, "params", &err), 0);
        assert_int_equal(stanch_schema_check(schema, value, "args.x", "argument", &err), said ? STANCH_E_INVALID : 0);
        assert_string_equal(err.text, said ? said : "");
        json_decref(schema);
        json_decref(value);
    }
}

static void texts_that_are_long_or_hold_a_nul(void **state)
{
    (void)state;
    struct stanch_err err;
    json_t *schema = parse("{\"type\":\"integer\"}"), *text = parse("{\"type\":\"string\"}");
    STANCH_AUTO_FREE char *umlauts = stanch_alloc(401);
    for (int i = 0; i < 400; i += 2)
        memcpy(umlauts + i, "\u00fc", 2);
    json_t *value = json_string(umlauts), *nul = json_stringn("a\0b", 3);
    assert_int_equal(stanch_schema_check(schema, value, "args.x", "argument", &err), STANCH_E_INVALID);
    json_t *again = json_string(err.text); /* still UTF-8, and short */
    assert_non_null(again);
    assert_true(strlen(err.text) < 150);
    assert_int_equal(stanch_schema_check(text, nul, "args.x", "argument", &err), STANCH_E_INVALID);
    json_decref(again);
    json_decref(value);
    json_decref(nul);
    json_decref(schema);
    json_decref(text);
}

static void near_names(void **state)
{
    (void)state;
    json_t *known = parse("{\"backend\":1,\"server\":1,\"weight\":1}");
    assert_string_equal(stanch_suggest_key(known, "sever"), "server");
    assert_string_equal(stanch_suggest_key(known, "bakcend"), "backend");
    assert_null(stanch_suggest_key(known, "lamp"));
    assert_null(
        stanch_suggest_key(known, "a very long name that is nothing like any name that is known here, and longer"));
    json_decref(known);
}

static void scrubbed(void **state)
{
    (void)state;
    struct stanch_scrub *scrub = stanch_scrub_new();
    stanch_scrub_add(scrub, "hunter2", 7);
    stanch_scrub_add(scrub, "hunter2-and-more", 16);
    stanch_scrub_add(scrub, "abc", 3);
    char *text = stanch_scrub_text(scrub, "xhunter2-and-morehunter2 abc", 28);
    assert_string_equal(text, "x[secret][secret] abc"); /* the longer one first */
    free(text);
    json_t *value = parse("{\"a\":[\"hunter2\",1,null],\"b\":{\"hunter2\":\"aHVudGVyMg==\"}}");
    json_t *clean = stanch_scrub_json(scrub, value), *untouched = parse("{\"a\":1}");
    text = json_dumps(clean, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":[\"[secret]\",1,null],\"b\":{\"[secret]\":\"[secret]g==\"}}");
    json_t *same = stanch_scrub_json(scrub, untouched);
    assert_ptr_equal(same, untouched);
    free(text);
    json_decref(same);
    json_decref(untouched);
    json_decref(clean);
    json_decref(value);
    stanch_scrub_free(scrub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments),
        cmocka_unit_test(patterns_match_somewhere_unless_they_are_anchored),
        cmocka_unit_test(texts_that_are_long_or_hold_a_nul),
        cmocka_unit_test(near_names),
        cmocka_unit_test(scrubbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
