/* test_starts.c: limits of starts and keys of groups, apart from who counts. drill/test_virtual.c has them over time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "rule/starts.h"

#define NOW 1700000000000LL

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    return value;
}

static void without_limits_nothing_counts(void **state)
{
    (void)state;
    char why[200] = "";
    STANCH_AUTO_JSON json_t *declared = parse("{\"name\":\"heal\"}");
    STANCH_AUTO_JSON json_t *at = json_pack("[I]", (json_int_t)NOW);
    assert_int_equal(stanch_starts_reach_ms(declared), 0);
    assert_int_equal(stanch_starts_judge(declared, at, NOW, why), STANCH_STARTS_MAY);
    assert_int_equal(stanch_starts_group_within_ms(declared), 60000);
}

static void the_longer_window_is_the_reach(void **state)
{
    (void)state;
    char why[200] = "";
    STANCH_AUTO_JSON json_t *declared =
        parse("{\"limits\":{\"cooldown_ms\":1000,\"at_most\":{\"count\":1,\"within_ms\":5000}}}");
    STANCH_AUTO_JSON json_t *at = json_pack("[I]", (json_int_t)NOW);
    assert_int_equal(stanch_starts_reach_ms(declared), 5000);
    assert_int_equal(stanch_starts_judge(declared, NULL, NOW, why), STANCH_STARTS_MAY);
    assert_int_equal(stanch_starts_judge(declared, at, NOW + 999, why), STANCH_STARTS_COOLDOWN);
    assert_int_equal(stanch_starts_judge(declared, at, NOW + 1000, why), STANCH_STARTS_AT_MOST);
    assert_int_equal(stanch_starts_judge(declared, at, NOW + 5000, why), STANCH_STARTS_MAY);
}

static void as_many_are_kept_as_a_limit_can_count(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *at = json_array();
    for (int i = 0; i <= STANCH_STARTS_MAX; i++)
        stanch_starts_note(at, NOW + i);
    assert_int_equal(json_array_size(at), STANCH_STARTS_MAX);
    assert_int_equal(json_integer_value(json_array_get(at, 0)), NOW + 1);
}

static void a_run_is_joined_from_its_creation_until_its_window_ends(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *declared = parse("{\"limits\":{\"group_within_ms\":500}}");
    STANCH_AUTO_JSON json_t *apart = parse("{\"limits\":{\"group_within_ms\":0}}");
    assert_true(stanch_starts_joins(declared, NOW, NOW));
    assert_true(stanch_starts_joins(declared, NOW, NOW + 499));
    assert_false(stanch_starts_joins(declared, NOW, NOW + 500));
    assert_false(stanch_starts_joins(declared, NOW, NOW - 1)); /* the clock was set back */
    assert_false(stanch_starts_joins(apart, NOW, NOW));
}

static void group_of(const char *declared_text, const char *labels, const char *params_text, char ret[65])
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *declared = parse(declared_text);
    STANCH_AUTO_JSON json_t *event = json_pack("{s:o}", "labels", parse(labels));
    STANCH_AUTO_JSON json_t *params = parse(params_text);
    assert_int_equal(stanch_starts_group(declared, event, params, "INC-1", ret, &err), 0);
}

static void the_key_is_parameters_or_the_labels_that_are_named(void **state)
{
    (void)state;
    char a[65], b[65], c[65];
    stanch_digest_init();
    group_of("{\"name\":\"heal\"}", "{\"n\":\"1\"}", "{\"server\":\"s1\"}", a);
    group_of("{\"name\":\"heal\"}", "{\"n\":\"2\"}", "{\"server\":\"s1\"}", b);
    group_of("{\"name\":\"heal\"}", "{\"n\":\"1\"}", "{\"server\":\"s2\"}", c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    const char *by = "{\"name\":\"heal\",\"limits\":{\"group_by\":[\"n\"]}}";
    group_of(by, "{\"n\":\"1\"}", "{\"server\":\"s1\"}", a);
    group_of(by, "{\"n\":\"1\",\"more\":\"x\"}", "{\"server\":\"s2\"}", b);
    group_of(by, "{\"n\":\"2\"}", "{\"server\":\"s1\"}", c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_nothing_counts),
        cmocka_unit_test(the_longer_window_is_the_reach),
        cmocka_unit_test(as_many_are_kept_as_a_limit_can_count),
        cmocka_unit_test(a_run_is_joined_from_its_creation_until_its_window_ends),
        cmocka_unit_test(the_key_is_parameters_or_the_labels_that_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
