/* read.c: ask HAProxy how a backend is. Names are checked before they come near the socket: there, a semicolon
 * or a newline begins another command. */
#include "haproxy.h"
#include <string.h>

static const char answer_cut[] = "HAProxy's answer ends in the middle";

bool haproxy_is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:";
    size_t len = name ? strlen(name) : 0;
    return len > 0 && len <= 200 && strspn(name, letters) == len;
}

/* A text as it may stand in a message: short, printable. */
static const char *show_name(struct sdk_call *call, const char *name)
{
    char *text = sdk_memory(call, 64);
    size_t i = 0;
    for (; name[i] && i < 60; i++)
        text[i] = name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?';
    return text;
}

static bool check_name(struct sdk_call *call, const char *arg)
{
    const json_t *value = json_object_get(sdk_args(call), arg);
    const char *name = json_string_value(value);
    if (name && json_string_length(value) == strlen(name) && haproxy_is_name(name))
        return true;
    if (name)
        sdk_fail(call, "invalid",
                 "%s: \"%s\" is no name of HAProxy: 1 to 200 of A-Z a-z 0-9 - _ . : were expected; nothing was "
                 "sent",
                 arg, show_name(call, name));
    else
        sdk_fail(call, "invalid", "%s: a name was expected", arg);
    return false;
}

static bool is_allowed(const struct sdk_call *call, const char *backend)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance((struct sdk_call *)(uintptr_t)call)), "backends");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), backend) == 0)
            return true;
    return list == NULL;
}

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
    if (strcmp(kind, "not-found") == 0)
        sdk_fail(call, kind, "HAProxy has no backend \"%s\"", work->backend_name);
    else if (strcmp(why, answer_cut) == 0)
        sdk_fail_retry(call, 0, "unreachable", "%s", why);
    else
        sdk_fail(call, kind, "%s", why);
}

static void on_answer(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    struct haproxy_work *work = sdk_kept(call);
    const char *kind = "protocol";
    if (ended != STANCH_HTTP_ANSWERED) { /* a read only: also an answer that got lost has changed nothing */
        sdk_fail_retry(call, 0, "unreachable", "HAProxy could not be read: %s", why);
        return;
    }
    char *text = sdk_memory(call, len + 1);
    memcpy(text, answer, len);
    const char *wrong = haproxy_parse(call, text, &work->backend, &kind);
    if (wrong) {
        fail_parse(call, work, kind, wrong);
        return;
    }
    if (!has_all_stats(&work->backend) && !work->is_wide) {
        work->is_wide = true; /* a frontend of the same name hides the backend from "show stat NAME" */
        ask(call);
        return;
    }
    if (!has_all_stats(&work->backend)) {
        sdk_fail_retry(call, 0, "protocol", "HAProxy's \"show stat\" lacks a server of backend \"%s\"",
                       work->backend_name);
        return;
    }
    work->server = work->server_name ? haproxy_find(&work->backend, work->server_name) : NULL;
    if (work->server_name && !work->server)
        sdk_fail(call, "not-found", "backend \"%s\" of HAProxy has no server \"%s\"", work->backend_name,
                 work->server_name);
    else
        work->on_read(call, work);
}

static void ask(struct sdk_call *call)
{
    struct haproxy_work *work = sdk_kept(call);
    const char *line = sdk_text(call, "show servers state %s;show stat %s 4 -1\n", work->backend_name,
                                work->is_wide ? "-1" : work->backend_name);
    work->backend.name = work->backend_name;
    sdk_exchange(call, sdk_setting(sdk_instance(call), "socket", ""), line, 16u << 20, on_answer);
}

void haproxy_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct haproxy_work *work))
{
    struct haproxy_work *work = sdk_memory(call, sizeof *work);
    bool is_whole = sdk_op(call) == STANCH_OP_READ;
    if (!check_name(call, "backend") || (!is_whole && !check_name(call, "server")))
        return;
    work->backend_name = sdk_arg_str(call, "backend", "");
    work->server_name = is_whole ? NULL : sdk_arg_str(call, "server", "");
    work->on_read = fn;
    if (!is_allowed(call, work->backend_name)) {
        sdk_fail(call, "refused", "backend \"%s\" is not in this instance's setting \"backends\"", work->backend_name);
        return;
    }
    sdk_keep(call, work);
    ask(call);
}
