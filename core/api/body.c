/* body.c: what comes in as JSON: strict, bounded, and held to the members that the route names. */
#include "api/room.h"
#include "base/json.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct member { /* one word of a route's body: "title:s!" */
    const char *name;
    size_t name_len;
    char type;
    bool needed;
};

static const char *next_member(const char *at, struct member *ret)
{
    at += strspn(at, " ");
    if (!*at)
        return NULL;
    ret->name = at;
    ret->name_len = strcspn(at, ":");
    ret->type = at[ret->name_len + 1];
    at += ret->name_len + 2;
    ret->needed = *at == '!';
    return at + strcspn(at, " ");
}

static const char *type_word(char type)
{
    return type == 's'   ? "a text"
           : type == 'o' ? "an object"
           : type == 'n' ? "a number"
           : type == 'b' ? "true or false"
           : type == 'i' ? "a whole number"
                         : "a list";
}

static bool has_type(const json_t *value, char type)
{
    return type == 's'   ? json_is_string(value)
           : type == 'o' ? json_is_object(value)
           : type == 'n' ? json_is_number(value)
           : type == 'b' ? json_is_boolean(value)
           : type == 'i' ? json_is_integer(value)
                         : json_is_array(value);
}

static int check_member(const json_t *body, const struct member *member, char where[120], struct stanch_err *err)
{
    const json_t *value = json_object_getn(body, member->name, member->name_len);
    (void)snprintf(where, 120, "%.*s", (int)member->name_len, member->name);
    if (!value && member->needed)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%s\" is missing: expected %s", where, type_word(member->type));
    if (value && !has_type(value, member->type))
        return stanch_err_set(err, STANCH_E_INVALID, "\"%s\": expected %s", where, type_word(member->type));
    return 0;
}

static bool is_named(const char *members, const char *key)
{
    struct member member;
    while ((members = next_member(members, &member)))
        if (strlen(key) == member.name_len && strncmp(key, member.name, member.name_len) == 0)
            return true;
    return false;
}

static int check_members(json_t *body, const char *members, char where[120], struct stanch_err *err)
{
    struct member member;
    const char *at = members, *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        if (!is_named(members, key)) {
            (void)snprintf(where, 120, "%.100s", key);
            return stanch_err_set(err, STANCH_E_INVALID, "\"%.100s\" is not known here", key);
        }
    }
    while ((at = next_member(at, &member))) {
        int rc = check_member(body, &member, where, err);
        if (rc != 0)
            return rc;
    }
    where[0] = 0;
    return 0;
}

static bool is_json_type(const char *type)
{
    return !type || strncasecmp(type, "application/json", 16) == 0;
}

int stanch_api__read_body(const struct stanch_api__call *call, json_t **ret, char where[120], struct stanch_err *err)
{
    size_t len = 0;
    const char *text = stanch_http_body(call->request, &len);
    STANCH_AUTO_JSON json_t *body = NULL;
    (void)snprintf(where, 120, "body");
    if (len > 0 && !is_json_type(stanch_http_header(call->request, "content-type"))) {
        (void)snprintf(where, 120, "header Content-Type");
        return stanch_err_set(err, STANCH_E_MEDIA_TYPE, "expected application/json");
    }
    int rc = len ? stanch_json_parse(text, len, &stanch_json_door_limits, &body, err) : 0;
    if (rc != 0)
        return rc;
    if (len == 0)
        body = json_object();
    if (!json_is_object(body))
        return stanch_err_set(err, STANCH_E_INVALID, "expected a JSON object");
    rc = check_members(body, call->route->body, where, err);
    if (rc != 0)
        return rc;
    *ret = body;
    body = NULL;
    return 0;
}

int stanch_api__query_int(const struct stanch_api__call *call, const char *key, int64_t min, int64_t max,
                          int64_t otherwise, int64_t *ret, struct stanch_err *err)
{
    const char *text = stanch_http_query(call->request, key);
    char *end = NULL;
    errno = 0;
    long long value = text ? strtoll(text, &end, 10) : otherwise;
    if (text && (errno != 0 || end == text || *end || value < min || value > max))
        return stanch_err_set(err, STANCH_E_INVALID, "%s=%.40s: expected a number from %lld to %lld", key, text,
                              (long long)min, (long long)max);
    *ret = value;
    return 0;
}

/* ---- the form of an answer ---- */

int stanch_api__read_form(const struct stanch_api__call *call, int forms, enum stanch_api__form *ret,
                          struct stanch_err *err)
{
    static const struct {
        enum stanch_api__form form;
        const char *format, *type;
    } known[] = {{STANCH_API__JSON, "json", "application/json"},
                 {STANCH_API__MARKDOWN, "markdown", "text/markdown"},
                 {STANCH_API__HTML, "html", "text/html"}};
    const char *format = stanch_http_query(call->request, "format");
    const char *accept = stanch_http_header(call->request, "accept");
    *ret = STANCH_API__JSON;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool is_it = format ? strcmp(format, known[i].format) == 0
                            : accept && strncmp(accept, known[i].type, strlen(known[i].type)) == 0;
        if (!is_it || !(forms & (int)known[i].form))
            continue;
        *ret = known[i].form;
        return 0;
    }
    return format ? stanch_err_set(err, STANCH_E_INVALID, "format=%.40s: expected json%s", format,
                                   forms & STANCH_API__HTML ? ", markdown or html" : " or markdown")
                  : 0;
}
