/* read.c: ask every HAProxy how a backend, or a map, is. Names are checked before they come near a socket: there, a
 * semicolon or a newline begins another command.
 *
 *   check the names -> [ask a socket -> parse] for each one -> on_read
 */
#include "haproxy.h"
#include <string.h>

static const char answer_cut[] = "HAProxy's answer ends in the middle";

bool haproxy_is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:";
    size_t len = name ? strlen(name) : 0;
    return len > 0 && len <= 200 && strspn(name, letters) == len;
}

size_t haproxy_socket_count(struct sdk_instance *instance)
{
    size_t count = json_array_size(json_object_get(sdk_settings(instance), "sockets"));
    return count ? count : 1;
}

const char *haproxy_socket(struct sdk_instance *instance, size_t at)
{
    const json_t *list = json_object_get(sdk_settings(instance), "sockets");
    return list ? json_string_value(json_array_get(list, at)) : sdk_setting(instance, "socket", "");
}

const char *haproxy_where(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view)
{
    return work->count > 1 ? sdk_text(call, " on %s", view->address) : "";
}

/* ---- arguments ---- */

/* A text as it may stand in a message: short, printable. */
static const char *show_name(struct sdk_call *call, const char *name)
{
    char *text = sdk_memory(call, 64);
    size_t i = 0;
    for (; name[i] && i < 60; i++)
        text[i] = name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?';
    return text;
}

static bool check_text(struct sdk_call *call, const char *arg, bool (*is_good)(const char *), const char *expected)
{
    const json_t *value = json_object_get(sdk_args(call), arg);
    const char *name = json_string_value(value);
    if (name && json_string_length(value) == strlen(name) && is_good(name))
        return true;
    if (name)
        sdk_fail(call, "invalid", "%s: \"%s\" is %s; nothing was sent", arg, show_name(call, name), expected);
    else
        sdk_fail(call, "invalid", "%s: a text was expected", arg);
    return false;
}

static bool check_name(struct sdk_call *call, const char *arg)
{
    return check_text(call, arg, haproxy_is_name, "no name of HAProxy: 1 to 200 of A-Z a-z 0-9 - _ . : were expected");
}

static bool is_action(const char *name)
{
    static const char *const known[] = {"drain", "maintenance", "ready", "weight", "map_set"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], name) == 0)
            return true;
    return false;
}

static bool check_action(struct sdk_call *call)
{
    return check_text(call, "action", is_action,
                      "no action to make anew: drain, maintenance, ready, weight or map_set was expected");
}

static bool check_map(struct sdk_call *call)
{
    static const char expected[] =
        "nothing that stands in a map as one word: no blanks, quotes, ; # < \\ were expected";
    return check_text(call, "map", haproxy_is_map_file, "no name of a map's file") &&
           check_text(call, "key", haproxy_is_map_word, expected) &&
           check_text(call, "value", haproxy_is_map_word, expected);
}

static bool is_listed(struct sdk_call *call, const char *setting, const char *name)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), setting);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return true;
    return false;
}

static bool is_allowed(struct sdk_call *call, const struct haproxy_work *work)
{
    if (work->map_name && !is_listed(call, "maps", work->map_name)) {
        sdk_fail(call, "refused", "map \"%s\" is not in this instance's setting \"maps\"", work->map_name);
        return false;
    }
    if (work->map_name || !json_object_get(sdk_settings(sdk_instance(call)), "backends") ||
        is_listed(call, "backends", work->backend_name))
        return true;
    sdk_fail(call, "refused", "backend \"%s\" is not in this instance's setting \"backends\"", work->backend_name);
    return false;
}

/* ---- one socket after the other ---- */

static void ask(struct sdk_call *call);

static bool has_all_stats(const struct haproxy_backend *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        if (!backend->servers[i].has_stat)
            return false;
    return true;
}

static void fail_parse(struct sdk_call *call, const struct haproxy_work *work, const char *kind, const char *why)
{
    const char *where = haproxy_where(call, work, &work->views[work->at]);
    if (strcmp(kind, "not-found") == 0 && work->map_name)
        sdk_fail(call, kind, "HAProxy%s has no map \"%s\": the name is that of its configuration", where,
                 work->map_name);
    else if (strcmp(kind, "not-found") == 0)
        sdk_fail(call, kind, "HAProxy%s has no backend \"%s\"", where, work->backend_name);
    else if (strcmp(why, answer_cut) == 0)
        sdk_fail_retry(call, 0, "unreachable", "%s%s", why, where);
    else
        sdk_fail(call, kind, "%s%s", why, where);
}

/* returns true when this socket has been read; else the call was answered, or is asked again */
static bool take_backend(struct sdk_call *call, struct haproxy_work *work, struct haproxy_view *view)
{
    const char *where = haproxy_where(call, work, view);
    if (!has_all_stats(&view->backend) && !view->is_wide) {
        view->is_wide = true; /* a frontend of the same name hides the backend from "show stat NAME" */
        ask(call);
        return false;
    }
    if (!has_all_stats(&view->backend)) {
        sdk_fail_retry(call, 0, "protocol", "HAProxy's \"show stat\"%s lacks a server of backend \"%s\"", where,
                       work->backend_name);
        return false;
    }
    view->server = work->server_name ? haproxy_find(&view->backend, work->server_name) : NULL;
    if (view->server)
        view->now = sdk_hold(call, haproxy_value(view->server));
    if (!work->server_name || view->server)
        return true;
    sdk_fail(call, "not-found", "backend \"%s\" of HAProxy%s has no server \"%s\"", work->backend_name, where,
             work->server_name);
    return false;
}

static void on_answer(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    struct haproxy_work *work = sdk_kept(call);
    struct haproxy_view *view = &work->views[work->at];
    const char *kind = "protocol";
    if (ended != STANCH_HTTP_ANSWERED) { /* a read only: also an answer that got lost has changed nothing */
        sdk_fail_retry(call, 0, "unreachable", "HAProxy could not be read%s: %s", haproxy_where(call, work, view), why);
        return;
    }
    char *text = sdk_memory(call, len + 1);
    memcpy(text, answer, len);
    view->process = haproxy_parse_info(text, sdk_now_ms(call));
    const char *wrong = work->map_name ? haproxy_parse_map(call, text, work->map_key, &view->now, &kind)
                                       : haproxy_parse(call, text, &view->backend, &kind);
    if (wrong)
        fail_parse(call, work, kind, wrong);
    else if (work->map_name || take_backend(call, work, view)) {
        if (++work->at < work->count)
            ask(call);
        else
            work->on_read(call, work);
    }
}

static void ask(struct sdk_call *call)
{
    struct haproxy_work *work = sdk_kept(call);
    struct haproxy_view *view = &work->views[work->at];
    const char *line;
    if (work->map_name)
        line = sdk_text(call, "show map %s;show info\n", work->map_name);
    else
        line = sdk_text(call, "show servers state %s;show stat %s 4 -1;show info\n", work->backend_name,
                        view->is_wide ? "-1" : work->backend_name);
    view->backend.name = work->backend_name;
    sdk_exchange(call, view->address, line, 16u << 20, on_answer);
}

void haproxy_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct haproxy_work *work))
{
    struct haproxy_work *work = sdk_memory(call, sizeof *work);
    bool is_whole = sdk_op(call) == STANCH_OP_READ, is_map = strcmp(haproxy_action(call), "map_set") == 0;
    if (haproxy_is_reapply(call) && !check_action(call))
        return;
    if (is_map ? !check_map(call) : !check_name(call, "backend") || (!is_whole && !check_name(call, "server")))
        return;
    work->backend_name = sdk_arg_str(call, "backend", "");
    work->server_name = is_map || is_whole ? NULL : sdk_arg_str(call, "server", "");
    work->map_name = is_map ? sdk_arg_str(call, "map", "") : NULL;
    work->map_key = is_map ? sdk_arg_str(call, "key", "") : NULL;
    work->on_read = fn;
    work->count = haproxy_socket_count(sdk_instance(call));
    work->views = sdk_memory(call, work->count * sizeof *work->views);
    for (size_t i = 0; i < work->count; i++)
        work->views[i].address = haproxy_socket(sdk_instance(call), i);
    if (!is_allowed(call, work))
        return;
    sdk_keep(call, work);
    ask(call);
}
