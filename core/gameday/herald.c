/* herald.c: each instance of `drills.tell` hears what becomes of each drill: the last of it, in order, one call at a time.
 *
 *   drill.* entry --enqueue--> queue of each teller --look--> what it should know, against what it was told: nothing, or
 *                                                     --call--> done: drill.told | failed: a pause, again; three times: drill.untold
 *
 * A drill that went on meanwhile is told as it is now: what is past is not told any more.
 */
#include "gameday/herald.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "page/send.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define TRIES       3
#define MAX_QUEUED  1000 /* more are found again in the journal when there is room */
#define DEADLINE_MS 20000
#define RECENT_MS   86400000LL /* what was over for longer when the daemon comes up is no news */
#define MAX_TEXT    1000

static const int64_t pauses_ms[TRIES - 1] = {10000, 60000};

/* One instance. */
struct teller {
    struct teller *next;
    struct stanch_herald *herald;
    const char *name;
    json_t *queue; /* id of a drill -> true, in their order */
    json_t *known; /* id -> what it was told, or could not be, in this life */
    int tries;     /* of the first of the queue, to tell it `told` */
    bool is_busy, is_over_bound;
    struct stanch_timer *timer;
    char drill[64], told[64]; /* of the call that is out, or that is tried again */
};

struct stanch_herald {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    const char *url;
    struct stanch_pager_port port;
    struct teller *tellers;
    struct stanch_follower *follower;
    bool is_halted;
};

static void pump(struct teller *teller);

static void on_time(void *ctx)
{
    struct teller *teller = ctx;
    teller->timer = NULL;
    pump(teller);
}

/* Later, never from inside of a follower: telling appends. */
static void look_soon(struct teller *teller)
{
    if (!teller->timer && !teller->is_busy)
        teller->timer = stanch_timer_start(teller->herald->loop, 0, on_time, teller);
}

static void enqueue(struct teller *teller, const char *drill)
{
    if (json_object_size(teller->queue) >= MAX_QUEUED && !json_object_get(teller->queue, drill))
        teller->is_over_bound = true;
    else
        json_object_set_new(teller->queue, drill, json_true());
    look_soon(teller);
}

/* ---- what it should know ---- */

static bool is_member(const json_t *object, const char *key, const char *text)
{
    return strcmp(stanch_json_str(object, key, ""), text) == 0;
}

/* "announced", "due in 15m", "running", "over", "missed": how the timeline says it. returns false: nothing is to be told */
static bool what_to_tell(const struct teller *teller, const json_t *doc, char ret[64])
{
    const char *state = stanch_json_str(doc, "state", ""), *in = stanch_json_str(doc, "in", NULL);
    if (strcmp(state, "announced") == 0 && in)
        (void)snprintf(ret, 64, "due in %.40s", in);
    else
        (void)snprintf(ret, 64, "%.40s", strcmp(state, "ended") == 0 ? "over" : state);
    return ret[0] && !is_member(teller->known, stanch_json_str(doc, "id", ""), ret) &&
           !is_member(json_object_get(doc, "told"), teller->name, ret) &&
           !is_member(json_object_get(doc, "untold"), teller->name, ret);
}

static json_t *summary_of(const json_t *doc)
{
    const char *state = stanch_json_str(doc, "state", ""), *at = stanch_json_str(doc, "at", "?");
    const char *in = stanch_json_str(doc, "in", NULL), *why = stanch_json_str(doc, "why", NULL);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_printf(&text, "DRILL: %s (%s) ", stanch_json_str(doc, "name", ""), stanch_json_str(doc, "kind", ""));
    if (strcmp(state, "announced") == 0)
        stanch_buf_printf(&text, in ? "begins in %s, at %s" : "begins%s at %s", in ? in : "", at);
    else if (strcmp(state, "running") == 0)
        stanch_buf_text(&text, "has begun");
    else if (strcmp(state, "missed") == 0)
        stanch_buf_printf(&text, "of %s did not take place", at);
    else
        stanch_buf_text(&text, "is over");
    if (why && !stanch_json_bool(doc, "open", true))
        stanch_buf_printf(&text, ": %s", why);
    if (strcmp(state, "ended") == 0 && json_object_get(doc, "of"))
        stanch_buf_printf(&text, ". Promises met: %lld of %lld", (long long)stanch_json_int(doc, "met", 0),
                          (long long)stanch_json_int(doc, "of", 0));
    for (char *c = text.data; *c; c++) /* one line */
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;
    return stanch_page_text(text.data, MAX_TEXT);
}

/* To the drill, or to its report as a page, when it has one. new, or NULL */
static json_t *link_to(const struct teller *teller, const json_t *doc)
{
    bool has_report = json_object_get(doc, "of") != NULL;
    STANCH_AUTO_FREE char *place = stanch_asprintf("%s%s", teller->drill, has_report ? "/report?format=html" : "");
    return stanch_page_link(teller->herald->url, "v1/drills", place);
}

static json_t *args_of(const struct teller *teller, const json_t *doc)
{
    static const char *const members[] = {"drill", "name", "kind", "plan",  "at", "in", "state",
                                          "by",    "why",  "met",  "speed", "of", NULL};
    json_t *details = json_object();
    json_object_set_new(details, "is_drill", json_true());
    for (size_t i = 0; members[i]; i++) {
        json_t *value = json_object_get(doc, members[i]);
        if (json_is_string(value))
            json_object_set_new(details, members[i], stanch_page_text(json_string_value(value), MAX_TEXT));
        else if (json_is_number(value))
            json_object_set(details, members[i], value);
    }
    json_t *args = json_pack("{s:s, s:s, s:o, s:o}", "event", "note", "key", teller->drill, "summary", summary_of(doc),
                             "details", details);
    json_t *link = link_to(teller, doc);
    if (link)
        json_object_set_new(args, "link", link);
    return args;
}

/* ---- the answer ---- */

static void note(struct teller *teller, const char *kind, const char *why)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err = {0};
    json_t *data = json_pack("{s:s, s:s, s:s}", "drill", teller->drill, "instance", teller->name, "told", teller->told);
    stanch_json_set_str(data, "why", why);
    json_object_set_new(teller->known, teller->drill, json_string(teller->told)); /* also when the journal is full */
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    if (stanch_journal_append(teller->herald->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_WARN, "gameday", "%s could not be recorded: %s", kind, err.text);
    teller->tries = 0;
}

static void finish_failed(struct teller *teller, const char *why)
{
    struct stanch_herald *herald = teller->herald;
    if (++teller->tries < TRIES) {
        teller->timer = stanch_timer_start(herald->loop, pauses_ms[teller->tries - 1], on_time, teller);
        return;
    }
    stanch_log(STANCH_LOG_WARN, "gameday", "%s could not be told that drill %s is %s: %s", teller->name, teller->drill,
               teller->told, why);
    note(teller, "drill.untold", *why ? why : "no reason was given");
    look_soon(teller);
}

static void on_answer(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct teller *teller = ctx;
    if (teller->herald->is_halted)
        return;
    teller->is_busy = false;
    if (answer->outcome != STANCH_OUTCOME_DONE) { /* unknown: it may have arrived; the key says that it is the same */
        finish_failed(teller, answer->err.text);
        return;
    }
    note(teller, "drill.told", NULL);
    look_soon(teller); /* it may have gone on meanwhile */
}

/* ---- telling ---- */

static void tell(struct teller *teller, const json_t *doc)
{
    const struct stanch_pager_port *port = &teller->herald->port;
    struct stanch_err err = {0};
    const json_t *described = port->describe(port->ctx, teller->name);
    int rc = STANCH_E_UNAVAILABLE;
    if (stanch_page_sends(described)) {
        /* the same for each try, in every life of the daemon */
        STANCH_AUTO_FREE char *once = stanch_asprintf("%s/%s", teller->drill, teller->told);
        STANCH_AUTO_JSON json_t *input = json_pack("{s:o, s:s}", "args", args_of(teller, doc), "key", once);
        const struct stanch_plugin_request request = {
            .instance = teller->name, .op = "read", .action = "send", .input = input, .deadline_ms = DEADLINE_MS};
        teller->is_busy = true;
        rc = port->call(port->ctx, &request, on_answer, teller, NULL, &err);
    } else {
        stanch_err_set(&err, rc, "the plugin is %s", stanch_json_str(described, "state", "not there"));
    }
    if (rc == 0)
        return;
    teller->is_busy = false;
    finish_failed(teller, err.text);
}

/* returns whether there is something to wait for */
static bool look(struct teller *teller, const char *drill)
{
    char told[64];
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(teller->herald->journal, STANCH_VIEW_COMMITTED, "drill", drill);
    if (!doc || !what_to_tell(teller, doc, told)) {
        json_object_del(teller->queue, drill);
        return false;
    }
    if (strcmp(teller->drill, drill) != 0 || strcmp(teller->told, told) != 0)
        teller->tries = 0;
    (void)snprintf(teller->drill, sizeof teller->drill, "%s", drill);
    (void)snprintf(teller->told, sizeof teller->told, "%s", told);
    tell(teller, doc);
    return true;
}

static int recall(struct teller *teller, struct stanch_err *err);

static void pump(struct teller *teller)
{
    struct stanch_err err = {0};
    while (!teller->herald->is_halted && !teller->is_busy && !teller->timer) {
        void *first = json_object_iter(teller->queue);
        if (!first)
            break;
        STANCH_AUTO_FREE char *drill = stanch_strdup(json_object_iter_key(first));
        if (look(teller, drill))
            return;
    }
    if (teller->is_over_bound && json_object_size(teller->queue) == 0 && recall(teller, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "gameday", "drills could not be read: %s", err.text);
}

/* ---- what is open, and what has ended lately ---- */

static int recall_drill(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct teller *teller = ctx;
    char told[64];
    bool is_recent = stanch_json_int(doc, "updated_ms", 0) > stanch_loop_wall_ms(teller->herald->loop) - RECENT_MS;
    (void)err;
    if ((is_recent || stanch_json_bool(doc, "open", false)) && what_to_tell(teller, doc, told))
        enqueue(teller, stanch_json_str(doc, "id", ""));
    return 0;
}

static int recall(struct teller *teller, struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "drill", .open = -1};
    teller->is_over_bound = false;
    return stanch_journal_each(teller->herald->journal, &query, recall_drill, teller, err);
}

/* ---- life ---- */

static void on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_herald *herald = ctx;
    const char *drill = stanch_json_str(entry->data, "drill", NULL);
    if (strncmp(entry->kind, "drill.", 6) != 0 || !drill || strcmp(entry->kind, "drill.told") == 0 ||
        strcmp(entry->kind, "drill.untold") == 0)
        return;
    for (struct teller *teller = herald->tellers; teller; teller = teller->next)
        enqueue(teller, drill);
}

int stanch_herald_check(const json_t *tell, const struct stanch_pager_port *port, struct stanch_err *err)
{
    for (size_t i = 0; i < json_array_size(tell); i++) {
        const char *name = json_string_value(json_array_get(tell, i));
        const json_t *described = port->describe(port->ctx, name);
        if (is_member(described, "state", "up") && !stanch_page_sends(described))
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "drills.tell: %s \"%s\" cannot tell of drills: it has no notice send",
                                  stanch_json_str(described, "plugin", ""), name);
    }
    return 0;
}

int stanch_herald_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *tell, const char *url,
                        const struct stanch_pager_port *port, struct stanch_herald **ret, struct stanch_err *err)
{
    struct stanch_herald *herald = STANCH_NEW(struct stanch_herald);
    struct teller **last = &herald->tellers;
    int rc = 0;
    herald->loop = loop;
    herald->journal = journal;
    herald->url = url;
    herald->port = *port;
    herald->follower = stanch_journal_follow(journal, on_entry, herald);
    for (size_t i = 0; rc == 0 && i < json_array_size(tell); i++, last = &(*last)->next) {
        struct teller *teller = *last = STANCH_NEW(struct teller);
        teller->herald = herald;
        teller->name = json_string_value(json_array_get(tell, i));
        teller->queue = json_object();
        teller->known = json_object();
        rc = recall(teller, err);
    }
    if (rc < 0) {
        stanch_herald_free(herald);
        return rc;
    }
    *ret = herald;
    return 0;
}

void stanch_herald_halt(struct stanch_herald *herald)
{
    if (!herald || herald->is_halted)
        return;
    herald->is_halted = true;
    stanch_journal_unfollow(herald->journal, herald->follower);
    for (struct teller *teller = herald->tellers; teller; teller = teller->next)
        stanch_timer_stop(herald->loop, &teller->timer);
}

void stanch_herald_free(struct stanch_herald *herald)
{
    if (!herald)
        return;
    stanch_herald_halt(herald);
    while (herald->tellers) {
        struct teller *teller = herald->tellers;
        herald->tellers = teller->next;
        json_decref(teller->queue);
        json_decref(teller->known);
        free(teller);
    }
    free(herald);
}
