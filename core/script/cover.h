/* cover.h: which lines of a commit were run, and which hold code.
 *
 *   stanch_cover_start -> the line hook marks -> before each frame: [take] -> {"checkout.lua":[3,4]}, each line once
 *
 * Watching changes nothing else: the hook allocates nothing in the VM and raises nothing, so wants, garbage collection as
 * far as Lua can see it, and the limits are those of a run that is not watched (it is slower, and its CPU time counts).
 * Both speak of what Lua's line hook reports: a call over three lines may count as one.
 * Owner: the VM; a worker ends by _exit. Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_COVER_H
#define STANCH_SCRIPT_COVER_H
#include "script/vm.h"

/** Watch from now on which lines of vm's sources are run, in vm->L and in each coroutine that is made after. The sources must
 *  be there, and stay. The prelude is no source. */
void stanch_cover_start(struct stanch_vm *vm);
/** From the VM's hook: a line is about to be run. */
void stanch_cover_mark(struct stanch_vm *vm, lua_State *L, lua_Debug *ar);
/** The lines that were run and not given before: {"checkout.lua":[3,4,9]}, ascending. new; NULL: there is none, or nothing is
 *  watched. Calls no Lua. */
json_t *stanch_cover_take(struct stanch_vm *vm);

/** The lines of each source that hold code, run or not, as above; a source that cannot be compiled is left out. Lines that
 *  only close something or only jump are left out: see stanch_cover_lines_of. new; NULL: this Lua's dump is not of the
 *  format that is known here (5.4, format 0) */
json_t *stanch_cover_lines(struct stanch_vm *vm);
/** The same of one dumped chunk (lua_dump, not stripped) and its text. Left out are lines
 *  - that hold nothing but `end`, `}`, `)`, `,`, `;` and a comment,
 *  - whose only instructions are a function's implicit return, a jump, or the gathering of a table's items.
 *  They are run when the lines before them are, and some of them are never reported (a jump to a jump is shortened).
 *  new; a list, ascending; NULL: not of the known format, or broken */
json_t *stanch_cover_lines_of(const void *dump, size_t len, const char *text, size_t text_len);

#endif
