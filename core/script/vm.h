/* vm.h: one sandboxed lua_State: what of Lua exists in it, errors with a place, and the loading of sources.
 * script/README.md lists the rules; PROMISES.md 1.5 says why.
 * Owner: the worker; it is never closed, the process ends. Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_VM_H
#define STANCH_SCRIPT_VM_H
#include "base/err.h"
#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stanch_vm_phase {
    STANCH_VM_DECLARING, /* files are evaluated: nothing can be asked of the world */
    STANCH_VM_RUNNING,   /* inside run() */
};

struct stanch_vm_source {
    const char *path;
    const char *text;
    size_t len;
};

/* What C code finds behind every lua_State of the VM. */
struct stanch_vm {
    lua_State *L;
    enum stanch_vm_phase phase;
    const struct stanch_vm_source *sources; /* borrowed */
    int source_count;
    const json_t *instances; /* borrowed; NULL: none */
    const json_t *uses;      /* borrowed; NULL: every action */
    size_t used_bytes, max_bytes;
    int64_t cpu_ms;   /* limit; 0: none. Looked at by the count hook; the kernel's limit stands behind it */
    int64_t max_uniq; /* last number given by tostring */
    uint64_t random[4];
    void *sched;                /* of sched.c */
    struct stanch_cover *cover; /* of cover.c; NULL: nobody asks which lines are run */
    void *owner;                /* of on_limit: the allocator must not touch the state to find it */
    /** Called when a limit inside the VM is hit ("memory", "cpu"); must not return. */
    void (*on_limit)(struct stanch_vm *vm, lua_State *L, const char *kind, const char *text);
};

/** new; the sandbox and the prelude are in it, its globals are open. Ends the process when memory is missing. */
struct stanch_vm *stanch_vm_new(void);
/** For tests and for the warmed parent's end. */
void stanch_vm_free(struct stanch_vm *vm);
struct stanch_vm *stanch_vm_of(lua_State *L);
/** Seed math.random. */
void stanch_vm_seed(struct stanch_vm *vm, const char *seed);
/** Close the table of globals: from now on unknown names raise, and nothing can be added. */
void stanch_vm_close_globals(struct stanch_vm *vm);

/** Compile one source as text and evaluate it, phase DECLARING.
 *  returns 0 | STANCH_E_SCRIPT with ret_error new: {"kind","text","file","line","traceback"} */
int stanch_vm_evaluate(struct stanch_vm *vm, const struct stanch_vm_source *source, json_t **ret_error);

/** "lib.edge" -> "lib/edge.lua" (module.c). returns 0 when it is not the name of a module */
int stanch_module_path(const char *name, char *ret, size_t size);

/** The runbook's line that called, past C functions and the prelude. ret_file: at least 256 bytes ("" if there is
 *  none). returns the line, 0 if there is none */
int stanch_vm_where(lua_State *L, char *ret_file, size_t size);
/** Raise an error value {kind,text,file,line}; tostring gives "kind: text". kind: "invalid", "refused", ... */
int stanch_vm_raise(lua_State *L, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** As above out of JSON: {"kind","text",...}; all members are kept. */
int stanch_vm_raise_json(lua_State *L, const json_t *error);
/** The error at the top of the stack of `L` (popped) as {"kind","text","file","line","traceback"}. new. `L` still
 *  has the frames that raised, if it is a coroutine that ended, or inside of a message handler. */
json_t *stanch_vm_error(lua_State *L);
/** Append `did you mean "x"?` when one of `names` is near, else the list: `there are a, b`. */
void stanch_vm_suggest(const char *name, const char *const *names, size_t count, char *ret, size_t size);

#endif
