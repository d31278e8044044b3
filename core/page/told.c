/* told.c: what should be known of a subject, and what was told of it: both out of the journal, which is also where the
 * answer goes. What the journal does not take stays aside as long as the process lives.
 */
#include "page/room.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define GROUP_PREFIX "many-"

/* ---- what the journal says ---- */

bool stanch_page__is_page(const char *subject)
{
    return subject[0] == 'P';
}

json_t *stanch_page__read_subject(const struct stanch_way *way, const char *subject)
{
    return stanch_journal_get(way->pager->journal, STANCH_VIEW_COMMITTED,
                              stanch_page__is_page(subject) ? "page" : "approval", subject);
}

static void notice_id(const struct stanch_way *way, const char *subject, char ret[160])
{
    (void)snprintf(ret, 160, "%s/%s", way->name, subject);
}

json_t *stanch_page__read_notice(const struct stanch_way *way, const char *subject)
{
    char id[160];
    notice_id(way, subject, id);
    json_t *unwritten = json_object_get(way->unwritten, id);
    return unwritten ? json_incref(unwritten)
                     : stanch_journal_get(way->pager->journal, STANCH_VIEW_APPENDED, "notice", id);
}

static enum stanch_page__step wanted(const json_t *doc)
{
    if (!doc)
        return STANCH_PAGE__NOTHING;
    if (!stanch_json_bool(doc, "open", true))
        return STANCH_PAGE__OVER;
    return json_array_size(json_object_get(doc, "granted_by")) > 0 ? STANCH_PAGE__ACKNOWLEDGED : STANCH_PAGE__ASKED;
}

enum stanch_page__step stanch_page__step_of(const struct stanch_way *way, const json_t *doc, const json_t *notice)
{
    enum stanch_page__step want = way->pager->is_over ? STANCH_PAGE__OVER : wanted(doc);
    const char *state = stanch_json_str(notice, "state", ""), *told = stanch_json_str(notice, "told", "");
    if (!notice && want == STANCH_PAGE__OVER && json_object_get(way->pager->may_know, stanch_json_str(doc, "id", "")))
        return want;
    if (!notice)
        return want == STANCH_PAGE__OVER      ? STANCH_PAGE__NOTHING
               : want == STANCH_PAGE__NOTHING ? want
                                              : STANCH_PAGE__ASKED;
    bool is_told = strcmp(state, "told") == 0;
    if (is_told && want == STANCH_PAGE__ASKED &&
        stanch_json_int(doc, "reminded", 0) > stanch_json_int(notice, "reminded", 0))
        return STANCH_PAGE__REMINDED;
    if (!is_told || want == STANCH_PAGE__ASKED) /* closed, given up; or known */
        return STANCH_PAGE__NOTHING;
    if (want == STANCH_PAGE__ACKNOWLEDGED && strcmp(told, "acknowledged") == 0)
        return STANCH_PAGE__NOTHING;
    return want;
}

/* ---- noting what was told ---- */

bool stanch_page__is_for_many(const char *key)
{
    return strncmp(key, GROUP_PREFIX, strlen(GROUP_PREFIX)) == 0;
}

void stanch_page__count_member(struct stanch_way *way, const char *key, int by)
{
    int64_t count = stanch_json_int(way->members, key, 0) + by;
    if (count > 0) {
        json_object_set_new(way->members, key, json_integer(count));
    } else {
        json_object_del(way->members, key);
        json_object_del(way->reminded, key);
    }
    if (count <= 0 && strcmp(way->group, key) == 0)
        way->group[0] = 0;
}

/* Put into the batch what the instance knows of a subject now; kept aside until it is recorded. */
static void note(struct stanch_way *way, struct stanch_batch *batch, const char *subject, const char *kind,
                 enum stanch_page__step told, const char *key, const char *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_page__read_subject(way, subject);
    char id[160];
    notice_id(way, subject, id);
    json_t *data = json_pack("{s:s, s:s, s:s}", "notice", id, "instance", way->name, "about", subject);
    if (strcmp(kind, "notice.told") == 0)
        json_object_set_new(data, "told", json_string(told == STANCH_PAGE__ACKNOWLEDGED ? "acknowledged" : "asked"));
    if (json_object_get(doc, "reminded"))
        json_object_set(data, "reminded", json_object_get(doc, "reminded"));
    if (stanch_page__is_for_many(key))
        json_object_set_new(data, "key", json_string(key));
    stanch_json_set_str(data, "why", why);
    json_t *aside = json_deep_copy(data);
    json_object_set_new(aside, "state", json_string(strrchr(kind, '.') + 1));
    json_object_set_new(way->unwritten, id, aside);
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), kind, STANCH_BY_STANCH,
                     stanch_json_str(doc, "run", NULL), data);
}

bool stanch_page__append(struct stanch_pager *pager, struct stanch_batch *batch)
{
    struct stanch_err err = {0};
    int rc = stanch_journal_append(pager->journal, batch, NULL, NULL, &err);
    if (rc < 0)
        stanch_log(STANCH_LOG_WARN, "page", "an entry about paging could not be recorded: %s", err.text);
    return rc == 0;
}

/* From here on the journal knows it; otherwise it stays aside as long as this process lives, so that it is not told over
 * and over. */
static void recorded(struct stanch_way *way, const char *subject)
{
    char id[160];
    notice_id(way, subject, id);
    json_object_del(way->unwritten, id);
}

/* All subjects of the call got to know the step. */
void stanch_page__note_told(struct stanch_way *way, const char *kind)
{
    struct stanch_batch *batch = stanch_batch_new();
    size_t i;
    json_t *subject;
    json_array_foreach(way->subjects, i, subject)
        note(way, batch, json_string_value(subject), kind, way->step, way->key, NULL);
    bool is_recorded = stanch_page__append(way->pager, batch);
    json_array_foreach(way->subjects, i, subject)
    {
        if (is_recorded)
            recorded(way, json_string_value(subject));
        stanch_way__drop(way, json_string_value(subject));
        stanch_way__enqueue(way, json_string_value(subject)); /* it may have gone on meanwhile */
    }
}

void stanch_page__note_one(struct stanch_way *way, const char *subject, const char *kind, enum stanch_page__step told,
                           const char *key, const char *why)
{
    struct stanch_batch *batch = stanch_batch_new();
    note(way, batch, subject, kind, told, key, why);
    if (stanch_page__append(way->pager, batch))
        recorded(way, subject);
}

void stanch_page__say(struct stanch_way *way, const char *kind, const char *why)
{
    struct stanch_batch *batch = stanch_batch_new();
    json_t *data = json_pack("{s:s}", "instance", way->name);
    stanch_json_set_str(data, "why", why);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    (void)stanch_page__append(way->pager, batch);
}

/* ---- what is open: at the start, and after more than the queue holds ---- */

int stanch_page__each_open(struct stanch_journal *journal, const char *noun, const char *chain, const char *prefix,
                           void (*fn)(void *ctx, const json_t *doc), void *ctx, struct stanch_err *err)
{
    struct stanch_noun_query query = {.noun = noun, .chain = chain, .id_prefix = prefix, .open = 1, .limit = 1000};
    for (;;) {
        STANCH_AUTO_JSON json_t *found = NULL;
        int rc = stanch_journal_list(journal, &query, &found, err);
        size_t count = json_array_size(found);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < count; i++)
            fn(ctx, json_array_get(found, i));
        if (count < 1000)
            return 0;
        query.before_seq = stanch_json_int(json_array_get(found, count - 1), "seq", 0);
    }
}

static void recall_subject(void *ctx, const json_t *doc)
{
    struct stanch_way *way = ctx;
    const char *subject = stanch_json_str(doc, "id", "");
    STANCH_AUTO_JSON json_t *notice = stanch_page__read_notice(way, subject);
    if (stanch_page__step_of(way, doc, notice) != STANCH_PAGE__NOTHING)
        stanch_way__enqueue(way, subject);
}

static void recall_notice(void *ctx, const json_t *doc)
{
    struct stanch_way *way = ctx;
    const char *subject = stanch_json_str(doc, "about", ""), *key = stanch_json_str(doc, "key", NULL);
    STANCH_AUTO_JSON json_t *now = stanch_page__read_subject(way, subject);
    if (key) {
        (void)snprintf(way->group, sizeof way->group, "%s", key);
        stanch_page__count_member(way, key, 1);
    }
    if (stanch_page__step_of(way, now, doc) != STANCH_PAGE__NOTHING)
        stanch_way__enqueue(way, subject);
}

int stanch_page__recall(struct stanch_way *way, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *own = stanch_asprintf("%s/", way->name);
    struct stanch_journal *journal = way->pager->journal;
    way->is_over_bound = false;
    json_object_clear(way->members);
    way->group[0] = 0;
    int rc = stanch_page__each_open(journal, "notice", NULL, own, recall_notice, way, err);
    if (rc == 0)
        rc = stanch_page__each_open(journal, "approval", NULL, NULL, recall_subject, way, err);
    if (rc == 0)
        rc = stanch_page__each_open(journal, "page", NULL, NULL, recall_subject, way, err);
    return rc;
}
