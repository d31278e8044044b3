/* mutants.c: one change, all tests, until one of them fails. */
#include "drill/mutants.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/mutate.h"
#include <string.h>

/* Actions that change or tell something, of all instances. new */
static json_t *action_names(const struct stanch_stage *stage)
{
    json_t *names = json_array(), *seen = json_object(), *one, *action;
    const char *instance, *name;
    json_object_foreach(stage->described, instance, one)
    {
        json_object_foreach(json_object_get(one, "actions"), name, action)
        {
            if (strcmp(stanch_json_str(action, "effect", "read"), "read") == 0 || json_object_get(seen, name))
                continue;
            json_object_set_new(seen, name, json_true());
            json_array_append_new(names, json_string(name));
        }
    }
    json_decref(seen);
    return names;
}

static bool is_noticed(struct stanch_stage *stage, const json_t *scenario, const struct stanch_source *sources)
{
    const struct stanch_rehearsal_spec spec = {
        .scenario = scenario, .index = (int)stanch_json_int(scenario, "index", 1), .sources = sources};
    STANCH_AUTO_JSON json_t *result = NULL;
    struct stanch_err err;
    if (stanch_rehearse(stage, &spec, &result, &err) < 0)
        return true; /* it would not even be loaded */
    return json_object_get(result, "broken") || json_array_size(json_object_get(result, "failures")) > 0;
}

static json_t *try_one(struct stanch_stage *stage, const json_t *scenarios, int file,
                       const struct stanch_mutant *mutant, int number)
{
    STANCH_AUTO_FREE struct stanch_source *sources = stanch_alloc(((size_t)stage->book_count + 1) * sizeof *sources);
    const char *by = NULL;
    memcpy(sources, stage->sources, (size_t)stage->book_count * sizeof *sources);
    sources[file].text = mutant->text;
    sources[file].len = strlen(mutant->text);
    for (size_t i = 0; !by && i < json_array_size(scenarios); i++)
        if (is_noticed(stage, json_array_get(scenarios, i), sources))
            by = stanch_json_str(json_array_get(scenarios, i), "name", "");
    json_t *tried = json_pack("{s:i, s:s, s:i, s:s, s:b}", "number", number, "path", mutant->path, "line", mutant->line,
                              "what", mutant->what, "caught", by != NULL);
    stanch_json_set_str(tried, "by", by);
    return tried;
}

int stanch_mutants_try(struct stanch_stage *stage, const json_t *scenarios, int slice, int slices, json_t **ret,
                       struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *actions = action_names(stage);
    int number = 0;
    *ret = json_array();
    for (int file = 0; file < stage->book_count; file++) {
        struct stanch_mutant *mutants = NULL;
        const struct stanch_source *source = &stage->sources[file];
        int count = 0;
        if (!stanch_stage_is_runbook(source->path))
            continue;
        int rc = stanch_mutants_make(source->path, source->text, source->len, actions, &mutants, &count, err);
        if (rc < 0)
            return rc;
        for (int i = 0; i < count; i++, number++)
            if (number % slices == slice)
                json_array_append_new(*ret, try_one(stage, scenarios, file, &mutants[i], number));
        stanch_mutants_free(mutants, count);
    }
    return 0;
}
