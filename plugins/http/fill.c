/* fill.c: a request out of what the configuration declares and what the runbook gave. What is put in stays inside of its
 * place: one segment of a path, one value of a query, one value of a JSON text. */
#include "http.h"
#include <stdlib.h>
#include <string.h>

/* What a text is filled for. */
enum fill { FILL_PLAIN, FILL_SEGMENT, FILL_SHELL };

const json_t *http_action(struct sdk_call *call)
{
    return json_object_get(json_object_get(sdk_settings(sdk_instance(call)), "actions"), sdk_action(call));
}

const json_t *http_step(struct sdk_call *call, const char *step)
{
    return json_object_get(http_action(call), step);
}

static const json_t *param_of(struct sdk_call *call, const char *name)
{
    return json_object_get(json_object_get(http_action(call), "params"), name);
}

/* What a place stands for. NULL: nothing. */
static const json_t *value_of(struct sdk_call *call, const char *name, const struct http_filling *with)
{
    if (param_of(call, name))
        return json_object_get(sdk_args(call), name);
    if (strcmp(name, "instance") == 0)
        return sdk_hold(call, json_string(sdk_instance_name(sdk_instance(call))));
    if (strcmp(name, "key") == 0)
        return sdk_hold(call, json_string(with->is_shown ? "{key}" : sdk_key(call)));
    if (strcmp(name, "from") == 0)
        return with->from;
    return strncmp(name, "from.", 5) == 0 ? json_object_get(with->from, name + 5) : NULL;
}

static void refuse_value(struct sdk_call *call, const char *where, const char *name)
{
    if (strncmp(name, "from", 4) == 0 && !param_of(call, name))
        sdk_fail(call, "invalid", "%s: {%s}: what was read is not such a value; nothing was sent", where, name);
    else
        sdk_fail(call, "invalid", "%s: %s: a text, a number, true or false was expected; nothing was sent", where,
                 name);
}

/* Whether a text may stand in a segment of a path: it must not look like several, or like none, to any server. */
static bool is_segment_safe(struct sdk_call *call, const char *name, const char *text)
{
    bool may_have_slash = json_is_true(json_object_get(param_of(call, name), "may_have_slash"));
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '\\' || (*p == '/' && !may_have_slash))
            return false;
    for (const char *piece = text; may_have_slash && piece; piece = strchr(piece, '/')) {
        piece += piece > text;
        size_t len = strcspn(piece, "/");
        if (len == 0 || (len <= 2 && strspn(piece, ".") >= len))
            return false;
    }
    return true;
}

static const char *fill_text(struct sdk_call *call, const char *template, enum fill how,
                             const struct http_filling *with, const char *where)
{
    const char *out = "", *at = template, *end, *begin;
    char name[SDK_PLACE_ROOM];
    while ((begin = sdk_next_place(at, name, &end))) {
        const json_t *value = value_of(call, name, with);
        const char *text = value ? sdk_scalar(call, value) : NULL;
        if (!text) {
            refuse_value(call, where, name);
            return NULL;
        }
        if (how == FILL_SEGMENT && !is_segment_safe(call, name, text)) {
            sdk_fail(call, "invalid", "%s: {%s}: \"%.80s\" cannot stand in a path; nothing was sent", where, name,
                     text);
            return NULL;
        }
        text = how == FILL_SEGMENT ? sdk_escape(call, text) : how == FILL_SHELL ? sdk_shell_word(call, text) : text;
        out = sdk_text(call, "%s%s%s", out, sdk_literal(call, at, (size_t)(begin - at)), text);
        at = end;
    }
    return sdk_text(call, "%s%s", out, sdk_literal(call, at, strlen(at)));
}

const char *http_fill_text(struct sdk_call *call, const char *template, const struct http_filling *with,
                           const char *where)
{
    return fill_text(call, template, FILL_PLAIN, with, where);
}

/* ---- paths and queries ---- */

static const char *fill_path(struct sdk_call *call, const char *template, const struct http_filling *with,
                             const char *where)
{
    const char *out = "", *at = template;
    while (*at == '/') {
        size_t len = strcspn(++at, "/");
        const char *segment = fill_text(call, sdk_text(call, "%.*s", (int)len, at), FILL_SEGMENT, with, where);
        if (!segment)
            return NULL;
        if (len > 0 && (!*segment || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)) {
            sdk_fail(call, "invalid", "%s: \"%.*s\" would become \"%s\", which is no name in a path; nothing was sent",
                     where, (int)len, at, segment);
            return NULL;
        }
        out = sdk_text(call, "%s/%s", out, segment);
        at += len;
    }
    return out;
}

static json_t *fill_query(struct sdk_call *call, const json_t *query, const struct http_filling *with,
                          const char *where)
{
    json_t *out = sdk_hold(call, json_object()), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)query, name, value)
    {
        const char *path = sdk_text(call, "%s.%s", where, name);
        const char *text = json_is_string(value) ? fill_text(call, json_string_value(value), FILL_PLAIN, with, path)
                                                 : sdk_scalar(call, value);
        if (!text)
            return NULL;
        json_object_set_new(out, name, json_string(text));
    }
    return out;
}

/* ---- JSON ---- */

static json_t *fill_json_text(struct sdk_call *call, const char *template, const struct http_filling *with,
                              const char *where)
{
    char name[SDK_PLACE_ROOM];
    const char *end, *begin = sdk_next_place(template, name, &end);
    if (begin != template || *end) {
        const char *text = fill_text(call, template, FILL_PLAIN, with, where);
        return text ? json_string(text) : NULL;
    }
    const json_t *value = value_of(call, name, with);
    if (!value)
        refuse_value(call, where, name);
    return value ? json_deep_copy(value) : NULL;
}

/* new; NULL: the call was answered */
static json_t *fill_json(struct sdk_call *call, const json_t *template, const struct http_filling *with,
                         const char *where)
{
    json_t *out, *one, *filled;
    const char *key;
    size_t i;
    if (json_is_string(template))
        return fill_json_text(call, json_string_value(template), with, where);
    if (!json_is_array(template) && !json_is_object(template))
        return json_deep_copy(template);
    out = json_is_array(template) ? json_array() : json_object();
    json_array_foreach((json_t *)(uintptr_t) template, i, one)
    {
        if (!(filled = fill_json(call, one, with, sdk_text(call, "%s[%zu]", where, i + 1))))
            goto refused;
        json_array_append_new(out, filled);
    }
    json_object_foreach((json_t *)(uintptr_t) template, key, one)
    {
        if (!(filled = fill_json(call, one, with, sdk_text(call, "%s.%s", where, key))))
            goto refused;
        json_object_set_new(out, key, filled);
    }
    return out;
refused:
    json_decref(out);
    return NULL;
}

json_t *http_fill_json(struct sdk_call *call, const json_t *template, const struct http_filling *with,
                       const char *where)
{
    return sdk_hold(call, fill_json(call, template, with, where));
}

/* ---- a request ---- */

static const char *where_of(struct sdk_call *call, const char *step, const char *member)
{
    return sdk_text(call, "actions.%s.%s.%s", sdk_action(call), step, member);
}

bool http_fill(struct sdk_call *call, const char *step, const struct http_filling *with, struct http_request *ret)
{
    const json_t *own = http_step(call, step), *body = json_object_get(own, "json");
    const char *method = json_string_value(json_object_get(own, "method"));
    if (!json_object_get(own, "path")) { /* only what is declared is called; still no reason to end the host */
        sdk_fail(call, "invalid", "%s has no request for %s", sdk_action(call), step);
        return false;
    }
    const char *path =
        fill_path(call, json_string_value(json_object_get(own, "path")), with, where_of(call, step, "path"));
    const json_t *query =
        path ? fill_query(call, json_object_get(own, "query"), with, where_of(call, step, "query")) : NULL;
    const json_t *json = query && body ? http_fill_json(call, body, with, where_of(call, step, "json")) : NULL;
    if (!query || (body && !json))
        return false;
    *ret = (struct http_request){.method = method ? method : "GET", .path = sdk_url(call, path, query), .json = json};
    return true;
}

/* ---- for a person's shell ---- */

static const char *upper(struct sdk_call *call, const char *name)
{
    char *out = sdk_memory(call, strlen(name) + 1);
    for (size_t i = 0; name[i]; i++)
        out[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    return out;
}

/* " -H 'A: b' -H 'Authorization: Bearer '"$TOKEN"": secrets as variables of their names. */
static const char *curl_options(struct sdk_call *call)
{
    const struct sdk_instance *instance = sdk_instance(call);
    const json_t *settings = sdk_settings(instance);
    const char *out = "", *name, *ca = sdk_setting(instance, "ca_file", NULL);
    json_t *value;
    json_object_foreach(json_object_get(settings, "headers"), name, value) out =
        sdk_text(call, "%s -H %s", out, sdk_shell_word(call, sdk_text(call, "%s: %s", name, json_string_value(value))));
    json_object_foreach(json_object_get(settings, "secret_headers"), name, value)
    {
        const char *before = json_string_value(json_object_get(value, "before"));
        out = sdk_text(call, "%s -H %s\"$%s\"", out,
                       sdk_shell_word(call, sdk_text(call, "%s: %s", name, before ? before : "")),
                       upper(call, json_string_value(json_object_get(value, "secret"))));
    }
    if (sdk_has_secret(instance, "token"))
        out = sdk_text(call, "%s -H 'Authorization: Bearer '\"$TOKEN\"", out);
    if (sdk_has_secret(instance, "password"))
        out = sdk_text(call, "%s -u %s:\"$PASSWORD\"", out, sdk_shell_word(call, sdk_setting(instance, "user", "")));
    return ca ? sdk_text(call, "%s --cacert %s", out, sdk_shell_word(call, ca)) : out;
}

static const char *curl_line(struct sdk_call *call, const char *step, const struct http_request *request)
{
    const char *url = sdk_setting(sdk_instance(call), "url", ""), *body = "";
    const char *type = json_string_value(json_object_get(http_step(call, step), "content_type"));
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (request->json) {
        char *text = json_dumps(request->json, JSON_COMPACT | JSON_ENCODE_ANY);
        body = sdk_text(call, " -H %s -d %s",
                        sdk_shell_word(call, sdk_text(call, "Content-Type: %s", type ? type : "application/json")),
                        sdk_shell_word(call, text));
        free(text);
    }
    return sdk_text(call, "curl -sS -f -X %s%s%s %s", request->method, curl_options(call), body,
                    sdk_shell_word(call, sdk_text(call, "%.*s%s", (int)len, url, request->path)));
}

const char *http_by_hand(struct sdk_call *call, const char *step, const struct http_filling *with)
{
    const char *own = json_string_value(json_object_get(http_step(call, step), "by_hand"));
    struct http_request request;
    if (own)
        return fill_text(call, own, FILL_SHELL, with, where_of(call, step, "by_hand"));
    return http_fill(call, step, with, &request) ? curl_line(call, step, &request) : NULL;
}
