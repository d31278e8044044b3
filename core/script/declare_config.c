/* declare_config.c: the configuration, stanch.lua: `stanch { ... }`. Its instances are read by declare_instance.c. */
#include "script/declare_check.h"
#include "base/json.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_SOCKET_BYTES 107 /* sun_path */

/* ---- readers of this file ---- */

/* "127.0.0.1:8470", "[::1]:8470", ":8470" or false: no TCP */
void stanch_read_listen(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char what[] = "\"address:port\" or false";
    if (lua_isboolean(check->L, idx) && !lua_toboolean(check->L, idx)) {
        json_object_set_new(into, key->name, json_null());
        return;
    }
    const char *text = stanch_check_text(check, idx, what);
    if (!text)
        return;
    const char *colon = strrchr(text, ':');
    bool is_good = colon && colon[1] && strlen(colon + 1) <= 5 && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    long port = is_good ? strtol(colon + 1, NULL, 10) : -1;
    bool has_bare_colon = is_good && memchr(text, ':', (size_t)(colon - text)) && text[0] != '[';
    if (port < 0 || port > 65535 || has_bare_colon)
        stanch_check_fail(check, "\"%.80s\" is not an address; write it like 127.0.0.1:8470 or [::1]:8470", text);
    else
        json_object_set_new(into, key->name, json_string(text));
}

static void read_socket(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    if (text && strlen(text) > MAX_SOCKET_BYTES)
        stanch_check_fail(check, "a socket's path has at most %d bytes, this one has %zu", MAX_SOCKET_BYTES,
                          strlen(text));
    else if (text)
        json_object_set_new(into, key->name, json_string(text));
}

/* A folder inside the repository; "" is the whole. */
static void read_folder(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    size_t len = 0;
    const char *text = lua_type(check->L, idx) == LUA_TSTRING ? lua_tolstring(check->L, idx, &len) : NULL;
    if (text && len > 0)
        text = stanch_check_text(check, idx, key->type);
    else if (!text)
        stanch_check_expected(check, idx, key->type);
    if (!text)
        return;
    if (text[0] == '/' || strstr(text, ".."))
        stanch_check_fail(check, "\"%.80s\" is not a folder inside the repository", text);
    else
        json_object_set_new(into, key->name, json_string(text));
}

/* { critical = "sev2" } */
static void read_severities(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *values[100];
    if (!lua_istable(check->L, idx) || (lua_rawlen(check->L, idx) > 0)) {
        stanch_check_expected(check, idx, "{ value = \"sev1\", ... }");
        return;
    }
    json_t *map = json_object();
    size_t count = stanch_check_keys(check->L, idx, values, 100);
    for (size_t i = 0; i < count; i++) {
        struct stanch_key each = {.name = values[i], .more = stanch_words_severity};
        size_t before = stanch_check_enter(check, values[i]);
        lua_pushstring(check->L, values[i]);
        lua_rawget(check->L, idx);
        stanch_read_word(check, lua_gettop(check->L), &each, map);
        lua_pop(check->L, 1);
        stanch_check_leave(check, before);
    }
    json_object_set_new(into, key->name, map);
}

/* An address that stands in status and logs: its credential is kept apart. */
void stanch_read_address(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    const char *host = text ? strstr(text, "://") : NULL;
    bool is_web = text && (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0);
    if (!text)
        return;
    if (host && memchr(host + 3, '@', strcspn(host + 3, "/")) && memchr(host + 3, ':', strcspn(host + 3, "@")))
        stanch_check_fail(check, "no password in an address: it would be shown");
    else if (key->more && !is_web)
        stanch_check_fail(check, "\"%.80s\" is not an address; it begins with https:// or http://", text);
    else
        json_object_set_new(into, key->name, json_string(text));
}

/* At least one place. */
static void read_checkpoints(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    stanch_read_section(check, idx, key, into);
    const json_t *made = json_object_get(into, key->name);
    if (!stanch_json_str(made, "file", NULL) && !stanch_json_str(made, "git", NULL) &&
        !stanch_json_str(made, "webhook", NULL))
        stanch_check_fail(check, "say where they are kept: file, git or webhook");
}

/* Names, each once. */
void stanch_read_instances_named(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    stanch_read_texts(check, idx, key, into);
    const json_t *names = json_object_get(into, key->name);
    for (size_t i = 1; i < json_array_size(names); i++)
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(names, i), json_array_get(names, k)))
                stanch_check_fail(check, "\"%.64s\" is in %s twice", json_string_value(json_array_get(names, i)),
                                  key->name);
}

/* At least one instance. */
static void read_paging(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    stanch_read_section(check, idx, key, into);
    const json_t *via = json_object_get(json_object_get(into, key->name), "via");
    if (via && json_array_size(via) == 0)
        stanch_check_fail(check, "via is empty; name an instance that pages people");
}

/* ---- sections ---- */

static const struct stanch_bounds poll_bounds = {0, 86400e3}, deadline_bounds = {1000, 600e3},
                                  join_bounds = {0, 7 * 86400e3}, soak_bounds = {0, 86400e3},
                                  expires_bounds = {1000, 86400e3}, fresh_bounds = {1000, 86400e3},
                                  drain_bounds = {0, 600e3}, runs_bounds = {1, 10000}, steps_bounds = {1, 100000},
                                  rate_bounds = {1, 1000000}, body_bounds = {1024, 64 << 20}, queue_bounds = {0, 10000},
                                  quiet_bounds = {1000, 86400e3}, every_bounds = {1000, 7 * 86400e3};

const struct stanch_section stanch_section_repository = {
    "runbooks",
    (const struct stanch_key[]){
        {"url", NULL, stanch_read_text, NULL, NULL, true, "text",
         "the repository: a path, file://, https:// or ssh://"},
        {"branch", NULL, stanch_read_text, NULL, "\"main\"", false, "text", "the branch that is followed"},
        {"folder", NULL, read_folder, NULL, "\"\"", false, "text", "a folder inside; empty: the whole repository"},
        {"poll", "poll_ms", stanch_read_duration, &poll_bounds, "\"30s\"", false, "duration",
         "how often it is fetched; \"0s\": only when told to (`stanch runbook sync`)"},
        {"deadline", "deadline_ms", stanch_read_duration, &deadline_bounds, "\"60s\"", false, "duration",
         "a fetch that takes longer is given up"},
        {"allow_rewrite", NULL, stanch_read_boolean, NULL, "false", false, "true or false",
         "follow also what is not a fast-forward (a forced push)"},
        {0}}};

const struct stanch_section stanch_section_severity_source = {
    "incidents.severity.sources.NAME",
    (const struct stanch_key[]){
        {"label", NULL, stanch_read_text, NULL, NULL, false, "text", "the label that tells the severity"},
        {"map", NULL, read_severities, NULL, NULL, false, "{ value = \"sev1\" }",
         "its values, and the severity of each"},
        {"otherwise", NULL, stanch_read_word, stanch_words_severity, NULL, false, "\"sev1\" to \"sev4\"",
         "for any other value, and when the label is missing"},
        {0}}};

/* { grafana = { label = "priority", map = {...} } } */
static void read_sources(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *names[200];
    if (!lua_istable(check->L, idx) || (lua_rawlen(check->L, idx) > 0)) {
        stanch_check_expected(check, idx, "{ NAME = { label = ..., map = ... }, ... }");
        return;
    }
    json_t *sources = json_object();
    size_t count = stanch_check_keys(check->L, idx, names, 200);
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object();
        size_t before = stanch_check_enter(check, names[i]);
        lua_pushstring(check->L, names[i]);
        lua_rawget(check->L, idx);
        stanch_check_section(check, lua_gettop(check->L), &stanch_section_severity_source, false, one);
        lua_pop(check->L, 1);
        stanch_check_leave(check, before);
        json_object_set_new(sources, names[i], one);
    }
    json_object_set_new(into, key->name, sources);
}

const struct stanch_section stanch_section_severity = {
    "incidents.severity",
    (const struct stanch_key[]){
        {"label", NULL, stanch_read_text, NULL, "\"severity\"", false, "text", "the label that tells the severity"},
        {"map", NULL, read_severities, NULL, "{\"critical\":\"sev2\",\"page\":\"sev1\",\"warning\":\"sev3\"}", false,
         "{ value = \"sev1\" }", "its values, and the severity of each: sev1 (the worst) to sev4"},
        {"otherwise", NULL, stanch_read_word, stanch_words_severity, "\"sev3\"", false, "\"sev1\" to \"sev4\"",
         "for any other value but sev1 to sev4, which stand for themselves, and when the label is missing"},
        {"sources", NULL, read_sources, NULL, "{}", false, "{ NAME = table }",
         "instances that name severities in their own way: what one does not say stands above"},
        {0}}};

const struct stanch_section stanch_section_incidents = {
    "incidents",
    (const struct stanch_key[]){
        {"correlate", NULL, stanch_read_texts, NULL, "[\"alertname\"]", false, "list of labels",
         "events that agree in these labels belong to one incident"},
        {"join_within", "join_within_ms", stanch_read_duration, &join_bounds, "\"30m\"", false, "duration",
         "how long after its last event an open incident takes another one in"},
        {"reopen_within", "reopen_within_ms", stanch_read_duration, &join_bounds, "\"30m\"", false, "duration",
         "how long after it was resolved an incident is opened again when its alert fires anew; \"0s\": never"},
        {"soak_for", "soak_for_ms", stanch_read_duration, &soak_bounds, "\"10m\"", false, "duration",
         "how long the symptoms of its runs must stay good before an incident is resolved without a reason; at most "
         "24h"},
        {"declare_from", NULL, stanch_read_word, stanch_words_severity, "\"sev4\"", false, "\"sev1\" to \"sev4\"",
         "the lightest severity that opens an incident by itself"},
        {"severity", NULL, stanch_read_section, &stanch_section_severity, "{}", false, "table", "see below"},
        {0}}};

const struct stanch_section stanch_section_storm = {
    "limits.storm",
    (const struct stanch_key[]){
        {"enter", NULL, stanch_read_integer, &rate_bounds, "60", false, "number",
         "more runs than this that alerts want to start within `within`: from then on a person is asked, once for each "
         "runbook"},
        {"leave", NULL, stanch_read_integer, &rate_bounds, "20", false, "number",
         "fewer than this within `within`, all through `quiet`: the storm is over; at most `enter`"},
        {"within", "within_ms", stanch_read_duration, &quiet_bounds, "\"1m\"", false, "duration", "see `enter`"},
        {"quiet", "quiet_ms", stanch_read_duration, &quiet_bounds, "\"2m\"", false, "duration", "see `leave`"},
        {0}}};

const struct stanch_section stanch_section_limits = {
    "limits", (const struct stanch_key[]){
                  {"max_runs", NULL, stanch_read_integer, &runs_bounds, "64", false, "number",
                   "runs that go at one time; one that waits for a person does not count; more wait for their turn"},
                  {"max_queued", NULL, stanch_read_integer, &queue_bounds, "1000", false, "number",
                   "runs that wait for their turn, or for a person's word in a storm; more are held and listed"},
                  {"storm", NULL, stanch_read_section, &stanch_section_storm, "{}", false, "table", "see below"},
                  {"max_steps", NULL, stanch_read_integer, &steps_bounds, "1000", false, "number", "steps of one run"},
                  {"events_per_s", NULL, stanch_read_integer, &rate_bounds, "1000", false, "number",
                   "events taken per second and source; more are answered with 503 and Retry-After"},
                  {"max_body_bytes", NULL, stanch_read_integer, &body_bounds, "1048576", false, "number",
                   "the size of one request's body"},
                  {0}}};

const struct stanch_section stanch_section_approvals = {
    "approvals",
    (const struct stanch_key[]){{"expires", "expires_ms", stanch_read_duration, &expires_bounds, "\"15m\"", false,
                                 "duration", "how long an approval waits where the policy does not say; at most 24h"},
                                {0}}};

const struct stanch_section stanch_section_checkpoints = {
    "checkpoints",
    (const struct stanch_key[]){
        {"every", "every_ms", stanch_read_duration, &every_bounds, "\"1h\"", false, "duration",
         "how often, when there are new entries; one more when the daemon stops"},
        {"file", NULL, stanch_read_text, NULL, "null", false, "path",
         "a file that gets a line each time, on a disk or machine that a thief of the store does not have"},
        {"git", NULL, stanch_read_address, NULL, "null", false, "text",
         "a repository that gets a commit each time, under refs/stanch/checkpoints: a path, file:// or https://"},
        {"webhook", NULL, stanch_read_address, "http", "null", false, "address", "gets a POST of JSON each time"},
        {"token", NULL, stanch_read_secret, NULL, "null", false, "secret",
         "the bearer token of the webhook: secret.file or secret.env"},
        {0}}};

const struct stanch_section stanch_section_proxy = {
    "proxy", (const struct stanch_key[]){
                 {"secret", NULL, stanch_read_secret, NULL, NULL, true, "secret",
                  "what the proxy sends as `X-Stanch-Proxy`, 16 characters or more: secret.file or secret.env"},
                 {"user", NULL, stanch_read_text, NULL, "\"X-Forwarded-User\"", false, "text",
                  "the header in which it says who has signed on: the name or email of a person"},
                 {0}}};

const struct stanch_section stanch_section_paging = {
    "paging", (const struct stanch_key[]){
                  {"via", NULL, stanch_read_instances_named, NULL, NULL, true, "list of names",
                   "instances whose plugin pages people (pagerduty, webhook): each is told of every question and page"},
                  {"url", NULL, stanch_read_address, "http", "null", false, "address",
                   "where people reach stanch: what the links of a page begin with"},
                  {0}}};

const struct stanch_section stanch_section_config = {
    "stanch",
    (const struct stanch_key[]){
        {"state_dir", NULL, stanch_read_text, NULL, "\"/var/lib/stanch\"", false, "path",
         "the journal, the clone of the repository, the stop switch and its levels"},
        {"listen", NULL, stanch_read_listen, NULL, "\"127.0.0.1:8470\"", false, "\"address:port\" or false",
         "where webhooks and the API are served; false: on the socket only"},
        {"socket", NULL, read_socket, NULL, "\"/run/stanch/control.sock\"", false, "path",
         "the Unix socket of the command line"},
        {"environment", NULL, stanch_read_name, NULL, "null", false, "name",
         "the environment of instances that name none"},
        {"plugin_dir", NULL, stanch_read_text, NULL, "null", false, "path",
         "where NAME.so of each plugin is; none: `../lib/stanch` beside the executable"},
        {"runbooks", NULL, stanch_read_section, &stanch_section_repository, "null", false, "table",
         "the repository of runbooks, see below"},
        {"policy", NULL, stanch_read_text, NULL, "null", false, "path",
         "the policy file, beside this one unless it begins with /; none: every mitigation asks"},
        {"people", NULL, stanch_read_text, NULL, "null", false, "path",
         "who there is, beside this file unless it begins with /; none: whoever may open the socket may do all"},
        {"instances", NULL, stanch_read_instances, NULL, "[]", false, "list of instances", "the plugins, see below"},
        {"incidents", NULL, stanch_read_section, &stanch_section_incidents, "{}", false, "table", "see below"},
        {"limits", NULL, stanch_read_section, &stanch_section_limits, "{}", false, "table", "see below"},
        {"approvals", NULL, stanch_read_section, &stanch_section_approvals, "{}", false, "table", "see below"},
        {"checkpoints", NULL, read_checkpoints, &stanch_section_checkpoints, "null", false, "table",
         "where signed heads of the timeline are kept, see below"},
        {"paging", NULL, read_paging, &stanch_section_paging, "null", false, "table",
         "who is told that a question waits, and of what runbooks page; none: nobody is, see below"},
        {"drills", NULL, stanch_read_section, &stanch_section_drills, "null", false, "table",
         "drills that come round by themselves, and who is told of drills; none: there are none, see below"},
        {"proxy", NULL, stanch_read_section, &stanch_section_proxy, "null", false, "table",
         "a proxy in front of `listen` that signs people on, see below; none: over TCP only tokens are taken"},
        {"fresh_for", "fresh_for_ms", stanch_read_duration, &fresh_bounds, "\"5m\"", false, "duration",
         "a run that did nothing for longer asks before it mitigates further"},
        {"drain", "drain_ms", stanch_read_duration, &drain_bounds, "\"25s\"", false, "duration",
         "how long a stop of the daemon waits for calls under way"},
        {0}}};

/* ---- entry points ---- */

void stanch_config_install(lua_State *L)
{
    static const char *const words[] = {"stanch", "secret", "require", "array", "string", "table",
                                        "math",   "pairs",  "ipairs",  "null",  NULL};
    stanch_block_word(L, "stanch", false, true);
    stanch_instance_install(L);
    stanch_block_plugins(L, words);
}

/* Where an instance acts, unless it says so itself. */
static void inherit_environment(const json_t *config)
{
    size_t i;
    json_t *instance, *environment = json_object_get(config, "environment");
    json_array_foreach(json_object_get(config, "instances"), i, instance)
    {
        if (environment && json_is_null(json_object_get(instance, "environment")))
            json_object_set(instance, "environment", environment);
    }
}

static bool is_instance(const json_t *config, const char *name)
{
    const json_t *instances = json_object_get(config, "instances");
    for (size_t i = 0; i < json_array_size(instances); i++)
        if (strcmp(stanch_json_str(json_array_get(instances, i), "name", ""), name) == 0)
            return true;
    return false;
}

/* names: a list in the configuration, of instances; path: where it stands */
static void check_instances_named(struct stanch_check *check, const json_t *config, const json_t *names,
                                  const char *path)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *name = json_array_get(names, i);
        if (is_instance(config, json_string_value(name)))
            continue;
        size_t before = stanch_check_enter(check, path);
        stanch_check_fail(check, "there is no instance \"%.64s\" in the list instances", json_string_value(name));
        stanch_check_leave(check, before);
    }
}

static void check_sources(struct stanch_check *check, const json_t *config)
{
    const json_t *severity = json_object_get(json_object_get(config, "incidents"), "severity");
    const char *name;
    json_t *one;
    json_object_foreach(json_object_get(severity, "sources"), name, one)
    {
        if (is_instance(config, name))
            continue;
        size_t before = stanch_check_enter(check, "incidents.severity.sources");
        stanch_check_fail(check, "there is no instance \"%.64s\" in the list instances", name);
        stanch_check_leave(check, before);
    }
}

static void check_unlisted(struct stanch_check *check)
{
    struct stanch_block *block;
    check->root[0] = 0;
    for (int i = 1; (block = stanch_block_declared(check->L, i)); i++, lua_settop(check->L, -2)) {
        if (block->is_listed || strcmp(block->word, "instance") != 0)
            continue;
        int top = lua_gettop(check->L);
        stanch_block_get(check->L, top, STANCH_BLOCK_PLUGIN);
        stanch_block_get(check->L, top, STANCH_BLOCK_NAME);
        stanch_check_block(check, block, lua_tostring(check->L, top + 1), lua_tostring(check->L, top + 2));
        stanch_check_fail(check, "it is not in the list instances = { ... }, so it would not exist");
        lua_settop(check->L, top);
    }
}

void stanch_config_check(struct stanch_check *check, json_t *ret)
{
    struct stanch_block *block;
    int found = 0;
    for (int i = 1; (block = stanch_block_declared(check->L, i)); i++, lua_settop(check->L, -2)) {
        if (strcmp(block->word, "stanch") != 0)
            continue;
        int top = lua_gettop(check->L);
        stanch_check_block(check, block, NULL, NULL);
        if (found++)
            stanch_check_fail(check, "there is a second stanch { ... }; the configuration is one");
        stanch_block_get(check->L, top, STANCH_BLOCK_BODY);
        if (found == 1) {
            stanch_check_section(check, top + 1, &stanch_section_config, false, ret);
            check_instances_named(check, ret, json_object_get(json_object_get(ret, "paging"), "via"), "paging.via");
            check_instances_named(check, ret, json_object_get(json_object_get(ret, "drills"), "tell"), "drills.tell");
            check_sources(check, ret);
        }
        lua_settop(check->L, top);
    }
    if (!found)
        stanch_check_fail(check, "there is no stanch { ... } in this file");
    inherit_environment(ret);
    check_unlisted(check);
}
