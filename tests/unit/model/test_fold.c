/* test_fold.c: the rule, its few exceptions, and the sentences. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/fold.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static json_t *docs; /* "noun id" -> doc */
static int64_t seq;

static json_t *get(void *ctx, const char *noun, const char *id)
{
    (void)ctx;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s %s", noun, id);
    return json_copy(json_object_get(docs, key));
}

static void put(void *ctx, const char *noun, const char *id, const char *chain, bool open, json_t *doc)
{
    (void)ctx;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s %s", noun, id);
    assert_string_equal(chain, stanch_json_str(doc, "incident", "-"));
    assert_int_equal(open, stanch_json_bool(doc, "open", !open));
    json_object_set_new(docs, key, doc);
}

static const struct stanch_fold_port port = {get, put, NULL};

static int set_up(void **state)
{
    (void)state;
    stanch_digest_init();
    docs = json_object();
    seq = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(docs);
    return 0;
}

static json_t *parse(const char *text)
{
    STANCH_AUTO_FREE char *quoted = stanch_strdup(text);
    for (char *c = quoted; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *value = json_loads(quoted, 0, NULL);
    assert_non_null(value);
    return value;
}

static void fold(const char *chain, const char *kind, const char *data)
{
    STANCH_AUTO_JSON json_t *value = parse(data);
    seq++;
    struct stanch_entry entry = {
        .seq = seq, .at_ms = 1000 * seq, .chain = chain, .kind = kind, .by = "stanch", .data = value};
    stanch_fold(&entry, &port);
}

static void expect(const char *key, const char *json)
{
    STANCH_AUTO_JSON json_t *wanted = parse(json);
    json_t *doc = json_object_get(docs, key);
    if (!json_equal(doc, wanted)) {
        STANCH_AUTO_FREE char *text = json_dumps(doc, JSON_SORT_KEYS | JSON_ENCODE_ANY);
        fail_msg("%s is %s", key, text ? text : "not there");
    }
}

static void the_rule(void **state)
{
    (void)state;
    fold("INC-1", "mitigation.applied",
         "{'mitigation':'M-1','text':'drain','lease':{'ms':5},'gone':1,'id':'evil','seq':99}");
    expect("mitigation M-1",
           "{'id':'M-1','mitigation':'M-1','state':'in-force','open':true,'incident':'INC-1','text':'drain',"
           "'lease':{'ms':5},'gone':1,'created_ms':1000,'updated_ms':1000,'seq':1,'updated_seq':1}");
    fold("INC-1", "mitigation.undone", "{'mitigation':'M-1','gone':null,'lease':{'at':6}}");
    expect("mitigation M-1",
           "{'id':'M-1','mitigation':'M-1','state':'undone','open':false,'incident':'INC-1','text':'drain',"
           "'lease':{'at':6},'created_ms':1000,'updated_ms':2000,'seq':1,'updated_seq':2}");
    fold("INC-1", "a.newer-kind", "{'mitigation':'M-1'}");
    fold("INC-1", "step.noted", "{'text':'belongs to nobody'}");
    assert_int_equal(json_object_size(docs), 1);
}

static void a_state_in_data_stands_when_the_kind_has_none(void **state)
{
    (void)state;
    fold("INC-1", "incident.declared", "{'incident':'INC-1'}");
    fold("INC-1", "incident.changed", "{'incident':'INC-1','state':'mitigated'}");
    json_t *doc = json_object_get(docs, "incident INC-1");
    assert_string_equal(stanch_json_str(doc, "state", ""), "mitigated");
    assert_true(stanch_json_bool(doc, "open", false));
    fold("INC-1", "incident.resolved", "{'incident':'INC-1','state':'whatever'}");
    doc = json_object_get(docs, "incident INC-1");
    assert_string_equal(stanch_json_str(doc, "state", ""), "resolved");
    fold("INC-1", "incident.noted", "{'incident':'INC-1','text':'after all'}");
    assert_false(stanch_json_bool(json_object_get(docs, "incident INC-1"), "open", true));
}

static void an_event_is_found_by_its_key(void **state)
{
    (void)state;
    fold("-", "event.received", "{'event':'E-1','key':'k1'}");
    expect("key k1",
           "{'id':'k1','open':true,'event':'E-1','created_ms':1000,'updated_ms':1000,'seq':1,'updated_seq':1}");
    assert_null(json_object_get(json_object_get(docs, "event E-1"), "incident"));
    fold("INC-2", "event.received", "{'event':'E-2','key':'k2'}");
    assert_string_equal(stanch_json_str(json_object_get(docs, "key k2"), "incident", ""), "INC-2");
}

static void what_instances_were_told_of_a_drill_stands_by_instance(void **state)
{
    (void)state;
    fold("-", "drill.announced", "{'drill':'D-1','name':'checkout'}");
    fold("-", "drill.told", "{'drill':'D-1','instance':'chat','told':'announced'}");
    fold("-", "drill.missed", "{'drill':'D-1','why':'stanch was not running then'}");
    fold("-", "drill.untold", "{'drill':'D-1','instance':'chat','told':'missed','why':'it is away'}");
    fold("-", "drill.told", "{'drill':'D-1','instance':'mail','told':'missed'}");
    expect("drill D-1", "{'id':'D-1','drill':'D-1','name':'checkout','state':'missed','open':false,"
                        "'why':'stanch was not running then','told':{'chat':'announced','mail':'missed'},"
                        "'untold':{'chat':'missed'},'created_ms':1000,'updated_ms':5000,'seq':1,'updated_seq':5}");
}

static void repeats_add_up(void **state)
{
    (void)state;
    fold("-", "event.received", "{'event':'E-1','key':'k1'}");
    fold("-", "event.repeated", "{'event':'E-1','count':5}");
    fold("-", "event.repeated", "{'event':'E-1','count':9007199254740991}");
    assert_int_equal(stanch_json_int(json_object_get(docs, "event E-1"), "count", 0), STANCH_JSON_SAFE_INT);
    fold("-", "event.received", "{'event':'E-2','key':'k2'}");
    fold("-", "event.repeated", "{'event':'E-2','count':5}");
    fold("-", "event.repeated", "{'event':'E-2','count':7}");
    assert_int_equal(stanch_json_int(json_object_get(docs, "event E-2"), "count", 0), 12);
}

static void a_run_is_found_by_event_and_path_and_counted(void **state)
{
    (void)state;
    fold("INC-1", "incident.declared", "{'incident':'INC-1'}");
    fold("INC-1", "incident.joined", "{'incident':'INC-1','event':'E-1'}");
    fold("INC-1", "incident.joined", "{'incident':'INC-1','event':'E-2'}");
    fold("INC-1", "run.started", "{'run':'R-1','event_key':'k1','path':'a/b.lua'}");
    fold("INC-1", "run.held", "{'run':'R-2','event_key':'k2','path':'a/b.lua'}");
    fold("-", "run.started", "{'run':'R-3'}");
    assert_string_equal(stanch_json_str(json_object_get(docs, "key run:k1:a/b.lua"), "run", ""), "R-1");
    assert_string_equal(stanch_json_str(json_object_get(docs, "key run:k2:a/b.lua"), "run", ""), "R-2");
    assert_int_equal(stanch_json_int(json_object_get(docs, "incident INC-1"), "runs", 0), 1);
    assert_int_equal(stanch_json_int(json_object_get(docs, "incident INC-1"), "events", 0), 2);
    assert_false(stanch_json_bool(json_object_get(docs, "run R-2"), "open", true));
    assert_null(json_object_get(docs, "incident -"));
}

static void the_table_is_sound(void **state)
{
    (void)state;
    int count;
    const struct stanch_kind *kinds = stanch_kind_table(&count);
    assert_true(count > 60);
    for (int i = 0; i < count; i++) {
        assert_ptr_equal(stanch_kind_find(kinds[i].name), &kinds[i]); /* no name twice */
        assert_int_equal(kinds[i].noun == NULL, kinds[i].id == NULL);
        assert_true(!kinds[i].state || kinds[i].noun);
        const char *dot = strchr(kinds[i].name, '.');
        assert_true(dot && dot[1] && !strchr(dot + 1, '.'));
        int depth = 0; /* {member} inside [part], nothing deeper */
        for (const char *c = kinds[i].text; *c; c++) {
            depth += (*c == '[' || *c == '{') - (*c == ']' || *c == '}');
            assert_in_range(depth, 0, 2);
        }
        assert_int_equal(depth, 0);
    }
    assert_null(stanch_kind_find("run"));
}

static char *text_of(const char *kind, const char *run, const char *data)
{
    STANCH_AUTO_JSON json_t *value = parse(data);
    struct stanch_entry entry = {.chain = "-", .kind = kind, .by = "person:alice", .run = run, .data = value};
    return stanch_entry_text(&entry);
}

static void expect_text(const char *kind, const char *run, const char *data, const char *wanted)
{
    STANCH_AUTO_FREE char *text = text_of(kind, run, data);
    assert_string_equal(text, wanted);
}

static void sentences_are_whole(void **state)
{
    (void)state;
    expect_text("run.started", "R-7", "{'runbook':'checkout','because':'it burns'}",
                "Run R-7 of checkout started (it burns)");
    expect_text("run.started", NULL, "{'run':'R-8','runbook':'checkout'}", "Run R-8 of checkout started");
    expect_text("incident.noted", NULL, "{'text':'look at {by} [x]'}", "person:alice noted: look at {by} [x]");
    expect_text("page.requested", NULL, "{'role':'ic','text':{'a':[1,2]}}", "Paged ic: {\"a\":[1,2]}");
    expect_text("page.requested", NULL, "{'role':'ic','text':''}", "Paged ic");
    expect_text("step.noted", NULL, "{}", "");
    expect_text("a.newer-kind", NULL, "{}", "a.newer-kind (a kind that this release does not know)");
}

/* As they were written, not as the machine holds them. */
static void reals_have_few_digits(void **state)
{
    (void)state;
    expect_text("step.noted", NULL, "{'text':0.07}", "0.07");
    expect_text("step.noted", NULL, "{'text':0.068}", "0.068");
    expect_text("step.noted", NULL, "{'text':-0.004}", "-0.004");
    expect_text("step.noted", NULL, "{'text':0.1234567890123456}", "0.1234567890123456");
    expect_text("step.noted", NULL, "{'text':0.30000000000000004}", "0.30000000000000004");
    expect_text("step.noted", NULL, "{'text':2.50}", "2.5");
    expect_text("step.noted", NULL, "{'text':3.0}", "3");
    expect_text("step.noted", NULL, "{'text':1e300}", "1e+300");
    expect_text("step.noted", NULL, "{'text':12}", "12");
    expect_text("step.noted", NULL, "{'text':{'b':0.07,'a':[0.1,1e-9,7,true,null,'\\u0001']}}",
                "{\"b\":0.07,\"a\":[0.1,1e-9,7,true,null,\"\\u0001\"]}");
}

static void long_values_are_cut_between_characters(void **state)
{
    (void)state;
    char data[1000] = "{'text':'x";
    for (int i = 0; i < 300; i++)
        (void)strcat(data, "\xc3\xa9");
    (void)strcat(data, "'}");
    STANCH_AUTO_FREE char *text = text_of("step.noted", NULL, data);
    assert_int_equal(strlen(text), 199 + 3); /* an odd number of bytes: the cut fell into a character */
    STANCH_AUTO_JSON json_t *valid = json_string(text);
    assert_non_null(valid);
}

/* The formula of entry.h, written out once by hand. */
static void an_entry_is_sealed_as_the_header_says(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *data = parse("{'b':2.50,'a':'\\u00e9\\n'}");
    struct stanch_entry entry = {
        .chain = "INC-1", .n = 1, .at_ms = 1234, .kind = "step.noted", .by = "stanch", .data = data};
    (void)strcpy(entry.prev, STANCH_HASH_ZERO);
    assert_int_equal(stanch_entry_seal(&entry, NULL), 0);
    const char by_hand[] =
        "{\"domain\":\"stanch.entry\",\"v\":1,\"value\":{\"at\":1234,\"by\":\"stanch\",\"chain\":\"INC-1\","
        "\"data\":{\"a\":\"\xc3\xa9\\n\",\"b\":2.5},\"kind\":\"step.noted\",\"n\":1,\"prev\":\"" STANCH_HASH_ZERO
        "\",\"run\":null}}";
    char hash[65];
    stanch_digest_hex(by_hand, strlen(by_hand), hash);
    assert_string_equal(entry.hash, hash);
    /* and as the general digest computes it */
    STANCH_AUTO_JSON json_t *value =
        json_pack("{s:i,s:s,s:s,s:O,s:s,s:i,s:s,s:n}", "at", 1234, "by", "stanch", "chain", "INC-1", "data", data,
                  "kind", "step.noted", "n", 1, "prev", STANCH_HASH_ZERO, "run");
    assert_int_equal(stanch_json_digest("stanch.entry", 1, value, hash, NULL), 0);
    assert_string_equal(entry.hash, hash);
    entry.run = "R-1";
    assert_int_equal(stanch_entry_seal(&entry, NULL), 0);
    assert_string_not_equal(entry.hash, hash);
    STANCH_AUTO_JSON json_t *shown = stanch_entry_json(&entry);
    assert_string_equal(stanch_json_str(shown, "at", ""), "1970-01-01T00:00:01.234Z");
    assert_string_equal(stanch_json_str(shown, "level", ""), "headline");
    assert_string_equal(stanch_json_str(shown, "run", ""), "R-1");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_rule),
        TEST(a_state_in_data_stands_when_the_kind_has_none),
        TEST(an_event_is_found_by_its_key),
        TEST(what_instances_were_told_of_a_drill_stands_by_instance),
        TEST(repeats_add_up),
        TEST(a_run_is_found_by_event_and_path_and_counted),
        TEST(the_table_is_sound),
        TEST(sentences_are_whole),
        TEST(reals_have_few_digits),
        TEST(long_values_are_cut_between_characters),
        TEST(an_entry_is_sealed_as_the_header_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
