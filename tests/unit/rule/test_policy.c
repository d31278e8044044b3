/* test_policy.c: who must be asked; whatever is unknown counts against running without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "rule/escalation.h"
#include "rule/policy.h"

static struct stanch_policy *make(const char *text)
{
    STANCH_AUTO_JSON json_t *data = text ? json_loads(text, 0, NULL) : NULL;
    assert_true(!text || data);
    struct stanch_policy *policy = NULL;
    struct stanch_err err = {0};
    if (stanch_policy_new(data, &policy, &err) != 0)
        fail_msg("%s", err.text);
    return policy;
}

static struct stanch_policy_question drain(void)
{
    return (struct stanch_policy_question){.plugin = "haproxy",
                                           .instance = "edge-eu",
                                           .action = "drain",
                                           .effect = "mitigate",
                                           .environment = "prod",
                                           .severity = "sev2",
                                           .runbook = "checkout-errors",
                                           .reach = 0.25,
                                           .declared_risk = "medium"};
}

/* "ask medium", "run low", "forbidden" in front of why. */
static void decide(const char *policy_text, const struct stanch_policy_question *question, const char *targets,
                   char ret[300])
{
    STANCH_AUTO_JSON json_t *list = targets ? json_loads(targets, 0, NULL) : NULL;
    struct stanch_policy_question asked = *question;
    asked.targets = list;
    struct stanch_policy *policy = make(policy_text);
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &asked, &decision);
    assert_true(!(decision.ask && decision.forbidden));
    assert_true(decision.why[0] != 0);
    (void)snprintf(ret, 300, "%s %s", decision.forbidden ? "forbid" : decision.ask ? "ask" : "run", decision.risk);
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

#define RULES(rules)           "{\"auto\":\"low\",\"rules\":[" rules "]}"
#define RULE(name, when, risk) "{\"name\":\"" name "\",\"line\":3,\"when\":{" when "},\"risk\":\"" risk "\"}"

static void without_a_policy_everything_asks(void **state)
{
    (void)state;
    struct stanch_policy_question question = drain();
    question.declared_risk = "low";
    struct stanch_policy *policy = make(NULL);
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &question, &decision);
    assert_true(decision.ask);
    assert_false(decision.forbidden);
    assert_string_equal(decision.role, "ic");
    assert_int_equal(decision.quorum, 1);
    assert_int_equal(decision.expires_ms, 900000);
    assert_int_equal(json_array_size(decision.rules), 0);
    assert_string_equal(decision.why, "there is no policy file, so every mitigation asks (risk low): it needs the ic");
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

static void the_first_rule_that_matches_decides(void **state)
{
    (void)state;
    struct stanch_policy_question question = drain();
    char got[300];
    decide(RULES(RULE("a", "\"action\":\"drain\"", "low") "," RULE("b", "\"plugin\":\"haproxy\"", "forbidden")),
           &question, "[]", got);
    assert_string_equal(got, "run low");
    decide(RULES(RULE("b", "\"plugin\":\"haproxy\"", "forbidden") "," RULE("a", "\"action\":\"drain\"", "low")),
           &question, "[]", got);
    assert_string_equal(got, "forbid forbidden");
    decide(RULES(RULE("a", "\"action\":\"kill\"", "low")), &question, "[]", got);
    assert_string_equal(got, "ask medium");
    decide("{\"auto\":\"medium\",\"rules\":[]}", &question, "[]", got);
    assert_string_equal(got, "run medium");
}

static void every_condition_must_hold(void **state)
{
    (void)state;
    static const struct {
        const char *when;
        bool matches;
    } cases[] = {
        {"", true},
        {"\"plugin\":\"haproxy\"", true},
        {"\"plugin\":\"unleash\"", false},
        {"\"instance\":\"edge-*\"", true},
        {"\"instance\":\"core-*\"", false},
        {"\"action\":\"dr?in\"", true},
        {"\"environment\":\"prod\"", true},
        {"\"environment\":\"dev\"", false},
        {"\"effect\":\"mitigate\"", true},
        {"\"effect\":\"undo\"", false},
        {"\"severity\":[\"sev1\",\"sev2\"]", true},
        {"\"severity\":[\"sev1\"]", false},
        {"\"runbook\":\"checkout-*\"", true},
        {"\"runbook\":\"billing\"", false},
        {"\"max_reach\":0.25", true},
        {"\"max_reach\":0.2", false},
        {"\"plugin\":\"haproxy\",\"environment\":\"dev\"", false},
        {"\"target\":\"checkout/*\"", true},
        {"\"target\":\"checkout/eu1\"", false}, /* names one of the two */
        {"\"target\":\"other/*\"", false},
    };
    struct stanch_policy_question question = drain();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_FREE char *text = stanch_asprintf(
            "{\"auto\":\"low\",\"rules\":[{\"name\":\"r\",\"when\":{%s},\"risk\":\"low\"}]}", cases[i].when);
        char got[300];
        decide(text, &question, "[\"checkout/eu1\",\"checkout/eu2\"]", got);
        if (strcmp(got, cases[i].matches ? "run low" : "ask medium") != 0)
            fail_msg("{%s}: %s", cases[i].when, got);
    }
}

static void what_is_unknown_is_not_permitted(void **state)
{
    (void)state;
    struct stanch_policy_question question = drain();
    char got[300];
    question.reach = -1;
    decide(RULES(RULE("a", "\"max_reach\":1", "low")), &question, "[\"x\"]", got);
    assert_string_equal(got, "ask medium");
    decide(RULES(RULE("a", "\"target\":\"*\"", "low")), &question, NULL, got);
    assert_string_equal(got, "ask medium");
    decide(RULES(RULE("a", "\"target\":\"db-*\"", "forbidden")), &question, NULL, got);
    assert_string_equal(got, "forbid forbidden");
    decide(RULES(RULE("a", "\"target\":\"db-*\"", "forbidden")), &question, "[\"edge\",\"db-1\"]", got);
    assert_string_equal(got, "forbid forbidden");
    decide(RULES(RULE("a", "\"target\":\"db-*\"", "forbidden")), &question, "[\"edge\"]", got);
    assert_string_equal(got, "ask medium");
    question.environment = NULL;
    decide(RULES(RULE("a", "\"environment\":\"prod\"", "low")), &question, "[]", got);
    assert_string_equal(got, "ask medium");
    question.declared_risk = NULL;
    decide("{\"auto\":\"medium\"}", &question, "[]", got);
    assert_string_equal(got, "ask high");
}

static void a_runbook_only_raises(void **state)
{
    (void)state;
    static const char *const words[] = {"low", "medium", "high", "forbidden"};
    for (int declared = 0; declared < 3; declared++)
        for (int rule = 0; rule < 4; rule++)
            for (int raised = 0; raised < 4; raised++) {
                STANCH_AUTO_FREE char *text = stanch_asprintf(
                    "{\"auto\":\"low\",\"rules\":[{\"name\":\"r\",\"when\":{},\"risk\":\"%s\"}]}", words[rule]);
                struct stanch_policy_question question = drain();
                question.declared_risk = words[declared];
                question.raised_risk = words[raised];
                char got[300], expected[300];
                decide(text, &question, "[]", got);
                int risk = rule > raised ? rule : raised;
                (void)snprintf(expected, sizeof expected, "%s %s",
                               risk == 3  ? "forbid"
                               : risk > 0 ? "ask"
                                          : "run",
                               words[risk]);
                assert_string_equal(got, expected);
            }
    struct stanch_policy_question question = drain();
    question.raised_risk = "hgih";
    char got[300];
    decide("{\"auto\":\"medium\"}", &question, "[]", got);
    assert_string_equal(got, "ask high");
}

static void tells_who_why_and_by_which_rule(void **state)
{
    (void)state;
    struct stanch_policy *policy =
        make("{\"auto\":\"low\",\"approve\":{\"high\":{\"role\":\"lead\",\"quorum\":2,"
             "\"expires_ms\":60000}},\"rules\":[" RULE("sev1", "\"severity\":[\"sev2\"]", "medium") "]}");
    struct stanch_policy_question question = drain();
    question.raised_risk = "high";
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &question, &decision);
    assert_string_equal(decision.role, "lead");
    assert_int_equal(decision.quorum, 2);
    assert_int_equal(decision.expires_ms, 60000);
    assert_string_equal(decision.why, "risk high by the policy's rule \"sev1\" (line 3), raised by the runbook: above "
                                      "auto (low), it needs the lead");
    const json_t *rule = json_array_get(decision.rules, 0);
    assert_string_equal(stanch_json_str(rule, "name", ""), "sev1");
    assert_int_equal(stanch_json_int(rule, "line", 0), 3);
    assert_string_equal(stanch_json_str(rule, "risk", ""), "medium");
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

/* A freeze holds while something is under way, and when nobody knows; a window in which things may run must be known. */
static void a_calendar_that_is_not_known_permits_nothing(void **state)
{
    static const struct {
        const char *risk, *on, *got; /* on: of the calendar "c"; NULL: there is no such calendar */
    } table[] = {
        {"high", "[\"freeze\"]", "ask high"},
        {"high", "[]", "run low"},
        {"high", "null", "ask high"},
        {"high", NULL, "ask high"},
        {"forbidden", "null", "forbid forbidden"},
        {"low", "[\"office hours\"]", "run low"},
        {"low", "[]", "ask medium"},
        {"low", "null", "ask medium"},
        {"low", NULL, "ask medium"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct stanch_policy_question question = drain();
        bool permits = strcmp(table[i].risk, "low") == 0;
        question.declared_risk = permits ? "medium" : "low";
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("{\"auto\":\"low\",\"rules\":[" RULE("r", "\"during\":\"c\"", "%s") "]}", table[i].risk);
        STANCH_AUTO_FREE char *calendars = stanch_asprintf(table[i].on ? "{\"c\":%s}" : "{}", table[i].on);
        STANCH_AUTO_JSON json_t *during = json_loads(calendars, 0, NULL);
        question.during = during;
        char got[300];
        decide(text, &question, "[]", got);
        if (strcmp(got, table[i].got) != 0)
            fail_msg("%s during %s: %s", table[i].risk, calendars, got);
        struct stanch_policy *policy = make(text);
        STANCH_AUTO_JSON json_t *names = stanch_policy_calendars(policy);
        assert_int_equal(json_array_size(names), 1);
        assert_string_equal(json_string_value(json_array_get(names, 0)), "c");
        stanch_policy_free(policy);
    }
}

/* Each rule says the first of its conditions that does not hold; the first that matches decides. */
static void explains_every_rule(void **state)
{
    static const struct {
        const char *when, *verdict, *because;
    } table[] = {
        {"\"environment\":\"staging\"", "no", "environment is \"prod\", the rule is for \"staging\""},
        {"\"action\":\"drain\",\"runbook\":\"other\"", "no",
         "runbook is \"checkout-errors\", the rule is for \"other\""},
        {"\"severity\":[\"sev1\"]", "no", "severity is sev2, the rule is for [\"sev1\"]"},
        {"\"target\":\"edge/b*\"", "no",
         "not every target is one of \"edge/b*\"; a rule that permits must name every target"},
        {"\"max_reach\":0.1", "no", "the reach is 0.25, the rule is for 0.1 at most"},
        {"\"plugin\":\"haproxy\"", "decides", ""},
        {"\"action\":\"*\"", "matches", ""},
    };
    (void)state;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_text(&text, "{\"auto\":\"low\",\"rules\":[");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        stanch_buf_printf(&text, "%s{\"name\":\"r\",\"line\":%zu,\"when\":{%s},\"risk\":\"low\"}", i ? "," : "", i + 1,
                          table[i].when);
    stanch_buf_text(&text, "]}");
    struct stanch_policy *policy = make(stanch_buf_str(&text));
    STANCH_AUTO_JSON json_t *targets = json_pack("[s, s]", "edge/a1", "edge/b1");
    struct stanch_policy_question question = drain();
    question.targets = targets;
    STANCH_AUTO_JSON json_t *told = stanch_policy_explain(policy, &question);
    assert_int_equal(json_array_size(told), sizeof table / sizeof *table);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const json_t *one = json_array_get(told, i);
        assert_int_equal(stanch_json_int(one, "line", 0), i + 1);
        assert_string_equal(stanch_json_str(one, "verdict", ""), table[i].verdict);
        assert_string_equal(stanch_json_str(one, "because", ""), table[i].because);
    }
    stanch_policy_free(policy);
}

static void rule_digest(const char *line, const char *when, char ret[65])
{
    STANCH_AUTO_FREE char *text = stanch_asprintf(
        "{\"auto\":\"low\",\"rules\":[{\"name\":\"r\",\"line\":%s,\"when\":{%s},\"risk\":\"low\"}]}", line, when);
    struct stanch_policy *policy = make(text);
    struct stanch_policy_question question = drain();
    struct stanch_policy_decision decision;
    stanch_policy_decide(policy, &question, &decision);
    assert_int_equal(json_array_size(decision.rules), 1);
    strcpy(ret, stanch_json_str(json_array_get(decision.rules, 0), "digest", ""));
    assert_int_equal(strlen(ret), 64);
    stanch_policy_decision_done(&decision);
    stanch_policy_free(policy);
}

static void a_rule_is_known_by_what_it_says_not_by_its_line(void **state)
{
    (void)state;
    char a[65], moved[65], changed[65];
    rule_digest("3", "\"action\":\"drain\"", a);
    rule_digest("9", "\"action\":\"drain\"", moved);
    rule_digest("3", "\"action\":\"dr*\"", changed);
    assert_string_equal(a, moved);
    assert_string_not_equal(a, changed);
    struct stanch_policy *one = make("{\"auto\":\"low\"}"), *same = make("{\"auto\":\"low\"}"), *none = make(NULL);
    assert_string_equal(stanch_policy_digest(one), stanch_policy_digest(same));
    assert_string_not_equal(stanch_policy_digest(one), stanch_policy_digest(none));
    stanch_policy_free(one);
    stanch_policy_free(same);
    stanch_policy_free(none);
}

static void refuses_what_it_does_not_understand(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"auto\":\"lots\"}",
        "{\"auto\":\"forbidden\"}",
        "{\"conflicts\":\"maybe\"}",
        "{\"conflicts\":\"\"}",
        "{\"approve\":{\"high\":{\"quorum\":0}}}",
        "{\"approve\":{\"high\":{\"expires_ms\":86400001}}}",
        "{\"approve\":{\"high\":{\"role\":\"\"}}}",
        "{\"escalation\":[{\"to\":\"boss\"}]}",
        "{\"escalation\":[{}]}",
        "{\"escalation\":[{\"to\":\"pool\",\"within_ms\":0}]}",
        "{\"rules\":[{\"when\":{},\"risk\":\"none\"}]}",
        "{\"rules\":[{\"when\":{}}]}",
        "{\"rules\":[{\"risk\":\"low\"}]}",
        "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STANCH_AUTO_JSON json_t *data = json_loads(bad[i], 0, NULL);
        struct stanch_policy *policy = NULL;
        struct stanch_err err = {0};
        if (stanch_policy_new(data, &policy, &err) != STANCH_E_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.text[0] != 0);
    }
}

static void the_ladder_ends_in_its_last_rung(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *ladder = json_loads("[{\"to\":\"lead\",\"within_ms\":1000},{\"to\":\"role\"}]", 0, NULL);
    const char *to = NULL;
    int64_t within_ms = 0;
    assert_int_equal(stanch_escalation_next(ladder, 0, &to, &within_ms), 1);
    assert_string_equal(to, "lead");
    assert_int_equal(within_ms, 1000);
    assert_int_equal(stanch_escalation_next(ladder, 1, &to, &within_ms), 2);
    assert_string_equal(to, "role");
    assert_int_equal(within_ms, STANCH_ESCALATION_WITHIN_MS);
    assert_int_equal(stanch_escalation_next(ladder, 2, &to, &within_ms), 2);
    assert_string_equal(to, "role");
    assert_int_equal(stanch_escalation_next(NULL, 0, &to, &within_ms), 0);
    assert_string_equal(to, "pool");
}

static void conflicts_ask_unless_they_are_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        bool asks;
    } rows[] = {{NULL, true},
                {"{\"auto\":\"high\"}", true},
                {"{\"auto\":\"high\",\"conflicts\":\"ask\"}", true},
                {"{\"auto\":\"high\",\"conflicts\":\"allow\"}", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stanch_policy *policy = make(rows[i].policy);
        assert_int_equal(stanch_policy_asks_on_conflict(policy), rows[i].asks);
        stanch_policy_free(policy);
    }
}

/* What is refused whatever comes; a rule that may decide otherwise makes it uncertain. */
static void knows_what_is_never_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        bool never;
    } cases[] = {
        {NULL, false},
        {RULES(""), false},
        {RULES(RULE("no", "\"action\":\"drain\"", "forbidden")), true},
        {RULES(RULE("no", "\"plugin\":\"haproxy\",\"effect\":\"mitigate\"", "forbidden")), true},
        {RULES(RULE("no", "\"effect\":\"undo\"", "forbidden")), false},
        {RULES(RULE("no", "\"action\":\"weight\"", "forbidden")), false},
        {RULES(RULE("no", "\"runbook\":\"checkout-*\"", "forbidden")), true},
        {RULES(RULE("no", "\"environment\":\"staging\"", "forbidden")), false},
        {RULES(RULE("no", "\"severity\":[\"sev1\"]", "forbidden")), false},
        {RULES(RULE("no", "\"target\":\"db/*\"", "forbidden")), false},
        {RULES(RULE("no", "\"during\":\"freezes\"", "forbidden")), false},
        {RULES(RULE("no", "\"max_reach\":0.5", "forbidden")), false},
        {RULES(RULE("yes", "\"severity\":[\"sev1\"]", "low") "," RULE("no", "", "forbidden")), false},
        {RULES(RULE("other", "\"action\":\"weight\"", "low") "," RULE("no", "", "forbidden")), true},
        {RULES(RULE("some", "\"severity\":[\"sev1\"]", "forbidden") "," RULE("no", "", "forbidden")), true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stanch_policy *policy = make(cases[i].policy);
        struct stanch_policy_question question = drain();
        char why[256] = "";
        assert_int_equal(stanch_policy_never_allows(policy, &question, why), cases[i].never);
        assert_string_equal(why, cases[i].never ? "the policy's rule \"no\" (line 3) forbids it, always" : "");
        stanch_policy_free(policy);
    }
}

int main(void)
{
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conflicts_ask_unless_they_are_allowed),
        cmocka_unit_test(without_a_policy_everything_asks),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(every_condition_must_hold),
        cmocka_unit_test(what_is_unknown_is_not_permitted),
        cmocka_unit_test(a_runbook_only_raises),
        cmocka_unit_test(tells_who_why_and_by_which_rule),
        cmocka_unit_test(a_calendar_that_is_not_known_permits_nothing),
        cmocka_unit_test(explains_every_rule),
        cmocka_unit_test(a_rule_is_known_by_what_it_says_not_by_its_line),
        cmocka_unit_test(the_ladder_ends_in_its_last_rung),
        cmocka_unit_test(refuses_what_it_does_not_understand),
        cmocka_unit_test(knows_what_is_never_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
