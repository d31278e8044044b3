/* soak.c: whether an incident is over is measured (incident/soak.h): its symptoms are asked for, again and again, until all of
 * them were good for the whole soak. Between two samples it is a row in the journal and nothing in memory; due.c brings it back.
 *
 *   due --> samples, one of each symptom --> all good? since when? --> incident.sampled, due again | resolved
 *
 * Nobody asked while the process was down: what may have happened then counts as no data, so a gap begins the soak anew. Reading
 * is no automation that could be stopped, and neither is an entry: it goes on while all is stopped.
 */
#include "run/engine.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/times.h"
#include "incident/incident.h"
#include "incident/soak.h"
#include "model/fold.h"
#include <string.h>

#define TRY_AGAIN_MS 1000
#define LATE_MS      10000                /* a sample may come so much later than it was due */
#define EVERY_MAX_MS 300000               /* what is bad for long is asked for less and less often */
#define GIVE_UP_MS   (24LL * 3600 * 1000) /* it is not over */
#define WHY_MAX      120                  /* bytes of why there is no data */
#define SHOWN_MAX    8                    /* symptoms in a sentence */

struct sample {
    struct stanch_soak *soak;
    char result[16];
    char why[200];
    json_t *value;
};

/* The samples of one incident that are out. */
struct stanch_soak {
    struct stanch_soak *next;
    struct stanch_engine *engine;
    char id[64];
    int64_t asked_ms, number; /* of which soak, and which of its samples: another one is no longer told of this */
    json_t *asked;            /* "soak" of the document, with the symptoms of runs that began since */
    bool grew;                /* so there is a symptom that nobody has measured */
    struct sample *samples;
    size_t count, out;
    int64_t seen_ms;            /* when the last of them came */
    struct stanch_timer *again; /* what was measured could not be recorded */
};

static void drop(struct stanch_soak *soak)
{
    for (struct stanch_soak **at = &soak->engine->soaks; *at; at = &(*at)->next) {
        if (*at == soak) {
            *at = soak->next;
            break;
        }
    }
    stanch_timer_stop(soak->engine->loop, &soak->again);
    for (size_t i = 0; i < soak->count; i++)
        json_decref(soak->samples[i].value);
    free(soak->samples);
    json_decref(soak->asked);
    free(soak);
}

void stanch_soak__free_all(struct stanch_engine *engine)
{
    while (engine->soaks)
        drop(engine->soaks);
}

/* ---- in words ---- */

static char *duration(int64_t ms)
{
    char text[32];
    stanch_duration_text(ms > 1000 ? ms / 1000 * 1000 : ms, text);
    return stanch_strdup(text);
}

static void tell_sample(struct stanch_buf *out, const struct stanch_soak *soak, size_t i)
{
    const json_t *one = json_array_get(json_object_get(soak->asked, "symptoms"), i);
    const struct sample *sample = &soak->samples[i];
    const char *good = stanch_json_str(json_object_get(one, "symptom"), "good", "");
    stanch_buf_printf(out, "%s%.80s: ", out->len ? "; " : "", stanch_json_str(one, "runbooks", ""));
    if (sample->value)
        stanch_json_write(sample->value, out);
    else
        stanch_buf_printf(out, "no data%s%.*s", sample->why[0] ? ", " : "", (int)stanch_text_cut(sample->why, WHY_MAX),
                          sample->why);
    stanch_buf_printf(out, "%s (good is %.40s)",
                      strcmp(sample->result, "bad") == 0       ? ", which is bad"
                      : strcmp(sample->result, "between") == 0 ? ", which is neither good nor bad"
                                                               : "",
                      good);
}

/* Those that are not good; when there is none, all. new */
static char *tell_samples(const struct stanch_soak *soak, bool good)
{
    struct stanch_buf out = {0};
    int shown = 0;
    for (size_t i = 0; i < soak->count; i++) {
        if (!good && strcmp(soak->samples[i].result, "good") == 0)
            continue;
        if (++shown <= SHOWN_MAX)
            tell_sample(&out, soak, i);
    }
    if (shown > SHOWN_MAX)
        stanch_buf_printf(&out, "; and %d more", shown - SHOWN_MAX);
    return stanch_buf_take(&out);
}

/* ---- one look at all of its symptoms ---- */

struct look {
    const json_t *doc;
    bool good, broke; /* now; it was, or nobody had looked yet */
    int64_t now_ms,   /* when they were sampled */
        since_ms, bad_ms, breaks;
    int64_t unseen_ms; /* nobody looked for so long; 0: somebody did */
    char *measured, *lasts;
};

static bool all_good(const struct stanch_soak *soak)
{
    for (size_t i = 0; i < soak->count; i++)
        if (strcmp(soak->samples[i].result, "good") != 0)
            return false;
    return soak->count > 0;
}

static void take_look(const struct stanch_soak *soak, const json_t *doc, struct look *look)
{
    const json_t *before = json_object_get(doc, "soaked");
    int64_t every_ms = stanch_json_int(soak->asked, "every_ms", 0);
    int64_t since_ms = stanch_json_int(before, "since_ms", 0), bad_ms = stanch_json_int(before, "bad_ms", 0);
    *look = (struct look){.doc = doc, .good = all_good(soak), .now_ms = soak->seen_ms};
    int64_t gap_ms = since_ms ? look->now_ms - stanch_json_int(before, "sampled_ms", 0) : 0;
    if (gap_ms > 2 * every_ms + LATE_MS)
        look->unseen_ms = gap_ms;
    if (look->good)
        look->since_ms = since_ms && !look->unseen_ms && !soak->grew ? since_ms : look->now_ms;
    else
        look->bad_ms = bad_ms ? bad_ms : look->now_ms;
    look->broke = !look->good && !bad_ms;
    look->breaks = stanch_json_int(before, "breaks", 0) + look->broke;
    look->measured = tell_samples(soak, look->good);
    look->lasts = duration(stanch_json_int(soak->asked, "lasts_ms", 0));
}

static void end_look(struct look *look)
{
    free(look->measured);
    free(look->lasts);
}

/* The first time that it is not good people are told; afterwards it is there to be looked up. */
static const char *add_sample(const struct stanch_soak *soak, const struct look *look, json_t *data)
{
    bool is_news = look->broke && look->breaks == 1;
    STANCH_AUTO_FREE char *held = duration(look->now_ms - look->since_ms), *unseen = duration(look->unseen_ms);
    STANCH_AUTO_FREE char *text = !look->good ? stanch_asprintf("not good yet: %s", look->measured)
                                  : look->unseen_ms
                                      ? stanch_asprintf("good, but for %s nobody looked, so the %s begin anew: %s",
                                                        unseen, look->lasts, look->measured)
                                      : stanch_asprintf("good for %s of %s: %s", held, look->lasts, look->measured);
    json_object_set_new(data, "soaking", json_string(text));
    json_object_set_new(data, "measured", is_news ? json_string(look->measured) : json_null());
    json_object_set_new(data, "lasts", is_news ? json_string(look->lasts) : json_null());
    if (!json_equal(soak->asked, json_object_get(look->doc, "soak"))) /* runs began since */
        json_object_set(data, "soak", soak->asked);
    return is_news ? "incident.unsettled" : "incident.sampled";
}

static int64_t next_due(const struct stanch_soak *soak, const struct look *look)
{
    int64_t every_ms = stanch_json_int(soak->asked, "every_ms", 0);
    if (look->good) {
        int64_t end_ms = look->since_ms + stanch_json_int(soak->asked, "lasts_ms", 0);
        return look->now_ms + every_ms < end_ms ? look->now_ms + every_ms : end_ms;
    }
    int64_t slower_ms = (look->now_ms - look->bad_ms) / 4;
    slower_ms = slower_ms < EVERY_MAX_MS ? slower_ms : EVERY_MAX_MS;
    return look->now_ms + (slower_ms > every_ms ? slower_ms : every_ms);
}

/* ---- its end ---- */

static void leave_open(const struct stanch_soak *soak, const char *why, struct stanch_batch *batch)
{
    json_t *data = json_pack("{s:s, s:s}", "incident", soak->id, "why", why);
    stanch_soak_end(data);
    stanch_batch_add(batch, soak->id, "incident.unresolved", STANCH_BY_STANCH, NULL, data);
}

static int end_soak(const struct stanch_soak *soak, const struct look *look, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *in_force = NULL;
    struct stanch_err err;
    int rc = stanch_soak_in_force(soak->engine->journal, look->doc, &in_force, &err);
    if (rc < 0)
        return rc;
    if (json_array_size(in_force) > 0) {
        STANCH_AUTO_FREE char *why =
            stanch_asprintf("its symptoms were good for %s, but %zu mitigation(s) are in force now (%s, ...): undo "
                            "them, or give a reason to leave them",
                            look->lasts, json_array_size(in_force), json_string_value(json_array_get(in_force, 0)));
        leave_open(soak, why, batch);
        return 0;
    }
    json_t *data = json_pack("{s:i, s:s, s:s, s:I}", "left_in_force", 0, "measured", look->measured, "lasted",
                             look->lasts, "samples", (json_int_t)soak->number + 1);
    stanch_incident_put_resolved(soak->id, stanch_json_str(soak->asked, "by", STANCH_BY_STANCH), data,
                                 stanch_engine__now(soak->engine), batch);
    return 0;
}

/* ret_due_ms: when it is looked at again; INT64_MAX: not any more. returns 0 | what the journal said */
static int conclude(const struct stanch_soak *soak, const struct look *look, struct stanch_batch *batch,
                    int64_t *ret_due_ms)
{
    *ret_due_ms = INT64_MAX;
    if (look->good && look->now_ms - look->since_ms >= stanch_json_int(soak->asked, "lasts_ms", 0))
        return end_soak(soak, look, batch);
    if (!look->good && look->now_ms - look->bad_ms >= GIVE_UP_MS) {
        STANCH_AUTO_FREE char *why = stanch_asprintf("not good for a day, it is watched no longer: %s", look->measured);
        leave_open(soak, why, batch);
        return 0;
    }
    int64_t due_ms = next_due(soak, look), soonest_ms = stanch_engine__steady(soak->engine) + 1;
    *ret_due_ms = due_ms > soonest_ms ? due_ms : soonest_ms;
    json_t *data = json_pack("{s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "incident", soak->id, "soaked", "due_ms",
                             (json_int_t)*ret_due_ms, "since_ms", (json_int_t)look->since_ms, "bad_ms",
                             (json_int_t)look->bad_ms, "sampled_ms", (json_int_t)look->now_ms, "samples",
                             (json_int_t)soak->number + 1, "breaks", (json_int_t)look->breaks);
    const char *kind = add_sample(soak, look, data);
    stanch_batch_add(batch, soak->id, kind, STANCH_BY_STANCH, NULL, data);
    return 0;
}

/* ---- samples ---- */

/* The soak that these samples are of: not ended, and not asked for anew since. */
static bool is_current(const struct stanch_soak *soak, const json_t *doc)
{
    return stanch_fold_due("incident", doc) != STANCH_DUE_NEVER &&
           stanch_json_int(json_object_get(doc, "soak"), "asked_ms", -1) == soak->asked_ms &&
           stanch_json_int(json_object_get(doc, "soaked"), "samples", -1) == soak->number;
}

static void on_again(void *ctx);

static void all_seen(struct stanch_soak *soak)
{
    struct stanch_engine *engine = soak->engine;
    if (engine->halted)
        return; /* the next start asks again */
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "incident", soak->id);
    if (!is_current(soak, doc)) {
        STANCH_AUTO_FREE char *id = stanch_strdup(soak->id);
        drop(soak);
        if (stanch_soak__due(engine, id) < 0) /* it may have been due meanwhile */
            stanch_log(STANCH_LOG_ERROR, "run", "%s is watched again after the next start: it could not be read", id);
        return;
    }
    struct look look;
    int64_t due_ms;
    struct stanch_batch *batch = stanch_batch_new();
    take_look(soak, doc, &look);
    int rc = conclude(soak, &look, batch, &due_ms);
    end_look(&look);
    if (rc < 0)
        stanch_batch_free(batch);
    else
        rc = stanch_engine__append(engine, batch, NULL, NULL, NULL);
    if (rc < 0) {
        soak->again = stanch_timer_start(engine->loop, TRY_AGAIN_MS, on_again, soak);
        return;
    }
    drop(soak);
    if (due_ms != INT64_MAX)
        stanch_engine__due(engine, due_ms);
}

static void on_again(void *ctx)
{
    struct stanch_soak *soak = ctx;
    soak->again = NULL;
    all_seen(soak);
}

static void on_sample(void *ctx, const char *result, const json_t *value, const char *why)
{
    struct sample *sample = ctx;
    (void)snprintf(sample->result, sizeof sample->result, "%s", result);
    (void)snprintf(sample->why, sizeof sample->why, "%s", why);
    sample->value = value ? json_deep_copy(value) : NULL;
    if (--sample->soak->out > 0)
        return;
    sample->soak->seen_ms = stanch_engine__steady(sample->soak->engine);
    all_seen(sample->soak);
}

/* ---- due ---- */

static bool is_out(const struct stanch_engine *engine, const char *id)
{
    for (const struct stanch_soak *soak = engine->soaks; soak; soak = soak->next)
        if (strcmp(soak->id, id) == 0)
            return true;
    return false;
}

static bool is_known(const json_t *symptom, const json_t *symptoms)
{
    for (size_t i = 0; i < json_array_size(symptoms); i++)
        if (json_equal(symptom, json_object_get(json_array_get(symptoms, i), "symptom")))
            return true;
    return false;
}

static bool has_unknown(const json_t *symptoms, const json_t *known)
{
    for (size_t i = 0; i < json_array_size(symptoms); i++)
        if (!is_known(json_object_get(json_array_get(symptoms, i), "symptom"), known))
            return true;
    return false;
}

/* Runs that began since may be about something that nobody measured yet. ret: "soak" as it is now; new */
static int with_new_runs(struct stanch_engine *engine, const json_t *doc, json_t **ret, bool *ret_grew)
{
    const json_t *asked = json_object_get(doc, "soak");
    STANCH_AUTO_JSON json_t *symptoms = NULL;
    struct stanch_err err;
    int64_t runs = 0;
    *ret = json_copy((json_t *)(uintptr_t)asked);
    *ret_grew = false;
    if (stanch_soak_runs(engine->journal, doc) == stanch_json_int(asked, "runs", 0))
        return 0;
    int rc = stanch_soak_symptoms(engine->journal, doc, &symptoms, &runs, &err);
    if (rc == 0 && json_array_size(symptoms) == 0) /* what was merged into it is pruned: its symptoms are known still */
        return 0;
    if (rc == 0) {
        *ret_grew = has_unknown(symptoms, json_object_get(asked, "symptoms"));
        STANCH_AUTO_JSON json_t *now =
            stanch_soak_new(stanch_json_str(asked, "by", ""), stanch_json_int(asked, "lasts_ms", 0), runs, symptoms);
        json_object_update(*ret, now);
        return 0;
    }
    json_decref(*ret);
    return rc;
}

static void sample_all(struct stanch_engine *engine, struct stanch_soak *soak)
{
    const json_t *symptoms = json_object_get(soak->asked, "symptoms");
    soak->count = json_array_size(symptoms);
    soak->out = soak->count;
    soak->samples = stanch_alloc((soak->count + 1) * sizeof *soak->samples);
    for (size_t i = 0; i < soak->count; i++)
        soak->samples[i].soak = soak;
    for (size_t i = 0; i < soak->count; i++)
        stanch_symptom__sample(engine, json_object_get(json_array_get(symptoms, i), "symptom"), on_sample,
                               &soak->samples[i]);
}

int stanch_soak__due(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "incident", id);
    int64_t due_ms = stanch_fold_due("incident", doc);
    if (due_ms == STANCH_DUE_NEVER || due_ms > stanch_engine__steady(engine) || is_out(engine, id))
        return 0;
    json_t *asked = NULL;
    bool grew = false;
    int rc = with_new_runs(engine, doc, &asked, &grew);
    if (rc < 0)
        return rc;
    struct stanch_soak *soak = STANCH_NEW(struct stanch_soak);
    soak->engine = engine;
    (void)snprintf(soak->id, sizeof soak->id, "%s", id);
    soak->asked_ms = stanch_json_int(asked, "asked_ms", 0);
    soak->number = stanch_json_int(json_object_get(doc, "soaked"), "samples", 0);
    soak->asked = asked;
    soak->grew = grew;
    soak->next = engine->soaks;
    engine->soaks = soak;
    sample_all(engine, soak);
    return 0;
}

/* ---- asked for ---- */

static char *names_of(const json_t *symptoms)
{
    struct stanch_buf out = {0};
    for (size_t i = 0; i < json_array_size(symptoms) && i < SHOWN_MAX; i++)
        stanch_buf_printf(&out, "%s%.80s", i ? ", " : "", stanch_json_str(json_array_get(symptoms, i), "runbooks", ""));
    return stanch_buf_take(&out);
}

int stanch_engine_soak(struct stanch_engine *engine, const char *by, const char *incident, json_t *soak,
                       struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *asked = soak;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "incident", incident);
    int64_t now_ms = stanch_engine__steady(engine),
            due_ms = now_ms + 1; /* what is due until now was looked at already */
    if (json_object_get(doc, "soak"))
        return 0; /* it is watched already, in the name of who asked first */
    STANCH_AUTO_FREE char *lasts = duration(stanch_json_int(asked, "lasts_ms", 0));
    STANCH_AUTO_FREE char *every = duration(stanch_json_int(asked, "every_ms", 0));
    STANCH_AUTO_FREE char *names = names_of(json_object_get(asked, "symptoms"));
    STANCH_AUTO_FREE char *soaking = stanch_asprintf("to be good for %s, and not measured yet: %s", lasts, names);
    json_object_set_new(asked, "asked_ms", json_integer(now_ms));
    json_t *soaked = json_pack("{s:I, s:i, s:i, s:i, s:i, s:i}", "due_ms", (json_int_t)due_ms, "since_ms", 0, "bad_ms",
                               0, "sampled_ms", 0, "samples", 0, "breaks", 0);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, incident, "incident.watched", by, NULL,
                     json_pack("{s:s, s:s, s:O, s:o, s:s, s:s, s:s, s:s}", "incident", incident, "state", "monitoring",
                               "soak", asked, "soaked", soaked, "soaking", soaking, "lasts", lasts, "every", every,
                               "symptoms", names));
    int rc = stanch_journal_append(engine->journal, batch, NULL, NULL, err);
    if (rc == 0)
        stanch_engine__due(engine, due_ms);
    return rc;
}
