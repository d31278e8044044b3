/* declare.h: what the worker (worker.c) asks of the declaring language (declare_*.c): runbook, alert, label,
 * symptom, configuration and policy. The worker owns the VM, the sandbox and the wants; the declaring language owns
 * the globals with which a file says what it is, and the check of it.
 *
 *   worker: sandbox -> [install] -> evaluate source files, one by one -> load, config, policy: [result]
 *                                                                     -> run: [run], call its function
 *
 * While files are evaluated nothing can be asked of the world: an action call gives plain data,
 *   edge.drain { server = "s1" }  ->  { ["$action"] = { instance = "edge-eu", action = "drain", args = {...} } }
 * and `edge.drain` alone, as in `uses`, is read with stanch_action_ref (action.h).
 * Lua values become JSON with value.h; errors with a place are raised with stanch_vm_raise (vm.h).
 * Thread: a worker's only one. Functions that get a lua_State may raise unless they say otherwise, so they own
 * nothing in C locals while they call Lua; a worker ends by _exit, what a raise leaves behind dies with it.
 */
#ifndef STANCH_SCRIPT_DECLARE_H
#define STANCH_SCRIPT_DECLARE_H
#include "base/err.h"
#include <jansson.h>
#include <lua.h>

/** Install the declaring globals of `kind` ("load" | "run" | "config" | "policy" | "people") with lua_setglobal. The table of
 *  globals is closed afterwards: files cannot add to it. input: borrowed; the whole input of the worker. */
void stanch_declare_install(lua_State *L, const char *kind, const json_t *input);

/** A file could not be compiled, or raised. Called for kind "load" only, where one bad file does not hide the
 *  errors of the others. error: borrowed: {"kind","text","file","line","traceback"}. */
void stanch_declare_failed(lua_State *L, const char *path, const json_t *error);

/** After all files were evaluated (load, config, policy, people): the checked data; the "result" of the worker.
 *  ret: new. returns 0 | an error that ends the activation (config, policy: the text names file, line and key path
 *  of the first mistake and how many more there are; ret is {"errors":[{"file","line","path","text"}]}, all of them) */
int stanch_declare_result(lua_State *L, const char *kind, const json_t *input, json_t **ret, struct stanch_err *err);

struct stanch_declared_run {
    json_t *symptom; /* new; or NULL: the runbook declares none. The data of `symptom {...}`, as in "load" */
    json_t *uses;    /* new; [{"instance","action"}] */
};
/** Kind "run": pushes two values, the runbook's `run` function and its `on_failure` function (or nil).
 *  returns 0 | STANCH_E_NOT_FOUND (no such runbook in the file; names those that are) | STANCH_E_INVALID (its
 *  declaration has errors); pushes nothing then */
int stanch_declare_push_run(lua_State *L, const char *runbook, struct stanch_declared_run *ret, struct stanch_err *err);

#endif
