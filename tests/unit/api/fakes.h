/* fakes.h: the doors with nothing behind them: a flow that writes down what it is asked, and a journal that holds
 * what the test put there. The real ones are behind the same doors in tests/flow. */
#ifndef TESTS_API_FAKES_H
#define TESTS_API_FAKES_H
#include "http/serving.h"
#include "api/api.h"
#include "api/room.h"

#define ENTRIES 2000

struct fakes {
    struct serving client; /* only its socket, port and lock are used */
    struct stanch_api *api;
    json_t *asked;  /* [{"by","command","input"}]; under lock */
    json_t *answer; /* what flow answers; NULL: an error */
    struct stanch_err error;
    bool answers_late;
    json_t *docs;    /* {"incident/INC-1": doc}, in order of creation */
    bool unreadable; /* a document can't be read */
    struct stanch_entry entries[ENTRIES];
    int entry_count;
    bool endless; /* there is always one more page; the first entry again and again */
    void (*follower)(void *ctx, const struct stanch_entry *entry);
    void *follower_ctx;
    int followers;
    int readings; /* reports in the making when one of them was read on; under lock */
    int counted;  /* how often that was looked at besides; under lock */
    struct stanch_people *people;
    char refused[300]; /* the last that was refused: code, who, what; under lock */
};
static struct fakes *the; /* flow and journal have no state of their own here */

struct pending {
    stanch_flow_done done;
    void *ctx;
};

static void answer_pending(void *ctx)
{
    struct pending *pending = ctx;
    pending->done(pending->ctx, the->answer ? 0 : the->error.code, &the->error, the->answer);
    free(pending);
}

static int ask(json_t *what, stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    pthread_mutex_lock(&the->client.lock);
    json_array_append_new(the->asked, what);
    pthread_mutex_unlock(&the->client.lock);
    if (!the->answer && !the->answers_late) {
        *err = the->error;
        return the->error.code;
    }
    struct pending *pending = STANCH_NEW(struct pending);
    *pending = (struct pending){done, ctx};
    stanch_timer_start(the->client.loop, 5, answer_pending, pending);
    return 0;
}

int stanch_flow_receive(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                        void *ctx, struct stanch_err *err)
{
    (void)flow;
    return ask(json_pack("{s:s, s:s, s:O, s:s, s:I}", "command", "receive", "source", webhook->source, "headers",
                         webhook->headers, "query", webhook->query, "len", (json_int_t)webhook->body_len),
               done, ctx, err);
}

int stanch_flow_test_source(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                            void *ctx, struct stanch_err *err)
{
    (void)flow;
    return ask(json_pack("{s:s, s:s, s:O}", "command", "test", "source", webhook->source, "headers", webhook->headers),
               done, ctx, err);
}

int stanch_flow_do(struct stanch_flow *flow, const char *by, const char *command, const json_t *input,
                   stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    (void)flow;
    return ask(json_pack("{s:s, s:s, s:o}", "by", by, "command", command, "input", json_deep_copy(input)), done, ctx,
               err);
}

void stanch_flow_note_refused(struct stanch_flow *flow, const char *by, const char *what, const char *remote,
                              const struct stanch_err *err)
{
    (void)flow;
    (void)remote;
    pthread_mutex_lock(&the->client.lock);
    (void)snprintf(the->refused, sizeof the->refused, "%s %s %s", stanch_err_word(err->code), *by ? by : "nobody",
                   what);
    pthread_mutex_unlock(&the->client.lock);
}

json_t *stanch_flow_status(struct stanch_flow *flow)
{
    (void)flow;
    return json_pack("{s:b, s:[s], s:n, s:{s:i, s:i}, s:{s:i}, s:{s:s}, s:[{s:s, s:s}], s:i}", "ready", 0, "why",
                     "no commit yet", "stopped", "runs", "open", 3, "parked", 1, "counters", "events_received", 42,
                     "book", "state", "none", "plugins", "name", "ed\"ge", "state", "up", "uptime_ms", 1500);
}

int stanch_flow_why(struct stanch_flow *flow, const char *event, json_t **ret, struct stanch_err *err)
{
    (void)flow;
    if (strcmp(event, "E-1") != 0)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "no event %s", event);
    *ret = json_pack("{s:s, s:[]}", "event", event, "considered");
    return 0;
}

json_t *stanch_flow_runbooks(struct stanch_flow *flow)
{
    (void)flow;
    return json_pack("[{s:s, s:s}]", "name", "checkout", "source", "runbook {}");
}

json_t *stanch_journal_health(struct stanch_journal *journal)
{
    (void)journal;
    return json_pack("{s:i, s:b}", "entries", 7, "full", 0);
}

int stanch_journal_find(struct stanch_journal *journal, const char *noun, const char *id, json_t **ret,
                        struct stanch_err *err)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%s", noun, id);
    (void)journal;
    if (the->unreadable)
        return stanch_err_set(err, STANCH_E_STORE, "the store cannot be read: disk I/O error");
    *ret = json_deep_copy(json_object_get(the->docs, key));
    return *ret ? 0 : stanch_err_set(err, STANCH_E_NOT_FOUND, "no %s", key);
}

static bool is_asked_for(const struct stanch_noun_query *query, const char *key, const json_t *doc)
{
    size_t len = strlen(query->noun);
    const char *prefix = query->id_prefix ? query->id_prefix : "";
    bool is_open = stanch_json_bool(doc, "open", true);
    return strncmp(key, query->noun, len) == 0 && key[len] == '/' &&
           strncmp(key + len + 1, prefix, strlen(prefix)) == 0 &&
           (!query->chain || strcmp(stanch_json_str(doc, "incident", ""), query->chain) == 0) &&
           (query->open < 0 || is_open == (query->open == 1)) &&
           (!query->before_seq || stanch_json_int(doc, "seq", 0) < query->before_seq);
}

int stanch_journal_list(struct stanch_journal *journal, const struct stanch_noun_query *query, json_t **ret,
                        struct stanch_err *err)
{
    const char *key;
    json_t *doc;
    (void)journal;
    (void)err;
    *ret = json_array();
    json_object_foreach(the->docs, key, doc) if (is_asked_for(query, key, doc)) json_array_insert(*ret, 0, doc);
    while (json_array_size(*ret) > (size_t)query->limit)
        json_array_remove(*ret, json_array_size(*ret) - 1);
    return 0;
}

static void see_readings(void)
{
    pthread_mutex_lock(&the->client.lock);
    the->readings = the->api->reading_count;
    pthread_cond_broadcast(&the->client.changed);
    pthread_mutex_unlock(&the->client.lock);
}

int stanch_journal_entries(struct stanch_journal *journal, const struct stanch_entry_query *query,
                           int (*each)(void *ctx, const struct stanch_entry *entry), void *ctx, struct stanch_err *err)
{
    (void)journal;
    (void)err;
    int count = 0;
    see_readings();
    struct stanch_entry again = the->entries[0];
    for (again.seq = query->after_seq + 1; the->endless && count < query->limit; again.seq++, count++)
        if (each(ctx, &again) != 0)
            break;
    for (int i = 0; i < the->entry_count && count < query->limit; i++) {
        const struct stanch_entry *entry = &the->entries[i];
        if (entry->seq <= query->after_seq || (query->chain && strcmp(query->chain, entry->chain) != 0))
            continue;
        count++;
        if (each(ctx, entry) != 0)
            break;
    }
    return 0;
}

struct stanch_follower *stanch_journal_follow(struct stanch_journal *journal,
                                              void (*fn)(void *ctx, const struct stanch_entry *entry), void *ctx)
{
    (void)journal;
    the->follower = fn;
    the->follower_ctx = ctx;
    note(&the->client, &the->followers);
    return (struct stanch_follower *)(void *)the;
}

void stanch_journal_unfollow(struct stanch_journal *journal, struct stanch_follower *follower)
{
    (void)journal;
    (void)follower;
    the->follower = NULL;
}

/* On the loop thread: one more entry is committed. */
static inline void commit_one(void *ctx)
{
    const char *chain = ctx;
    struct stanch_entry *entry = &the->entries[the->entry_count++];
    *entry = (struct stanch_entry){.seq = the->entry_count,
                                   .chain = chain,
                                   .n = the->entry_count,
                                   .at_ms = 1700000000000,
                                   .kind = "incident.noted",
                                   .by = "person:ann",
                                   .data = json_pack("{s:s, s:s}", "incident", chain, "text", "hello")};
    if (the->follower)
        the->follower(the->follower_ctx, entry);
}

/* people: owned by the fakes; NULL: there is no people file */
static int start_fakes_for(void **state, struct stanch_people *people)
{
    the = STANCH_NEW(struct fakes);
    struct serving *client = &the->client;
    struct stanch_err err = {0};
    stanch_digest_init();
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    (void)snprintf(client->dir, sizeof client->dir, "/tmp/stanch-api-XXXXXX");
    if (!mkdtemp(client->dir))
        return -1;
    (void)snprintf(client->path, sizeof client->path, "%s/control", client->dir);
    the->asked = json_array();
    the->docs = json_object();
    the->answer = json_pack("{s:s}", "id", "X-1");
    the->people = people;
    client->loop = stanch_loop_new(&err);
    const struct stanch_http_config config = {.listen = "127.0.0.1:0", .socket_path = client->path};
    char hash[65];
    stanch_token_hash("the proxy's secret", hash);
    const struct stanch_api_proxy proxy = {hash, "X-Forwarded-User"};
    if (stanch_api_start(client->loop, &config, NULL, NULL, people, &proxy, &the->api, &err) != 0)
        return -1;
    client->port = stanch_api_port(the->api);
    *state = client;
    pthread_create(&client->thread, NULL, serve, client);
    return 0;
}

static inline int start_fakes(void **state)
{
    return start_fakes_for(state, NULL);
}

static void stop_fakes_on_loop(void *ctx)
{
    (void)ctx;
    stanch_api_free(the->api);
    stanch_loop_stop(the->client.loop);
}

static int stop_fakes(void **state)
{
    (void)state;
    stanch_loop_post(the->client.loop, stop_fakes_on_loop, NULL);
    pthread_join(the->client.thread, NULL);
    stanch_loop_free(the->client.loop);
    rmdir(the->client.dir);
    for (int i = 0; i < the->entry_count; i++)
        json_decref(the->entries[i].data);
    stanch_people_free(the->people);
    json_decref(the->asked);
    json_decref(the->docs);
    json_decref(the->answer);
    free(the);
    return 0;
}

/* One exchange. returns: the status; ret_body may be NULL. new */
static int call(bool local, const char *method, const char *path, const char *headers, const char *body,
                json_t **ret_body)
{
    int fd = local ? dial_local(&the->client) : dial(&the->client);
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", method,
                        path, headers ? headers : "", body ? strlen(body) : 0, body ? body : "");
    say(fd, text);
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    close(fd);
    if (ret_body)
        *ret_body = body_of(answer);
    return strlen(answer) > 12 ? atoi(answer + 9) : 0;
}

static json_t *last_asked(void)
{
    return json_array_get(the->asked, json_array_size(the->asked) - 1);
}
#endif
