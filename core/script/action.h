/* action.h: plugin instances as runbooks see them: `haproxy "edge-eu"` gives a table of its actions.
 *
 *   local edge = haproxy "edge-eu"     an instance; a wrong name says which instances there are
 *   edge.drain                         an action; a wrong name says which actions there are
 *   edge.drain { server = "s1" }       while files are evaluated: data {["$action"]={instance,action,args}};
 *                                      inside run(): the want "action"
 * Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_ACTION_H
#define STANCH_SCRIPT_ACTION_H
#include <jansson.h>
#include <lua.h>
#include <stdbool.h>

/** Install a constructor per plugin. instances: borrowed: {"edge-eu":{"plugin":"haproxy","environment":"prod",
 *  "actions":{"drain":{"effect":"mitigate","risk":"low","params":{JSON Schema}}}}}; must outlive the state. */
void stanch_action_install(lua_State *L, const json_t *instances);

/** Inside run() only these actions can be called. uses: borrowed: [{"instance","action"}]; NULL: all. */
void stanch_action_set_uses(lua_State *L, const json_t *uses);

/** Is the value at `idx` an action that was not called, as in `uses = { edge.drain }`? ret: borrowed texts, valid
 *  while the value lives. Does not raise. */
bool stanch_action_ref(lua_State *L, int idx, const char **ret_instance, const char **ret_action);
/** The declaration of an action out of the input's instances, or NULL. borrowed. */
const json_t *stanch_action_find(lua_State *L, const char *instance, const char *action);

#endif
