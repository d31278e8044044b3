/* catalogue_of.h: a catalogue out of declarations as a worker would give them, without a worker. */
#ifndef STANCH_TESTS_CATALOGUE_OF_H
#define STANCH_TESTS_CATALOGUE_OF_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "catalogue.h"
#include <string.h>

#define NOW    1700000000000LL
#define MINUTE 60000LL

/* declarations: a JSON array. Ended by stanch_catalogue_free. */
static inline struct stanch_catalogue *catalogue_of(const char *declarations)
{
    json_error_t wrong;
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *list = json_loads(declarations, 0, &wrong);
    if (!list)
        fail_msg("%s in %s", wrong.text, declarations);
    struct stanch_catalogue *catalogue = STANCH_NEW(struct stanch_catalogue);
    catalogue->runbooks = stanch_alloc((json_array_size(list) + 1) * sizeof *catalogue->runbooks);
    (void)snprintf(catalogue->commit, sizeof catalogue->commit, "c0ffee");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct stanch_runbook *runbook = &catalogue->runbooks[catalogue->count++];
        *runbook = (struct stanch_runbook){.declared = json_incref(json_array_get(list, i))};
        const json_t *on = json_object_get(runbook->declared, "on");
        if (json_array_size(on) && stanch_triggers_new(on, &runbook->triggers, &err) < 0)
            fail_msg("%s", err.text);
    }
    return catalogue;
}

/* One runbook that takes alerts called "A", with these members more: "\"limits\":{...}" */
static inline struct stanch_catalogue *one_runbook(const char *more)
{
    STANCH_AUTO_FREE char *text = stanch_asprintf(
        "[{\"name\":\"heal\",\"path\":\"heal.lua\",\"on\":[{\"kind\":\"alert\",\"matchers\":[{\"label\":\"alertname\","
        "\"op\":\"=\",\"value\":\"A\"}]}]%s%s}]",
        *more ? "," : "", more);
    return catalogue_of(text);
}

/* An alert called "A" that began a second before it was received. labels: more of them, "\"server\":\"s1\"" */
static inline json_t *alert_at(int64_t at_ms, const char *id, const char *labels)
{
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("{\"event\":\"%s\",\"id\":\"%s\",\"key\":\"k-%s\",\"kind\":\"alert\",\"name\":\"A\",\"state\":"
                        "\"firing\",\"labels\":"
                        "{\"alertname\":\"A\"%s%s},\"starts_at_ms\":%lld,\"received_ms\":%lld}",
                        id, id, id, *labels ? "," : "", labels, (long long)at_ms - 1000, (long long)at_ms);
    json_t *event = json_loads(text, 0, NULL);
    assert_non_null(event);
    return event;
}

#endif
