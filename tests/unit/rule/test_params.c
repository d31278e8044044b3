/* test_params.c: parameters out of an event, a person's hand, or the default; hostile ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "rule/match.h"

static json_t *parse(const char *text)
{
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    assert_true(!text || value);
    return value;
}

/* spec: of the one parameter "p"; label: the value of the label "l" as JSON, or NULL; given: of "p", or NULL. */
static int resolve(const char *spec, const char *label, const char *given, char ret[400])
{
    STANCH_AUTO_FREE char *params_text = stanch_asprintf("{\"p\":%s}", spec);
    STANCH_AUTO_FREE char *event_text =
        label ? stanch_asprintf("{\"labels\":{\"l\":%s}}", label) : stanch_strdup("{\"labels\":{}}");
    STANCH_AUTO_FREE char *given_text = given ? stanch_asprintf("{\"p\":%s}", given) : NULL;
    STANCH_AUTO_JSON json_t *params = parse(params_text);
    STANCH_AUTO_JSON json_t *event = parse(event_text);
    STANCH_AUTO_JSON json_t *given_data = parse(given_text);
    STANCH_AUTO_JSON json_t *made = NULL;
    struct stanch_err err = {0};
    int rc = stanch_params_resolve(params, event, given_data, &made, &err);
    STANCH_AUTO_FREE char *text = made ? json_dumps(made, JSON_COMPACT) : NULL;
    (void)snprintf(ret, 400, "%s", text ? text : err.text);
    return rc;
}

static void takes_the_person_then_the_label_then_the_default(void **state)
{
    (void)state;
    static const char *spec = "{\"type\":\"string\",\"from_label\":\"l\",\"default\":\"d\",\"required\":true}";
    char got[400];
    assert_int_equal(resolve(spec, "\"x\"", "\"y\"", got), 0);
    assert_string_equal(got, "{\"p\":\"y\"}");
    assert_int_equal(resolve(spec, "\"x\"", NULL, got), 0);
    assert_string_equal(got, "{\"p\":\"x\"}");
    assert_int_equal(resolve(spec, NULL, NULL, got), 0);
    assert_string_equal(got, "{\"p\":\"d\"}");
    assert_int_equal(resolve(spec, NULL, "null", got), 0);
    assert_string_equal(got, "{\"p\":\"d\"}");
    assert_int_equal(resolve("{\"type\":\"string\"}", NULL, NULL, got), 0);
    assert_string_equal(got, "{}");
    assert_int_equal(resolve("{\"type\":\"string\",\"required\":true}", NULL, NULL, got), STANCH_E_REFUSED);
    assert_string_equal(got, "parameter p: it is required and was not given");
    assert_int_equal(resolve("{\"type\":\"string\",\"from_label\":\"l\",\"required\":true}", NULL, NULL, got),
                     STANCH_E_REFUSED);
    assert_string_equal(got, "parameter p: the event has no label l, and there is no default");
}

static void converts_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *type, *label, *expected; /* expected NULL: refused */
    } cases[] = {
        {"string", "\"eu1\"", "\"eu1\""},
        {"string", "\"\"", "\"\""},
        {"string", "7", NULL},
        {"string", "\"a\\nb\"", NULL},
        {"string", "\"\\u001b[2J\"", NULL},
        {"integer", "\"50\"", "50"},
        {"integer", "\"-3\"", "-3"},
        {"integer", "50", "50"},
        {"integer", "50.0", "50"},
        {"integer", "50.5", NULL},
        {"integer", "\"50.0\"", NULL},
        {"integer", "\"5e3\"", NULL},
        {"integer", "\" 5\"", NULL},
        {"integer", "\"5 \"", NULL},
        {"integer", "\"0x10\"", NULL},
        {"integer", "\"\"", NULL},
        {"integer", "\"--5\"", NULL},
        {"integer", "\"9007199254740993\"", NULL},
        {"integer", "\"99999999999999999999999\"", NULL},
        {"integer", "true", NULL},
        {"number", "\"0.5\"", "0.5"},
        {"number", "\"1e3\"", "1000.0"},
        {"number", "\"1e999\"", NULL},
        {"number", "\"nan\"", NULL},
        {"number", "\"inf\"", NULL},
        {"number", "\"0.5; rm\"", NULL},
        {"number", "{}", NULL},
        {"boolean", "\"true\"", "true"},
        {"boolean", "false", "false"},
        {"boolean", "\"yes\"", NULL},
        {"boolean", "1", NULL},
        {"duration", "\"1h30m\"", "\"1h30m\""},
        {"duration", "\"90\"", NULL},
        {"duration", "90", NULL},
        {"text", "\"x\"", NULL}, /* not a type */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[400];
        STANCH_AUTO_FREE char *spec = stanch_asprintf("{\"type\":\"%s\",\"from_label\":\"l\"}", cases[i].type);
        STANCH_AUTO_FREE char *expected = cases[i].expected ? stanch_asprintf("{\"p\":%s}", cases[i].expected) : NULL;
        int rc = resolve(spec, cases[i].label, NULL, got);
        if (rc != (expected ? 0 : STANCH_E_REFUSED) || (expected && strcmp(got, expected) != 0))
            fail_msg("%s of %s: %d %s", cases[i].type, cases[i].label, rc, got);
    }
}

static void keeps_to_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *label, *refusal; /* NULL: taken */
    } cases[] = {
        {"{\"type\":\"string\",\"from_label\":\"l\",\"one_of\":[\"eu1\",\"eu2\"]}", "\"eu2\"", NULL},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"one_of\":[\"eu1\",\"eu2\"]}", "\"eu3; drop\"",
         "parameter p (label l): \"eu3; drop\" is not allowed; expected one of [\"eu1\",\"eu2\"]"},
        {"{\"type\":\"number\",\"from_label\":\"l\",\"one_of\":[1,2]}", "\"2\"", NULL},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"pattern\":\"[a-z]+\"}", "\"abc\"", NULL},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"pattern\":\"[a-z]+\"}", "\"abc;\"",
         "parameter p (label l): \"abc;\" is not allowed; expected what matches [a-z]+"},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"pattern\":\"(a+)+\"}",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"",
         "parameter p (label l): \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\" is not allowed; expected what matches "
         "(a+)+ (it took too long to tell)"},
        {"{\"type\":\"integer\",\"from_label\":\"l\",\"min\":0,\"max\":100}", "\"100\"", NULL},
        {"{\"type\":\"integer\",\"from_label\":\"l\",\"min\":0,\"max\":100}", "\"101\"",
         "parameter p (label l): \"101\" is not allowed; expected at most 100"},
        {"{\"type\":\"integer\",\"from_label\":\"l\",\"min\":0,\"max\":100}", "\"-1\"",
         "parameter p (label l): \"-1\" is not allowed; expected at least 0"},
        {"{\"type\":\"duration\",\"from_label\":\"l\",\"max\":60000}", "\"2m\"",
         "parameter p (label l): \"2m\" is not allowed; expected at most 60000 ms"},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"max\":2}", "\"\xc3\xa9\xc3\xa9\"", NULL},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"max\":2}", "\"abc\"",
         "parameter p (label l): \"abc\" is not allowed; expected at most 2 characters"},
        {"{\"type\":\"string\",\"from_label\":\"l\",\"pattern\":\"(\"}", "\"a\"",
         "parameter p: its pattern is not a regular expression: missing closing parenthesis (at character 2)"},
        {"{\"type\":\"integer\",\"default\":\"many\"}", NULL,
         "parameter p: \"many\" is not allowed; expected a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[400];
        int rc = resolve(cases[i].spec, cases[i].label, NULL, got);
        assert_int_equal(rc, cases[i].refusal ? STANCH_E_REFUSED : 0);
        if (cases[i].refusal)
            assert_string_equal(got, cases[i].refusal);
    }
}

static void refuses_hostile_labels_and_says_so_in_utf8(void **state)
{
    (void)state;
    char label[9000] = "\"", got[400];
    for (int i = 0; i < 2000; i++)
        strcat(label, "\xe2\x82\xac");
    strcat(label, "\"");
    assert_int_equal(resolve("{\"type\":\"string\",\"from_label\":\"l\"}", label, NULL, got), STANCH_E_REFUSED);
    STANCH_AUTO_JSON json_t *valid = json_string(got);
    assert_non_null(valid);
    assert_non_null(strstr(got, "a shorter text"));
    /* a person may write lines, an escape sequence not */
    assert_int_equal(resolve("{\"type\":\"string\"}", NULL, "\"a\\nb\"", got), 0);
    assert_int_equal(resolve("{\"type\":\"string\"}", NULL, "\"a\\u001bb\"", got), STANCH_E_REFUSED);
}

static void refuses_parameters_that_are_not_declared(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *params = parse("{\"server\":{\"type\":\"string\"},\"note\":{\"type\":\"string\"}}");
    STANCH_AUTO_JSON json_t *given = parse("{\"sever\":\"x\"}");
    STANCH_AUTO_JSON json_t *event = parse("{}");
    json_t *made = NULL;
    struct stanch_err err = {0};
    assert_int_equal(stanch_params_resolve(params, event, given, &made, &err), STANCH_E_REFUSED);
    assert_string_equal(err.text, "parameter sever: there is none of this name; there are server, note");
    assert_int_equal(stanch_params_resolve(NULL, event, given, &made, &err), STANCH_E_REFUSED);
    assert_string_equal(err.text, "parameter sever: there is none of this name; the runbook has no parameters");
    assert_int_equal(stanch_params_resolve(NULL, NULL, NULL, &made, &err), 0);
    assert_int_equal(json_object_size(made), 0);
    json_decref(made);
}

static void declarations_are_checked_before_any_run(void **state)
{
    (void)state;
    static const struct {
        const char *params, *text; /* text NULL: sound */
    } cases[] = {
        {"{\"p\":{\"type\":\"string\",\"pattern\":\"[a-z]+\",\"default\":\"a\"}}", NULL},
        {"{\"p\":{\"type\":\"string\",\"required\":true}}", NULL},
        {"{\"p\":{\"type\":\"string\",\"pattern\":\"[a-\"}}",
         "params.p.pattern: missing terminating ] for character class (at character 4)"},
        {"{\"p\":{\"type\":\"string\",\"pattern\":\"[a-z]+\",\"default\":\"A\"}}",
         "parameter p: \"A\" is not allowed; expected what matches [a-z]+"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_JSON json_t *params = parse(cases[i].params);
        struct stanch_err err = {0};
        assert_int_equal(stanch_params_check(params, &err), cases[i].text ? STANCH_E_INVALID : 0);
        assert_string_equal(err.text, cases[i].text ? cases[i].text : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_person_then_the_label_then_the_default),
        cmocka_unit_test(converts_strictly),
        cmocka_unit_test(keeps_to_what_is_allowed),
        cmocka_unit_test(refuses_hostile_labels_and_says_so_in_utf8),
        cmocka_unit_test(refuses_parameters_that_are_not_declared),
        cmocka_unit_test(declarations_are_checked_before_any_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
