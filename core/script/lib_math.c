/* lib_math.c: random numbers that are the run's: xoshiro256** seeded from the run's seed, so that a replay draws
 * the same ones whatever Lua is installed. Source: Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators" (xoshiro256**, splitmix64). */
#include "base/digest.h"
#include "script/sandbox.h"
#include "script/vm.h"
#include <string.h>

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t draw(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void stanch_vm_seed(struct stanch_vm *vm, const char *seed)
{
    unsigned char digest[32];
    stanch_digest_raw(seed, strlen(seed), digest);
    for (int i = 0; i < 4; i++) {
        vm->random[i] = 0;
        for (int k = 0; k < 8; k++)
            vm->random[i] = vm->random[i] << 8 | digest[i * 8 + k];
    }
    vm->random[0] |= 1; /* never all zero */
}

static int do_random(lua_State *L)
{
    struct stanch_vm *vm = stanch_vm_of(L);
    if (vm->phase != STANCH_VM_RUNNING)
        return stanch_vm_raise(L, "script", "math.random belongs to a run; it can be called inside run() only");
    if (lua_gettop(L) == 0) {
        lua_pushnumber(L, (lua_Number)(draw(vm->random) >> 11) * 0x1.0p-53);
        return 1;
    }
    lua_Integer low = lua_gettop(L) > 1 ? luaL_checkinteger(L, 1) : 1;
    lua_Integer high = luaL_checkinteger(L, lua_gettop(L) > 1 ? 2 : 1);
    luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
    uint64_t span = (uint64_t)high - (uint64_t)low, mask = span, v;
    for (int shift = 1; shift < 64; shift *= 2)
        mask |= mask >> shift;
    do
        v = draw(vm->random) & mask;
    while (v > span);
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + v));
    return 1;
}

const struct stanch_binding stanch_math_functions[] = {
    {"random", do_random, "math.random([low,] high): drawn from the run's seed, the same at every replay"},
    {NULL, NULL, NULL},
};
