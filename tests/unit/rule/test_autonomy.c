/* test_autonomy.c: the first rule of a runbook's name decides, and what is left out is as for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "rule/policy.h"

static void check(const char *policy_text, const char *runbook, enum stanch_autonomy_mode mode, bool changed_asks,
                  const char *rule)
{
    STANCH_AUTO_JSON json_t *data = policy_text ? json_loads(policy_text, 0, NULL) : NULL;
    struct stanch_policy *policy = NULL;
    struct stanch_autonomy autonomy;
    struct stanch_err err;
    assert_int_equal(stanch_policy_new(data, &policy, &err), 0);
    stanch_policy_autonomy(policy, runbook, &autonomy);
    assert_int_equal(autonomy.mode, mode);
    assert_int_equal(autonomy.changed_asks, changed_asks);
    assert_string_equal(autonomy.rule, rule);
    stanch_policy_free(policy);
}

static void what_is_changed_asks_unless_the_policy_says_otherwise(void **state)
{
    (void)state;
    check("{}", "heal", STANCH_AUTONOMY_AUTO, true, "");
    check("{\"autonomy_changed\":\"auto\"}", "heal", STANCH_AUTONOMY_AUTO, false, "");
    check("{\"autonomy\":\"observe\"}", "heal", STANCH_AUTONOMY_OBSERVE, true, "");
    check(NULL, "heal", STANCH_AUTONOMY_AUTO, false, ""); /* without a policy all of it asks */
}

static void the_first_rule_of_its_name_decides(void **state)
{
    (void)state;
    static const char text[] = "{\"autonomy\":\"suggest\",\"autonomy_changed\":\"auto\",\"runbook_rules\":["
                               "{\"name\":\"one\",\"runbook\":\"he?l\",\"autonomy\":\"observe\"},"
                               "{\"name\":\"two\",\"runbook\":\"h*\",\"autonomy\":\"auto\"},"
                               "{\"name\":\"three\",\"runbook\":\"x\",\"autonomy_changed\":\"suggest\"}]}";
    check(text, "heal", STANCH_AUTONOMY_OBSERVE, false, "one");
    check(text, "help", STANCH_AUTONOMY_AUTO, false, "two");
    check(text, "x", STANCH_AUTONOMY_SUGGEST, true, "three");
    check(text, "y", STANCH_AUTONOMY_SUGGEST, false, "");
}

static void what_is_wrong_is_no_policy(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"autonomy\":\"some\"}",
        "{\"autonomy\":1}",
        "{\"autonomy_changed\":\"observe\"}",
        "{\"autonomy_changed\":true}",
        "{\"runbook_rules\":[{\"runbook\":\"x\",\"autonomy\":\"all\"}]}",
        "{\"runbook_rules\":[{\"autonomy\":\"auto\"}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        STANCH_AUTO_JSON json_t *data = json_loads(wrong[i], 0, NULL);
        struct stanch_policy *policy = NULL;
        struct stanch_err err;
        assert_non_null(data);
        assert_int_equal(stanch_policy_new(data, &policy, &err), STANCH_E_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_changed_asks_unless_the_policy_says_otherwise),
        cmocka_unit_test(the_first_rule_of_its_name_decides),
        cmocka_unit_test(what_is_wrong_is_no_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
