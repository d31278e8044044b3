/* people.c: people and tokens out of the people file. */
#include "people/people.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct stanch_people {
    json_t *data;
    json_t *pool; /* ["person:ada"] */
};

static const char *const may_words[] = {"nothing", "read", "respond", "approve", "admin"};

const char *stanch_may_word(enum stanch_may may)
{
    return may_words[may];
}

enum stanch_may stanch_may_of(const char *word)
{
    for (int i = STANCH_MAY_READ; i <= STANCH_MAY_ADMIN; i++)
        if (strcmp(may_words[i], word) == 0)
            return (enum stanch_may)i;
    return STANCH_MAY_NOTHING;
}

static const json_t *member(const struct stanch_people *people, const char *list, const char *key, const char *value)
{
    const json_t *all = json_object_get(people->data, list);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(stanch_json_str(json_array_get(all, i), key, ""), value) == 0)
            return json_array_get(all, i);
    return NULL;
}

static const char *bare(const char *name)
{
    return strncmp(name, "person:", 7) == 0 ? name + 7 : name;
}

static enum stanch_may may_of(const json_t *one)
{
    return stanch_may_of(stanch_json_str(one, "may", ""));
}

static void name_person(const char *name, char ret[160])
{
    (void)snprintf(ret, 160, "person:%.64s", name);
}

/* ---- from the file ---- */

static int check_twice(const json_t *list, const char *key, const char *what, struct stanch_err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        for (size_t k = 0; k < i; k++) {
            const json_t *one = json_object_get(json_array_get(list, i), key);
            if (one && json_equal(one, json_object_get(json_array_get(list, k), key)))
                return stanch_err_set(err, STANCH_E_INVALID, "%s \"%.64s\" and \"%.64s\" have the same %s", what,
                                      stanch_json_str(json_array_get(list, k), "name", ""),
                                      stanch_json_str(json_array_get(list, i), "name", ""), key);
        }
    return 0;
}

static int check_person(const struct stanch_people *people, const char *name, const char *where, struct stanch_err *err)
{
    return member(people, "people", "name", name)
               ? 0
               : stanch_err_set(err, STANCH_E_INVALID, "%s: there is no person \"%.64s\" in this file", where, name);
}

static int check_tokens(const struct stanch_people *people, struct stanch_err *err)
{
    const json_t *tokens = json_object_get(people->data, "tokens");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(tokens); i++) {
        const json_t *token = json_array_get(tokens, i);
        const char *person = stanch_json_str(token, "person", NULL), *name = stanch_json_str(token, "name", "");
        char where[100];
        (void)snprintf(where, sizeof where, "token \"%.64s\": person", name);
        if (person && stanch_json_str(token, "source", NULL))
            rc = stanch_err_set(err, STANCH_E_INVALID, "token \"%.64s\" is for events of a source, not of a person",
                                name);
        else if (person)
            rc = check_person(people, person, where, err);
        else if (stanch_json_str(token, "source", NULL) && may_of(token) != STANCH_MAY_NOTHING)
            rc = stanch_err_set(
                err, STANCH_E_INVALID,
                "token \"%.64s\" is for events of a source: it can do nothing else, so `may` says nothing", name);
        else if (may_of(token) >= STANCH_MAY_APPROVE)
            rc = stanch_err_set(err, STANCH_E_INVALID,
                                "token \"%.64s\" may %s, but belongs to no person: people decide, programs do not",
                                name, stanch_may_word(may_of(token)));
    }
    return rc;
}

static int check_names(const struct stanch_people *people, const json_t *names, const char *where,
                       struct stanch_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(names); i++)
        rc = check_person(people, json_string_value(json_array_get(names, i)), where, err);
    return rc;
}

static int check_roles(const struct stanch_people *people, struct stanch_err *err)
{
    const char *role;
    json_t *one;
    int rc = check_names(people, json_object_get(people->data, "pool"), "pool", err);
    json_object_foreach(json_object_get(people->data, "roles"), role, one)
    {
        char where[64];
        (void)snprintf(where, sizeof where, "roles.%.32s.people", role);
        rc = rc ? rc : check_names(people, json_object_get(one, "people"), where, err);
    }
    return rc;
}

static json_t *make_pool(const struct stanch_people *people)
{
    const json_t *names = json_object_get(people->data, "pool");
    json_t *pool = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        char name[160];
        name_person(json_string_value(json_array_get(names, i)), name);
        json_array_append_new(pool, json_string(name));
    }
    return pool;
}

int stanch_people_new(const json_t *data, struct stanch_people **ret, struct stanch_err *err)
{
    struct stanch_people *people = STANCH_NEW(struct stanch_people);
    people->data = json_deep_copy(data);
    const json_t *persons = json_object_get(data, "people"), *tokens = json_object_get(data, "tokens");
    int rc = check_twice(persons, "uid", "person", err);
    rc = rc ? rc : check_twice(persons, "email", "person", err);
    rc = rc ? rc : check_twice(tokens, "hash", "token", err);
    rc = rc ? rc : check_tokens(people, err);
    rc = rc ? rc : check_roles(people, err);
    if (rc < 0) {
        stanch_people_free(people);
        return rc;
    }
    people->pool = make_pool(people);
    *ret = people;
    return 0;
}

void stanch_people_become(struct stanch_people *people, struct stanch_people *other)
{
    struct stanch_people before = *people;
    *people = *other;
    *other = before;
    stanch_people_free(other);
}

void stanch_people_free(struct stanch_people *people)
{
    if (!people)
        return;
    json_decref(people->data);
    json_decref(people->pool);
    free(people);
}

/* ---- who came in ---- */

int stanch_people_by_uid(const struct stanch_people *people, uid_t uid, struct stanch_principal *ret,
                         struct stanch_err *err)
{
    const json_t *all = json_object_get(people->data, "people");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *person = json_array_get(all, i);
        if (stanch_json_int(person, "uid", -1) != (int64_t)uid)
            continue;
        name_person(stanch_json_str(person, "name", ""), ret->name);
        ret->may = may_of(person);
        return 0;
    }
    return stanch_err_set(err, STANCH_E_FORBIDDEN,
                          "uid %u of this machine is nobody in the people file; give a person `uid = %u` there",
                          (unsigned)uid, (unsigned)uid);
}

void stanch_token_hash(const char *token, char ret[65])
{
    stanch_digest_hex(token, strlen(token), ret);
}

int stanch_people_by_token(const struct stanch_people *people, const char *token, int64_t now_ms,
                           struct stanch_principal *ret, struct stanch_err *err)
{
    char hash[65];
    stanch_token_hash(token, hash); /* what is compared is a hash: where it differs tells nothing of the token */
    const json_t *found = member(people, "tokens", "hash", hash);
    if (!found)
        return stanch_err_set(err, STANCH_E_UNAUTHORIZED, "the token is not known here");
    const char *name = stanch_json_str(found, "name", ""), *person = stanch_json_str(found, "person", NULL);
    if (stanch_json_int(found, "expires_ms", 0) <= now_ms && !stanch_is_sabotaged("expired-token-passes"))
        return stanch_err_set(err, STANCH_E_UNAUTHORIZED, "the token \"%.64s\" has expired; make a new one", name);
    ret->may = may_of(found);
    (void)snprintf(ret->source, sizeof ret->source, "%.64s", stanch_json_str(found, "source", ""));
    if (!person) {
        (void)snprintf(ret->name, sizeof ret->name, "token:%.64s", name);
        return 0;
    }
    enum stanch_may own = may_of(member(people, "people", "name", person));
    name_person(person, ret->name);
    ret->may = own < ret->may ? own : ret->may;
    return 0;
}

enum stanch_may stanch_people_may(const struct stanch_people *people, const char *name)
{
    return may_of(member(people, "people", "name", bare(name)));
}

/* ---- who is on call ---- */

const json_t *stanch_people_pool(const struct stanch_people *people)
{
    return people->pool;
}

void stanch_people_on_call(const struct stanch_people *people, const char *role, int64_t at_ms, char ret[160])
{
    const json_t *said = json_object_get(json_object_get(people->data, "roles"), role);
    const json_t *names = json_object_get(said, "people");
    int64_t rotate_ms = stanch_json_int(said, "rotate_ms", 0), from_ms = stanch_json_int(said, "from_ms", 0);
    int64_t count = (int64_t)json_array_size(names), turn = 0;
    ret[0] = 0;
    if (count == 0)
        return;
    if (rotate_ms > 0 && at_ms > from_ms)
        turn = (at_ms - from_ms) / rotate_ms % count;
    name_person(json_string_value(json_array_get(names, (size_t)turn)), ret);
}

const char *stanch_people_calendar(const struct stanch_people *people, const char *role)
{
    return stanch_json_str(json_object_get(json_object_get(people->data, "roles"), role), "calendar", NULL);
}

static bool is_among(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}

void stanch_people_calendars(const struct stanch_people *people, json_t *names)
{
    const char *role;
    json_t *said;
    json_object_foreach(json_object_get(people->data, "roles"), role, said)
    {
        const char *name = stanch_json_str(said, "calendar", NULL);
        if (name && !is_among(names, name))
            json_array_append_new(names, json_string(name));
    }
}

void stanch_people_called(const struct stanch_people *people, const char *called, char ret[160])
{
    static const char *const members[] = {"email", "name", "title"};
    const json_t *all = json_object_get(people->data, "people");
    ret[0] = 0;
    for (size_t k = 0; k < sizeof members / sizeof *members; k++)
        for (size_t i = 0; i < json_array_size(all); i++) {
            const json_t *person = json_array_get(all, i);
            const char *value = stanch_json_str(person, members[k], "");
            if (*value && strcasecmp(value, called) == 0) {
                name_person(stanch_json_str(person, "name", ""), ret);
                return;
            }
        }
}

/* ---- shown ---- */

static json_t *roles_of(const struct stanch_people *people, const char *name)
{
    json_t *roles = json_array();
    const char *role;
    json_t *said;
    size_t i;
    json_t *each;
    json_object_foreach(json_object_get(people->data, "roles"), role, said)
    {
        json_array_foreach(json_object_get(said, "people"), i, each)
        {
            if (strcmp(json_string_value(each), name) == 0) {
                json_array_append_new(roles, json_string(role));
                break;
            }
        }
    }
    return roles;
}

static void show(json_t *into, const json_t *one, const char *const *members)
{
    for (; *members; members++) {
        json_t *value = json_object_get(one, *members);
        if (value && !json_is_null(value))
            json_object_set(into, *members, value);
    }
}

json_t *stanch_people_list(const struct stanch_people *people)
{
    static const char *const of_person[] = {"name", "title", "may", NULL};
    static const char *const of_token[] = {"name", "person", "source", "may", "expires_ms", NULL};
    json_t *persons = json_array(), *tokens = json_array();
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(people->data, "people"), i, each)
    {
        json_t *person = json_object();
        show(person, each, of_person);
        json_object_set_new(person, "roles", roles_of(people, stanch_json_str(each, "name", "")));
        json_array_append_new(persons, person);
    }
    json_array_foreach(json_object_get(people->data, "tokens"), i, each)
    {
        json_t *token = json_object();
        show(token, each, of_token);
        json_array_append_new(tokens, token);
    }
    return json_pack("{s:o, s:o}", "people", persons, "tokens", tokens);
}
