/* test_json.c: what the doors refuse, and the canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/digest.h"

static int parse(const char *text, json_t **ret, struct stanch_err *err)
{
    return stanch_json_parse(text, strlen(text), &stanch_json_door_limits, ret, err);
}

static void assert_refused(const char *text, int code)
{
    json_t *value = NULL;
    struct stanch_err err = {0};
    assert_int_equal(parse(text, &value, &err), code);
    assert_true(err.text[0] != 0);
}

static void refuses_what_is_not_strict_json(void **state)
{
    (void)state;
    assert_refused("", STANCH_E_INVALID);
    assert_refused("{", STANCH_E_INVALID);
    assert_refused("{\"a\":1,\"a\":2}", STANCH_E_INVALID);
    assert_refused("{\"a\":1} x", STANCH_E_INVALID);
    assert_refused("\"\xff\xfe\"", STANCH_E_INVALID);
    assert_refused("{\"a\":\"\\u0000\"}", STANCH_E_INVALID);
    assert_refused("1e999", STANCH_E_INVALID);
    assert_refused("[1,]", STANCH_E_INVALID);
}

static void refuses_depth_and_count(void **state)
{
    (void)state;
    char deep[200];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = 0;
    assert_refused(deep, STANCH_E_TOO_LARGE);
    char *many = malloc(500010);
    strcpy(many, "[0");
    for (size_t at = 2; at < 400002; at += 2)
        memcpy(many + at, ",0", 3);
    strcat(many, "]");
    assert_refused(many, STANCH_E_TOO_LARGE);
    free(many);
    json_t *value = NULL;
    struct stanch_err err = {0};
    assert_int_equal(parse("[\"[[[[[[[[[\\\"[[\"]", &value, &err), 0);
    json_decref(value);
}

static void keeps_big_integers_as_text(void **state)
{
    (void)state;
    json_t *value = NULL;
    struct stanch_err err = {0};
    assert_int_equal(parse("{\"updatedAt\":1502709956288000110,\"n\":9007199254740991}", &value, &err), 0);
    assert_string_equal(stanch_json_str(value, "updatedAt", ""), "1502709956288000110");
    assert_int_equal(stanch_json_int(value, "n", 0), 9007199254740991);
    json_decref(value);
}

/* What is stored is in canonical form, where 1e20 has no exponent: a real that was journaled is read back as one. */
static void reads_whole_reals_back(void **state)
{
    (void)state;
    static const double numbers[] = {9007199254740992.0, 7.7277277773e18, 1e19, 1e20, 123456789012345680000.0, -1e20};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        STANCH_AUTO_BUF struct stanch_buf out = {0}, again = {0};
        struct stanch_err err = {0};
        json_t *value = json_pack("{s:f, s:[f], s:s}", "n", numbers[i], "list", numbers[i], "t",
                                  "\\\"100000000000000000000"),
               *back = NULL;
        assert_int_equal(stanch_json_canonical(value, &out, &err), 0);
        assert_int_equal(stanch_json_parse(out.data, out.len, &stanch_json_own_limits, &back, &err), 0);
        assert_true(json_is_real(json_object_get(back, "n")) && json_equal(value, back));
        assert_int_equal(stanch_json_canonical(back, &again, &err), 0);
        assert_string_equal(stanch_buf_str(&out), stanch_buf_str(&again));
        json_decref(value);
        json_decref(back);
    }
}

static void assert_canonical(const char *text, const char *expected)
{
    json_t *value = NULL;
    struct stanch_err err = {0};
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    assert_int_equal(parse(text, &value, &err), 0);
    assert_int_equal(stanch_json_canonical(value, &out, &err), 0);
    assert_string_equal(stanch_buf_str(&out), expected);
    json_decref(value);
}

static void writes_rfc_8785(void **state)
{
    (void)state;
    /* the example of RFC 8785 section 3.2.2, but for a number beyond 2^53, which we keep as text */
    assert_canonical(
        "{\"numbers\":[4.50,2e-3,0.000000000000000000000000001,1e21,1e-7,-0.0,100.0],"
        "\"string\":\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\"literals\":[null,true,false]}",
        "{\"literals\":[null,true,false],\"numbers\":[4.5,0.002,1e-27,1e+21,1e-7,0,100],"
        "\"string\":\"\u20ac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    /* section 3.2.3: keys by UTF-16 code unit; a surrogate pair (U+1F600) sorts before U+FB33 */
    assert_canonical("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
                     "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\u00f6\":7,\"\u20ac\":1,\"\U0001F600\":5,\"\ufb33\":3}");
}

static void digests_separate_domains(void **state)
{
    (void)state;
    char a[65], b[65];
    struct stanch_err err = {0};
    json_t *value = json_pack("{s:i}", "x", 1);
    assert_int_equal(stanch_json_digest("one", 1, value, a, &err), 0);
    assert_int_equal(stanch_json_digest("two", 1, value, b, &err), 0);
    assert_string_not_equal(a, b);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_strict_json), cmocka_unit_test(refuses_depth_and_count),
        cmocka_unit_test(keeps_big_integers_as_text),      cmocka_unit_test(writes_rfc_8785),
        cmocka_unit_test(digests_separate_domains),        cmocka_unit_test(reads_whole_reals_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
