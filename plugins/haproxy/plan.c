/* plan.c: what an action would change, with the capacity before and after. Reads only. */
#include "haproxy.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SHOWN 50

bool haproxy_is_reapply(const struct sdk_call *call)
{
    return strcmp(sdk_action(call), "reapply") == 0;
}

const char *haproxy_action(const struct sdk_call *call)
{
    return haproxy_is_reapply(call) ? sdk_arg_str(call, "action", "") : sdk_action(call);
}

const char *haproxy_field(const struct sdk_call *call)
{
    if (strcmp(haproxy_action(call), "map_set") == 0)
        return "value";
    return strcmp(haproxy_action(call), "weight") == 0 ? "weight" : "state";
}

bool haproxy_has_field(const struct sdk_call *call, const json_t *now, const json_t *value)
{
    const char *field = haproxy_field(call);
    return json_equal(json_object_get(now, field), json_object_get(value, field)) != 0;
}

bool haproxy_is_equal(const struct sdk_call *call, const json_t *now, const json_t *value)
{
    return haproxy_is_reapply(call) ? haproxy_has_field(call, now, value) : json_equal(now, value) != 0;
}

json_t *haproxy_value(const struct haproxy_server *server)
{
    return json_pack("{s:s, s:I}", "state", haproxy_state_word(server), "weight", (json_int_t)server->weight);
}

json_t *haproxy_target(struct sdk_call *call, const json_t *from)
{
    const char *action = haproxy_action(call);
    json_t *to = json_deep_copy(from);
    if (strcmp(action, "map_set") == 0)
        json_object_set_new(to, "value", json_string(sdk_arg_str(call, "value", "")));
    else if (strcmp(action, "weight") == 0)
        json_object_set_new(to, "weight", json_integer(sdk_arg_int(call, "weight", -1)));
    else
        json_object_set_new(to, "state", json_string(strcmp(action, "maintenance") == 0 ? "maint" : action));
    return to;
}

const char *haproxy_command(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                            const json_t *value)
{
    const char *field = haproxy_field(call);
    if (work->map_name)
        return haproxy_map_command(call, work, now, value);
    const json_t *member = json_object_get(value, field);
    if (json_is_integer(member))
        return sdk_text(call, "set server %s/%s weight %lld", work->backend_name, work->server_name,
                        (long long)json_integer_value(member));
    return sdk_text(call, "set server %s/%s state %s", work->backend_name, work->server_name,
                    json_string_value(member));
}

size_t haproxy_count(const struct sdk_call *call, const struct haproxy_work *work, const json_t *value)
{
    size_t count = 0;
    for (size_t i = 0; i < work->count; i++)
        count += haproxy_has_field(call, work->views[i].now, value);
    return count;
}

const char *haproxy_kept_text(struct sdk_call *call, const struct haproxy_work *work, const json_t *value)
{
    size_t kept = haproxy_count(call, work, value);
    if (kept == 0 || kept == work->count)
        return "";
    return sdk_text(call, "; %zu of them %s it still", kept, kept == 1 ? "has" : "have");
}

/* For a shell: as it is when that is safe, else in single quotes. */
static const char *quote(struct sdk_call *call, const char *text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:@+=[]";
    if (strspn(text, safe) == strlen(text))
        return text;
    char *out = sdk_memory(call, strlen(text) * 4 + 3), *at = out;
    *at++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *text;
        }
    }
    *at = '\'';
    return out;
}

/* As the format of printf, in single quotes (neither names nor words have a quote or a backslash in them). */
static const char *printf_text(struct sdk_call *call, const char *command)
{
    char *out = sdk_memory(call, strlen(command) * 2 + 1), *at = out;
    for (; *command; command++) {
        *at++ = *command;
        if (*command == '%')
            *at++ = '%';
    }
    return out;
}

const char *haproxy_by_hand(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                            const json_t *value)
{
    const char *line = "";
    bool is_for_all = now || haproxy_count(call, work, value) == work->count;
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        const char *socket = view->address, *command = haproxy_command(call, work, now ? now : view->now, value);
        if (!is_for_all && haproxy_has_field(call, view->now, value))
            continue;
        const char *address = strncmp(socket, "unix:", 5) == 0 ? sdk_text(call, "unix-connect:%s", socket + 5)
                                                               : sdk_text(call, "tcp-connect:%s", socket + 4);
        line = sdk_text(call, "%s%sprintf '%s\\n' | socat - %s", line, *line ? "; " : "", printf_text(call, command),
                        quote(call, address));
    }
    return line;
}

/* ---- capacity ---- */

static struct haproxy_backend after_writing(struct sdk_call *call, const struct haproxy_work *work,
                                            const struct haproxy_view *view, const json_t *value)
{
    bool is_weight = strcmp(haproxy_field(call), "weight") == 0;
    return haproxy_project(call, &view->backend, work->server_name,
                           is_weight ? NULL : json_string_value(json_object_get(value, "state")),
                           is_weight ? json_integer_value(json_object_get(value, "weight")) : -1);
}

static const char *capacity_text(struct sdk_call *call, const struct haproxy_backend *backend)
{
    struct haproxy_capacity all = haproxy_capacity(backend);
    return sdk_text(call, "%lld (%d of %zu servers%s)", (long long)all.weight, all.servers, backend->count,
                    all.is_backup ? ", a backup" : "");
}

/* Whether it asks the server to take more than now: never a reason to refuse when nothing serves anyway. */
static bool gives_more(const struct sdk_call *call, const struct haproxy_view *view, const json_t *value)
{
    if (strcmp(haproxy_field(call), "weight") == 0)
        return json_integer_value(json_object_get(value, "weight")) > view->server->weight;
    return strcmp(json_string_value(json_object_get(value, "state")), "ready") == 0;
}

bool haproxy_would_starve(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                          const json_t *value, const char *verb)
{
    struct haproxy_backend after = after_writing(call, work, view, value);
    if (haproxy_capacity(&after).weight > 0)
        return false;
    if (haproxy_capacity(&view->backend).weight == 0 && gives_more(call, view, value))
        return false;
    sdk_fail(call, "refused",
             "%s %s would leave backend %s without a serving server%s (serving now: %s); bring another server back "
             "first",
             verb, work->server_name, work->backend_name, haproxy_where(call, work, view),
             capacity_text(call, &view->backend));
    return true;
}

/* ---- the plan ---- */

json_t *haproxy_processes(const struct haproxy_work *work)
{
    json_t *out = json_array();
    for (size_t i = 0; i < work->count; i++)
        json_array_append_new(out, json_pack("{s:s, s:I, s:I}", "socket", work->views[i].address, "pid",
                                             (json_int_t)work->views[i].process.pid, "started_at_ms",
                                             (json_int_t)work->views[i].process.started_at_ms));
    return out;
}

static const char *what_happens(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                                const json_t *to)
{
    const char *action = haproxy_action(call), *name = work->server_name;
    if (strcmp(action, "weight") == 0)
        return sdk_text(call, "Weight of %s from %lld to %lld", name, (long long)view->server->weight,
                        (long long)json_integer_value(json_object_get(to, "weight")));
    if (strcmp(action, "drain") == 0)
        return sdk_text(call, "%s takes no new requests", name);
    if (strcmp(action, "maintenance") == 0)
        return sdk_text(call, "%s goes into maintenance and its checks stop", name);
    return sdk_text(call, "%s comes back", name);
}

static int64_t all_sessions(const struct haproxy_work *work)
{
    int64_t sum = 0;
    for (size_t i = 0; i < work->count; i++)
        sum += work->views[i].server->sessions;
    return sum;
}

static const char *what_remains(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                                const json_t *to, const struct haproxy_backend *after)
{
    const struct haproxy_server *server = haproxy_find(after, work->server_name);
    if (strcmp(haproxy_state_word(server), "ready") == 0 && !haproxy_is_usable(server) && gives_more(call, view, to)) {
        if (server->weight == 0)
            return "; its weight is 0: it takes no requests yet";
        return sdk_text(call, "; it will not serve yet: HAProxy says %s of it", server->check);
    }
    if (all_sessions(work) == 0)
        return "";
    return sdk_text(call, "; %lld sessions on it now", (long long)all_sessions(work));
}

static const char *impact(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                          const json_t *to, const struct haproxy_backend *after)
{
    const char *many = "";
    if (work->count > 1)
        many = sdk_text(call, ", on the one of %zu processes that keeps least (%s)%s", work->count, view->address,
                        haproxy_kept_text(call, work, to));
    return sdk_text(call, "%s: serving capacity of %s goes from %s to %s%s%s", what_happens(call, work, view, to),
                    work->backend_name, capacity_text(call, &view->backend), capacity_text(call, after), many,
                    what_remains(call, work, view, to, after));
}

static json_t *capacity_json(const struct haproxy_backend *backend)
{
    struct haproxy_capacity all = haproxy_capacity(backend);
    return json_pack("{s:I, s:i, s:I, s:b}", "weight", (json_int_t)all.weight, "servers", all.servers, "of",
                     (json_int_t)backend->count, "backup", all.is_backup);
}

static json_t *observed(const struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                        const struct haproxy_backend *after)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < view->backend.count && i < MAX_SHOWN; i++)
        json_array_append_new(servers, haproxy_server_json(&view->backend, &view->backend.servers[i]));
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "as_of_ms", (json_int_t)sdk_now_ms(call), "before",
                     capacity_json(&view->backend), "after", capacity_json(after), "servers", servers, "processes",
                     haproxy_processes(work));
}

/* The share of the requests that move: of one process, or the mean of many (each is taken to serve alike). */
static double reach_of(struct sdk_call *call, const struct haproxy_work *work, const json_t *to)
{
    double moved = 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        struct haproxy_backend after = after_writing(call, work, view, to);
        moved += fabs(haproxy_share(&view->backend, view->server) -
                      haproxy_share(&after, haproxy_find(&after, work->server_name)));
    }
    return round(moved / (double)work->count * 10000) / 10000;
}

/* The process that keeps the least capacity afterwards: what an approver has to look at. Of a reapply, of those that are
 * changed. */
static const struct haproxy_view *find_worst(struct sdk_call *call, const struct haproxy_work *work, const json_t *to)
{
    const struct haproxy_view *worst = NULL;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < work->count; i++) {
        struct haproxy_backend after = after_writing(call, work, &work->views[i], to);
        int64_t weight = haproxy_capacity(&after).weight;
        if (weight < least && !haproxy_has_field(call, work->views[i].now, to)) {
            least = weight;
            worst = &work->views[i];
        }
    }
    return worst ? worst : &work->views[0];
}

static void answer_plan(struct sdk_call *call, const struct haproxy_work *work, json_t *from, json_t *to)
{
    const struct haproxy_view *view = find_worst(call, work, to);
    struct haproxy_backend after = after_writing(call, work, view, to);
    const char *field = haproxy_field(call);
    struct sdk_plan plan = {
        .targets = json_pack("[o]", json_sprintf("haproxy:%s/%s/%s", sdk_instance_name(sdk_instance(call)),
                                                 work->backend_name, work->server_name)),
        .undo = json_pack("{s:O, s:{s:O}}", field, json_object_get(from, field), "only_if", field,
                          json_object_get(to, field)),
        .by_hand = haproxy_by_hand(call, work, NULL, to),
        .undo_by_hand = haproxy_by_hand(call, work, to, from),
        .impact = impact(call, work, view, to, &after),
        .reach = reach_of(call, work, to),
        .observed = observed(call, work, view, &after),
        .no_change = json_equal(from, to) != 0,
        .from = from, /* taken, as is to */
        .to = to,
    };
    sdk_plan(call, &plan);
}

/* Whether all sockets say `from`, or of a reapply what it sets already; else the call was answered. */
static bool agree(struct sdk_call *call, const struct haproxy_work *work, const json_t *from, const json_t *to)
{
    const char *text = "";
    bool is_same = true;
    for (size_t i = 0; i < work->count; i++) {
        char *now = json_dumps(work->views[i].now, JSON_SORT_KEYS);
        bool is_kept = haproxy_is_reapply(call) && haproxy_has_field(call, work->views[i].now, to);
        is_same = is_same && (is_kept || haproxy_is_equal(call, work->views[i].now, from));
        text = sdk_text(call, "%s%s%s: %s", text, i ? "; " : "", work->views[i].address, now ? now : "?");
        free(now);
    }
    if (!is_same)
        sdk_fail(call, "refused",
                 "the processes disagree on %s (%s): one of them was reloaded, or changed by hand; "
                 "make them alike first",
                 work->map_name ? work->map_key : work->server_name, text);
    return is_same;
}

static bool check_servers(struct sdk_call *call, const struct haproxy_work *work, const json_t *from, const json_t *to)
{
    int64_t both = HAPROXY_FORCED_MAINT | HAPROXY_FORCED_DRAIN;
    const char *verb = strcmp(haproxy_field(call), "weight") == 0   ? "setting the weight of"
                       : strcmp(haproxy_action(call), "drain") == 0 ? "draining"
                                                                    : "stopping";
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        if ((view->server->admin & both) == both) {
            sdk_fail(call, "refused",
                     "%s%s is drained and in maintenance at once, which could not be put back exactly; settle it by "
                     "hand first",
                     work->server_name, haproxy_where(call, work, view));
            return false;
        }
        if (!json_equal(from, to) && !haproxy_has_field(call, view->now, to) &&
            haproxy_would_starve(call, work, view, to, verb))
            return false;
    }
    return true;
}

/* What a reapply finds where the change is gone; where it is not, everywhere the same. */
static json_t *find_lost(struct sdk_call *call, const struct haproxy_work *work)
{
    json_t *wanted = sdk_hold(call, haproxy_target(call, work->views[0].now));
    for (size_t i = 0; i < work->count && haproxy_is_reapply(call); i++)
        if (!haproxy_has_field(call, work->views[i].now, wanted))
            return work->views[i].now;
    return work->views[0].now;
}

static void on_read(struct sdk_call *call, struct haproxy_work *work)
{
    json_t *from = find_lost(call, work);
    json_t *to = sdk_hold(call, haproxy_target(call, from));
    if (!agree(call, work, from, to))
        return;
    if (work->map_name)
        haproxy_plan_map(call, work, from, to);
    else if (check_servers(call, work, from, to))
        answer_plan(call, work, json_incref(from), json_incref(to));
}

void haproxy_plan(struct sdk_call *call)
{
    int64_t weight = sdk_arg_int(call, "weight", -1);
    if (strcmp(haproxy_action(call), "weight") == 0 && (weight < 0 || weight > 256))
        sdk_fail(call, "invalid", "weight: an integer from 0 to 256 was expected");
    else
        haproxy_read(call, on_read);
}
