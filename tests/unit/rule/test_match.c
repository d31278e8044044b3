/* test_match.c: which events start a runbook, and what is said when they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/pattern.h"
#include "rule/match.h"
#include "rule/glob.h"

#define NOW 1700000000000LL

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static enum stanch_match match(const char *on, const char *event, char why[256])
{
    STANCH_AUTO_JSON json_t *triggers_data = parse(on);
    STANCH_AUTO_JSON json_t *event_data = parse(event);
    struct stanch_triggers *triggers = NULL;
    struct stanch_err err = {0};
    assert_int_equal(stanch_triggers_new(triggers_data, &triggers, &err), 0);
    enum stanch_match got = stanch_triggers_match(triggers, event_data, NOW, why);
    stanch_triggers_free(triggers);
    return got;
}

static enum stanch_match match_label(const char *op, const char *wanted, const char *labels, char why[256])
{
    STANCH_AUTO_FREE char *on = stanch_asprintf(
        "[{\"kind\":\"alert\",\"matchers\":[{\"label\":\"env\",\"op\":\"%s\",\"value\":\"%s\"}]}]", op, wanted);
    STANCH_AUTO_FREE char *event = stanch_asprintf(
        "{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":%s,\"starts_at_ms\":%lld,\"received_ms\":%lld}", labels,
        (long long)NOW - 1000, (long long)NOW);
    return match(on, event, why);
}

static void compares_labels(void **state)
{
    (void)state;
    static const struct {
        const char *op, *wanted, *labels;
        bool matches;
    } cases[] = {
        {"=", "prod", "{\"env\":\"prod\"}", true},
        {"=", "prod", "{\"env\":\"prod2\"}", false},
        {"=", "prod", "{\"env\":\"Prod\"}", false},
        {"=", "", "{}", true},
        {"=", "prod", "{}", false},
        {"!=", "dev", "{\"env\":\"prod\"}", true},
        {"!=", "dev", "{\"env\":\"dev\"}", false},
        {"!=", "dev", "{}", true},
        {"!=", "", "{}", false},
        {"=~", "prod|page", "{\"env\":\"page\"}", true},
        {"=~", "prod|page", "{\"env\":\"pages\"}", false},
        {"=~", "prod|page", "{\"env\":\"xprod\"}", false},
        {"=~", "pro|prod", "{\"env\":\"prod\"}", true},
        {"=~", "prod", "{\"env\":\"prod\\n\"}", false},
        {"=~", "^prod$", "{\"env\":\"prod\"}", true},
        {"=~", "prod.*", "{\"env\":\"prod\\nx\"}", true},
        {"=~", ".*", "{}", true},
        {"=~", ".+", "{}", false},
        {"=~", "h.llo", "{\"env\":\"h\xc3\xa9llo\"}", true},
        {"!~", "dev|test", "{\"env\":\"prod\"}", true},
        {"!~", "dev|test", "{\"env\":\"test\"}", false},
        {"!~", ".+", "{}", true},
        {"=", "prod", "{\"env\":7}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[256] = "unset";
        enum stanch_match got = match_label(cases[i].op, cases[i].wanted, cases[i].labels, why);
        if (got != (cases[i].matches ? STANCH_MATCH : STANCH_MATCH_NOT))
            fail_msg("%s %s on %s: %d (%s)", cases[i].op, cases[i].wanted, cases[i].labels, (int)got, why);
        assert_int_equal(why[0] == 0, cases[i].matches);
    }
}

static void says_what_did_not_hold(void **state)
{
    (void)state;
    char why[256];
    match_label("=", "prod", "{\"env\":\"dev\"}", why);
    assert_string_equal(why, "label env is \"dev\", not \"prod\"");
    match_label("=~", "p.*", "{}", why);
    assert_string_equal(why, "label env is missing, which does not match \"p.*\"");
    match_label("!~", "d.*", "{\"env\":\"dev\"}", why);
    assert_string_equal(why, "label env is \"dev\", which is excluded by \"d.*\"");
}

static void cuts_long_values_between_characters(void **state)
{
    (void)state;
    char labels[4000] = "{\"env\":\"x", why[256];
    for (int i = 0; i < 1000; i++)
        strcat(labels, "\xc3\xa9");
    strcat(labels, "\"}");
    assert_int_equal(match_label("=", "prod", labels, why), STANCH_MATCH_NOT);
    STANCH_AUTO_JSON json_t *valid = json_string(why); /* NULL when it is not UTF-8 */
    assert_non_null(valid);
}

static void ends_a_catastrophic_expression(void **state)
{
    (void)state;
    char why[256];
    const char *labels = "{\"env\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}";
    clock_t began = clock(); /* what it computed: others run here too */
    assert_int_equal(match_label("=~", "(a+)+", labels, why), STANCH_MATCH_LIMIT);
    assert_non_null(strstr(why, "took too long"));
    /* not matching must not become a match because nobody could tell */
    assert_int_equal(match_label("!~", "(a+)+", labels, why), STANCH_MATCH_LIMIT);
    assert_int_equal(match_label("=~", "(a|aa)*[cd]", labels, why), STANCH_MATCH_LIMIT);
    assert_true(clock() - began < 2 * CLOCKS_PER_SEC);
}

static void looks_at_kind_state_and_age(void **state)
{
    (void)state;
    static const char *on = "[{\"kind\":\"alert\",\"max_age_ms\":60000,\"matchers\":["
                            "{\"label\":\"a\",\"op\":\"=\",\"value\":\"1\"}]}]";
    static const struct {
        const char *kind, *state;
        int64_t age_ms;
        enum stanch_match expected;
    } cases[] = {
        {"alert", "firing", 0, STANCH_MATCH},
        {"alert", "firing", 60000, STANCH_MATCH},
        {"alert", "firing", 60001, STANCH_MATCH_TOO_OLD},
        {"alert", "firing", -5000, STANCH_MATCH}, /* the sender's clock is ahead */
        {"alert", "resolved", 0, STANCH_MATCH_NOT},
        {"change", "firing", 0, STANCH_MATCH_NOT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[256];
        STANCH_AUTO_FREE char *event =
            stanch_asprintf("{\"kind\":\"%s\",\"state\":\"%s\",\"labels\":{\"a\":\"1\"},\"starts_at_ms\":%lld}",
                            cases[i].kind, cases[i].state, (long long)(NOW - cases[i].age_ms));
        assert_int_equal(match(on, event, why), cases[i].expected);
        if (cases[i].expected == STANCH_MATCH_TOO_OLD)
            assert_string_equal(why, "it began 1m ago, max_age is 1m");
    }
}

static void an_event_is_too_old_after_ten_minutes_by_default(void **state)
{
    (void)state;
    static const char *on = "[{\"kind\":\"alert\",\"matchers\":[{\"label\":\"a\",\"op\":\"=\",\"value\":\"1\"}]}]";
    for (int past = 0; past < 2; past++) {
        char why[256];
        STANCH_AUTO_FREE char *event =
            stanch_asprintf("{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":{\"a\":\"1\"},\"starts_at_ms\":%lld}",
                            (long long)NOW - 600000 - past);
        assert_int_equal(match(on, event, why), past ? STANCH_MATCH_TOO_OLD : STANCH_MATCH);
    }
}

static void one_of_several_triggers_is_enough(void **state)
{
    (void)state;
    static const char *on = "[{\"matchers\":[{\"label\":\"a\",\"op\":\"=\",\"value\":\"1\"}]},"
                            "{\"max_age_ms\":10,\"matchers\":[{\"label\":\"a\",\"op\":\"=\",\"value\":\"2\"}]}]";
    char why[256];
    assert_int_equal(match(on, "{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":{\"a\":\"2\"}}", why),
                     STANCH_MATCH);
    assert_string_equal(why, "");
    assert_int_equal(match(on, "{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":{\"a\":\"3\"}}", why),
                     STANCH_MATCH_NOT);
    assert_string_equal(why, "label a is \"3\", not \"1\"");
    /* the nearer miss is told */
    assert_int_equal(
        match(on, "{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":{\"a\":\"2\"},\"starts_at_ms\":5}", why),
        STANCH_MATCH_TOO_OLD);
    assert_int_equal(match("[]", "{\"kind\":\"alert\",\"state\":\"firing\",\"labels\":{}}", why), STANCH_MATCH_NOT);
    assert_string_equal(why, "it has no trigger: only a person starts it");
}

static void refuses_bad_triggers_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *on, *text;
    } cases[] = {
        {"[{\"matchers\":[{\"label\":\"a\",\"op\":\"=~\",\"value\":\"(\"}]}]",
         "on[1]: label \"a\": \"(\" is not a regular expression: missing closing parenthesis (at character 2)"},
        {"[{\"matchers\":[{\"label\":\"a\",\"op\":\"=\",\"value\":\"1\"}]},{\"matchers\":[]}]",
         "on[2]: matchers: needs at least one, or it would match every event"},
        {"[{\"matchers\":[{\"label\":\"a\",\"op\":\"~\",\"value\":\"1\"}]}]",
         "on[1]: label \"a\": op is not one of =, !=, =~, !~"},
        {"[{\"matchers\":[{\"label\":\"a\",\"op\":\"=\"}]}]", "on[1]: a matcher needs a label and a value, both text"},
        {"[7]", "on[1]: a trigger is an object"},
        {"{}", "on: not a list of triggers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_JSON json_t *on = parse(cases[i].on);
        struct stanch_triggers *triggers = NULL;
        struct stanch_err err = {0};
        assert_int_equal(stanch_triggers_new(on, &triggers, &err), STANCH_E_INVALID);
        assert_null(triggers);
        assert_string_equal(err.text, cases[i].text);
    }
    /* repeats that would need gigabytes are refused when compiled */
    struct stanch_pattern *pattern = NULL;
    struct stanch_err err = {0};
    assert_int_equal(stanch_pattern_new("((((a{1000}){1000}){1000}){1000})", STANCH_PATTERN_WHOLE, &pattern, &err),
                     STANCH_E_INVALID);
}

static void knows_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        double value;
        int expected;
    } cases[] = {
        {"> 0.05", 0.06, 1},  {"> 0.05", 0.05, 0}, {">= 5", 5, 1},    {">= 5", 4.9, 0},
        {"< 0.01", 0.009, 1}, {"< 0.01", 0.01, 0}, {"<= 1", 1, 1},    {"<= 1", 1.1, 0},
        {"== 0", 0, 1},       {"== 0", 1e-9, 0},   {"!= 0", 1, 1},    {"!= 0", 0, 0},
        {">-1", 0, 1},        {"<1e3", 999, 1},    {"<1e3", 1000, 0}, {"> 5", 1.0 / 0.0, 1},
    };
    struct stanch_err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (stanch_range_holds(cases[i].range, cases[i].value, &err) != cases[i].expected)
            fail_msg("%s at %g", cases[i].range, cases[i].value);
    static const char *const bad[] = {"",       "0.05",  "= 5",   ">",     "> x", "> 5%",
                                      "> 0x10", "> inf", "> nan", "> 1 2", "=> 5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (stanch_range_holds(bad[i], 1, &err) != STANCH_E_INVALID)
            fail_msg("\"%s\" was taken as a range", bad[i]);
    assert_int_equal(stanch_range_holds("!= 0", 0.0 / 0.0, &err), STANCH_E_INVALID); /* no data is not good */
}

static void knows_which_way_is_worse(void **state)
{
    (void)state;
    static const struct {
        const char *bad;
        double before, after;
        bool worse;
    } cases[] = {
        {"> 5", 9, 12, true},
        {"> 5", 9, 9, false},
        {"> 5", 9, 9.4, false},
        {"> 5", 9, 9.5, true},
        {"> 5", 9, 3, false},
        {"> 5", 0.1, 0.3, false},
        {"> 5", 0.1, 0.4, true}, /* of 5, not of 0.1 */
        {">= 5", 0, 6, true},
        {"< 0.9", 0.8, 0.7, true},
        {"< 0.9", 0.8, 0.76, false},
        {"< 0.9", 0.8, 1, false},
        {"<= -5", -9, -12, true},
        {"> -5", -3, -4, false},
        {"> -5", -4, -3, true},
        {"!= 0", 2, -3, true},
        {"!= 0", -3, 2, false},
        {"!= 5", 5, 6, true},
        {"== 0", 3, 1, true},
        {"== 0", 1, 3, false},
        {"> 5", 9, 1.0 / 0.0, true},
        {"> 0", 0, 0, false},
        {"> 0", 0, 1e-9, true},
        {"> 5", 9, 0.0 / 0.0, false},
        {"> 5", 0.0 / 0.0, 9, false},
        {"five", 1, 9, false},
        {"", 1, 9, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (stanch_range_is_worse(cases[i].bad, cases[i].before, cases[i].after) != cases[i].worse)
            fail_msg("%s from %g to %g", cases[i].bad, cases[i].before, cases[i].after);
}

static void knows_globs(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"edge-*", "edge-eu", true},
        {"edge-*", "edge-", true},
        {"edge-*", "ledge-eu", false},
        {"*-eu", "edge-eu", true},
        {"*a*b", "xxaxxb", true},
        {"*a*b", "xxaxxbc", false},
        {"a?c", "abc", true},
        {"a?c",
         "a\xc3\xa9"
         "c",
         true},
        {"a?c", "ac", false},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"**a", "ba", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (stanch_glob_matches(cases[i].glob, cases[i].text) != cases[i].matches)
            fail_msg("%s on %s", cases[i].glob, cases[i].text);
}

/* What no event can meet, as far as that is certain. */
static void knows_what_can_never_match(void **state)
{
    (void)state;
    static const struct {
        const char *matchers, *why; /* NULL: it may match */
    } cases[] = {
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"x\"},{\"label\":\"b\",\"op\":\"=\",\"value\":\"y\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"x\"},{\"label\":\"a\",\"op\":\"=\",\"value\":\"x\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"x\"},{\"label\":\"a\",\"op\":\"=\",\"value\":\"y\"}",
         "label a must be \"x\", not \"y\": no event can match; leave one of the two out"},
        {"{\"label\":\"a\",\"op\":\"!=\",\"value\":\"x\"},{\"label\":\"a\",\"op\":\"=\",\"value\":\"x\"}",
         "label a must be \"x\", which is excluded: \"x\": no event can match; leave one of the two out"},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"prod\"},{\"label\":\"a\",\"op\":\"=~\",\"value\":\"pro\"}",
         "label a must be \"prod\", which does not match \"pro\": no event can match; leave one of the two out"},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"prod\"},{\"label\":\"a\",\"op\":\"!~\",\"value\":\"pro.*\"}",
         "label a must be \"prod\", which is excluded by \"pro.*\": no event can match; leave one of the two out"},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"prod\"},{\"label\":\"a\",\"op\":\"=~\",\"value\":\"pro.*\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=\",\"value\":\"\"},{\"label\":\"a\",\"op\":\"!=\",\"value\":\"x\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=~\",\"value\":\"^crit$\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=~\",\"value\":\"(^a|b$)\"}", NULL},
        {"{\"label\":\"a\",\"op\":\"=~\",\"value\":\"crit$ical\"}",
         "label a: \"crit$ical\" matches nothing, for ^ or $ stands in its middle; expressions are anchored at both "
         "ends "
         "anyway"},
        {"{\"label\":\"a\",\"op\":\"!~\",\"value\":\".*\"}",
         "label a: \".*\" excludes every value, so no event can match; leave it out"},
        {"{\"label\":\"a\",\"op\":\"!~\",\"value\":\".+\"}", NULL}, /* a label that is missing */
        {"{\"label\":\"a\",\"op\":\"=~\",\"value\":\"x\"},{\"label\":\"a\",\"op\":\"=~\",\"value\":\"y\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_FREE char *text = stanch_asprintf("[{\"kind\":\"alert\",\"matchers\":[%s]}]", cases[i].matchers);
        STANCH_AUTO_JSON json_t *on = json_loads(text, 0, NULL);
        struct stanch_triggers *triggers = NULL;
        struct stanch_err err = {0};
        char why[256] = "";
        assert_int_equal(stanch_triggers_new(on, &triggers, &err), 0);
        bool never = stanch_triggers_never(triggers, 0, why);
        assert_int_equal(never, cases[i].why != NULL);
        assert_string_equal(why, cases[i].why ? cases[i].why : "");
        assert_false(stanch_triggers_never(triggers, 1, why)); /* there is none */
        stanch_triggers_free(triggers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_labels),
        cmocka_unit_test(says_what_did_not_hold),
        cmocka_unit_test(cuts_long_values_between_characters),
        cmocka_unit_test(ends_a_catastrophic_expression),
        cmocka_unit_test(looks_at_kind_state_and_age),
        cmocka_unit_test(an_event_is_too_old_after_ten_minutes_by_default),
        cmocka_unit_test(one_of_several_triggers_is_enough),
        cmocka_unit_test(refuses_bad_triggers_with_their_place),
        cmocka_unit_test(knows_ranges),
        cmocka_unit_test(knows_which_way_is_worse),
        cmocka_unit_test(knows_globs),
        cmocka_unit_test(knows_what_can_never_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
