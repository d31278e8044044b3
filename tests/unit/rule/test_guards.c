/* test_guards.c: what of the policy goes by what has happened is read whole, or the policy is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "rule/policy.h"

static void what_is_left_out_is_no_limit(void **state)
{
    (void)state;
    struct stanch_policy *policy = NULL;
    struct stanch_err err;
    assert_int_equal(stanch_policy_new(NULL, &policy, &err), 0);
    const struct stanch_guard_limits *limits = &stanch_policy_guards(policy)->limits;
    assert_false(limits->any);
    assert_true(limits->reach < 0 && limits->reach_per_incident < 0 && limits->reach_per_hour < 0);
    stanch_policy_free(policy);
}

static void limits_are_read(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *data =
        json_loads("{\"limits\":{\"actions\":{\"count\":20,\"within_ms\":3600000},\"cooldown_ms\":300000,"
                   "\"reach\":0.5,\"reach_per_hour\":0}}",
                   0, NULL);
    struct stanch_guards guards;
    struct stanch_err err;
    assert_int_equal(stanch_guards_read(data, &guards, &err), 0);
    assert_true(guards.limits.any);
    assert_int_equal(guards.limits.actions.count, 20);
    assert_int_equal(guards.limits.actions.within_ms, 3600000);
    assert_int_equal(guards.limits.per_target.count, 0);
    assert_int_equal(guards.limits.cooldown_ms, 300000);
    assert_true(guards.limits.reach > 0.49 && guards.limits.reach < 0.51);
    assert_true(guards.limits.reach_per_incident < 0);
    assert_true(guards.limits.reach_per_hour >= 0); /* none at all is a limit */
}

static void the_breaker_is_on_unless_it_is_turned_off(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        bool on;
        int64_t after, within_ms, closes_after_ms;
    } said[] = {
        {"{}", true, 3, 3600000, 1800000},
        {"{\"breaker\":{\"after\":1,\"within_ms\":5000}}", true, 1, 5000, 1800000},
        {"{\"breaker\":false}", false, 3, 3600000, 1800000},
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        STANCH_AUTO_JSON json_t *data = json_loads(said[i].data, 0, NULL);
        struct stanch_guards guards;
        struct stanch_err err;
        assert_int_equal(stanch_guards_read(data, &guards, &err), 0);
        assert_int_equal(guards.breaker.on, said[i].on);
        assert_int_equal(guards.breaker.after, said[i].after);
        assert_int_equal(guards.breaker.within_ms, said[i].within_ms);
        assert_int_equal(guards.breaker.closes_after_ms, said[i].closes_after_ms);
    }
}

static void what_is_wrong_is_no_policy(void **state)
{
    (void)state;
    static const struct {
        const char *data, *says;
    } wrong[] = {
        {"{\"limits\":{\"actions\":{\"count\":0,\"within_ms\":1}}}", "limits.actions"},
        {"{\"limits\":{\"per_target\":\"3/1h\"}}", "limits.per_target"},
        {"{\"limits\":{\"per_instance\":{\"count\":1,\"within_ms\":99999999999}}}", "limits.per_instance"},
        {"{\"limits\":{\"reach\":1.5}}", "limits.reach"},
        {"{\"limits\":{\"reach_per_incident\":\"all\"}}", "limits.reach_per_incident"},
        {"{\"limits\":{\"cooldown_ms\":-1}}", "limits.cooldown"},
        {"{\"breaker\":true}", "breaker: expected false"},
        {"{\"breaker\":{\"after\":0}}", "breaker: expected false"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        STANCH_AUTO_JSON json_t *data = json_loads(wrong[i].data, 0, NULL);
        struct stanch_policy *policy = NULL;
        struct stanch_err err;
        assert_non_null(data);
        assert_int_equal(stanch_policy_new(data, &policy, &err), STANCH_E_INVALID);
        assert_null(policy);
        assert_non_null(strstr(err.text, wrong[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_is_no_limit),
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(the_breaker_is_on_unless_it_is_turned_off),
        cmocka_unit_test(what_is_wrong_is_no_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
