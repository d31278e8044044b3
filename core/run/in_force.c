/* in_force.c: which mitigations are in force on a target: what another run's mitigation would fight with. In memory is the name
 * of each with its targets, filled from the open ones at start; all else is in the journal.
 */
#include "run/engine.h"
#include "base/mem.h"
#include <string.h>

void stanch_in_force__note(struct stanch_engine *engine, const char *id, const char *run, const json_t *targets)
{
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        if (!target)
            continue;
        json_t *there = json_object_get(engine->in_force, target);
        if (!there)
            json_object_set_new(engine->in_force, target, there = json_object());
        json_object_set_new(there, id, json_string(run));
    }
}

void stanch_in_force__forget(struct stanch_engine *engine, const char *id, const json_t *targets)
{
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        json_t *there = target ? json_object_get(engine->in_force, target) : NULL;
        json_object_del(there, id);
        if (there && json_object_size(there) == 0)
            json_object_del(engine->in_force, target);
    }
}

static int recover_one(void *ctx, const json_t *doc, struct stanch_err *err)
{
    (void)err;
    stanch_in_force__note(ctx, stanch_json_str(doc, "id", ""), stanch_json_str(doc, "run", ""),
                          json_object_get(doc, "targets"));
    return 0;
}

int stanch_in_force__recover(struct stanch_engine *engine, struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "mitigation", .open = 1};
    return stanch_journal_each(engine->journal, &query, recover_one, engine, err);
}

static const char *how_it_stands(const json_t *doc)
{
    const char *state = stanch_json_str(doc, "state", "");
    return strcmp(state, "undoing") == 0   ? "is being taken back"
           : strcmp(state, "unknown") == 0 ? "may still be in force"
                                           : "is in force";
}

static void tell_of(struct stanch_engine *engine, const char *target, const char *run,
                    void (*each)(void *ctx, const char *id, const char *sentence), void *ctx)
{
    const char *id;
    json_t *whose;
    json_object_foreach(json_object_get(engine->in_force, target), id, whose)
    {
        if (strcmp(json_string_value(whose), run) == 0)
            continue;
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(engine->journal, "mitigation", id);
        if (!stanch_json_bool(doc, "open", false))
            continue;
        STANCH_AUTO_FREE char *sentence =
            stanch_asprintf("%s (%s.%s) of run %s, %s, %s on %s", id, stanch_json_str(doc, "instance", ""),
                            stanch_json_str(doc, "action", ""), json_string_value(whose),
                            stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), how_it_stands(doc), target);
        each(ctx, id, sentence);
    }
}

/* Runs that are going and hold the same name (`limits.holds`): started by a person, for alerts start no second one. */
static void tell_of_holders(const struct stanch_subject *about,
                            void (*each)(void *ctx, const char *id, const char *sentence), void *ctx)
{
    const char *name = about->holds;
    for (const struct stanch_run *run = *name ? about->engine->runs : NULL; run; run = run->next) {
        if (strcmp(run->id, about->run) == 0 || !run->going ||
            strcmp(stanch_json_str(run->doc, "holds", ""), name) != 0)
            continue;
        STANCH_AUTO_FREE char *sentence = stanch_asprintf("run %s of %s, %s, is going and holds %s too", run->id,
                                                          stanch_json_str(run->doc, "runbook", ""), run->chain, name);
        each(ctx, run->id, sentence);
    }
}

void stanch_in_force__conflicts(const struct stanch_subject *about,
                                void (*each)(void *ctx, const char *id, const char *sentence), void *ctx)
{
    const json_t *targets = json_object_get(about->plan, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        if (target)
            tell_of(about->engine, target, about->run, each, ctx);
    }
    tell_of_holders(about, each, ctx);
}
