/* flow_role.c: a role gets another holder, and what waits for that role hears of it: one batch. */
#include "base/json.h"
#include "flow_parts.h"
#include "incident/roles.h"

int stanch_flow__give_role(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_batch *batch,
                           struct stanch_err *err)
{
    struct stanch_role_change change;
    int rc = stanch_role_check(flow->journal, flow->people, by, input, &change, err);
    if (rc < 0)
        return rc;
    stanch_role_put(&change, by, batch);
    return stanch_engine_role_changed(flow->engine, &change, batch, err);
}

int stanch_flow__give_roles(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_batch *batch,
                            struct stanch_err *err)
{
    const char *role, *reason = stanch_json_str(input, "reason", NULL);
    json_t *person;
    json_object_foreach(json_object_get(input, "roles"), role, person)
    {
        STANCH_AUTO_JSON json_t *one =
            json_pack("{s:s, s:s, s:s}", "incident", stanch_json_str(input, "incident", ""), "role", role, "person",
                      json_is_string(person) ? json_string_value(person) : "");
        stanch_json_set_str(one, "reason", reason);
        int rc = stanch_flow__give_role(flow, by, one, batch, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
