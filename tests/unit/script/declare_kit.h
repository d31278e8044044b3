/* declare_kit.h: evaluate declarations in this process, as a worker does: VM, words, files, result. */
#ifndef DECLARE_KIT_H
#define DECLARE_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "script/action.h"
#include "script/declare.h"
#include "script/declare_check.h"
#include "script/vm.h"

/* What a runbook that uses the instances below begins with, and a symptom of theirs. */
#define HEAD           "local edge, prom = haproxy 'edge-eu', prometheus 'main' "
#define OK_SYMPTOM_KEY "symptom = " OK_SYMPTOM
#define OK_SYMPTOM     "symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = '< 1' }"

static const char kit_instances[] =
    "{\"instances\":{\"edge-eu\":{\"plugin\":\"haproxy\",\"environment\":\"prod\",\"actions\":{"
    "\"drain\":{\"effect\":\"mitigate\",\"params\":{\"type\":\"object\",\"properties\":{\"server\":{},\"backend\":{}}}}"
    ","
    "\"show\":{\"effect\":\"read\",\"params\":{\"type\":\"object\",\"properties\":{}}}}},"
    "\"main\":{\"plugin\":\"prometheus\",\"environment\":null,\"actions\":{"
    "\"query\":{\"effect\":\"read\",\"params\":{\"type\":\"object\",\"properties\":{\"expr\":{}}}}}}}}";

static const char *kit_has; /* of edge-eu.drain, as JSON: {"undo":false}; NULL: its declaration does not tell */

struct declared {
    struct stanch_vm *vm;
    json_t *input;
    json_t *result; /* also the errors, when rc < 0 */
    json_t *raised; /* a file raised (config, policy) */
    struct stanch_err err;
    int rc;
};

static inline void declare_files(struct declared *ret, const char *kind, const struct stanch_vm_source *sources,
                                 int count)
{
    *ret = (struct declared){.vm = stanch_vm_new()};
    lua_State *L = ret->vm->L;
    bool is_file = strcmp(kind, "load") != 0 && strcmp(kind, "run") != 0;
    ret->input = is_file ? json_pack("{s:s}", "file", sources[0].path) : json_loads(kit_instances, 0, NULL);
    json_t *edge = json_object_get(json_object_get(ret->input, "instances"), "edge-eu");
    if (kit_has && edge)
        json_object_set_new(json_object_get(json_object_get(edge, "actions"), "drain"), "has",
                            json_loads(kit_has, 0, NULL));
    ret->vm->sources = sources;
    ret->vm->source_count = count;
    stanch_action_install(L, json_object_get(ret->input, "instances"));
    stanch_declare_install(L, kind, ret->input);
    stanch_vm_close_globals(ret->vm);
    for (int i = 0; i < count; i++) {
        json_t *error = NULL;
        if (stanch_vm_evaluate(ret->vm, &sources[i], &error) == 0)
            continue;
        if (is_file) {
            ret->raised = error;
            ret->rc = STANCH_E_SCRIPT;
            return;
        }
        stanch_declare_failed(L, sources[i].path, error);
        json_decref(error);
    }
    int top = lua_gettop(L);
    if (strcmp(kind, "run") != 0)
        ret->rc = stanch_declare_result(L, kind, ret->input, &ret->result, &ret->err);
    assert_int_equal(lua_gettop(L), top);
}

static inline void declare_text(struct declared *ret, const char *kind, const char *path, const char *text)
{
    static struct stanch_vm_source source;
    source = (struct stanch_vm_source){path, text, strlen(text)};
    declare_files(ret, kind, &source, 1);
}

static inline void declared_done(struct declared *declared)
{
    stanch_vm_free(declared->vm);
    json_decref(declared->input);
    json_decref(declared->result);
    json_decref(declared->raised);
}

/* All errors of a list, one a line: "stanch.lua:3: path: text". new */
static inline char *told(const json_t *list, const char *file, const char *path)
{
    struct stanch_buf out = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *each = json_array_get(list, i);
        const char *key = path ? stanch_json_str(each, path, "") : "";
        stanch_buf_printf(&out, "%s%s:%lld: %s%s%s", i ? "\n" : "", stanch_json_str(each, file, "?"),
                          (long long)stanch_json_int(each, "line", -1), key, *key ? ": " : "",
                          stanch_json_str(each, "text", ""));
    }
    return stanch_buf_take(&out);
}

static inline void assert_json(const json_t *value, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0}, want = {0};
    STANCH_AUTO_JSON json_t *parsed = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    stanch_json_canonical(value, &got, NULL);
    stanch_json_canonical(parsed, &want, NULL);
    assert_string_equal(stanch_buf_str(&got), stanch_buf_str(&want));
}

struct mistake {
    const char *text;     /* the file */
    const char *expected; /* all that is told */
};

/* Each text is refused with exactly what is expected, and the one line says the first of its mistakes. */
static inline void check_mistakes(const char *kind, const char *file, const struct mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct declared d;
        declare_text(&d, kind, file, mistakes[i].text);
        STANCH_AUTO_FREE char *got = d.raised ? stanch_asprintf("%s:%lld: %s", stanch_json_str(d.raised, "file", "?"),
                                                                (long long)stanch_json_int(d.raised, "line", -1),
                                                                stanch_json_str(d.raised, "text", ""))
                                              : told(json_object_get(d.result, "errors"), "file", "path");
        if (strcmp(got, mistakes[i].expected) != 0)
            fail_msg("%s\n  told     %s\n  expected %s", mistakes[i].text, got, mistakes[i].expected);
        assert_true(d.rc < 0);
        if (!d.raised) { /* the one line says the first, and how many more there are */
            size_t more = json_array_size(json_object_get(d.result, "errors")) - 1, len = strcspn(got, "\n");
            STANCH_AUTO_FREE char *line = more ? stanch_asprintf("%.*s (and %zu more)", (int)len, got, more)
                                               : stanch_asprintf("%.*s", (int)len, got);
            assert_string_equal(d.err.text, line);
        }
        declared_done(&d);
    }
}

#endif
