/* What a run asks and gets, through the real runner and a real worker. */
#include "worker_kit.h"

static int begin(void **state)
{
    struct kit *kit = STANCH_NEW(struct kit);
    kit_start(kit, NULL);
    *state = kit;
    return 0;
}

static int end(void **state)
{
    kit_stop(*state);
    free(*state);
    return 0;
}

static json_t *answer_plainly(struct act *act, const json_t *want)
{
    const char *op = stanch_json_str(want, "op", "");
    (void)act;
    if (strcmp(op, "action") == 0)
        return json_pack("{s:{s:{s:i}, s:s}}", "ok", "value", "weight", 7, "mitigation", "M-3");
    if (strcmp(op, "now") == 0)
        return json_pack("{s:I}", "ok", (json_int_t)1700000000000);
    return json_pack("{s:{}}", "ok");
}

static void a_run_asks_step_by_step(void **state)
{
    struct act act = {.answer = answer_plainly};
    act_run_body(*state, &act,
                 "note('began %s', incident.id)\n"
                 "sleep '15s'\n"
                 "local m = edge.drain { backend = 'b', server = p.server, lease = '1h', because = 'errors' }\n"
                 "return { m = m.mitigation, w = m.value.weight, at = now(), text = tostring(m) }");
    assert_string_equal(act.err.text, "");
    assert_int_equal(act.rc, 0);
    assert_int_equal(json_array_size(act.wants), 4);
    assert_string_equal(act_op(&act, 0), "note");
    assert_string_equal(stanch_json_str(act_args(&act, 0), "text", ""), "began INC-1");
    assert_int_equal(stanch_json_int(json_array_get(act.wants, 0), "line", 0), 4);
    assert_string_equal(stanch_json_str(json_array_get(act.wants, 0), "file", ""), "a.lua");
    assert_int_equal(stanch_json_int(act_args(&act, 1), "ms", 0), 15000);
    const json_t *args = act_args(&act, 2);
    assert_string_equal(stanch_json_str(args, "instance", ""), "edge-eu");
    assert_string_equal(stanch_json_str(args, "because", ""), "errors");
    assert_int_equal(stanch_json_int(args, "lease_ms", 0), 3600000);
    assert_string_equal(stanch_json_str(json_object_get(args, "args"), "server", ""), "s1");
    assert_string_equal(stanch_json_str(act.result, "m", ""), "M-3");
    assert_int_equal(stanch_json_int(act.result, "w", 0), 7);
    assert_string_equal(stanch_json_str(act.result, "text", ""), "mitigation M-3 (edge-eu.drain)");
    act_done(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_asks_step_by_step),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
