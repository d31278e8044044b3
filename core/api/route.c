/* route.c: every route, once. A row says who may, what a body may hold, and which command or noun it is about; a
 * route that is not here does not exist, and tests hold the OpenAPI file and the table to each other. */
#include "api/room.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

#define READ(pattern, handle, noun)                                                                                    \
    {                                                                                                                  \
        "GET", pattern, STANCH_MAY_READ, false, handle, noun, NULL, NULL, 200                                          \
    }
#define OPEN(pattern, handle)                                                                                          \
    {                                                                                                                  \
        "GET", pattern, STANCH_MAY_NOTHING, false, handle, NULL, NULL, NULL, 200                                       \
    }
#define CHANGE(method, pattern, needs, handle, command, ids, body, status)                                             \
    {                                                                                                                  \
        method, pattern, STANCH_MAY_##needs, true, handle, command, ids, body, status                                  \
    }

static const struct stanch_api__route table[] = {
    {"POST", "/v1/events/{source}", STANCH_MAY_NOTHING, true, stanch_api__receive, NULL, NULL, NULL, 202},
    READ("/v1/events", stanch_api__list, "event"),
    READ("/v1/events/{id}", stanch_api__get, "event"),
    READ("/v1/events/{id}/why", stanch_api__why, NULL),
    READ("/v1/changes", stanch_api__list, "change"),
    READ("/v1/changes/{id}", stanch_api__get, "change"),
    CHANGE("POST", "/v1/sources/{name}/test", RESPOND, stanch_api__test_source, NULL, NULL, NULL, 200),
    READ("/v1/incidents", stanch_api__list, "incident"),
    CHANGE("POST", "/v1/incidents", RESPOND, stanch_api__change, "incident.declare", NULL, "title:s! severity:s note:s",
           201),
    READ("/v1/incidents/{id}", stanch_api__get, "incident"),
    CHANGE("PATCH", "/v1/incidents/{id}", RESPOND, stanch_api__patch_incident, NULL, "incident",
           "title:s severity:s state:s roles:o reason:s", 200),
    READ("/v1/incidents/{id}/timeline", stanch_api__timeline, NULL),
    READ("/v1/incidents/{id}/report", stanch_api__report, NULL),
    CHANGE("POST", "/v1/incidents/{id}/timeline", RESPOND, stanch_api__add_entry, NULL, "incident", "kind:s! text:s!",
           201),
    CHANGE("POST", "/v1/incidents/{id}/merge", RESPOND, stanch_api__change, "incident.merge", "incident", "into:s!",
           200),
    CHANGE("POST", "/v1/incidents/{id}/roles", RESPOND, stanch_api__give_role, "incident.role", "incident",
           "role:s! person:s reason:s", 200),
    READ("/v1/incidents/{id}/runs", stanch_api__runs_of, "run"),
    CHANGE("POST", "/v1/incidents/{id}/runs", RESPOND, stanch_api__change, "run.start", "incident",
           "runbook:s! params:o", 201),
    READ("/v1/runs", stanch_api__list, "run"),
    CHANGE("POST", "/v1/runs", RESPOND, stanch_api__change, "run.start", NULL,
           "runbook:s! incident:s params:o title:s observe:b", 201),
    READ("/v1/runs/{id}", stanch_api__get_run, "run"),
    CHANGE("POST", "/v1/runs/{id}/cancel", RESPOND, stanch_api__change, "run.cancel", "run", "reason:s", 200),
    CHANGE("POST", "/v1/steps/{run}/{n}/resolve", APPROVE, stanch_api__resolve_step, "step.resolve", NULL,
           "happened:s! note:s", 200),
    READ("/v1/approvals", stanch_api__list, "approval"),
    READ("/v1/approvals/{id}", stanch_api__get, "approval"),
    CHANGE("POST", "/v1/approvals/{id}", APPROVE, stanch_api__change, "approval.decide", "approval",
           "decision:s! plan:s note:s break_glass:b", 200),
    READ("/v1/mitigations", stanch_api__list, "mitigation"),
    READ("/v1/mitigations/{id}", stanch_api__get, "mitigation"),
    CHANGE("POST", "/v1/mitigations/{id}/undo", APPROVE, stanch_api__change, "mitigation.undo", "mitigation",
           "reason:s", 200),
    CHANGE("POST", "/v1/mitigations/{id}/extend", APPROVE, stanch_api__change, "mitigation.extend", "mitigation",
           "for_ms:i! reason:s", 200),
    CHANGE("POST", "/v1/mitigations/{id}/keep", APPROVE, stanch_api__change, "mitigation.keep", "mitigation",
           "reason:s", 200),
    READ("/v1/holds", stanch_api__list, "hold"),
    CHANGE("POST", "/v1/holds", RESPOND, stanch_api__change, "hold.take", NULL, "target:s! for_ms:i reason:s", 201),
    CHANGE("POST", "/v1/holds/release", RESPOND, stanch_api__change, "hold.release", NULL, "target:s! of:s reason:s",
           200),
    READ("/v1/holds/{id}", stanch_api__get, "hold"),
    READ("/v1/breakers", stanch_api__list, "breaker"),
    CHANGE("POST", "/v1/breakers/close", APPROVE, stanch_api__change, "breaker.close", NULL,
           "runbook:s! target:s! because:s", 200),
    READ("/v1/drills", stanch_api__list, "drill"),
    CHANGE("POST", "/v1/drills", RESPOND, stanch_api__begin_drill, "drill.begin", NULL, "name:s! kind:s speed:i", 201),
    READ("/v1/drills/coming", stanch_api__coming_drills, NULL),
    READ("/v1/drills/calendar", stanch_api__drill_calendar, NULL),
    READ("/v1/drills/{id}", stanch_api__get, "drill"),
    READ("/v1/drills/{id}/report", stanch_api__drill_report, NULL),
    CHANGE("POST", "/v1/drills/{id}/end", RESPOND, stanch_api__change, "drill.end", "drill", "why:s", 200),
    READ("/v1/runbooks", stanch_api__runbooks, NULL),
    CHANGE("POST", "/v1/runbooks/sync", ADMIN, stanch_api__change, "runbook.sync", NULL, "", 200),
    CHANGE("POST", "/v1/runbooks/lint", READ, stanch_api__change, "runbook.lint", NULL, "files:a!", 200),
    READ("/v1/runbooks/{name}", stanch_api__runbook, NULL),
    CHANGE("POST", "/v1/runbooks/{name}/accept", APPROVE, stanch_api__change, "runbook.accept", "runbook",
           "digest:s! because:s", 200),
    READ("/v1/plugins", stanch_api__plugins, NULL),
    READ("/v1/plugins/{name}", stanch_api__plugin, NULL),
    CHANGE("POST", "/v1/plugins/{name}/enable", ADMIN, stanch_api__change, "plugin.enable", "instance", "", 200),
    CHANGE("POST", "/v1/plugins/{name}/check", RESPOND, stanch_api__change, "plugin.check", "instance", "", 200),
    CHANGE("POST", "/v1/policy/explain", READ, stanch_api__change, "policy.explain", NULL,
           "instance:s! action:s! targets:a tags:a severity:s runbook:s incident:s effect:s reach:n risk:s", 200),
    CHANGE("POST", "/v1/store/check", ADMIN, stanch_api__change, "store.check", NULL, "", 200),
    CHANGE("POST", "/v1/reload", ADMIN, stanch_api__change, "reload", NULL, "", 200),
    CHANGE("POST", "/v1/stop", RESPOND, stanch_api__change, "stop", NULL, "reason:s! level:s name:s for_ms:i", 200),
    CHANGE("POST", "/v1/resume", APPROVE, stanch_api__change, "resume", NULL, "reason:s level:s name:s", 200),
    READ("/v1/people", stanch_api__people, NULL),
    READ("/v1/whoami", stanch_api__whoami, NULL),
    READ("/v1/stream", stanch_api__stream, NULL),
    READ("/v1/status", stanch_api__status, NULL),
    OPEN("/v1/openapi.json", stanch_api__openapi),
    OPEN("/healthz", stanch_api__healthz),
    OPEN("/readyz", stanch_api__readyz),
    OPEN("/metrics", stanch_api__metrics),
};

const struct stanch_api__route *stanch_api__route_table(int *ret_count)
{
    *ret_count = (int)(sizeof table / sizeof *table);
    return table;
}

/* One segment against another; a {name} takes any that is not empty. */
static bool match(const char *pattern, const char *path, const char *found[STANCH_API__PARTS],
                  size_t found_len[STANCH_API__PARTS])
{
    int count = 0;
    for (;;) {
        size_t want = strcspn(pattern, "/"), have = strcspn(path, "/");
        if (*pattern == '{') {
            if (have == 0)
                return false;
            found[count] = path;
            found_len[count++] = have;
        } else if (want != have || strncmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        if (!*pattern || !*path)
            return !*pattern && !*path;
        pattern++;
        path++;
    }
}

static bool is_method(const char *wanted, const char *method)
{
    return strcmp(wanted, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(wanted, "GET") == 0);
}

int stanch_api__route_find(const char *method, const char *path, const struct stanch_api__route **ret,
                           char *ret_parts[STANCH_API__PARTS], char ret_allow[64], struct stanch_err *err)
{
    ret_allow[0] = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *found[STANCH_API__PARTS] = {0};
        size_t found_len[STANCH_API__PARTS];
        if (!match(table[i].pattern, path, found, found_len))
            continue;
        /* "sync" under /v1/runbooks is no name: the exact row stands before the one with {name} */
        if (is_method(table[i].method, method)) {
            *ret = &table[i];
            for (int part = 0; part < STANCH_API__PARTS; part++)
                ret_parts[part] = found[part] ? stanch_strndup(found[part], found_len[part]) : NULL;
            return 0;
        }
        size_t used = strlen(ret_allow);
        (void)snprintf(ret_allow + used, 64 - used, "%s%s", used ? ", " : "", table[i].method);
    }
    if (*ret_allow)
        return stanch_err_set(err, STANCH_E_METHOD, "%s is not a method of %s; there is %s", method, path, ret_allow);
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "no such path: %s (GET /v1/openapi.json lists them)", path);
}
