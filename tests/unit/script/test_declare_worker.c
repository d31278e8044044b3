/* test_declare_worker.c: the declaring language through a real worker: what core sees of a configuration, a policy and
 * the files of a commit. */
#include "worker_kit.h"

static void evaluate(struct kit *kit, struct act *act, const char *kind, const json_t *input,
                     const struct stanch_source *sources, int count)
{
    struct stanch_err err;
    struct stanch_worker_spec spec = {kind, (json_t *)(uintptr_t)input, sources, count};
    int open = 1;
    *act = (struct act){.kit = kit, .wants = json_array(), .pending = json_array(), .open = &open};
    if (stanch_worker_start(kit->runner, &spec, &act_events, act, &act->worker, &err) < 0)
        fail_msg("start: %s", err.text);
    stanch_loop_run(kit->loop);
    act->open = NULL;
    assert_true(act->ended);
}

static void evaluate_text(struct kit *kit, struct act *act, const char *kind, const char *path, const char *text)
{
    struct stanch_source source = {path, text, strlen(text)};
    json_t *input = json_pack("{s:s}", "file", path);
    evaluate(kit, act, kind, input, &source, 1);
    json_decref(input);
}

static void all_mistakes_of_a_configuration_arrive(void **state)
{
    struct act act;
    evaluate_text(*state, &act, "config", "stanch.lua",
                  "stanch { drain = 5,\n instances = { haproxy 'a' { token = secret.file 'x' } } }");
    assert_true(act.rc < 0);
    assert_string_equal(act.err.text,
                        "stanch.lua:1: drain: expected a duration like \"15s\" or \"10m\", not 5 (and 1 more)");
    const json_t *errors = json_object_get(act.result, "errors");
    assert_int_equal(json_array_size(errors), 2);
    assert_string_equal(stanch_json_str(json_array_get(errors, 1), "path", ""), "haproxy \"a\": token");
    assert_string_equal(stanch_json_str(json_array_get(errors, 1), "file", ""), "stanch.lua");
    assert_int_equal(stanch_json_int(json_array_get(errors, 1), "line", 0), 2);
    act_done(&act);
}

static void a_configuration_and_a_policy_arrive(void **state)
{
    struct act act;
    evaluate_text(*state, &act, "config", "stanch.lua", "return stanch { instances = { haproxy 'a' {} } }");
    assert_string_equal(act.err.text, "");
    assert_string_equal(stanch_json_str(json_array_get(json_object_get(act.result, "instances"), 0), "plugin", ""),
                        "haproxy");
    act_done(&act);
    evaluate_text(*state, &act, "policy", "policy.lua", "policy { rule { 'x', risk = 'low' } }");
    assert_string_equal(act.err.text, "");
    assert_int_equal(json_array_size(json_object_get(act.result, "rules")), 1);
    act_done(&act);
    evaluate_text(*state, &act, "policy", "policy.lua", "\npolicy { rule { 'x', risk = 'low' }");
    assert_true(act.rc < 0);
    assert_string_equal(stanch_json_str(act.result, "file", ""), "policy.lua");
    assert_int_equal(stanch_json_int(act.result, "line", 0), 2);
    act_done(&act);
}

static void a_commit_is_loaded_with_the_errors_of_every_file(void **state)
{
    static const char a[] = "runbook 'x' { summary = 's', owner = 'o', on = alert { a = 'b' }, run = function() end }",
                      b[] = "error 'boom'", lib[] = "error 'not read'";
    const struct stanch_source sources[] = {
        {"a.lua", a, sizeof a - 1}, {"b.lua", b, sizeof b - 1}, {"a_test.lua", lib, sizeof lib - 1}};
    struct act act;
    json_t *input = act_input();
    evaluate(*state, &act, "load", input, sources, 3);
    json_decref(input);
    assert_string_equal(act.err.text, "");
    const json_t *runbook = json_array_get(json_object_get(act.result, "runbooks"), 0);
    assert_string_equal(stanch_json_str(runbook, "path", ""), "a.lua");
    char digest[65];
    stanch_digest_hex(a, sizeof a - 1, digest);
    assert_string_equal(stanch_json_str(runbook, "digest", ""), digest);
    const json_t *errors = json_object_get(act.result, "errors");
    assert_int_equal(json_array_size(errors), 1);
    assert_string_equal(stanch_json_str(json_array_get(errors, 0), "path", ""), "b.lua");
    assert_string_equal(stanch_json_str(json_array_get(errors, 0), "text", ""), "boom");
    act_done(&act);
}

static json_t *answer_good(struct act *act, const json_t *want)
{
    (void)act;
    (void)want;
    return json_pack("{s:{s:s, s:f}}", "ok", "result", "good", "value", 0.5);
}

static void a_second_symptom_can_be_declared_and_verified(void **state)
{
    struct act act = {.answer = answer_good};
    act_run(*state, &act,
            "local prom = prometheus 'main'\n"
            "local other = symptom { ask = prom.query { expr = 'x' }, bad = '> 5', good = '< 1' }\n"
            "runbook 't' { summary = 's', uses = { prom.query }, run = function() return verify(other) end }");
    assert_string_equal(act.err.text, "");
    const json_t *symptom = json_object_get(act_args(&act, 0), "symptom");
    assert_string_equal(stanch_json_str(symptom, "good", ""), "< 1");
    assert_string_equal(stanch_json_str(json_object_get(symptom, "ask"), "action", ""), "query");
    act_done(&act);
}

static int start(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    kit_start(kit, NULL);
    *state = kit;
    return 0;
}

static int stop(void **state)
{
    kit_stop(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mistakes_of_a_configuration_arrive),
        cmocka_unit_test(a_configuration_and_a_policy_arrive),
        cmocka_unit_test(a_commit_is_loaded_with_the_errors_of_every_file),
        cmocka_unit_test(a_second_symptom_can_be_declared_and_verified),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
