/* test_report.c: incidents told back. cases/NAME.jsonl is a timeline, cases/NAME.md what is made of it, byte for byte;
 * with STANCH_RECORD=1 the latter are written anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/loop_sim.h"
#include "report/room.h"
#include "timeline/store.h"
#include <stdio.h>

#define BEGAN_MS 1763690400000LL

struct fixture {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
};

static int begin(void **state)
{
    struct fixture *f = STANCH_NEW(struct fixture);
    struct stanch_err err = {0};
    stanch_digest_init();
    f->loop = stanch_loop_sim_new(BEGAN_MS, 100000);
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    stanch_journal_close(f->journal);
    stanch_loop_sim_free(f->loop);
    free(f);
    return 0;
}

static void append(struct fixture *f, const char *chain, const char *kind, const char *by, const char *run,
                   json_t *data)
{
    struct stanch_err err = {0};
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, chain, kind, by, run, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", kind, err.text);
    stanch_loop_sim_settle(f->loop);
}

static json_t *make(struct fixture *f, const char *incident)
{
    struct stanch_err err = {0};
    json_t *report = NULL;
    if (stanch_report_make(f->journal, incident, stanch_loop_wall_ms(f->loop), &report, &err) < 0)
        fail_msg("%s", err.text);
    return report;
}

/* ---- cases ---- */

static char *case_path(const char *name, const char *ext)
{
    const char *source = getenv("STANCH_SOURCE");
    return stanch_asprintf("%s/tests/unit/report/cases/%s%s", source ? source : ".", name, ext);
}

static void tell(struct fixture *f, const char *name)
{
    STANCH_AUTO_FREE char *path = case_path(name, ".jsonl");
    char line[16384];
    FILE *in = fopen(path, "re");
    if (!in)
        fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof line, in)) {
        STANCH_AUTO_JSON json_t *one = json_loads(line, 0, NULL);
        if (!one)
            fail_msg("%s: %s", path, line);
        stanch_loop_sim_advance(f->loop, stanch_json_int(one, "after_ms", 0));
        append(f, stanch_json_str(one, "chain", "-"), stanch_json_str(one, "kind", ""),
               stanch_json_str(one, "by", "stanch"), stanch_json_str(one, "run", NULL),
               json_incref(json_object_get(one, "data")));
    }
    (void)fclose(in);
}

static void hold_to_golden(const char *name, const struct stanch_buf *text)
{
    STANCH_AUTO_FREE char *path = case_path(name, ".md");
    STANCH_AUTO_BUF struct stanch_buf golden = {0};
    char bytes[4096];
    FILE *file = fopen(path, getenv("STANCH_RECORD") ? "w+e" : "re");
    if (!file)
        fail_msg("%s cannot be opened", path);
    if (getenv("STANCH_RECORD")) {
        assert_int_equal(fwrite(stanch_buf_str(text), 1, text->len, file), text->len);
        rewind(file);
    }
    for (size_t len; (len = fread(bytes, 1, sizeof bytes, file)) > 0;)
        stanch_buf_add(&golden, bytes, len);
    (void)fclose(file);
    assert_string_equal(stanch_buf_str(text), stanch_buf_str(&golden));
}

static void hold_case(struct fixture *f, const char *name, const char *incident)
{
    tell(f, name);
    stanch_loop_sim_advance(f->loop, 60000);
    STANCH_AUTO_JSON json_t *report = make(f, incident);
    STANCH_AUTO_JSON json_t *again = make(f, incident);
    STANCH_AUTO_BUF struct stanch_buf text = {0}, first = {0}, second = {0};
    stanch_json_write(report, &first);
    stanch_json_write(again, &second);
    assert_string_equal(stanch_buf_str(&first), stanch_buf_str(&second));
    stanch_report_markdown(report, &text);
    hold_to_golden(name, &text);
}

static void a_ladder_with_people_is_told(void **state)
{
    hold_case(*state, "ladder", "INC-1");
}
static void what_was_merged_into_it_is_told_with_it(void **state)
{
    hold_case(*state, "merged", "INC-1");
}
static void a_merged_one_says_where_it_goes_on(void **state)
{
    hold_case(*state, "absorbed", "INC-2");
}
static void one_in_which_nothing_happened_is_told(void **state)
{
    hold_case(*state, "bare", "INC-1");
}

/* Nothing that comes from outside begins a line, opens a tag, a link or a column. */
static void hostile_text_stays_text(void **state)
{
    hold_case(*state, "hostile", "INC-1");
    STANCH_AUTO_JSON json_t *report = make(*state, "INC-1");
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_report_markdown(report, &text);
    const char *markdown = stanch_buf_str(&text);
    assert_null(strstr(markdown, "<script"));
    assert_null(strstr(markdown, "http://"));
    assert_null(strstr(markdown, "\n# h"));
    assert_null(strchr(markdown, 0x1b));
    assert_null(strstr(markdown, "\xe2\x80\xae"));
    int columns = 0;
    for (const char *at = markdown; *at; at++) { /* every row of the timeline has its four columns */
        columns += *at == '|' && (at == markdown || at[-1] != '\\');
        if (*at == '\n') {
            assert_true(columns == 0 || columns == 4 || columns == 5 || columns == 6 || columns == 8);
            columns = 0;
        }
    }
}

/* ---- what they hold ---- */

static void times_are_those_of_the_facts(void **state)
{
    struct fixture *f = *state;
    struct stanch_report *report;
    struct stanch_report_times times;
    struct stanch_err err = {0};
    tell(f, "ladder");
    assert_int_equal(stanch_report_new(f->journal, "INC-1", &report, &err), 0);
    while (stanch_report_read(report, &err) > 0)
        ;
    stanch_report_times(report, &times);
    assert_int_equal(times.began_ms, BEGAN_MS - 90000);
    assert_int_equal(times.declared_ms, BEGAN_MS);
    assert_int_equal(times.acknowledged_ms, BEGAN_MS + 930500);
    assert_int_equal(times.applied_ms, BEGAN_MS + 931000);
    assert_int_equal(times.mitigated_ms, BEGAN_MS + 1067200); /* M-2, not M-1: that one was seen bad after it */
    assert_true(times.resolved_ms > times.mitigated_ms);
    STANCH_AUTO_JSON json_t *waits = stanch_report_waits(report, BEGAN_MS);
    assert_int_equal(json_array_size(waits), 2);
    assert_string_equal(stanch_json_str(json_array_get(waits, 0), "outcome", ""), "expired");
    assert_int_equal(stanch_json_int(json_array_get(waits, 0), "waited_ms", 0), 900000);
    assert_int_equal(stanch_json_int(json_array_get(waits, 1), "waited_ms", 0), 30000);
    STANCH_AUTO_JSON json_t *measured = stanch_report_measured(report);
    assert_int_equal(stanch_json_int(json_array_get(measured, 0), "took_ms", 0), 90000);
    stanch_report_free(report);
}

static void one_that_opens_again_is_not_resolved(void **state)
{
    struct fixture *f = *state;
    tell(f, "ladder");
    append(f, "INC-1", "incident.reopened", "stanch", NULL,
           json_pack("{s:s, s:s}", "incident", "INC-1", "reason", "x"));
    STANCH_AUTO_JSON json_t *report = make(f, "INC-1");
    const json_t *resolve = json_array_get(json_object_get(report, "times"), 4);
    assert_true(json_is_null(json_object_get(resolve, "at_ms")));
    assert_true(json_is_null(json_object_get(report, "ended_ms")));
}

/* While its pages are read it goes on: the last one says what it is. */
static void what_changes_while_it_is_read_is_told(void **state)
{
    struct fixture *f = *state;
    struct stanch_report *report;
    struct stanch_err err = {0};
    tell(f, "bare");
    assert_int_equal(stanch_report_new(f->journal, "INC-1", &report, &err), 0);
    assert_int_equal(stanch_report_read(report, &err), 1);
    append(f, "INC-1", "incident.resolved", "person:ann", NULL,
           json_pack("{s:s, s:s}", "incident", "INC-1", "reason", "over"));
    while (stanch_report_read(report, &err) > 0)
        ;
    STANCH_AUTO_JSON json_t *json = stanch_report_json(report, BEGAN_MS);
    assert_string_equal(stanch_json_str(json, "state", ""), "resolved");
    assert_true(json_is_integer(json_object_get(json, "ended_ms")));
    stanch_report_free(report);
}

/* A grant that is voided was waited for until it was given; who is asked again waits anew. */
static void a_voided_grant_is_told_as_voided(void **state)
{
    struct fixture *f = *state;
    tell(f, "bare");
    append(f, "INC-1", "approval.requested", "stanch", "R-1",
           json_pack("{s:s, s:s, s:s}", "approval", "A-1", "about", "undo", "role", "ic"));
    stanch_loop_sim_advance(f->loop, 5000);
    append(f, "INC-1", "approval.granted", "person:ann", "R-1",
           json_pack("{s:s, s:s}", "approval", "A-1", "decision", "approve"));
    stanch_loop_sim_advance(f->loop, 5000);
    append(f, "INC-1", "approval.voided", "stanch", "R-1",
           json_pack("{s:s, s:s}", "approval", "A-1", "closed", "another plan"));
    STANCH_AUTO_JSON json_t *report = make(f, "INC-1");
    const json_t *wait = json_array_get(json_object_get(report, "waits"), 0);
    assert_string_equal(stanch_json_str(wait, "outcome", ""), "voided");
    assert_int_equal(stanch_json_int(wait, "waited_ms", 0), 5000);
    assert_string_equal(json_string_value(json_array_get(json_object_get(wait, "by"), 0)), "ann");
}

/* ---- bounds ---- */

static void a_long_timeline_is_read_in_pages_and_bounded(void **state)
{
    struct fixture *f = *state;
    struct stanch_report *report;
    struct stanch_err err = {0};
    int pages = 0, rc;
    tell(f, "bare");
    for (int i = 0; i < 5000; i++)
        append(f, "INC-1", "incident.noted", "person:ann", NULL,
               json_pack("{s:s, s:o}", "incident", "INC-1", "text", json_sprintf("note %d", i)));
    for (int i = 0; i < 600; i++) {
        STANCH_AUTO_FREE char *run = stanch_asprintf("R-%d", i);
        append(f, "INC-1", "run.held", "stanch", run,
               json_pack("{s:s, s:s, s:s}", "run", run, "runbook", "rb", "why", "x"));
    }
    append(f, "INC-1", "run.failed", "stanch", "R-599",
           json_pack("{s:s, s:s, s:s}", "run", "R-599", "runbook", "rb", "why", "x")); /* it is not counted again */
    assert_int_equal(stanch_report_new(f->journal, "INC-1", &report, &err), 0);
    while ((rc = stanch_report_read(report, &err)) > 0)
        pages++;
    assert_int_equal(rc, 0);
    assert_true(pages > 40);
    STANCH_AUTO_JSON json_t *json = stanch_report_json(report, BEGAN_MS);
    const json_t *rows = json_object_get(json, "timeline");
    assert_int_equal(json_array_size(rows), STANCH_REPORT__ROWS);
    assert_int_equal(stanch_json_int(json, "timeline_left_out", 0), 5602 - STANCH_REPORT__ROWS);
    assert_string_equal(stanch_json_str(json_array_get(rows, 999), "text", ""), "ann noted: note 998");
    assert_int_equal(stanch_json_int(json, "left_out", 0), 100);
    assert_int_equal(json_array_size(json_object_get(json, "runs")), STANCH_REPORT__LIST);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_report_markdown(json, &text);
    assert_non_null(strstr(stanch_buf_str(&text), "| ... | ... | ... | 3602 entries are left out here |"));
    stanch_report_free(report);
}

/* What was of no incident stands beside the timeline: from its first entry to its last one, over many windows of others. */
static void what_went_on_beside_it_is_told(void **state)
{
    struct fixture *f = *state;
    append(f, "-", "plugin.down", "stanch", NULL, json_pack("{s:s}", "instance", "before"));
    append(f, "INC-1", "incident.declared", "stanch", NULL,
           json_pack("{s:s, s:s, s:s}", "incident", "INC-1", "title", "it burns", "severity", "sev1"));
    for (int i = 0; i < 2500; i++)
        append(f, "-", "event.repeated", "stanch", NULL, json_pack("{s:s, s:i}", "event", "E-1", "count", i));
    stanch_loop_sim_advance(f->loop, 60000);
    append(f, "-", "stop.engaged", "person:ada", NULL,
           json_pack("{s:s, s:s}", "set_by", "person:ada", "reason", "a | b"));
    append(f, "-", "plugin.up", "stanch", NULL, json_pack("{s:s}", "instance", "edge")); /* no headline */
    append(f, "-", "runbook.refused", "stanch", NULL, json_pack("{s:s, s:s}", "runbook", "rb", "why", "x"));
    append(f, "-", "plugin.down", "stanch", NULL, json_pack("{s:s, s:s}", "instance", "edge", "why", "it died"));
    append(f, "INC-2", "incident.declared", "stanch", NULL,
           json_pack("{s:s, s:s, s:s}", "incident", "INC-2", "title", "calm", "severity", "sev3"));
    append(f, "INC-1", "incident.resolved", "stanch", NULL, json_pack("{s:s}", "incident", "INC-1"));
    append(f, "-", "plugin.down", "stanch", NULL, json_pack("{s:s}", "instance", "after"));
    STANCH_AUTO_JSON json_t *report = make(f, "INC-1"), *other = make(f, "INC-2");
    const json_t *around = json_object_get(report, "around"), *row = json_array_get(around, 0);
    assert_int_equal(json_array_size(around), 2);
    assert_string_equal(stanch_json_str(row, "kind", ""), "stop.engaged");
    assert_true(stanch_json_int(row, "since_ms", 0) >= 60000);
    assert_string_equal(stanch_json_str(json_array_get(around, 1), "text", ""), "Plugin edge is down: it died");
    assert_int_equal(json_array_size(json_object_get(other, "around")), 0);
    STANCH_AUTO_BUF struct stanch_buf text = {0}, none = {0};
    stanch_report_markdown(report, &text);
    stanch_report_markdown(other, &none);
    assert_non_null(strstr(stanch_buf_str(&text), "## Meanwhile, of stanch itself\n\n| At (UTC) |"));
    assert_non_null(strstr(stanch_buf_str(&text), "a \\| b"));
    assert_null(strstr(stanch_buf_str(&none), "Meanwhile"));
}

static void who_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct stanch_report *report = NULL;
    struct stanch_err err = {0};
    assert_int_equal(stanch_report_new(f->journal, "INC-404", &report, &err), STANCH_E_NOT_FOUND);
    assert_string_equal(err.text, "no incident INC-404");
    assert_null(report);
}

static void text_is_escaped(void **state)
{
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"plain text, with 1. and - inside", "plain text, with 1. and - inside"},
        {"", ""},
        {"- a", "\\- a"},
        {"  + a", "\\+ a"},
        {"12. a", "12\\. a"},
        {"3) a", "3\\) a"},
        {"0.07 and 3)a", "0.07 and 3)a"},
        {"how. www", "how. www"},
        {"a\nb\tc\rd", "a b c d"},
        {"# a #b", "\\# a \\#b"},
        {"<b>&lt;", "&lt;b&gt;&amp;lt;"},
        {"[x](y)", "\\[x\\](y)"},
        {"a|b\\|c", "a\\|b\\\\\\|c"},
        {"https://x.example www.x.example a@b", "https\\://x.example www\\.x.example a\\@b"},
        {"caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
        {"a\x01z\x7f", "a\xef\xbf\xbdz\xef\xbf\xbd"},
        {"a\xc2\x9bz", "a\xef\xbf\xbdz"},
        {"a\xe2\x80\x8bz\xe2\x80\xae", "a\xef\xbf\xbdz\xef\xbf\xbd"},
        {"a\xffz", "a\xef\xbf\xbdz"},
        {".hidden", "\\.hidden"},
        {"*a* _b_ `c` ~d~ $e$", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~ \\$e\\$"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_BUF struct stanch_buf out = {0};
        stanch_report__escape(cases[i].text, &out);
        assert_string_equal(stanch_buf_str(&out), cases[i].escaped);
    }
}

static void text_is_escaped_for_html(void **state)
{
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"", ""},
        {"- 1. *a* [x](y) | \\ `", "- 1. *a* [x](y) | \\ `"},
        {"</td><b a='1' c=\"2\">", "&lt;/td&gt;&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;"},
        {"&lt; &amp", "&amp;lt; &amp;amp"},
        {" a\nb\tc\r", " a b c "},
        {"caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
        {"a\x01z\x7f", "a\xef\xbf\xbdz\xef\xbf\xbd"},
        {"a\xe2\x80\xaez\xff\xe2\x82", "a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STANCH_AUTO_BUF struct stanch_buf out = {0};
        stanch_report_escape_html(cases[i].text, &out);
        assert_string_equal(stanch_buf_str(&out), cases[i].escaped);
    }
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_ladder_with_people_is_told),
        CASE(what_was_merged_into_it_is_told_with_it),
        CASE(a_merged_one_says_where_it_goes_on),
        CASE(one_in_which_nothing_happened_is_told),
        CASE(hostile_text_stays_text),
        CASE(times_are_those_of_the_facts),
        CASE(one_that_opens_again_is_not_resolved),
        CASE(what_changes_while_it_is_read_is_told),
        CASE(a_voided_grant_is_told_as_voided),
        CASE(a_long_timeline_is_read_in_pages_and_bounded),
        CASE(what_went_on_beside_it_is_told),
        CASE(who_is_not_there_is_not_found),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(text_is_escaped_for_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
