/* lib_string.c: string.format without addresses: %p is refused, and a table, function or thread given to %s shows
 * its number. Lua's own does the formatting. */
#include "script/sandbox.h"
#include "script/vm.h"
#include <string.h>

/* upvalue 1: Lua's string.format */
static int format(lua_State *L)
{
    size_t len;
    const char *fmt = luaL_checklstring(L, 1, &len);
    int arg = 1;
    for (const char *p = fmt; p < fmt + len; p++) {
        if (*p != '%')
            continue;
        p++;
        if (*p == '%')
            continue;
        p += strspn(p, "-+ #0123456789.");
        arg++;
        if (*p == 'p')
            return stanch_vm_raise(L, "script", "string.format: %%p shows an address, which differs at every replay");
        if (*p == 's' && arg <= lua_gettop(L) && lua_type(L, arg) != LUA_TSTRING) {
            stanch_base_tostring(L, arg);
            lua_replace(L, arg);
        }
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

const struct stanch_binding stanch_string_functions[] = {
    {"format", format, "string.format(fmt, ...): as in Lua, without %p"},
    {NULL, NULL, NULL},
};
