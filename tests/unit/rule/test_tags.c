/* test_tags.c: rules that go by a plan's tags; tags that nobody knows permit nothing and lower nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "rule/policy.h"

static struct stanch_policy *make(const char *rules)
{
    STANCH_AUTO_FREE char *text = stanch_asprintf("{\"auto\":\"low\",\"rules\":[%s]}", rules);
    STANCH_AUTO_JSON json_t *data = json_loads(text, 0, NULL);
    struct stanch_policy *policy = NULL;
    struct stanch_err err = {0};
    if (stanch_policy_new(data, &policy, &err) != 0)
        fail_msg("%s", err.text);
    return policy;
}

static struct stanch_policy_question kill(const char *declared, const json_t *tags)
{
    return (struct stanch_policy_question){.plugin = "unleash",
                                           .instance = "prod",
                                           .action = "kill",
                                           .effect = "mitigate",
                                           .environment = "staging",
                                           .tags = tags,
                                           .reach = -1,
                                           .declared_risk = declared};
}

#define RULE(name, when, risk) "{\"name\":\"" name "\",\"line\":1,\"when\":{" when "},\"risk\":\"" risk "\"}"

static void assert_decides(const char *rules, const char *declared, const char *tags, const char *want)
{
    STANCH_AUTO_JSON json_t *list = tags ? json_loads(tags, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!tags || list);
    struct stanch_policy *policy = make(rules);
    const struct stanch_policy_question question = kill(declared, list);
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &question, &decision);
    char got[80];
    (void)snprintf(got, sizeof got, "%s by %s", decision.risk,
                   stanch_json_str(json_array_get(decision.rules, 0), "name", "-"));
    if (strcmp(got, want) != 0)
        fail_msg("%s, declared %s, tags %s: %s, not %s", rules, declared, tags ? tags : "unknown", got, want);
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

static void a_tag_is_named_by_one_of_the_globs(void **state)
{
    (void)state;
    static const struct {
        const char *globs, *tags, *want;
    } table[] = {
        {"\"killswitch\"", "[\"killswitch\"]", "low by r"},
        {"\"killswitch\"", "[\"other\",\"killswitch\",\"simple:killswitch\"]", "low by r"},
        {"\"killswitch\"", "[\"killswitches\"]", "medium by -"},
        {"\"killswitch\"", "[\"simple:killswitch\"]", "medium by -"},
        {"\"KILLSWITCH\"", "[\"killswitch\"]", "medium by -"},
        {"\"killswitch\"", "[]", "medium by -"},
        {"\"*\"", "[]", "medium by -"},
        {"\"ops:*\"", "[\"ops:pay\"]", "low by r"},
        {"\"a\",\"b?\"", "[\"b1\"]", "low by r"},
        {"\"a\",\"b?\"", "[\"c\"]", "medium by -"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        STANCH_AUTO_FREE char *rule =
            stanch_asprintf("{\"name\":\"r\",\"line\":1,\"when\":{\"tag\":[%s]},\"risk\":\"low\"}", table[i].globs);
        assert_decides(rule, "medium", table[i].tags, table[i].want);
    }
    assert_decides(RULE("r", "\"tag\":[\"a\"],\"environment\":\"prod\"", "low"), "medium", "[\"a\"]", "medium by -");
}

/* What no plugin would say in good faith is not known either. */
static void tags_that_are_not_known_permit_nothing(void **state)
{
    (void)state;
    char many[202 * 8 + 8] = "[\"k\"", longest[300];
    for (int i = 0; i < 200; i++)
        (void)snprintf(many + strlen(many), 12, ",\"t%d\"", i);
    strcat(many, "]");
    (void)snprintf(longest, sizeof longest, "[\"k\",\"%0257d\"]", 0);
    const char *const unknown[] = {NULL,           "null",      "\"k\"",        "{\"k\":1}", "[\"k\",7]",
                                   "[\"k\",null]", "[[\"k\"]]", "[\"k\",\"\"]", many,        longest};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_decides(RULE("r", "\"tag\":[\"k\"]", "low"), "medium", unknown[i], "medium by -");
        assert_decides(RULE("r", "\"tag\":[\"*\"]", "low"), "medium", unknown[i], "medium by -");
        assert_decides(RULE("r", "\"tag\":[\"k\"]", "forbidden"), "low", unknown[i], "forbidden by r");
    }
}

/* The worst of what may be: a rule that asks for less than what else would hold is no reason to ask for less. */
static void tags_that_are_not_known_lower_nothing(void **state)
{
    (void)state;
    static const char rules[] =
        RULE("one person", "\"tag\":[\"k\"]", "medium") "," RULE("two", "\"tag\":[\"p\"]", "high");
    assert_decides(rules, "low", NULL, "high by two");
    assert_decides(rules, "high", NULL, "high by -");
    assert_decides(rules, "high", "[\"k\"]", "medium by one person");
    assert_decides(rules, "low", "[\"p\",\"k\"]", "medium by one person");
    assert_decides(rules, "low", "[\"x\"]", "low by -");
    static const char then[] = RULE("k", "\"tag\":[\"k\"]", "medium") "," RULE("all", "", "high");
    assert_decides(then, "low", NULL, "high by all");
    static const char after[] = RULE("all", "", "low") "," RULE("never", "\"tag\":[\"p\"]", "forbidden");
    assert_decides(after, "medium", NULL, "low by all"); /* behind what decides in any case */
    assert_decides(RULE("k", "\"tag\":[\"k\"]", "low") "," RULE("all", "", "low"), "high", NULL, "low by all");
}

static void the_tags_that_a_rule_goes_by_are_told_sorted(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *tags = json_loads("[\"z:b\",\"ops\",\"z:a\",\"z:b\",\"zz\"]", 0, NULL);
    struct stanch_policy *policy = make(RULE("r", "\"tag\":[\"z:*\",\"z:a\"]", "low"));
    struct stanch_policy_question question = kill("medium", tags);
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &question, &decision);
    STANCH_AUTO_FREE char *told = json_dumps(json_object_get(json_array_get(decision.rules, 0), "tags"), JSON_COMPACT);
    assert_string_equal(told, "[\"z:a\",\"z:b\"]");
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
    policy = make(RULE("r", "\"tag\":[\"z:*\"]", "forbidden"));
    question.tags = NULL;
    stanch_policy_decide(policy, &question, &decision);
    assert_null(json_object_get(json_array_get(decision.rules, 0), "tags"));
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

static void explain_says_which_and_why_not(void **state)
{
    (void)state;
    static const char rules[] = RULE("p", "\"tag\":[\"p\"]", "forbidden") "," RULE("k", "\"tag\":[\"k\",\"ops:*\"]",
                                                                                   "low") "," RULE("all", "", "medium");
    static const struct {
        const char *tags, *verdicts[3], *because[3];
    } table[] = {
        {"[\"k\"]", {"no", "decides", "matches"}, {"none of its tags is one of [\"p\"]", "", ""}},
        {"[]",
         {"no", "no", "decides"},
         {"it has no tags, the rule is for [\"p\"]", "it has no tags, the rule is for [\"k\",\"ops:*\"]", ""}},
        {"null",
         {"decides", "no", "matches"},
         {"its tags are not known: a rule for [\"p\"] holds only where it raises the risk",
          "its tags are not known: a rule for [\"k\",\"ops:*\"] holds only where it raises the risk", ""}},
    };
    struct stanch_policy *policy = make(rules);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        STANCH_AUTO_JSON json_t *tags = json_loads(table[i].tags, JSON_DECODE_ANY, NULL);
        const struct stanch_policy_question question = kill("low", tags);
        STANCH_AUTO_JSON json_t *told = stanch_policy_explain(policy, &question);
        assert_int_equal(json_array_size(told), 3);
        for (size_t k = 0; k < 3; k++) {
            assert_string_equal(stanch_json_str(json_array_get(told, k), "verdict", ""), table[i].verdicts[k]);
            assert_string_equal(stanch_json_str(json_array_get(told, k), "because", ""), table[i].because[k]);
        }
    }
    stanch_policy_free(policy);
}

static void a_rule_without_a_glob_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]", "\"k\"", "null", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("{\"rules\":[{\"name\":\"r\",\"when\":{\"tag\":%s},\"risk\":\"low\"}]}", bad[i]);
        STANCH_AUTO_JSON json_t *data = json_loads(text, 0, NULL);
        struct stanch_policy *policy = NULL;
        struct stanch_err err = {0};
        assert_int_equal(stanch_policy_new(data, &policy, &err), STANCH_E_INVALID);
        assert_non_null(strstr(err.text, "rules[1].when.tag"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_named_by_one_of_the_globs),
        cmocka_unit_test(tags_that_are_not_known_permit_nothing),
        cmocka_unit_test(tags_that_are_not_known_lower_nothing),
        cmocka_unit_test(the_tags_that_a_rule_goes_by_are_told_sorted),
        cmocka_unit_test(explain_says_which_and_why_not),
        cmocka_unit_test(a_rule_without_a_glob_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
