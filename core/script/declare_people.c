/* declare_people.c: who there is: `people { person "ada" {...}, token "grafana" {...}, roles = {...}, pool = {...} }`.
 * Its data is read by people/people.c. */
#include "script/declare_check.h"
#include "base/json.h"
#include "base/times.h"
#include <string.h>

static const char *const may_words[] = {"read", "respond", "approve", "admin", NULL};

/* "2027-03-01" or a whole RFC 3339 time */
static void read_time(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    char whole[64];
    int64_t ms;
    if (!text)
        return;
    (void)snprintf(whole, sizeof whole, "%.40s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (stanch_time_parse(whole, &ms, NULL) < 0)
        stanch_check_fail(check, "\"%.40s\" is not a time; write it like 2027-03-01 or 2027-03-01T09:00:00Z", text);
    else
        json_object_set_new(into, key->json, json_integer(ms));
}

static void read_hash(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    if (text && (strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64))
        stanch_check_fail(check, "this is not the hash of a token; `stanch token new` makes both");
    else if (text)
        json_object_set_new(into, key->name, json_string(text));
}

static const struct stanch_bounds uid_bounds = {0, 4294967294.0}, rotate_bounds = {60e3, 366 * 86400e3};

const struct stanch_section stanch_section_person = {
    "person", (const struct stanch_key[]){
                  {"title", NULL, stanch_read_text, NULL, NULL, false, "text", "how people call this one"},
                  {"uid", NULL, stanch_read_integer, &uid_bounds, NULL, false, "number",
                   "of this machine: who comes over the Unix socket with it is this person"},
                  {"email", NULL, stanch_read_text, NULL, NULL, false, "text", "how a calendar calls this one"},
                  {"may", NULL, stanch_read_word, may_words, "\"approve\"", false,
                   "\"read\", \"respond\", \"approve\", \"admin\"",
                   "what this person may do, see below; each holds those before it"},
                  {0}}};

const struct stanch_section stanch_section_token = {
    "token",
    (const struct stanch_key[]){
        {"hash", NULL, read_hash, NULL, NULL, true, "64 hex digits", "of the token, as `stanch token new` prints it"},
        {"expires", "expires_ms", read_time, NULL, NULL, true, "time",
         "from then on it is refused: 2027-03-01, or RFC 3339"},
        {"person", NULL, stanch_read_name, NULL, NULL, false, "name",
         "who acts with it; left out: a program does, which can decide nothing"},
        {"source", NULL, stanch_read_name, NULL, NULL, false, "name",
         "a source's instance: it posts events there without the source's own credential, and does nothing else"},
        {"may", NULL, stanch_read_word, may_words, NULL, false, "\"read\", \"respond\", \"approve\", \"admin\"",
         "what it may be used for, left out: read; of a person: at most what the person may"},
        {0}}};

const struct stanch_section stanch_section_role = {
    "roles.ROLE",
    (const struct stanch_key[]){
        {"people", NULL, stanch_read_texts, NULL, NULL, false, "list of names",
         "who is on call: the first, or in turns"},
        {"rotate", "rotate_ms", stanch_read_duration, &rotate_bounds, NULL, false, "duration",
         "how long a turn is; left out: it is always the first"},
        {"from", "from_ms", read_time, NULL, NULL, false, "time", "when the first one's first turn begins"},
        {"calendar", NULL, stanch_read_name, NULL, NULL, false, "name",
         "an `ical` instance that knows who is on call; `people` is for when it is away"},
        {0}}};

#define ROLE(name, meaning)                                                                                            \
    {                                                                                                                  \
        name, NULL, stanch_read_section, &stanch_section_role, NULL, false, "table", meaning                           \
    }
const struct stanch_section stanch_section_roles = {"roles",
                                                    (const struct stanch_key[]){ROLE("ic", "the Incident Commander"),
                                                                                ROLE("lead", "the technical lead"),
                                                                                ROLE("comms", "communications"),
                                                                                ROLE("scribe", "who writes down"),
                                                                                {0}}};

const struct stanch_section stanch_section_people = {
    "people", (const struct stanch_key[]){{"roles", NULL, stanch_read_section, &stanch_section_roles, "{}", false,
                                           "table", "who is on call for each role"},
                                          {"pool", NULL, stanch_read_texts, NULL, "[]", false, "list of names",
                                           "who may take any role at once, and is asked when nobody is on call"},
                                          {0}}};

void stanch_people_install(lua_State *L)
{
    stanch_block_word(L, "people", false, true);
    stanch_block_word(L, "person", true, true);
    stanch_block_word(L, "token", true, true);
}

static bool is_taken(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(stanch_json_str(json_array_get(list, i), "name", ""), name) == 0)
            return true;
    return false;
}

/* The block at the top of the stack: one person, or one token. */
static void read_one(struct stanch_check *outer, struct stanch_block *block, const struct stanch_section *section,
                     json_t *list)
{
    lua_State *L = outer->L;
    int top = lua_gettop(L);
    struct stanch_check check = *outer;
    block->is_listed = true;
    check.path[0] = 0;
    stanch_block_get(L, top, STANCH_BLOCK_NAME);
    stanch_block_get(L, top, STANCH_BLOCK_BODY);
    stanch_check_block(&check, block, block->word, lua_tostring(L, top + 1));
    const char *name = stanch_check_name(&check, top + 1, "the name");
    if (name && is_taken(list, name))
        stanch_check_fail(&check, "another %s has this name", block->word);
    json_t *one = json_pack("{s:s, s:i}", "name", name ? name : "", "line", block->line);
    stanch_check_section(&check, top + 2, section, false, one);
    if (section == &stanch_section_token && !json_object_get(one, "may") && !json_object_get(one, "source"))
        json_object_set_new(one, "may", json_string("read"));
    json_array_append_new(list, one);
    lua_settop(L, top);
}

static void read_list(struct stanch_check *check, int idx, json_t *ret)
{
    lua_State *L = check->L;
    json_t *people = json_array(), *tokens = json_array();
    lua_Integer count = lua_istable(L, idx) ? (lua_Integer)lua_rawlen(L, idx) : 0;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, idx, i);
        struct stanch_block *person = stanch_block_at(L, -1, "person"), *token = stanch_block_at(L, -1, "token");
        size_t before = stanch_check_enter_index(check, i);
        if (person)
            read_one(check, person, &stanch_section_person, people);
        else if (token)
            read_one(check, token, &stanch_section_token, tokens);
        else
            stanch_check_expected(check, lua_gettop(L), "person \"name\" { ... } or token \"name\" { ... }");
        stanch_check_leave(check, before);
        lua_pop(L, 1);
    }
    json_object_set_new(ret, "people", people);
    json_object_set_new(ret, "tokens", tokens);
}

static void check_unlisted(struct stanch_check *check)
{
    struct stanch_block *block;
    for (int i = 1; (block = stanch_block_declared(check->L, i)); i++, lua_settop(check->L, -2)) {
        if (block->is_listed || strcmp(block->word, "people") == 0)
            continue;
        int top = lua_gettop(check->L);
        stanch_block_get(check->L, top, STANCH_BLOCK_NAME);
        stanch_check_block(check, block, block->word, lua_tostring(check->L, top + 1));
        stanch_check_fail(check, "it stands outside of people { ... }, so it would be nobody");
        lua_settop(check->L, top);
    }
}

void stanch_people_check(struct stanch_check *check, json_t *ret)
{
    lua_State *L = check->L;
    struct stanch_block *block;
    int found = 0;
    for (int i = 1; (block = stanch_block_declared(L, i)); i++, lua_settop(L, -2)) {
        if (strcmp(block->word, "people") != 0)
            continue;
        int top = lua_gettop(L);
        stanch_check_block(check, block, NULL, NULL);
        if (found++)
            stanch_check_fail(check, "there is a second people { ... }; there is one");
        stanch_block_get(L, top, STANCH_BLOCK_BODY);
        if (found == 1) {
            stanch_check_section(check, top + 1, &stanch_section_people, true, ret);
            read_list(check, top + 1, ret);
        }
        lua_settop(L, top);
    }
    if (!found)
        stanch_check_fail(check, "there is no people { ... } in this file");
    check->root[0] = 0;
    check_unlisted(check);
}
