/* stopped.c: what flow_stop.c says of the files of stops, back into what stood in them. Each is known by its file; entries of
 * an earlier release do not name it: there a level has one stop of a name. */
#include "drill/stopped.h"
#include "base/json.h"
#include "base/mem.h"
#include "run/stop.h"
#include <string.h>

#define WINDOW 1000 /* entries of one look: as many as a page can give, whatever their kinds are */

struct stanch_stopped {
    json_t *all; /* not released */
    json_t *now; /* of them, those whose time is not over */
};

struct stanch_stopped *stanch_stopped_new(void)
{
    struct stanch_stopped *self = STANCH_NEW(struct stanch_stopped);
    self->all = json_array();
    self->now = json_array();
    return self;
}

void stanch_stopped_free(struct stanch_stopped *self)
{
    if (!self)
        return;
    json_decref(self->all);
    json_decref(self->now);
    free(self);
}

/* ---- entries ---- */

/* Of an entry without a level it is the switch. new */
static char *file_of(const json_t *data)
{
    const char *level = stanch_json_str(data, "level", NULL), *file = stanch_json_str(data, "file", NULL);
    if (file || !level)
        return stanch_strdup(file ? file : "stop");
    return stanch_asprintf("%s:%s", level, stanch_json_str(data, "name", ""));
}

/* new */
static json_t *stop_of(const json_t *data, const char *file)
{
    static const char *const members[] = {"name", "until", "until_ms"};
    json_t *stop =
        json_pack("{s:s, s:s, s:s, s:s}", "level", stanch_json_str(data, "level", STANCH_STOP_EVERYTHING), "file", file,
                  "reason", stanch_json_str(data, "reason", ""), "by", stanch_json_str(data, "set_by", "unknown"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(data, members[i]))
            json_object_set(stop, members[i], json_object_get(data, members[i]));
    return stop;
}

static void release(struct stanch_stopped *self, const char *file)
{
    for (size_t i = json_array_size(self->all); i > 0; i--)
        if (strcmp(stanch_json_str(json_array_get(self->all, i - 1), "file", ""), file) == 0)
            json_array_remove(self->all, i - 1);
}

/* Again for the same file: what stands in it has changed. The switch comes first, as in stanch_stop_list. */
static void engage(struct stanch_stopped *self, const json_t *data, const char *file)
{
    release(self, file);
    json_array_insert_new(self->all, json_object_get(data, "level") ? json_array_size(self->all) : 0,
                          stop_of(data, file));
}

void stanch_stopped_hear(struct stanch_stopped *self, const struct stanch_entry *entry)
{
    bool is_engaged = strcmp(entry->kind, "stop.engaged") == 0;
    if (strcmp(entry->kind, "daemon.started") == 0) {
        json_array_clear(self->all);
    } else if (is_engaged || strcmp(entry->kind, "stop.released") == 0) {
        STANCH_AUTO_FREE char *file = file_of(entry->data);
        if (is_engaged)
            engage(self, entry->data, file);
        else
            release(self, file);
    }
}

const json_t *stanch_stopped_at(struct stanch_stopped *self, int64_t at_ms)
{
    json_array_clear(self->now);
    for (size_t i = 0; i < json_array_size(self->all); i++)
        if (!stanch_stop_is_over(json_array_get(self->all, i), at_ms))
            json_array_append(self->now, json_array_get(self->all, i));
    return self->now;
}

/* ---- what was before ---- */

static int on_start(void *ctx, const struct stanch_entry *entry)
{
    *(int64_t *)ctx = entry->seq;
    return 0;
}

/* The last start of a daemon among the entries up to `seq`; 0: none is there. */
static int find_start(struct stanch_journal *journal, int64_t seq, int64_t *ret, struct stanch_err *err)
{
    int rc = 0;
    *ret = 0;
    for (int64_t until = seq; until > 0 && rc == 0 && *ret == 0; until -= WINDOW) {
        const struct stanch_entry_query query = {.kind_prefix = "daemon.started",
                                                 .after_seq = until > WINDOW ? until - WINDOW : 0,
                                                 .until_seq = until,
                                                 .limit = WINDOW};
        rc = stanch_journal_entries(journal, &query, on_start, ret, err);
    }
    return rc;
}

static int on_stop(void *ctx, const struct stanch_entry *entry)
{
    stanch_stopped_hear(ctx, entry);
    return 0;
}

int stanch_stopped_recall(struct stanch_stopped *self, struct stanch_journal *journal, int64_t seq,
                          struct stanch_err *err)
{
    int64_t after = 0;
    int rc = find_start(journal, seq, &after, err);
    json_array_clear(self->all);
    for (; rc == 0 && after < seq; after += WINDOW) {
        const struct stanch_entry_query query = {.kind_prefix = "stop.",
                                                 .after_seq = after,
                                                 .until_seq = seq - after > WINDOW ? after + WINDOW : seq,
                                                 .limit = WINDOW};
        rc = stanch_journal_entries(journal, &query, on_stop, self, err);
    }
    return rc;
}
