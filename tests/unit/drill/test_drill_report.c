/* test_drill_report.c: what is promised and measured as rows, and the report of a drill as Markdown, letter by letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "drill/drill.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *parsed(const char *text)
{
    json_error_t why;
    json_t *value = json_loads(text, 0, &why);
    if (!value)
        fail_msg("%s: %s", why.text, text);
    return value;
}

/* cmocka cuts long texts: say where they part. */
static void hold_text(const char *text, const char *expected)
{
    size_t at = 0;
    while (text[at] && text[at] == expected[at])
        at++;
    if (text[at] != expected[at])
        fail_msg("after %zu bytes: \"%.60s\", expected \"%.60s\"", at, text + at, expected + at);
}

static void hold_markdown(const char *report, const char *expected)
{
    STANCH_AUTO_JSON json_t *value = parsed(report);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_drill_markdown(value, &text);
    hold_text(stanch_buf_str(&text), expected);
}

/* ---- Markdown ---- */

static void what_is_not_there_is_not_told(void **state)
{
    (void)state;
    hold_markdown("{\"drill\":\"d\",\"kind\":\"virtual\",\"lasted_ms\":3000,\"met\":0,\"of\":0}",
                  "# Drill: d\n\nKind virtual: a simulated world and simulated people, in virtual time; nothing real "
                  "was touched. "
                  "It lasted 3s.\n\n**0 of 0 promises were met.**\n");
}

static void it_says_what_was_real(void **state)
{
    (void)state;
    hold_markdown(
        "{\"drill\":\"d\",\"kind\":\"exercise\",\"lasted_ms\":3000,\"met\":0,\"of\":0}",
        "# Drill: d\n\nKind exercise: a simulated world and real people, by the clock; nothing real was touched. "
        "It lasted 3s.\n\n**0 of 0 promises were met.**\n");
    hold_markdown(
        "{\"drill\":\"d\",\"kind\":\"staging\",\"lasted_ms\":3000,\"met\":0,\"of\":0,"
        "\"ended\":\"stopped\",\"left\":\"edge.drain\"}",
        "# Drill: d\n\nKind staging: real people, by the clock, and some real instances, of an environment that is "
        "there for it. It lasted 3s.\n\n**0 of 0 promises were met.**\n\n"
        "**It was ended before its time:** stopped\n\n**Not taken back in real instances:** edge.drain\n");
}

static void everything_is_told(void **state)
{
    (void)state;
    hold_markdown(
        "{\"drill\":\"checkout\",\"kind\":\"virtual\",\"summary\":\"It fails\",\"owner\":\"team\",\"objectives\":[\"be "
        "fast\",\"be right\"],"
        "\"lasted_ms\":61000,\"met\":1,\"of\":2,\"broken\":\"no answer\",\"result\":\"checkout-2\","
        "\"promises\":[{\"promise\":\"detect\",\"target\":\"1m\",\"measured\":\"20ms\",\"met\":true,\"why\":\"the "
        "longest, in INC-1\"},"
        "{\"promise\":\"pages\",\"target\":\"0 at most\",\"measured\":\"1\",\"met\":false}],"
        "\"times\":[{\"what\":\"detect\",\"count\":1,\"median_ms\":20,\"worst_ms\":20,\"worst_in\":\"INC-1\","
        "\"missing\":[]},"
        "{\"what\":\"resolve\",\"count\":0,\"median_ms\":null,\"worst_ms\":null,\"worst_in\":\"\",\"missing\":[\"INC-"
        "1\"]}],"
        "\"incidents\":[{\"incident\":\"INC-1\",\"title\":\"Errors\",\"severity\":\"sev3\",\"state\":\"mitigating\","
        "\"at_ms\":1,"
        "\"runbooks\":[\"heal\"],\"times\":{\"detect\":20,\"resolve\":null}}],"
        "\"waits\":[{\"approval\":\"A-1\",\"incident\":\"INC-1\",\"what\":\"edge.drain\",\"role\":\"ic\",\"asked_ms\":"
        "10,"
        "\"waited_ms\":60000,\"outcome\":\"answered\",\"answer\":\"keep\",\"by\":[\"ada\",\"bob\"]}],"
        "\"runs\":[{\"run\":\"R-1\",\"runbook\":\"heal\",\"incident\":\"INC-1\",\"state\":\"succeeded\",\"why\":\"\"},"
        "{\"run\":\"R-2\",\"runbook\":\"heal\",\"incident\":\"INC-1\",\"state\":\"failed\",\"why\":\"no\"}],"
        "\"decisions\":[{\"approval\":\"A-1\",\"incident\":\"INC-1\",\"who\":\"ada\",\"decision\":\"deny\",\"verdict\":"
        "\"wrong\","
        "\"why\":\"approve was right\",\"at_ms\":70000}],"
        "\"failed_steps\":[{\"step\":\"R-2/"
        "1\",\"incident\":\"INC-1\",\"what\":\"edge.drain\",\"how\":\"step.answered\",\"why\":\"down\","
        "\"at_ms\":5}],"
        "\"in_force\":[{\"id\":\"M-1\",\"instance\":\"edge\",\"action\":\"drain\"}],"
        "\"past\":[{\"result\":\"checkout-1\",\"met\":2,\"of\":2,\"worst_ms\":{\"detect\":40,\"resolve\":null}}],"
        "\"findings\":[{\"result\":\"checkout-1\",\"n\":1,\"text\":\"slow\",\"owner\":\"ada\",\"due\":\"2027-01-31\","
        "\"done\":false},"
        "{\"result\":\"checkout-1\",\"n\":2,\"text\":\"deaf\",\"owner\":\"bob\",\"due\":\"2027-02-28\",\"done\":true}]"
        "}",
        "# Drill: checkout\n\nIt fails\n\nKind virtual: a simulated world and simulated people, in virtual time; "
        "nothing real was touched. "
        "It lasted 1m1s. Owner: team. Kept as checkout-2.\n\n**1 of 2 promises were met.**\n\n**The scenario broke "
        "off:** no answer\n\n"
        "Objectives:\n\n- be fast\n- be right\n\n"
        "## Promises\n\n| promise | target | measured | verdict | why |\n| --- | --- | --- | --- | --- |\n"
        "| detect | 1m | 20ms | met | the longest, in INC-1 |\n| pages | 0 at most | 1 | **missed** |  |\n\n"
        "## Times over all incidents\n\n| time to | incidents | median | longest | in | never in |\n"
        "| --- | --- | --- | --- | --- | --- |\n| detect | 1 | 20ms | 20ms | INC-1 | - |\n| resolve | 0 | - | - | - | "
        "INC-1 |\n\n"
        "## Incidents\n\n| incident | title | severity | state | at | runbooks | detect | acknowledge | first "
        "mitigation | mitigate | "
        "resolve |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| INC-1 | Errors | sev3 | mitigating | 1ms | heal | 20ms | - | - | - | - |\n\n"
        "## What waited on whom\n\n| question | incident | what | role | asked at | waited | outcome | by |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| A-1 | INC-1 | edge.drain | ic | 10ms | 1m | answered: keep | ada, bob |\n\n"
        "## Runs that did not go through\n\n| run | runbook | incident | state | why |\n| --- | --- | --- | --- | --- "
        "|\n"
        "| R-2 | heal | INC-1 | failed | no |\n\n"
        "## Decisions that were wrong or late\n\n| at | question | incident | who | decision | verdict | why |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n| 1m10s | A-1 | INC-1 | ada | deny | wrong | approve was right "
        "|\n\n"
        "## Steps that failed\n\n| at | step | incident | what | why |\n| --- | --- | --- | --- | --- |\n"
        "| 5ms | R-2/1 | INC-1 | edge.drain | down |\n\n"
        "## Still in force at the end\n\n- M-1: edge.drain\n\n"
        "## Beside the last ones\n\n```text\npromises met\n"
        "  checkout-1                       2 of 2       ####################\n"
        "  this one                         1 of 2       ##########\n"
        "longest time to detect\n"
        "  checkout-1                       40ms         ####################\n"
        "  this one                         20ms         ##########\n```\n\n"
        "## Action items\n\n| of | n | what | owner | due | state |\n| --- | --- | --- | --- | --- | --- |\n"
        "| checkout-1 | 1 | slow | ada | 2027-01-31 | **open** |\n| checkout-1 | 2 | deaf | bob | 2027-02-28 | done "
        "|\n");
}

/* Each text that a scenario, an alert or a person can choose, as one that wants to be more than a text. */
static void texts_are_only_texts(void **state)
{
    static const char report[] =
        "{\"drill\":\"X\",\"kind\":\"X\",\"summary\":\"X\",\"owner\":\"X\",\"objectives\":[\"X\"],\"lasted_ms\":1,"
        "\"met\":0,\"of\":1,"
        "\"broken\":\"X\",\"promises\":[{\"promise\":\"X\",\"target\":\"X\",\"measured\":\"X\",\"met\":false,\"why\":"
        "\"X\"}],"
        "\"times\":[{\"what\":\"X\",\"count\":0,\"median_ms\":null,\"worst_ms\":null,\"worst_in\":\"X\",\"missing\":["
        "\"X\"]}],"
        "\"incidents\":[{\"incident\":\"X\",\"title\":\"X\",\"severity\":\"X\",\"state\":\"X\",\"at_ms\":1,"
        "\"runbooks\":[\"X\"],\"times\":{}}],"
        "\"waits\":[{\"approval\":\"X\",\"incident\":\"X\",\"what\":\"X\",\"role\":\"X\",\"asked_ms\":1,\"waited_ms\":"
        "1,\"outcome\":\"X\","
        "\"answer\":\"X\",\"by\":[\"X\"]}],\"runs\":[{\"run\":\"X\",\"runbook\":\"X\",\"incident\":\"X\",\"state\":"
        "\"X\",\"why\":\"X\"}],"
        "\"decisions\":[{\"approval\":\"X\",\"incident\":\"X\",\"who\":\"X\",\"decision\":\"X\",\"verdict\":\"X\","
        "\"why\":\"X\",\"at_ms\":1}],"
        "\"failed_steps\":[{\"step\":\"X\",\"incident\":\"X\",\"what\":\"X\",\"why\":\"X\",\"at_ms\":1}],"
        "\"in_force\":[{\"id\":\"X\",\"instance\":\"X\",\"action\":\"X\"}],"
        "\"findings\":[{\"result\":\"X\",\"n\":1,\"text\":\"X\",\"owner\":\"X\",\"due\":\"X\",\"done\":false}]}";
    STANCH_AUTO_BUF struct stanch_buf given = {0}, text = {0};
    (void)state;
    for (const char *at = report; *at; at++)
        if (*at == 'X')
            stanch_buf_text(&given, "a\\n# b | <img> [l](http://x) `c` @d");
        else
            stanch_buf_char(&given, *at);
    STANCH_AUTO_JSON json_t *value = parsed(stanch_buf_str(&given));
    stanch_drill_markdown(value, &text);
    const char *told = stanch_buf_str(&text);
    assert_null(strstr(told, "<img"));
    assert_null(strstr(told, "\n# b"));
    assert_null(strstr(told, "b | <"));
    assert_null(strstr(told, " `c`"));
    assert_null(strstr(told, " @d"));
    assert_non_null(strstr(told, "# Drill: a \\# b \\| &lt;img&gt; \\[l\\](http\\://x) \\`c\\` \\@d\n"));
}

/* A kept file that somebody wrote by hand. */
static void what_is_no_text_is_nothing(void **state)
{
    (void)state;
    hold_markdown(
        "{\"drill\":1,\"kind\":[],\"lasted_ms\":\"x\",\"met\":\"x\",\"of\":1,\"objectives\":[{}],\"promises\":[1],"
        "\"times\":{},\"waits\":[{\"by\":[1,\"ada\"]}],\"findings\":[null]}",
        "# Drill: -\n\nKind -: this release does not know what was real in it. "
        "It lasted -.\n\n**0 of 1 promises were met.**\n\nObjectives:\n\n- -\n\n"
        "## Promises\n\n| promise | target | measured | verdict | why |\n| --- | --- | --- | --- | --- |\n"
        "| - | - | - | **missed** |  |\n\n"
        "## What waited on whom\n\n| question | incident | what | role | asked at | waited | outcome | by |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n| - | - | - | - | - | - | - | -, ada |\n\n"
        "## Action items\n\n| of | n | what | owner | due | state |\n| --- | --- | --- | --- | --- | --- |\n"
        "| - | 0 | - | - | - | **open** |\n");
}

/* ---- promises ---- */

static const char SCORE[] =
    "{\"times\":[{\"what\":\"detect\",\"worst_ms\":20,\"worst_in\":\"INC-1\",\"missing\":[]},"
    "{\"what\":\"acknowledge\",\"worst_ms\":null,\"worst_in\":\"\",\"missing\":[]},"
    "{\"what\":\"mitigate\",\"worst_ms\":5,\"worst_in\":\"INC-1\",\"missing\":[\"INC-2\"]},"
    "{\"what\":\"resolve\",\"worst_ms\":60001,\"worst_in\":\"INC-2\",\"missing\":[]}],"
    "\"incidents\":[{\"runbooks\":[\"heal\"]},{\"runbooks\":[]}],"
    "\"runs\":[{\"state\":\"succeeded\"},{\"state\":\"held\"},{\"state\":\"failed\"},{\"state\":\"succeeded\"}],"
    "\"waits\":[{\"approval\":\"A-1\",\"waited_ms\":1000,\"outcome\":\"expired\"},{\"approval\":\"A-2\",\"waited_ms\":"
    "3000}],"
    "\"decisions\":[{\"verdict\":\"late\"}],\"failed_steps\":[{},{}],\"pages\":1}";

/* expected: "promise target measured +|-: why" of each row, a line each */
static void hold_promises(const char *good, const char *failures, const char *expected)
{
    STANCH_AUTO_FREE char *text = stanch_asprintf("{\"good\":%s}", good);
    STANCH_AUTO_JSON json_t *scenario = parsed(text), *score = parsed(SCORE), *failed = parsed(failures);
    STANCH_AUTO_JSON json_t *seen = parsed(
        "{\"in_force\":[{\"instance\":\"fx\",\"action\":\"set\"},{\"instance\":\"edge\",\"action\":\"drain\"}]}");
    STANCH_AUTO_JSON json_t *rows = stanch_drill_promises(scenario, score, seen, failed);
    STANCH_AUTO_BUF struct stanch_buf told = {0};
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *why = stanch_json_str(row, "why", NULL);
        stanch_buf_printf(&told, "%s|%s|%s|%s%s%s\n", stanch_json_str(row, "promise", ""),
                          stanch_json_str(row, "target", ""), stanch_json_str(row, "measured", ""),
                          stanch_json_bool(row, "met", false) ? "+" : "-", why ? "|" : "", why ? why : "");
    }
    assert_string_equal(stanch_buf_str(&told), expected);
}

static void promises_are_rows_in_one_order(void **state)
{
    (void)state;
    hold_promises("null", "[]", "");
    hold_promises("{\"resolve\":60000,\"mitigate\":60000,\"acknowledge\":1,\"detect\":20,\"approval\":2999}", "[]",
                  "detect|20ms|20ms|+|the longest, in INC-1\n"
                  "acknowledge|1ms|-|+|there was nothing to measure\n"
                  "mitigate|1m|5ms|-|it did not happen in INC-2\n"
                  "resolve|1m|1m1ms|-|the longest, in INC-2\n"
                  "approval|2s999ms|3s|-|the longest, in A-2\n");
    hold_promises("{\"outcome\":\"succeeded\",\"in_force\":[\"fx.set\",\"edge.drain\"],\"wrong_decisions\":0,\"late_"
                  "decisions\":0,"
                  "\"expired\":1,\"failed_steps\":1,\"unmatched\":0,\"pages\":1}",
                  "[\"notes: nothing says so\"]",
                  "outcome|succeeded|2 succeeded, 1 failed|-\n"
                  "in_force|edge.drain, fx.set|edge.drain, fx.set|+\n"
                  "wrong_decisions|0 at most|0|+\n"
                  "late_decisions|0 at most|1|-\n"
                  "expired|1 at most|1|+\n"
                  "failed_steps|1 at most|2|-\n"
                  "unmatched|0 at most|1|-\n"
                  "pages|1 at most|1|+\n"
                  "expect|as the scenario expects|notes: nothing says so|-\n");
    hold_promises("{\"in_force\":[]}", "[]", "in_force|nothing|edge.drain, fx.set|-\n");
}

/* ---- side by side ---- */

static void results_stand_beside_each_other(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *kept = parsed("[{\"drill\":\"d|1\",\"number\":1,\"result\":\"d-1-1\",\"scenario\":"
                                           "\"aaaaaaaaaa\",\"runbooks\":\"b\",\"findings\":[],\"report\":"
                                           "{\"met\":1,\"of\":1,\"promises\":[{\"promise\":\"detect\",\"target\":"
                                           "\"1m\",\"measured\":\"2s\",\"met\":true}],"
                                           "\"times\":[{\"what\":\"detect\",\"worst_ms\":2000}]}},"
                                           "{\"drill\":\"d|1\",\"number\":2,\"result\":\"d-1-2\",\"scenario\":"
                                           "\"aaaaaaaaaa\",\"runbooks\":\"c|\",\"findings\":[],\"report\":"
                                           "{\"met\":0,\"of\":1,\"promises\":[{\"promise\":\"pages\",\"target\":\"0 at "
                                           "most\",\"measured\":\"1\",\"met\":false}],\"times\":[]}}]");
    STANCH_AUTO_JSON json_t *compared = stanch_drill_compare(kept);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_drill_compare_markdown(compared, &text);
    assert_string_equal(stanch_buf_str(&text), "# Drills: d\\|1\n\n| | d-1-1 | d-1-2 |\n| --- | --- | --- |\n"
                                               "| promises met | 1 of 1 | 0 of 1 |\n"
                                               "| detect | 2s of 1m, met | - |\n"
                                               "| pages | - | 1 of 0 at most, missed |\n"
                                               "| longest time to detect | 2s | - |\n"
                                               "| longest time to acknowledge | - | - |\n"
                                               "| longest time to first mitigation | - | - |\n"
                                               "| longest time to mitigate | - | - |\n"
                                               "| longest time to resolve | - | - |\n"
                                               "| scenario | aaaaaaaa | aaaaaaaa |\n"
                                               "| runbooks | b | c\\| |\n");
}

/* ---- kept ---- */

static void numbers_go_on_and_names_are_only_names(void **state)
{
    char folder[] = "/tmp/stanch-drill-test-XXXXXX";
    static const char *const names[] = {"../../etc", "../../etc", "..", "x"}, *const results[] = {"etc-1", "etc-2",
                                                                                                  "drill-1", "x-1"};
    struct stanch_err err = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 4; i++) {
        STANCH_AUTO_JSON json_t *result =
            json_pack("{s:s, s:s, s:s, s:{s:i, s:i}, s:[]}", "drill", names[i], "scenario", "", "runbooks", "",
                      "report", "met", 1, "of", 1, "findings");
        STANCH_AUTO_FREE char *name = NULL;
        if (stanch_drill_keep(folder, result, &name, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(name, results[i]);
    }
    STANCH_AUTO_JSON json_t *kept = NULL;
    assert_int_equal(stanch_drill_kept(folder, "../../etc", &kept, &err), 0);
    assert_int_equal(json_array_size(kept), 2);
    assert_string_equal(stanch_json_str(json_array_get(kept, 1), "result", ""), "etc-2");
    for (size_t i = 0; i < 4; i++) {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s.json", folder, results[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_not_told),
        cmocka_unit_test(it_says_what_was_real),
        cmocka_unit_test(everything_is_told),
        cmocka_unit_test(texts_are_only_texts),
        cmocka_unit_test(what_is_no_text_is_nothing),
        cmocka_unit_test(promises_are_rows_in_one_order),
        cmocka_unit_test(results_stand_beside_each_other),
        cmocka_unit_test(numbers_go_on_and_names_are_only_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
